//! The loss ledger.

use flow::{LossStage, Timestamp};

/// One line of the ledger: what one stage of one node saw and lost in a window of ten seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// Node.
    pub node: String,
    /// Start of the window.
    pub window: Timestamp,
    /// Stage of the path of a flow.
    pub stage: LossStage,
    /// Cause, such as `ring_full`.
    pub cause: String,
    /// Events that entered the stage.
    pub seen: u64,
    /// Events of those that were lost.
    pub lost: u64,
}
