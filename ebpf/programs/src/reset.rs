//! Hooks: a reset is sent, a reset is received.

use aya_ebpf::{EbpfContext, macros::btf_tracepoint, programs::BtfTracePointContext};
use ebpf_abi::drop_source;

use crate::{
    context::Arguments,
    drops::{self, Trouble, Victim},
    socket::Socket,
};

/// `tcp_send_reset(sk, skb, reason)`; the reason exists since 6.10. `skb` is the packet that is answered.
#[btf_tracepoint(function = "tcp_send_reset")]
pub fn reset_sent(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    let arguments = unsafe { Arguments::new(context.as_ptr()) };
    let (skb, reason) = (arguments.get(1), arguments.get(2) as u32);
    if skb == 0 {
        return 0;
    }
    if let Some(victim) = Victim::packet(skb) {
        drops::account(&victim, Trouble { source: drop_source::RESET_SENT, aux: 0, reason, location: 0 });
    }
    0
}

/// `tcp_receive_reset(sk)`.
#[btf_tracepoint(function = "tcp_receive_reset")]
pub fn reset_received(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    let socket = Socket(unsafe { Arguments::new(context.as_ptr()) }.get(0));
    if let Some(victim) = Victim::socket(socket) {
        let aux = socket.state();
        drops::account(&victim, Trouble { source: drop_source::RESET_RECEIVED, aux, reason: 0, location: 0 });
    }
    0
}
