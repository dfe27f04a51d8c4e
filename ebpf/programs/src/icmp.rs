//! Hook: the kernel answers a packet with an ICMP error (IPv4).

use aya_ebpf::{EbpfContext, macros::btf_tracepoint, programs::BtfTracePointContext};
use ebpf_abi::drop_source;

use crate::{
    context::Arguments,
    drops::{self, Trouble, Victim},
};

/// `icmp_send(skb, type, code)`.
#[btf_tracepoint(function = "icmp_send")]
pub fn icmp_sent(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    let arguments = unsafe { Arguments::new(context.as_ptr()) };
    let (reason, aux) = (arguments.get(1) as u32, arguments.get(2) as u8);
    if let Some(victim) = Victim::packet(arguments.get(0)) {
        drops::account(&victim, Trouble { source: drop_source::ICMP_SENT, aux, reason, location: 0 });
    }
    0
}
