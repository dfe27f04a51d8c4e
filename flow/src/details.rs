//! What Hubble's API has no field for.

use std::sync::Arc;

/// Facts about a flow beyond Hubble's fields; on the wire `weir.v1.FlowDetails`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowDetails {
    /// What in the life of the connection made the node report now.
    pub phase: FlowPhase,
    /// Bytes on the link (link header included) since the last report of the same observation point.
    pub bytes: u64,
    /// Packets since the last report of the same observation point.
    pub packets: u64,
    /// Number shared by all flows of one connection on one node, both directions; 0 for none.
    pub conversation: u64,
    /// Smoothed round-trip time in microseconds; 0 where it is not known.
    pub rtt_us: u32,
    /// Segments sent again since the connection began.
    pub retransmits: u32,
    /// VLAN id, 0 for none.
    pub vlan: u16,
    /// Process behind the source, where it runs on this node.
    pub source_process: Option<Arc<Process>>,
    /// Process behind the destination, where it runs on this node.
    pub destination_process: Option<Arc<Process>>,
    /// The kernel's own account of a drop.
    pub kernel_drop: Option<Arc<KernelDrop>>,
}

/// What in the life of a connection a flow reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FlowPhase {
    /// The observer does not tell.
    #[default]
    Unknown,
    /// First packet at this observation point.
    New,
    /// Still going: a new TCP flag or the periodic update.
    Update,
    /// Last packet, or silence for the idle time.
    Close,
}

impl FlowPhase {
    /// Number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Unknown => 0,
            Self::New => 1,
            Self::Update => 2,
            Self::Close => 3,
        }
    }

    /// Phase of a number on the wire; unknown numbers are [`FlowPhase::Unknown`].
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        match number {
            1 => Self::New,
            2 => Self::Update,
            3 => Self::Close,
            _ => Self::Unknown,
        }
    }
}

/// Process that owns a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// Process id in the host's namespace.
    pub pid: u32,
    /// Owner of the process.
    pub uid: u32,
    /// Name the kernel keeps, at most 15 bytes.
    pub comm: String,
    /// Path of the executable, empty where it could not be read.
    pub exe: String,
    /// Path of the cgroup below the cgroup root, empty where it is not known.
    pub cgroup: String,
    /// systemd unit or container id drawn from the cgroup, empty for none.
    pub unit: String,
    /// Name of the network namespace, empty for the host's and for unnamed ones.
    pub netns: String,
}

/// The kernel's account of a drop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KernelDrop {
    /// Name of the reason without its prefix, such as `NETFILTER_DROP`.
    pub reason: String,
    /// Function that freed the packet, such as `nf_hook_slow`; empty where symbols are hidden.
    pub function: String,
    /// Network namespace that dropped it, empty where it has no name.
    pub netns: String,
}
