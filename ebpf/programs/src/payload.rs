//! Bytes of TCP streams, taken from the memory of the process in its own system call.
//!
//! The kernel decides at the first chunks of a connection whether user space can read its protocol; what it cannot
//! read costs nothing from then on.

use core::mem::offset_of;

use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_probe_read_user, bpf_task_pt_regs};
use ebpf_abi::{DataHead, counter, data_source, feature, kind, protocol};

use crate::{
    atomic,
    context::now_boot_ns,
    maps::{self, DATA, MUTED, count, live, offset, setting},
    memory::{kernel_or_zero, user},
    send::{self, Event},
    socket::{Socket, SocketState},
    task::Task,
};

/// Whether the payload of a socket is captured.
pub mod decision {
    /// Nothing was sent or received yet.
    pub const NOT_ASKED: u8 = 0;
    /// The chunks so far did not tell.
    pub const UNDECIDED: u8 = 1;
    /// It is, as far as it can be the head of a message.
    pub const HEADS: u8 = 2;
    /// It is not, for good.
    pub const OFF: u8 = 3;
    /// It is, all of it.
    pub const ALL: u8 = 4;
}

/// Chunks that are looked at before a connection is taken for one we cannot read. More than one, because a connection
/// that was there before us is met in the middle of a body.
const UNDECIDED_MAX: u8 = 8;

/// Bytes from the beginning of a message within which its head must end, as for the parser in user space. What follows
/// is a body, of which only the start of each chunk is taken: a message may begin there.
const HEAD_BYTES_MAX: u64 = 16_384;

/// Bytes taken of a chunk of a body: what fits the smallest record.
const BODY_BYTES: u32 = 256;

const DNS_PORT: u16 = 53;

/// What begins a message of HTTP/1, as the four bytes stand in memory.
const HTTP_BEGINNINGS: [u32; 10] = [
    u32::from_le_bytes(*b"GET "),
    u32::from_le_bytes(*b"HTTP"),
    u32::from_le_bytes(*b"POST"),
    u32::from_le_bytes(*b"PUT "),
    u32::from_le_bytes(*b"HEAD"),
    u32::from_le_bytes(*b"DELE"),
    u32::from_le_bytes(*b"OPTI"),
    u32::from_le_bytes(*b"PATC"),
    u32::from_le_bytes(*b"CONN"),
    u32::from_le_bytes(*b"TRAC"),
];

/// Most pieces of scattered memory that are put together: what a server sends begins with its head, in one piece or a
/// few. Each more doubles the work of the verifier.
const PIECES_MAX: u32 = 4;

/// What a process sent or received.
#[derive(Clone, Copy)]
pub struct Chunk {
    /// One of [`ebpf_abi::data_direction`].
    pub direction: u8,
    /// How much.
    pub bytes: u32,
    /// How much of it is worth taking.
    pub wanted: u32,
}

/// Where the bytes of the system call in flight are.
#[derive(Clone, Copy)]
struct Memory {
    /// One buffer, or 0.
    buffer: u64,
    /// Array of pieces (`struct iovec`), or 0.
    pieces: u64,
    pieces_len: u64,
    syscall: u32,
}

/// Decides about a socket if that is still to be done, and sends the chunk if it is captured.
///
/// # Safety
/// `state` is what is remembered of `socket`, an argument of the hook.
#[inline(always)]
pub unsafe fn chunk(socket: Socket, state: *mut SocketState, chunk: Chunk) {
    // SAFETY: the caller vouches for `state`.
    unsafe {
        if (*state).payload == decision::NOT_ASKED {
            (*state).payload = first_decision(socket);
            if (*state).payload == decision::OFF {
                return;
            }
        }
        let offset = SocketState::advance(state, chunk.direction, chunk.bytes);
        let memory = memory_of_call();
        let mut wanted = u32::MAX;
        if (*state).payload != decision::ALL {
            let begins = begins_message(memory, chunk);
            if (*state).payload == decision::UNDECIDED && !decides(state, begins) {
                return;
            }
            wanted = SocketState::wanted(state, chunk.direction, offset, begins);
        }
        if MUTED.get_ptr(&(*state).cookie).is_some() {
            (*state).payload = decision::OFF;
            return;
        }
        send(state, Chunk { wanted, ..chunk }, offset, memory);
    }
}

#[inline(always)]
fn first_decision(socket: Socket) -> u8 {
    let may = maps::feature(feature::PAYLOAD)
        && socket.protocol() == protocol::TCP
        && Task::Current.tgid() != live().own_tgid;
    if !may {
        return decision::OFF;
    }
    let tuple = socket.tuple();
    if tuple.source_port == DNS_PORT || tuple.destination_port == DNS_PORT { decision::ALL } else { decision::UNDECIDED }
}

/// Whether a chunk begins with the first letters of a message of HTTP/1.
#[inline(always)]
fn begins_message(memory: Memory, chunk: Chunk) -> bool {
    let first = if memory.buffer != 0 { memory.buffer } else { user(memory.pieces).unwrap_or(0) };
    is_http(if chunk.bytes < 4 { 0 } else { user(first).unwrap_or(0) })
}

/// Decides by the beginning of a chunk; true when the connection is captured from here on.
///
/// # Safety
/// `state` is what is remembered of a socket.
#[inline(always)]
unsafe fn decides(state: *mut SocketState, begins: bool) -> bool {
    // SAFETY: the caller vouches for `state`.
    unsafe {
        if begins {
            (*state).payload = decision::HEADS;
        } else {
            (*state).undecided += 1;
            if (*state).undecided >= UNDECIDED_MAX {
                (*state).payload = decision::OFF;
            }
        }
    }
    begins
}

impl SocketState {
    /// How much of a chunk is worth taking: all of it where it may belong to the head of a message.
    ///
    /// # Safety
    /// `state` is what is remembered of a socket.
    #[inline(always)]
    unsafe fn wanted(state: *mut Self, direction: u8, offset: u64, begins: bool) -> u32 {
        // SAFETY: the caller vouches for `state`; the direction is 0 or 1.
        unsafe {
            let began = &raw mut (*state).began[usize::from(direction & 1)];
            if begins {
                *began = offset;
            }
            if offset.wrapping_sub(*began) < HEAD_BYTES_MAX { u32::MAX } else { BODY_BYTES }
        }
    }
}

#[inline(always)]
fn is_http(beginning: u32) -> bool {
    HTTP_BEGINNINGS.contains(&beginning)
}

/// Reads the arguments of the system call the process is in. A function of its own, so that the verifier need not
/// follow each kind of call through what comes after.
#[inline(never)]
fn memory_of_call() -> Memory {
    // SAFETY: the helper gives the current task, whose registers are its own.
    let registers = unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as u64;
    let syscall = kernel_or_zero::<u64>(registers, offset!(regs_syscall)) as u32;
    let argument1: u64 = kernel_or_zero(registers, offset!(regs_arg1));
    let none = Memory { buffer: 0, pieces: 0, pieces_len: 0, syscall };
    if is_call(
        syscall,
        [setting!(syscalls.read), setting!(syscalls.write), setting!(syscalls.recvfrom), setting!(syscalls.sendto)],
    ) {
        return Memory { buffer: argument1, ..none };
    }
    if is_call(syscall, [setting!(syscalls.readv), setting!(syscalls.writev), u32::MAX, u32::MAX]) {
        return gathered(argument1, kernel_or_zero(registers, offset!(regs_arg2)), none);
    }
    if is_call(
        syscall,
        [
            setting!(syscalls.recvmsg),
            setting!(syscalls.sendmsg),
            setting!(syscalls.recvmmsg),
            setting!(syscalls.sendmmsg),
        ],
    ) {
        // `struct msghdr`: the array of pieces is at 16, its length at 24. Of many messages the first is read.
        return gathered(
            user(argument1.wrapping_add(16)).unwrap_or(0),
            user(argument1.wrapping_add(24)).unwrap_or(0),
            none,
        );
    }
    none
}

#[inline(always)]
fn is_call(syscall: u32, of: [u32; 4]) -> bool {
    of.contains(&syscall)
}

/// One piece is as good as a buffer.
#[inline(always)]
fn gathered(pieces: u64, pieces_len: u64, none: Memory) -> Memory {
    if pieces_len == 1 {
        return Memory { buffer: user(pieces).unwrap_or(0), ..none };
    }
    Memory { pieces, pieces_len, ..none }
}

#[repr(C)]
struct DataRecord<const ROOM: usize> {
    head: DataHead,
    data: [u8; ROOM],
}

/// Sends the chunk in the smallest record that holds what is wanted of it.
///
/// # Safety
/// `state` is what is remembered of a socket.
#[inline(always)]
unsafe fn send(state: *mut SocketState, chunk: Chunk, offset: u64, memory: Memory) {
    let cap = live().payload_cap.min(setting!(payload_cap));
    if cap == 0 {
        return;
    }
    let room = match (memory.buffer, memory.pieces) {
        // Nothing can be read, as of a file that is sent.
        (0, 0) => 0,
        // Twice as much, because pieces are put together in the first half of the room, see `gather`.
        (0, _) => chunk.bytes.saturating_mul(2),
        _ => chunk.bytes,
    };
    let room = room.min(cap).min(chunk.wanted);
    // SAFETY: the caller vouches for `state`.
    unsafe {
        if room <= 256 {
            send_sized::<256>(state, chunk, offset, memory);
        } else if room <= 1024 || setting!(payload_cap) <= 1024 {
            send_sized::<1024>(state, chunk, offset, memory);
        } else {
            send_sized::<4096>(state, chunk, offset, memory);
        }
    }
}

/// # Safety
/// `state` is what is remembered of a socket.
#[inline(always)]
unsafe fn send_sized<const ROOM: usize>(state: *mut SocketState, chunk: Chunk, offset: u64, memory: Memory) {
    // SAFETY: the caller vouches for `state`.
    let (cookie, seq) = unsafe { ((*state).cookie, atomic::fetch_add(&raw mut (*state).chunks, 1)) };
    let event = Event { kind: kind::DATA, at_boot_ns: now_boot_ns(), cookie };
    send::record::<DataRecord<ROOM>>(&DATA, event, |record| {
        // SAFETY: the record has room for the head, and for ROOM bytes of data behind it.
        unsafe {
            let captured = copy::<ROOM>((&raw mut (*record).data).cast(), chunk.bytes, memory);
            if captured == 0 {
                count(counter::PAYLOAD_UNREADABLE);
            }
            let head = &raw mut (*record).head;
            (*head).offset = offset;
            (*head).object = 0;
            (*head).len = chunk.bytes;
            (*head).captured = captured;
            (*head).tgid = Task::Current.tgid();
            (*head).tid = Task::Current.tid();
            (*head).direction = chunk.direction;
            (*head).source = data_source::SOCKET;
            (*head).syscall = memory.syscall as u16;
            (*head).seq = seq as u32;
        }
    });
}

/// Copies at most ROOM bytes; returns how many.
///
/// # Safety
/// `into` has room for ROOM bytes; ROOM is a power of two.
#[inline(always)]
unsafe fn copy<const ROOM: usize>(into: *mut u8, wanted: u32, memory: Memory) -> u32 {
    let room = ROOM as u32;
    let wanted = wanted.min(room);
    if wanted == 0 {
        return 0;
    }
    if memory.buffer != 0 {
        // The verifier does not follow the minimum to the call: the mask proves 1 to ROOM.
        let len = (core::hint::black_box(wanted - 1) & (room - 1)) + 1;
        // SAFETY: `len` is at most ROOM; the helper checks the source.
        return if unsafe { read_user(into, len, memory.buffer) } { len } else { 0 };
    }
    if memory.pieces == 0 {
        return 0;
    }
    // SAFETY: the caller vouches for the room.
    unsafe { gather::<ROOM>(into, wanted, memory.pieces, memory.pieces_len) }
}

/// Puts pieces together. The first may fill the room; each other contributes at most half of it and begins in its first
/// half, so the end is inside in a way the verifier can follow.
///
/// # Safety
/// `into` has room for ROOM bytes; ROOM is a power of two.
#[inline(never)]
unsafe fn gather<const ROOM: usize>(into: *mut u8, wanted: u32, pieces: u64, pieces_len: u64) -> u32 {
    let (room, half) = (ROOM as u32, ROOM as u32 / 2);
    let [base, len]: [u64; 2] = user(pieces).unwrap_or([0; 2]);
    let len = (len.min(u64::from(room)) as u32).min(wanted);
    let mut done = 0u32;
    if len != 0 {
        let len = (core::hint::black_box(len - 1) & (room - 1)) + 1;
        // SAFETY: `len` is at most ROOM; the helper checks the source.
        if !unsafe { read_user(into, len, base) } {
            return 0;
        }
        done = len;
    }
    for piece in 1..PIECES_MAX {
        if u64::from(piece) >= pieces_len || done >= half || done >= wanted {
            break;
        }
        let [base, len]: [u64; 2] = user(pieces.wrapping_add(u64::from(piece) * 16)).unwrap_or([0; 2]);
        let len = (len.min(u64::from(half)) as u32).min(wanted - done);
        // A piece may be empty, and the next one not.
        if len == 0 {
            continue;
        }
        let at = core::hint::black_box(done) & (half - 1);
        let len = (core::hint::black_box(len - 1) & (half - 1)) + 1;
        // SAFETY: `at` is below `half` and `len` at most `half`; the helper checks the source.
        if !unsafe { read_user(into.add(at as usize), len, base) } {
            break;
        }
        done += len;
    }
    done
}

/// # Safety
/// `into` has room for `len` bytes.
#[inline(always)]
unsafe fn read_user(into: *mut u8, len: u32, from: u64) -> bool {
    // SAFETY: the caller vouches for the destination; the helper checks the source.
    unsafe { bpf_probe_read_user(into.cast(), len, from as *const _) == 0 }
}

const _: () = assert!(offset_of!(DataRecord<256>, data) == 64);
