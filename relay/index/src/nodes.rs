//! The nodes that send flows.

use flow::{NodeState, Timestamp};

/// One node as the relay knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Connected, unavailable, gone or in error.
    pub state: NodeState,
    /// Version of its collector.
    pub version: String,
    /// Address it pushes from or is pulled at.
    pub address: String,
    /// Boot of its collector.
    pub boot_id: u64,
    /// Number of its last batch.
    pub sequence: u64,
    /// When its last batch arrived.
    pub last_batch: Option<Timestamp>,
    /// Flows taken in from it.
    pub flows_seen: u64,
    /// Flows it reported as lost.
    pub lost: u64,
}
