//! Sockets: what is read of them, what is remembered, and the record that announces them.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    helpers::generated::{bpf_get_socket_cookie, bpf_sk_storage_get},
};
use ebpf_abi::{SockRecord, Tuple, counter, kind, role, tcp_state};

use crate::{
    atomic,
    context::now_boot_ns,
    maps::{CTRL, SOCKETS, count, offset},
    memory::{kernel, kernel_or_zero},
    packet::mapped,
    payload::decision,
    send::{self, Event},
    task::Task,
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// How often a socket may change hands before we stop telling of it.
const OWNERS_TOLD_MAX: u8 = 4;

/// What is remembered of a socket while it lives.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SocketState {
    /// Cookie, 0 until the socket was announced.
    pub cookie: u64,
    netns: u64,
    cgroup: u64,
    /// Bytes received and sent by processes, by [`ebpf_abi::data_direction`], while payload is or may be captured.
    pub offsets: [u64; 2],
    /// Offsets at which a message was last seen to begin.
    pub began: [u64; 2],
    /// Chunks sent to user space.
    pub chunks: u64,
    /// Process that uses it, 0 for none yet.
    pub tgid: u32,
    tid: u32,
    uid: u32,
    /// One of [`decision`].
    pub payload: u8,
    /// Chunks looked at without a decision.
    pub undecided: u8,
    owners_told: u8,
    role: u8,
    comm: [u8; 16],
}

/// A `struct sock` of the kernel. The pointer is one the verifier trusts, or just an address to read from.
#[derive(Clone, Copy)]
pub struct Socket(pub u64);

impl Socket {
    /// Whether it is a socket of IPv4 or IPv6; for pointers that are not trusted.
    #[inline(always)]
    pub fn is_ip(self) -> bool {
        matches!(self.family(), AF_INET | AF_INET6)
    }

    /// As [`Socket::is_ip`], in one instruction.
    ///
    /// # Safety
    /// The pointer is an argument of the hook, which the verifier knows the type of.
    #[inline(always)]
    pub unsafe fn is_ip_trusted(self) -> bool {
        // SAFETY: the caller vouches for the pointer; the verifier checks the offset against the kernel's type.
        let family = unsafe { ((self.0 + u64::from(offset!(skc_family))) as *const u16).read_volatile() };
        matches!(family, AF_INET | AF_INET6)
    }

    /// Address family.
    #[inline(always)]
    pub fn family(self) -> u16 {
        kernel_or_zero(self.0, offset!(skc_family))
    }

    /// IP protocol.
    #[inline(always)]
    pub fn protocol(self) -> u8 {
        kernel_or_zero::<u16>(self.0, offset!(sk_protocol)) as u8
    }

    /// TCP state.
    #[inline(always)]
    pub fn state(self) -> u8 {
        kernel_or_zero(self.0, offset!(skc_state))
    }

    /// User that made it.
    #[inline(always)]
    pub fn uid(self) -> u32 {
        kernel_or_zero(self.0, offset!(sk_uid))
    }

    /// Cookie of its network namespace.
    #[inline(always)]
    pub fn netns(self) -> u64 {
        kernel(self.0, offset!(skc_net)).map_or(0, |net| kernel_or_zero(net, offset!(net_cookie)))
    }

    /// Cookie as far as one was given to it already; for pointers that are not trusted.
    #[inline(always)]
    pub fn cookie_if_any(self) -> u64 {
        kernel_or_zero(self.0, offset!(skc_cookie))
    }

    /// Cookie, given to it now if it has none.
    ///
    /// # Safety
    /// The pointer is one the verifier trusts.
    #[inline(always)]
    pub unsafe fn cookie(self) -> u64 {
        // SAFETY: the caller vouches for the pointer, and the verifier checks.
        unsafe { bpf_get_socket_cookie(self.0 as *mut c_void) }
    }

    /// Both ends, the local one as the source.
    #[inline(always)]
    pub fn tuple(self) -> Tuple {
        let (source_ip, destination_ip) = self.addresses();
        let v4 = source_ip[..10] == [0; 10] && source_ip[10] == 0xff && source_ip[11] == 0xff;
        let bound: u16 = u16::from_be(kernel_or_zero(self.0, offset!(inet_sport_be)));
        Tuple {
            source_ip,
            destination_ip,
            source_port: if bound == 0 { kernel_or_zero(self.0, offset!(skc_num)) } else { bound },
            destination_port: u16::from_be(kernel_or_zero(self.0, offset!(skc_dport_be))),
            protocol: self.protocol(),
            ip_version: if v4 { 4 } else { 6 },
            tcp_flags: 0,
            ttl: 0,
        }
    }

    #[inline(always)]
    fn addresses(self) -> ([u8; 16], [u8; 16]) {
        if self.family() == AF_INET6 {
            let local = kernel_or_zero(self.0, offset!(skc_v6_rcv_saddr));
            return (local, kernel_or_zero(self.0, offset!(skc_v6_daddr)));
        }
        let local = kernel_or_zero(self.0, offset!(skc_rcv_saddr));
        (mapped(local), mapped(kernel_or_zero(self.0, offset!(skc_daddr))))
    }

    /// What is remembered of it, which begins as zero; `None` when the kernel has no memory, which is counted.
    ///
    /// # Safety
    /// The pointer is one the verifier trusts.
    #[inline(always)]
    pub unsafe fn remember(self) -> Option<*mut SocketState> {
        // SAFETY: the map is a socket storage; the caller vouches for the pointer, and the verifier checks.
        let state = unsafe {
            bpf_sk_storage_get(
                ptr::from_ref(&SOCKETS).cast_mut().cast(),
                self.0 as *mut c_void,
                ptr::null_mut(),
                BPF_SK_STORAGE_GET_F_CREATE.into(),
            )
        };
        if state.is_null() {
            count(counter::SOCK_STORAGE_FAILED);
            return None;
        }
        Some(state.cast())
    }
}

/// Change of a socket's TCP state; twice the same where nothing changed.
#[derive(Clone, Copy)]
pub struct Change {
    /// State before.
    pub old: u8,
    /// State now.
    pub new: u8,
}

impl SocketState {
    /// Makes a process the owner; true when that is news that may be told.
    ///
    /// # Safety
    /// `state` is what is remembered of a socket.
    #[inline(always)]
    pub unsafe fn own(state: *mut Self, owner: Task) -> bool {
        // SAFETY: the caller vouches for the pointer. Two threads at once may mix their ids, not their processes.
        unsafe {
            if (*state).tgid == owner.tgid() || (*state).owners_told >= OWNERS_TOLD_MAX {
                return false;
            }
            (*state).owners_told += 1;
            (*state).tgid = owner.tgid();
            (*state).tid = owner.tid();
            (*state).uid = owner.uid();
            (*state).cgroup = owner.cgroup();
            (*state).comm = owner.comm();
        }
        true
    }

    /// Forgets the stream of an earlier connection: a socket may connect again after it was disconnected.
    ///
    /// # Safety
    /// As [`SocketState::own`].
    #[inline(always)]
    pub unsafe fn begin(state: *mut Self) {
        // SAFETY: the caller vouches for the pointer; nobody sends or receives before the connection stands.
        unsafe {
            (*state).offsets = [0; 2];
            (*state).began = [0; 2];
            (*state).payload = decision::NOT_ASKED;
            (*state).undecided = 0;
        }
    }

    /// Takes a part, unless the socket has one already.
    ///
    /// # Safety
    /// As [`SocketState::own`].
    #[inline(always)]
    pub unsafe fn play(state: *mut Self, part: u8) {
        // SAFETY: the caller vouches for the pointer.
        unsafe {
            if (*state).role == role::UNKNOWN {
                (*state).role = part;
            }
        }
    }

    /// Counts bytes of a stream; returns how many there were before.
    ///
    /// # Safety
    /// As [`SocketState::own`].
    #[inline(always)]
    pub unsafe fn advance(state: *mut Self, direction: u8, bytes: u32) -> u64 {
        // SAFETY: the caller vouches for the pointer; `direction` is 0 or 1.
        unsafe { atomic::fetch_add(&raw mut (*state).offsets[usize::from(direction & 1)], bytes.into()) }
    }
}

/// Sends what is known of a socket. Without `state` the owner stays unknown.
///
/// # Safety
/// `state` is what is remembered of `socket`, or `None`.
#[inline(always)]
pub unsafe fn tell(socket: Socket, cookie: u64, state: Option<*mut SocketState>, change: Change) -> bool {
    let netns = socket.netns();
    send::record::<SockRecord>(&CTRL, Event { kind: kind::SOCK, at_boot_ns: now_boot_ns(), cookie }, |record| {
        // SAFETY: the record has room for all of these, and together they are all of it behind the header.
        unsafe {
            (&raw mut (*record).tuple).write(socket.tuple());
            (*record).netns = netns;
            (*record).old_state = change.old;
            (*record).new_state = change.new;
            (*record).family = socket.family() as u8;
            owner_into(record, state);
            life_into(record, socket, change.new);
        }
    })
}

/// # Safety
/// `record` has room for a record, `state` is what is remembered of a socket.
#[inline(always)]
unsafe fn owner_into(record: *mut SockRecord, state: Option<*mut SocketState>) {
    // SAFETY: the caller vouches for both pointers.
    unsafe {
        let Some(state) = state else {
            (*record).cgroup = 0;
            (*record).tgid = 0;
            (*record).tid = 0;
            (*record).uid = 0;
            (*record).role = role::UNKNOWN;
            (*record).comm = [0; 16];
            return;
        };
        (*record).cgroup = (*state).cgroup;
        (*record).tgid = (*state).tgid;
        (*record).tid = (*state).tid;
        (*record).uid = (*state).uid;
        (*record).role = (*state).role;
        (*record).comm = (*state).comm;
    }
}

/// # Safety
/// `record` has room for a record.
#[inline(always)]
unsafe fn life_into(record: *mut SockRecord, socket: Socket, new_state: u8) {
    let is_over = new_state == tcp_state::CLOSE && socket.protocol() == ebpf_abi::protocol::TCP;
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        (*record).srtt_us = if is_over { kernel_or_zero::<u32>(socket.0, offset!(tcp_srtt)) >> 3 } else { 0 };
        (*record).retransmits = if is_over { kernel_or_zero(socket.0, offset!(tcp_retrans)) } else { 0 };
        (*record).bytes_acked = if is_over { kernel_or_zero(socket.0, offset!(tcp_acked)) } else { 0 };
        (*record).bytes_received = if is_over { kernel_or_zero(socket.0, offset!(tcp_received)) } else { 0 };
    }
}
