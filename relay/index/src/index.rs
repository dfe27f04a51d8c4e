//! The index: one writer, many readers.

use std::sync::{Arc, Mutex, MutexGuard};

use arrow::record_batch::RecordBatch;
use flow::view::Completeness;
use flow::{LossRecord, NodeState, Timestamp};
use table::{SchemaError, conform, tidy};
use tokio::sync::watch;

use crate::ledger::Ledger;
use crate::nodes::Nodes;
use crate::segment::as_u64;
use crate::store::Store;
use crate::{Config, ConfigError, Follower, LedgerLine, Node, Rollups, Segment, Snapshot};

/// The hot index. All methods take `&self`; appending is serialised inside, reading never waits for it.
#[derive(Debug)]
pub struct Index {
    writer: Mutex<Writer>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    rollups: Rollups,
}

/// What one writer changes at a time.
#[derive(Debug)]
struct Writer {
    store: Store,
    nodes: Nodes,
    ledger: Ledger,
    batches_repeated: u64,
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
    /// Address the batch was received from, empty where it is not known.
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
        let rollups = Rollups::new(config.rollups.clone());
        let writer = Writer {
            nodes: Nodes::new(config.nodes_max),
            ledger: Ledger::new(config.ledger_lines_max),
            store: Store::new(config),
            batches_repeated: 0,
        };
        Ok(Self { writer: Mutex::new(writer), snapshots: watch::Sender::new(Arc::default()), rollups })
    }

    /// Appends the flows of a batch, unless the batch was appended before, and shows them to readers. A batch of more
    /// than [`table::MAX_BATCH_ROWS`] rows is refused. Merging small batches happens here, so a call may take some
    /// milliseconds: call it from a thread that may block.
    ///
    /// # Errors
    /// The batch is none of flows; the index is unchanged.
    pub fn append(&self, origin: &BatchOrigin, batch: &RecordBatch) -> Result<Appended, AppendError> {
        let refuse = |source| AppendError::Schema { node: origin.node.clone(), sequence: origin.sequence, source };
        let batch = conform(batch).and_then(|batch| tidy(&batch)).map_err(refuse)?;
        let mut writer = self.writer();
        if writer.nodes.is_repeated(origin) {
            writer.batches_repeated += 1;
            let acknowledged = writer.nodes.sequence(&origin.node);
            return Ok(Appended { repeated: true, rows: 0, acknowledged });
        }
        let rows = batch.num_rows();
        if rows > 0 {
            let segment = Segment::new(batch, writer.store.end_seq()).map_err(refuse)?;
            writer.store.append(segment, origin.received);
            self.snapshots.send_replace(Arc::new(writer.store.snapshot()));
        }
        writer.nodes.took(origin, as_u64(rows));
        Ok(Appended { repeated: false, rows, acknowledged: origin.sequence })
    }

    /// Merges small batches that have waited for longer than [`crate::Config::segment_age`]. Call it every few seconds, from a
    /// thread that may block, so that quiet relays become compact too.
    pub fn merge_old(&self, now: Timestamp) {
        let mut writer = self.writer();
        if writer.store.merge_old(now) {
            self.snapshots.send_replace(Arc::new(writer.store.snapshot()));
        }
    }

    /// Adds lines to the loss ledger; counts of the same window, stage and cause add up.
    pub fn record_losses(&self, node: &str, losses: &[LossRecord]) {
        let mut writer = self.writer();
        for loss in losses {
            writer.ledger.record(node, loss);
        }
        let lost = losses.iter().fold(0_u64, |sum, loss| sum.saturating_add(loss.lost));
        if lost > 0 {
            let node = writer.nodes.node(node);
            node.lost = node.lost.saturating_add(lost);
        }
    }

    /// Notes that a node connected, went away or failed.
    pub fn set_node_state(&self, node: &str, state: NodeState, now: Timestamp) {
        let mut writer = self.writer();
        let node = writer.nodes.node(node);
        node.state = state;
        node.last_seen = node.last_seen.max(now);
    }

    /// Notes the version and the address of a node that has not sent a batch yet; empty text leaves what is known.
    pub fn describe_node(&self, node: &str, version: &str, address: &str) {
        let mut writer = self.writer();
        let node = writer.nodes.node(node);
        for (ours, theirs) in [(&mut node.version, version), (&mut node.address, address)] {
            if !theirs.is_empty() {
                theirs.clone_into(ours);
            }
        }
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
        self.writer().ledger.lines()
    }

    /// All nodes by name.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.writer().nodes.sorted()
    }

    /// How complete an answer about this range is (both ends optional and inclusive). Missing nodes are those that are
    /// known but not connected now.
    #[must_use]
    pub fn completeness(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Completeness {
        let oldest = self.snapshot().oldest().map(|time| time.to_string()).unwrap_or_default();
        let writer = self.writer();
        let losses = writer.ledger.losses(since, until);
        let lost = losses.iter().fold(0_u64, |sum, loss| sum.saturating_add(loss.lost));
        let missing = |node: &Node| node.state != NodeState::NODE_CONNECTED;
        let missing_nodes = writer.nodes.sorted().into_iter().filter(missing).map(|node| node.name).collect();
        Completeness { oldest, lost, losses, missing_nodes }
    }

    /// The counts by the minute and by the hour.
    #[must_use]
    pub const fn rollups(&self) -> &Rollups {
        &self.rollups
    }

    /// What the index holds and has seen.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let writer = self.writer();
        Stats { batches_repeated: writer.batches_repeated, ..writer.store.stats() }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic inside leaves at worst a batch half counted; the data itself is swapped in whole.
        self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
