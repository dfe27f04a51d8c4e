//! The programs that run in the kernel. One file a hook, then what they share.
//!
//! | file | hook | kernel | sends |
//! |---|---|---|---|
//! | [`link`] | TCX (or clsact) in and out of a link | 5.15 | FLOW, DNS; counts in FLOWS |
//! | [`skb_drop`] | `tp_btf/kfree_skb` | 5.17 | DROP; counts in DROPS |
//! | [`reset`] | `tp_btf/tcp_send_reset`, `tcp_receive_reset` | 6.10 | DROP; counts in DROPS |
//! | [`retransmit`] | `tp_btf/tcp_retransmit_skb` | 5.15 | DROP; counts in DROPS |
//! | [`icmp`] | `tp_btf/icmp_send` | 6.11 | DROP; counts in DROPS |
//! | [`sock_state`] | `tp_btf/inet_sock_set_state` | 5.15 | SOCK |
//! | [`sock_length`] | `tp_btf/sock_send_length`, `sock_recv_length` | 6.3 | SOCK, DATA |
//! | [`process`] | `tp_btf/sched_process_exec`, `sched_process_exit` | 5.15 | PROC |
//! | [`walk`] | `iter/task_file`, `iter/tcp`, `iter/udp` | 5.15 | SOCK |
//! | [`whoami`] | none: run once by the loader | 5.15 | nothing |
//!
//! No program changes a packet, its verdict or a socket. Link programs answer -1 ("next"), so that whoever comes
//! after them still decides. Every record that does not fit its ring is counted in STATS, per CPU and kind.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod icmp;
mod link;
mod process;
mod reset;
mod retransmit;
mod skb_drop;
mod sock_length;
mod sock_state;
mod walk;
mod whoami;

mod atomic;
mod context;
mod dns;
mod drops;
mod flows;
mod maps;
mod memory;
mod packet;
mod payload;
mod send;
mod skb;
mod socket;
mod task;

/// The kernel gives its helpers only to programs that say so.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never runs: the verifier refuses a program that could reach it.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
