//! What every record begins with, and the numbers more than one record uses.

use crate::abi_struct;

/// Version of the layouts in this crate; a record of another version is refused.
pub const ABI_VERSION: u8 = 1;

/// Kinds of records, in [`Header::kind`].
pub mod kind {
    /// [`crate::FlowRecord`].
    pub const FLOW: u8 = 1;
    /// [`crate::DropRecord`].
    pub const DROP: u8 = 2;
    /// [`crate::SockRecord`].
    pub const SOCK: u8 = 3;
    /// [`crate::DataHead`] with payload.
    pub const DATA: u8 = 4;
    /// [`crate::DnsHead`] with payload.
    pub const DNS: u8 = 5;
    /// [`crate::ProcRecord`].
    pub const PROC: u8 = 6;
    /// Number of slots a table indexed by kind needs.
    pub const SLOTS: u32 = 8;
}

/// IP protocol numbers the programs look into.
pub mod protocol {
    /// ICMP of IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP of IPv6.
    pub const ICMPV6: u8 = 58;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// TCP flags as they stand in the header.
pub mod tcp {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push to the reader.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;
    /// Congestion experienced, echoed.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

abi_struct! { 24,
    /// First 24 bytes of every record.
    pub struct Header {
        /// One of [`kind`].
        pub kind: u8,
        /// [`ABI_VERSION`].
        pub version: u8,
        /// CPU that made the record.
        pub cpu: u16,
        /// Bytes of the record that hold something, this header included; a ring entry may be longer.
        pub len: u16,
        /// Records of this kind that this CPU could not send since its last one; stays at `u16::MAX` when it overflows.
        pub lost: u16,
        /// Time of the event, nanoseconds of `CLOCK_BOOTTIME`.
        pub at_boot_ns: u64,
        /// Cookie of the socket, 0 where it is not known.
        pub cookie: u64,
    }
}

abi_struct! { 40,
    /// Who talks to whom, as a packet or a socket says it.
    ///
    /// ICMP has its type in `source_port` and its code in `destination_port`.
    pub struct Tuple {
        /// Source; of a socket: the local address.
        pub source_ip: [u8; 16],
        /// Destination; of a socket: the remote address, zero where it is not connected.
        pub destination_ip: [u8; 16],
        /// Source port.
        pub source_port: u16,
        /// Destination port.
        pub destination_port: u16,
        /// IP protocol.
        pub protocol: u8,
        /// 4 or 6.
        pub ip_version: u8,
        /// TCP flags of the packet, see [`tcp`]; 0 for sockets.
        pub tcp_flags: u8,
        /// Time to live or hop limit of the packet; 0 for sockets.
        pub ttl: u8,
    }
}
