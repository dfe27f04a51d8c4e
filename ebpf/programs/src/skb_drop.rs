//! Hook: the kernel gives up on a packet.

use core::mem::offset_of;

use aya_ebpf::{EbpfContext, macros::btf_tracepoint, programs::BtfTracePointContext};
use ebpf_abi::{Settings, drop_source};

use crate::{
    context::Arguments,
    drops::{self, Trouble, Victim},
    maps::SETTINGS,
};

/// `kfree_skb(skb, location, reason)`; the reason exists since 5.17.
#[btf_tracepoint(function = "kfree_skb")]
pub fn skb_drop(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    let arguments = unsafe { Arguments::new(context.as_ptr()) };
    let reason = arguments.get(2) as u32;
    if is_no_drop(reason) {
        return 0;
    }
    if let Some(victim) = Victim::packet(arguments.get(0)) {
        let aux = victim.fragment;
        drops::account(&victim, Trouble { source: drop_source::FREED, aux, reason, location: arguments.get(1) });
    }
    0
}

/// Packets are freed for many reasons that lose nothing; the loader knows them by name.
#[inline(always)]
fn is_no_drop(reason: u32) -> bool {
    // Reasons of subsystems begin at 65,536.
    if reason >= 256 {
        return false;
    }
    let word = SETTINGS.word(offset_of!(Settings, ignored_reasons) + (reason >> 5 & 7) as usize * 4);
    word >> (reason & 31) & 1 != 0
}
