//! The index: one writer, many readers.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use flow::view::Completeness;
use flow::{LossRecord, NodeState, Timestamp};
use table::SchemaError;
use tokio::sync::watch;

use crate::{Config, ConfigError, Follower, LedgerLine, Node, Snapshot};

/// The hot index. All methods take `&self`; appending is serialised inside, reading never waits for it.
#[derive(Debug)]
pub struct Index {
    snapshots: watch::Sender<Arc<Snapshot>>,
}

/// Where a batch comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchOrigin {
    /// Node the flows were observed on.
    pub node: String,
    /// Drawn anew each time the collector starts; 0 for sources that do not number their batches.
    pub boot_id: u64,
    /// Counts batches of one boot from 1; 0 for sources that do not number their batches.
    pub sequence: u64,
    /// Version of the collector, empty where it is not known.
    pub version: String,
    /// Address the batch was received from.
    pub address: String,
    /// When the relay received it.
    pub received: Timestamp,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The batch had been appended before and was dropped now.
    pub repeated: bool,
    /// Rows appended.
    pub rows: usize,
    /// All batches of this boot up to this number are in the index.
    pub acknowledged: u64,
}

/// A batch was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The batch is none of flows.
    #[error("batch {sequence} of node {node:?} cannot be read")]
    Schema {
        /// Node it came from.
        node: String,
        /// Its number.
        sequence: u64,
        /// What does not fit.
        #[source]
        source: SchemaError,
    },
}

/// What the index holds and has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rows held.
    pub rows: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Rows appended since the start.
    pub rows_seen: u64,
    /// Rows evicted since the start; `rows_seen = rows + rows_evicted`.
    pub rows_evicted: u64,
    /// Batches dropped because they had been appended before.
    pub batches_repeated: u64,
    /// Segments held.
    pub segments: u64,
}

impl Index {
    /// An empty index.
    ///
    /// # Errors
    /// A limit is too small.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        todo!()
    }

    /// Appends the flows of a batch, unless the batch was appended before, and shows them to readers. A batch of more
    /// than [`table::MAX_BATCH_ROWS`] rows is refused. Merging small batches happens here, so a call may take some
    /// milliseconds: call it from a thread that may block.
    ///
    /// # Errors
    /// The batch is none of flows; the index is unchanged.
    pub fn append(&self, origin: &BatchOrigin, batch: &RecordBatch) -> Result<Appended, AppendError> {
        let _ = (origin, batch);
        todo!()
    }

    /// Seals what is older than [`Config::segment_age`]. Call it every few seconds, so that quiet relays become compact.
    pub fn seal_old(&self, now: Timestamp) {
        let _ = now;
        todo!()
    }

    /// Adds lines to the loss ledger; counts of the same window, stage and cause add up.
    pub fn record_losses(&self, node: &str, losses: &[LossRecord]) {
        let _ = (node, losses);
        todo!()
    }

    /// Notes that a node connected, went away or failed.
    pub fn set_node_state(&self, node: &str, state: NodeState, now: Timestamp) {
        let _ = (node, state, now);
        todo!()
    }

    /// All rows of this moment; never changes.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// Follows the rows from this sequence number on; [`Snapshot::end_seq`] of a snapshot continues exactly after it.
    #[must_use]
    pub fn follow(&self, from_seq: u64) -> Follower {
        Follower::new(self.snapshots.subscribe(), from_seq)
    }

    /// The loss ledger, oldest window first.
    #[must_use]
    pub fn losses(&self) -> Vec<LedgerLine> {
        todo!()
    }

    /// All nodes by name.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        todo!()
    }

    /// How complete an answer about this range is (both ends optional, `until` exclusive). Missing nodes are those that
    /// are not connected.
    #[must_use]
    pub fn completeness(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Completeness {
        let _ = (since, until);
        todo!()
    }

    /// What the index holds and has seen.
    #[must_use]
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
