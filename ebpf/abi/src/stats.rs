//! What the programs count about themselves.

use crate::abi_struct;

abi_struct! { 32,
    /// Records of one kind on one CPU: `seen == sent + lost` whenever no program is between two of them.
    pub struct Stat {
        /// Events that wanted a record.
        pub seen: u64,
        /// Records put into the ring.
        pub sent: u64,
        /// Records the ring had no room for.
        pub lost: u64,
        /// Part of `lost` that no [`crate::Header::lost`] told of yet.
        pub untold: u64,
    }
}

/// Counters per CPU, by index.
pub mod counter {
    /// Entries made in the flow map.
    pub const FLOWS_NEW: u32 = 0;
    /// Packets whose flow the map did not take; their event was still sent.
    pub const FLOW_INSERT_FAILED: u32 = 1;
    /// IP packets too short for their own header.
    pub const PACKETS_CUT: u32 = 2;
    /// Packets that are neither IPv4 nor IPv6.
    pub const PACKETS_NOT_IP: u32 = 3;
    /// Later fragments whose first fragment was not seen.
    pub const FRAGMENTS_UNKNOWN: u32 = 4;
    /// Entries made in the drop map.
    pub const DROPS_NEW: u32 = 5;
    /// Drops the map did not take; their event was still sent.
    pub const DROP_INSERT_FAILED: u32 = 6;
    /// Chunks of payload whose memory could not be read.
    pub const PAYLOAD_UNREADABLE: u32 = 7;
    /// Uses of a socket for which the kernel had no memory to remember its owner.
    pub const SOCK_STORAGE_FAILED: u32 = 8;
    /// Number of slots.
    pub const SLOTS: u32 = 16;
}
