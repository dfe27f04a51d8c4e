//! Packets the kernel gave up on, and other signs of trouble on a tuple.

use crate::{Header, Tuple, abi_struct};

/// Which hook tells of the trouble, in [`DropRecord::source`]. Only [`FREED`](drop_source::FREED) is a drop.
pub mod drop_source {
    /// The kernel freed the packet; `reason` is an `enum skb_drop_reason`, `aux` one of [`crate::fragment`]: a later
    /// fragment has no ports here, whether or not the first was seen.
    pub const FREED: u8 = 1;
    /// The kernel answered the packet with a reset; `reason` is an `enum sk_rst_reason`.
    pub const RESET_SENT: u8 = 2;
    /// A socket received a reset; the tuple is the socket's own.
    pub const RESET_RECEIVED: u8 = 3;
    /// The kernel answered the packet with an ICMP error; `reason` is its type, `aux` its code.
    pub const ICMP_SENT: u8 = 4;
    /// A socket sent a segment again; the tuple is the socket's own, `aux` its TCP state.
    pub const RETRANSMITTED: u8 = 5;
}

abi_struct! { 96,
    /// First trouble of its kind on a tuple; what follows is counted in [`DropVal`].
    pub struct DropRecord {
        /// What every record begins with; kind [`crate::kind::DROP`].
        pub header: Header,
        /// The packet, or the socket for the two sources that have no packet.
        pub tuple: Tuple,
        /// Why, in the numbers of `source`.
        pub reason: u32,
        /// Link of the packet in the namespace that dropped it, 0 where it has none.
        pub ifindex: u32,
        /// Cookie of the network namespace that dropped it, 0 where it is not known.
        pub netns: u64,
        /// Address of the instruction that freed it, 0 for other sources.
        pub location: u64,
        /// Bytes of the packet at that point, link header not always included.
        pub bytes: u32,
        /// Ethernet type of the packet.
        pub ethertype: u16,
        /// One of [`drop_source`].
        pub source: u8,
        /// Meaning depends on `source`, else 0.
        pub aux: u8,
    }
}

abi_struct! { 56,
    /// Key of the drop map: [`DropRecord`] without what differs from packet to packet.
    pub struct DropKey {
        /// Source address.
        pub source_ip: [u8; 16],
        /// Destination address.
        pub destination_ip: [u8; 16],
        /// Source port; ICMP type.
        pub source_port: u16,
        /// Destination port; ICMP code.
        pub destination_port: u16,
        /// IP protocol.
        pub protocol: u8,
        /// 4 or 6.
        pub ip_version: u8,
        /// One of [`drop_source`].
        pub source: u8,
        /// As in [`DropRecord::aux`].
        pub aux: u8,
        /// Cookie of the network namespace that dropped it.
        pub netns: u64,
        /// As in [`DropRecord::reason`].
        pub reason: u32,
        /// As in [`DropRecord::ifindex`].
        pub ifindex: u32,
    }
}

abi_struct! { 64,
    /// Exact totals of a [`DropKey`] since `first_boot_ns`; a record was sent for the first one.
    pub struct DropVal {
        /// Packets.
        pub packets: u64,
        /// Bytes, see [`DropRecord::bytes`].
        pub bytes: u64,
        /// Time of the first, and so the identity of the entry.
        pub first_boot_ns: u64,
        /// Time of the last.
        pub last_boot_ns: u64,
        /// Where the first was freed.
        pub location: u64,
        /// Cookie of the first packet's socket, 0 where it has none.
        pub cookie: u64,
        /// Id of the socket's cgroup, 0 where it is not known.
        pub cgroup: u64,
        /// Bytes of the first packet.
        pub first_bytes: u32,
        /// Ethernet type of the first packet.
        pub ethertype: u16,
        /// TCP flags of the first packet.
        pub tcp_flags: u8,
        /// Time to live of the first packet.
        pub ttl: u8,
    }
}
