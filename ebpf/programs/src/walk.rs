//! Iterators: the sockets there were before us. The collector reads them to their end once at the start.
//!
//! Each writes one byte per socket it tells of, so that a reader with a small buffer comes back between them and can
//! empty the ring.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_seq_write, bpf_skc_to_tcp_sock, bpf_sock_from_file};
use ebpf_abi::{role, tcp_state};

use crate::{
    context::Arguments,
    maps::offset,
    socket::{self, Change, Socket, SocketState},
    task::Task,
};

/// `iter/task_file`: every open file of every process, in all namespaces. Finds owners.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
pub extern "C" fn walk_files(context: *mut c_void) -> i32 {
    // SAFETY: the kernel called the program with this context: meta, task, fd, file.
    let arguments = unsafe { Arguments::new(context) };
    let (task, file) = (arguments.get(1), arguments.get(3));
    if task == 0 || file == 0 {
        return 0;
    }
    // SAFETY: the verifier knows `file` for a file; the helper gives its socket or null.
    let holder = unsafe { bpf_sock_from_file(file as *mut _) } as u64;
    if holder == 0 {
        return 0;
    }
    // SAFETY: `holder` is a `struct socket`; the verifier checks the offset against the kernel's type.
    let socket = Socket(unsafe { ((holder + u64::from(offset!(socket_sk))) as *const u64).read_volatile() });
    if socket.0 == 0 || !socket.is_ip() {
        return 0;
    }
    // SAFETY: the verifier knows the socket by the load above.
    if unsafe { find(socket, Some(Task::Other { address: task, uid: socket.uid() })) } {
        step(arguments);
    }
    0
}

/// `iter/tcp`: TCP sockets of the reader's namespace, also those no process holds any more.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
pub extern "C" fn walk_tcp(context: *mut c_void) -> i32 {
    // SAFETY: the kernel called the program with this context: meta, sock_common, uid.
    let arguments = unsafe { Arguments::new(context) };
    let common = arguments.get(1);
    if common == 0 {
        return 0;
    }
    // SAFETY: the helper gives null for what is no full socket, such as one in TIME_WAIT.
    let socket = Socket(unsafe { bpf_skc_to_tcp_sock(common as *mut c_void) } as u64);
    // SAFETY: the helper's result is one the verifier trusts.
    if socket.0 != 0 && unsafe { find(socket, None) } {
        step(arguments);
    }
    0
}

/// `iter/udp`: UDP sockets of the reader's namespace.
#[unsafe(link_section = "iter/udp")]
#[unsafe(no_mangle)]
pub extern "C" fn walk_udp(context: *mut c_void) -> i32 {
    // SAFETY: the kernel called the program with this context: meta, udp_sock, uid, bucket.
    let arguments = unsafe { Arguments::new(context) };
    let socket = Socket(arguments.get(1));
    // SAFETY: the socket is an argument of the iterator.
    if socket.0 != 0 && unsafe { find(socket, None) } {
        step(arguments);
    }
    0
}

/// Tells of a socket unless that was done before; true when it told.
///
/// # Safety
/// The verifier trusts the socket.
#[inline(always)]
unsafe fn find(socket: Socket, holder: Option<Task>) -> bool {
    // SAFETY: the caller vouches for the socket; `state` is what is remembered of it.
    unsafe {
        let Some(state) = socket.remember() else { return false };
        if (*state).cookie != 0 && (holder.is_none() || (*state).tgid != 0) {
            return false;
        }
        let now = socket.state();
        if now == tcp_state::LISTEN {
            SocketState::play(state, role::LISTENER);
        }
        if let Some(task) = holder {
            SocketState::own(state, task);
        }
        let cookie = socket.cookie();
        let told = socket::tell(socket, cookie, Some(state), Change { old: now, new: now });
        (*state).cookie = if told { cookie } else { 0 };
        told
    }
}

#[inline(always)]
fn step(arguments: Arguments) {
    let mark = [0u8; 8];
    // SAFETY: the first argument is the iterator's meta, whose first field is the sequence file.
    let _full_is_fine = unsafe {
        let sequence = *(arguments.get(0) as *const u64);
        bpf_seq_write(sequence as *mut _, mark.as_ptr().cast(), 1)
    };
}
