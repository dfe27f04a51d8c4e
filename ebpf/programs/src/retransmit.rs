//! Hook: a TCP segment is sent again.

use aya_ebpf::{EbpfContext, macros::btf_tracepoint, programs::BtfTracePointContext};
use ebpf_abi::drop_source;

use crate::{
    context::Arguments,
    drops::{self, Trouble, Victim},
    socket::Socket,
};

/// `tcp_retransmit_skb(sk, skb, ..)`.
#[btf_tracepoint(function = "tcp_retransmit_skb")]
pub fn retransmit(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    let socket = Socket(unsafe { Arguments::new(context.as_ptr()) }.get(0));
    if let Some(victim) = Victim::socket(socket) {
        let aux = socket.state();
        drops::account(&victim, Trouble { source: drop_source::RETRANSMITTED, aux, reason: 0, location: 0 });
    }
    0
}
