//! Sockets: who owns them and what becomes of them.

use crate::{Header, Tuple, abi_struct};

/// Part a socket plays, in [`SockRecord::role`].
pub mod role {
    /// Not known: a connection that predates the programs, or a datagram socket.
    pub const UNKNOWN: u8 = 0;
    /// It connected.
    pub const CLIENT: u8 = 1;
    /// It was accepted.
    pub const SERVER: u8 = 2;
    /// It listens.
    pub const LISTENER: u8 = 3;
}

/// States of a TCP socket as the kernel numbers them.
pub mod tcp_state {
    /// Data flows.
    pub const ESTABLISHED: u8 = 1;
    /// `connect` was called.
    pub const SYN_SENT: u8 = 2;
    /// The second segment of the handshake was sent.
    pub const SYN_RECV: u8 = 3;
    /// Closed; also what an unconnected UDP socket has.
    pub const CLOSE: u8 = 7;
    /// Waits for connections.
    pub const LISTEN: u8 = 10;
}

abi_struct! { 136,
    /// A socket and its owner.
    ///
    /// With `old_state == new_state` it announces the owner (first use, first use by another process, or found by the
    /// walk at the start); else it tells of a change of state. `tgid` is 0 where no process was seen using the socket
    /// yet: the kernel establishes a server's connection before anybody accepts it. The last four numbers are only
    /// filled when `new_state` is [`tcp_state::CLOSE`].
    pub struct SockRecord {
        /// What every record begins with; kind [`crate::kind::SOCK`].
        pub header: Header,
        /// Local end as the source. While connecting, the source port may still be 0: join by the cookie.
        pub tuple: Tuple,
        /// Cookie of the network namespace.
        pub netns: u64,
        /// Id of the owner's cgroup in the v2 tree.
        pub cgroup: u64,
        /// Process, in the host's numbering.
        pub tgid: u32,
        /// Thread.
        pub tid: u32,
        /// User.
        pub uid: u32,
        /// TCP state before.
        pub old_state: u8,
        /// TCP state now.
        pub new_state: u8,
        /// One of [`role`].
        pub role: u8,
        /// `AF_INET` (2) or `AF_INET6` (10).
        pub family: u8,
        /// Smoothed round-trip time in microseconds.
        pub srtt_us: u32,
        /// Segments sent again.
        pub retransmits: u32,
        /// Bytes the other end acknowledged.
        pub bytes_acked: u64,
        /// Bytes received in order.
        pub bytes_received: u64,
        /// Name of the process, zero-filled.
        pub comm: [u8; 16],
    }
}
