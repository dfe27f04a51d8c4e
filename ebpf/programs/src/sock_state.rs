//! Hook: a TCP socket changes its state.

use aya_ebpf::{EbpfContext, macros::btf_tracepoint, programs::BtfTracePointContext};
use ebpf_abi::{role, tcp_state};

use crate::{
    context::Arguments,
    socket::{self, Change, Socket, SocketState},
    task::Task,
};

/// `inet_sock_set_state(sk, oldstate, newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn sock_state(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    let arguments = unsafe { Arguments::new(context.as_ptr()) };
    let socket = Socket(arguments.get(0));
    let change = Change { old: arguments.get(1) as u8, new: arguments.get(2) as u8 };
    // SAFETY: the socket is the first argument of the hook.
    if unsafe { socket.is_ip_trusted() } {
        follow(socket, change);
    }
    0
}

#[inline(always)]
fn follow(socket: Socket, change: Change) {
    let (part, is_owner_here) = match (change.old, change.new) {
        // `connect` and `listen` run in the process; the other steps mostly in whoever got the interrupt.
        (_, tcp_state::SYN_SENT) => (role::CLIENT, true),
        (_, tcp_state::LISTEN) => (role::LISTENER, true),
        (tcp_state::SYN_RECV, tcp_state::ESTABLISHED) => (role::SERVER, false),
        (_, tcp_state::ESTABLISHED | tcp_state::CLOSE) => (role::UNKNOWN, false),
        _ => return,
    };
    // SAFETY: the socket is an argument of the hook, which the verifier trusts.
    let Some(state) = (unsafe { socket.remember() }) else { return };
    // SAFETY: `state` is what is remembered of this very socket.
    unsafe {
        SocketState::play(state, part);
        if change.new == tcp_state::SYN_SENT {
            SocketState::begin(state);
        }
        if is_owner_here {
            SocketState::own(state, Task::Current);
        }
        let cookie = socket.cookie();
        let told = socket::tell(socket, cookie, Some(state), change);
        // What did not fit is told at the next use of the socket, or by a walk.
        (*state).cookie = if told { cookie } else { 0 };
    }
}
