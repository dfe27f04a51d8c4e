//! Records that carry bytes of a conversation.

use crate::{Header, Tuple, abi_struct};

/// Payload room of a data record, in the three sizes there are.
pub const DATA_CLASSES: [usize; 3] = [256, 1024, 4096];

/// Payload room of a DNS record.
pub const DNS_PAYLOAD_BYTES: usize = 512;

/// Direction of a chunk, in [`DataHead::direction`].
pub mod data_direction {
    /// The process received the bytes.
    pub const RECEIVED: u8 = 0;
    /// The process sent the bytes.
    pub const SENT: u8 = 1;
}

/// Where a chunk was taken, in [`DataHead::source`].
pub mod data_source {
    /// At the socket, in the system call of the process.
    pub const SOCKET: u8 = 0;
}

abi_struct! { 64,
    /// Chunk of the byte stream of a TCP connection, as a process sent or received it; `captured` bytes follow.
    ///
    /// `offset` and `len` tell of the stream, so that a reader knows the exact size of what was not captured.
    pub struct DataHead {
        /// What every record begins with; kind [`crate::kind::DATA`]. The cookie is the socket's; its
        /// [`crate::SockRecord`] was sent before.
        pub header: Header,
        /// Bytes of this direction before the chunk, since the socket was first used.
        pub offset: u64,
        /// Object of the TLS library that holds the stream, 0 for the socket itself.
        pub object: u64,
        /// Bytes the process sent or received in this call.
        pub len: u32,
        /// How many of them follow; less than `len` beyond the cap or where the memory could not be read.
        pub captured: u32,
        /// Process, in the host's numbering.
        pub tgid: u32,
        /// Thread.
        pub tid: u32,
        /// One of [`data_direction`].
        pub direction: u8,
        /// One of [`data_source`].
        pub source: u8,
        /// Number of the system call.
        pub syscall: u16,
        /// Chunk of this socket, both directions, from 0: a jump is a lost record.
        pub seq: u32,
    }
}

abi_struct! { 80,
    /// UDP datagram from or to port 53 as a link saw it; the first [`DNS_PAYLOAD_BYTES`] of it at most follow, fewer
    /// where it is shorter or cut off (`header.len` tells).
    pub struct DnsHead {
        /// What every record begins with; kind [`crate::kind::DNS`]. The cookie is the sending socket's where the
        /// link leads to it.
        pub header: Header,
        /// The datagram.
        pub tuple: Tuple,
        /// Cookie of the sending socket's network namespace, 0 where the cookie is.
        pub netns: u64,
        /// Link it was seen on.
        pub ifindex: u32,
        /// One of [`crate::direction`].
        pub direction: u8,
        /// Always 0.
        pub reserved: u8,
        /// Bytes of the DNS message on the wire; what follows is shorter when this is more than the room.
        pub len: u16,
    }
}
