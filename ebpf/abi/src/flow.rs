//! Flows as the hooks on links see and count them.

use crate::{Header, abi_struct};

/// Why a [`FlowRecord`] was sent, in [`FlowKey::cause`].
pub mod cause {
    /// Not a record: the key stands in the map.
    pub const NONE: u8 = 0;
    /// First packet of the key, or a SYN that reopens a closed one.
    pub const NEW: u8 = 1;
    /// SYN or SYN with ACK seen for the first time.
    pub const FLAGS: u8 = 2;
    /// FIN or RST seen for the first time.
    pub const CLOSE: u8 = 3;
    /// Nothing new but the totals; made in user space from a sweep of the map.
    pub const UPDATE: u8 = 4;
}

/// Direction on a link, in [`FlowKey::direction`].
pub mod direction {
    /// The host received the packet from the link.
    pub const IN: u8 = 0;
    /// The host sent the packet to the link.
    pub const OUT: u8 = 1;
}

/// What a packet is a part of, in [`FlowKey::fragment`].
pub mod fragment {
    /// A whole packet.
    pub const NONE: u8 = 0;
    /// First fragment: has the transport header.
    pub const FIRST: u8 = 1;
    /// Later fragment; ports come from the first one, or are 0 where that was not seen.
    pub const LATER: u8 = 2;
    /// The transport header is cut off: ports are 0.
    pub const CUT: u8 = 3;
}

abi_struct! { 48,
    /// One direction of one conversation at one point of observation.
    ///
    /// The key of the flow map. The last four bytes are 0 there and in a sweep; in a [`FlowRecord`] they tell of the
    /// packet that caused it.
    pub struct FlowKey {
        /// Source address of the packets.
        pub source_ip: [u8; 16],
        /// Destination address of the packets.
        pub destination_ip: [u8; 16],
        /// Source port; ICMP type.
        pub source_port: u16,
        /// Destination port; ICMP code.
        pub destination_port: u16,
        /// IP protocol.
        pub protocol: u8,
        /// One of [`direction`].
        pub direction: u8,
        /// VLAN id, 0 for none.
        pub vlan: u16,
        /// Link the packets were seen on.
        pub ifindex: u32,
        /// One of [`cause`]; 0 in the map.
        pub cause: u8,
        /// TCP flags of the packet that caused the record; 0 in the map.
        pub packet_flags: u8,
        /// One of [`fragment`], of the packet that caused the record; 0 in the map.
        pub fragment: u8,
        /// Always 0.
        pub reserved: u8,
    }
}

abi_struct! { 64,
    /// What was counted for a [`FlowKey`].
    ///
    /// `bytes` and `packets` are totals since `first_boot_ns` and never go back while the entry lives, also not when
    /// a closed conversation is opened again with the same ports. A reader takes the difference to the totals it saw
    /// last for the same key and the same `first_boot_ns`; another `first_boot_ns` is another entry, from 0.
    ///
    /// What every packet touches comes first: it shares a cache line with the end of the key.
    pub struct FlowVal {
        /// Time of the last packet, to the kernel's tick (1 to 10 ms).
        pub last_boot_ns: u64,
        /// Bytes on the link, link header included, as `skb->len` has them.
        pub bytes: u64,
        /// Packets on the wire: a segmentation super-packet counts its segments.
        pub packets: u64,
        /// TCP sequence number of the first packet: with a SYN, what joins the hops of a translated connection.
        pub isn: u32,
        /// TCP flags of all packets since the (re)opening, or-ed.
        pub flags: u16,
        /// Differentiated services code point of the first packet.
        pub dscp: u8,
        /// Time to live or hop limit of the first packet.
        pub ttl: u8,
        /// Time of the first packet, and so the identity of the entry.
        pub first_boot_ns: u64,
        /// Cookie of the sending socket where the link leads to it, else 0.
        pub cookie: u64,
        /// Id of the socket's cgroup (inode of its directory in the v2 tree), else 0.
        pub cgroup: u64,
        /// Cookie of the socket's network namespace, else 0. Only meaningful together with `cookie`.
        pub netns: u64,
    }
}

abi_struct! { 136,
    /// News of a flow.
    ///
    /// `header.cookie` repeats `val.cookie`. `val` are the totals at the time of the record, this packet included.
    pub struct FlowRecord {
        /// What every record begins with; kind [`crate::kind::FLOW`].
        pub header: Header,
        /// Which flow, and what caused the record.
        pub key: FlowKey,
        /// What was counted so far.
        pub val: FlowVal,
    }
}
