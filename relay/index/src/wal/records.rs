//! What the frames of the log say besides flows, as JSON so that people can read it too.

use flow::{LossRecord, LossStage, NodeState, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ledger::LedgerLine;
use crate::{BatchOrigin, Node};

/// Version of the log's format. Files of a later one are left alone.
pub(crate) const FORMAT: u32 = 1;

/// First frame of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) format: u32,
    pub(crate) relay: String,
    /// Names and kinds of the columns of its batches.
    pub(crate) columns: Vec<(String, String)>,
    /// Version of the flow table.
    pub(crate) schema_version: u32,
}

/// Where a batch comes from and what came with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BatchRecord {
    /// Sequence number of the first row.
    pub(crate) first_seq: u64,
    pub(crate) rows: u64,
    pub(crate) node: String,
    pub(crate) boot_id: u64,
    pub(crate) sequence: u64,
    pub(crate) version: String,
    pub(crate) address: String,
    pub(crate) received: i64,
    pub(crate) losses: Vec<LossForm>,
    /// Time of its newest row.
    #[serde(default)]
    pub(crate) newest: Option<i64>,
    #[serde(default)]
    pub(crate) peer_seen: u64,
}

/// Losses of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LossesRecord {
    pub(crate) node: String,
    pub(crate) losses: Vec<LossForm>,
}

/// One line of losses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LossForm {
    window: i64,
    stage: String,
    cause: String,
    seen: u64,
    lost: u64,
}

/// All that is known besides flows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StateRecord {
    /// Sequence number of the next row.
    pub(crate) end_seq: u64,
    pub(crate) nodes: Vec<NodeForm>,
    pub(crate) lines: Vec<LineForm>,
    /// Lines of windows that were folded together.
    pub(crate) folded: Vec<LineForm>,
}

/// One node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodeForm {
    name: String,
    version: String,
    address: String,
    /// Boots of its collector and the last batch of each, the newest first.
    boots: Vec<(u64, u64)>,
    last_batch: Option<i64>,
    last_seen: i64,
    flows_seen: u64,
    lost: u64,
    #[serde(default)]
    newest_flow: Option<i64>,
    #[serde(default)]
    peer_seen: u64,
}

/// One line of the loss ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LineForm {
    node: String,
    #[serde(flatten)]
    loss: LossForm,
}

impl BatchRecord {
    pub(crate) fn of(
        (origin, newest): (&BatchOrigin, Option<Timestamp>),
        losses: &[LossRecord],
        first_seq: u64,
        rows: u64,
    ) -> Self {
        Self {
            first_seq,
            rows,
            node: origin.node.clone(),
            boot_id: origin.boot_id,
            sequence: origin.sequence,
            version: origin.version.clone(),
            address: origin.address.clone(),
            received: origin.received.0,
            losses: losses.iter().map(LossForm::of).collect(),
            newest: newest.map(|time| time.0),
            peer_seen: origin.peer_seen,
        }
    }

    pub(crate) fn origin(&self) -> BatchOrigin {
        BatchOrigin {
            node: self.node.clone(),
            boot_id: self.boot_id,
            sequence: self.sequence,
            version: self.version.clone(),
            address: self.address.clone(),
            received: Timestamp(self.received),
            peer_seen: self.peer_seen,
        }
    }
}

impl LossForm {
    pub(crate) fn of(loss: &LossRecord) -> Self {
        Self {
            window: loss.window.0,
            stage: loss.stage.name().to_owned(),
            cause: loss.cause.clone(),
            seen: loss.seen,
            lost: loss.lost,
        }
    }

    pub(crate) fn record(&self) -> LossRecord {
        LossRecord {
            window: Timestamp(self.window),
            // A stage of a later version lies before the relay, and the last one before it is the shipper.
            stage: LossStage::from_name(&self.stage).unwrap_or(LossStage::Ship),
            cause: self.cause.clone(),
            seen: self.seen,
            lost: self.lost,
        }
    }
}

impl NodeForm {
    pub(crate) fn of(node: &Node, boots: Vec<(u64, u64)>) -> Self {
        Self {
            name: node.name.clone(),
            version: node.version.clone(),
            address: node.address.clone(),
            boots,
            last_batch: node.last_batch.map(|time| time.0),
            last_seen: node.last_seen.0,
            flows_seen: node.flows_seen,
            lost: node.lost,
            newest_flow: node.newest_flow.map(|time| time.0),
            peer_seen: node.peer_seen,
        }
    }

    /// The node, not connected, and its boots.
    pub(crate) fn node(&self) -> (Node, Vec<(u64, u64)>) {
        let (boot_id, sequence) = self.boots.first().copied().unwrap_or_default();
        let node = Node {
            name: self.name.clone(),
            state: NodeState::NODE_UNAVAILABLE,
            version: self.version.clone(),
            address: self.address.clone(),
            boot_id,
            sequence,
            last_batch: self.last_batch.map(Timestamp),
            last_seen: Timestamp(self.last_seen),
            flows_seen: self.flows_seen,
            flows_before: 0,
            lost: self.lost,
            newest_flow: self.newest_flow.map(Timestamp),
            peer_seen: self.peer_seen,
        };
        (node, self.boots.clone())
    }
}

impl LineForm {
    pub(crate) fn of(line: &LedgerLine) -> Self {
        let LedgerLine { node, window, stage, cause, seen, lost } = line.clone();
        Self { node, loss: LossForm::of(&LossRecord { window, stage, cause, seen, lost }) }
    }

    pub(crate) fn line(&self) -> LedgerLine {
        let LossRecord { window, stage, cause, seen, lost } = self.loss.record();
        LedgerLine { node: self.node.clone(), window, stage, cause, seen, lost }
    }
}
