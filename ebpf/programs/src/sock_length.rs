//! Hooks: a process sent or received on a socket. They run in the process, after the call has done its work.

use aya_ebpf::{EbpfContext, macros::btf_tracepoint, programs::BtfTracePointContext};
use ebpf_abi::data_direction;

use crate::{
    context::Arguments,
    payload::{self, Chunk, decision},
    socket::{self, Change, Socket, SocketState},
    task::Task,
};

const MSG_PEEK: u32 = 0x2;
const MSG_ERRQUEUE: u32 = 0x2000;

/// `sock_send_length(sk, ret, flags)`.
#[btf_tracepoint(function = "sock_send_length")]
pub fn sock_send(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    moved(unsafe { Arguments::new(context.as_ptr()) }, data_direction::SENT)
}

/// `sock_recv_length(sk, ret, flags)`.
#[btf_tracepoint(function = "sock_recv_length")]
pub fn sock_receive(context: BtfTracePointContext) -> i32 {
    // SAFETY: the kernel called the program with this context.
    moved(unsafe { Arguments::new(context.as_ptr()) }, data_direction::RECEIVED)
}

#[inline(always)]
fn moved(arguments: Arguments, direction: u8) -> i32 {
    let socket = Socket(arguments.get(0));
    let (bytes, flags) = (arguments.get(1) as i32, arguments.get(2) as u32);
    let is_no_stream = direction == data_direction::RECEIVED && flags & (MSG_PEEK | MSG_ERRQUEUE) != 0;
    // SAFETY: the socket is the first argument of the hook.
    if bytes <= 0 || is_no_stream || !unsafe { socket.is_ip_trusted() } {
        return 0;
    }
    // SAFETY: as above.
    let Some(state) = (unsafe { socket.remember() }) else { return 0 };
    // SAFETY: `state` is what is remembered of this very socket.
    unsafe {
        if SocketState::own(state, Task::Current) || (*state).cookie == 0 {
            announce(socket, state);
        }
        if (*state).payload != decision::OFF {
            payload::chunk(socket, state, Chunk { direction, bytes: bytes as u32, wanted: u32::MAX });
        }
    }
    0
}

/// Tells of a socket's owner; a record that does not fit is tried again at the next use.
///
/// # Safety
/// `state` is what is remembered of `socket`, an argument of the hook.
#[inline(always)]
unsafe fn announce(socket: Socket, state: *mut SocketState) {
    // SAFETY: the caller vouches for both.
    unsafe {
        let cookie = socket.cookie();
        let now = socket.state();
        let told = socket::tell(socket, cookie, Some(state), Change { old: now, new: now });
        (*state).cookie = if told { cookie } else { 0 };
    }
}
