//! The index: one writer, many readers.

use std::sync::{Arc, Mutex, MutexGuard};

use flow::view::Completeness;
use flow::{LossRecord, NodeState, Timestamp};
use table::SchemaError;
use tokio::sync::watch;

use crate::files::{FileEntry, Files, Trouble};
use crate::ledger::Ledger;
use crate::nodes::Nodes;
use crate::store::Store;
use crate::wal::{LogStats, StateRecord, Wal};
use crate::{Config, ConfigError, Follower, LedgerLine, Node, ReadMark, Rollups, Snapshot};

mod append;
mod compact;
mod import;
#[cfg(test)]
mod object_store_tests;
mod open;
mod retain;
mod upkeep;

pub use append::Incoming;
pub use import::{ImportError, Imported};
use open::Durable;
pub use open::{OpenError, Recovery};
pub use upkeep::{StoreStats, Upkeep};

/// Losses without a batch that wait to be logged; more are in memory only until the log begins its next file.
const UNLOGGED_MAX: usize = 10_000;

/// The index: the newest flows in memory and, where it has a store, all others in files. All methods take `&self`;
/// appending is serialised inside, reading never waits for it.
#[derive(Debug)]
pub struct Index {
    writer: Mutex<Writer>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// The log, where there is a store. Who holds it appends; taken before `writer`.
    log: Mutex<Option<Wal>>,
    /// What the log did, for those who must not wait for the disk.
    log_stats: Mutex<LogStats>,
    durable: Option<Durable>,
    rollups: Rollups,
}

/// What one writer changes at a time.
#[derive(Debug)]
struct Writer {
    store: Store,
    nodes: Nodes,
    ledger: Ledger,
    batches_repeated: u64,
    refused_full: u64,
    /// Losses that came without a batch and are not in the log yet.
    unlogged: Vec<(String, Vec<LossRecord>)>,
    /// Files, as readers are to see them.
    files: Arc<Vec<Arc<FileEntry>>>,
    reader: Option<Arc<Files>>,
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
    /// Where it was pulled from a peer: flows that the peer had seen when it sent the last one of the batch; else 0.
    pub peer_seen: u64,
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
    /// It cannot be written to the log. It may be sent again: it will be taken once the disk takes it.
    #[error("the log of the store cannot be written, flows wait where they are")]
    Log {
        /// Why not.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The memory is full of flows that are in no file yet. It may be sent again.
    #[error("the memory is full of flows that are in no file yet, more have to wait")]
    Full,
}

impl AppendError {
    /// Whether the batch is good and may be taken later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Log { .. } | Self::Full)
    }
}

/// What the index holds and has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rows held in memory.
    pub rows: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Bytes held at most.
    pub bytes_max: u64,
    /// Rows appended since the start.
    pub rows_seen: u64,
    /// Rows that left the memory since the start; `rows_seen = rows + rows_evicted`.
    pub rows_evicted: u64,
    /// Batches dropped because they had been appended before.
    pub batches_repeated: u64,
    /// Rows that are in no file yet; 0 without a store.
    pub rows_unpublished: u64,
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
        Ok(Self {
            writer: Mutex::new(Writer::new(config)),
            snapshots: watch::Sender::new(Arc::default()),
            log: Mutex::new(None),
            log_stats: Mutex::default(),
            durable: None,
            rollups,
        })
    }

    /// Merges small batches that have waited for longer than [`crate::Config::segment_age`]. Call it every few seconds, from a
    /// thread that may block, so that quiet relays become compact too.
    pub fn merge_old(&self, now: Timestamp) {
        let mut writer = self.writer();
        if writer.store.merge_old(now) {
            self.show(&writer);
        }
    }

    /// Adds lines to the loss ledger; counts of the same window, stage and cause add up.
    pub fn record_losses(&self, node: &str, losses: &[LossRecord]) {
        let mut writer = self.writer();
        writer.record_losses(node, losses);
        if self.durable.is_some() && writer.unlogged.len() < UNLOGGED_MAX {
            writer.unlogged.push((node.to_owned(), losses.to_vec()));
        }
    }

    /// Notes which nodes are connected, went away or failed: a batch says that its node is connected, but none says that
    /// it is no more. One that is new is left out where there are too many: it must not take the place of one that sent.
    pub fn set_node_states<'a>(&self, states: impl IntoIterator<Item = (&'a str, NodeState)>, now: Timestamp) {
        let mut writer = self.writer();
        for (name, state) in states {
            let Some(node) = writer.nodes.node_if_room(name) else { continue };
            if node.state != state || node.last_seen == Timestamp::default() {
                node.state = state;
                node.last_seen = node.last_seen.max(now);
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

    /// What is known of a node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<Node> {
        self.writer().nodes.get(name).cloned()
    }

    /// How complete an answer about this range is (both ends optional and inclusive), as far as is known now. Missing
    /// nodes are those that should report and do not: neither connected now nor gone for good.
    #[must_use]
    pub fn completeness(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Completeness {
        self.completeness_since(self.read_mark(), since, until)
    }

    /// The same for an answer that was begun at a mark.
    #[must_use]
    pub fn completeness_since(
        &self,
        mark: ReadMark,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Completeness {
        let damaged = self.damaged_since(mark, since, until);
        let oldest = self.snapshot().oldest().map(|time| time.to_string()).unwrap_or_default();
        let writer = self.writer();
        let losses = writer.ledger.losses(since, until);
        let lost = losses.iter().fold(0_u64, |sum, loss| sum.saturating_add(loss.lost));
        let missing = |node: &Node| !matches!(node.state, NodeState::NODE_CONNECTED | NodeState::NODE_GONE);
        let missing_nodes = writer.nodes.sorted().into_iter().filter(missing).map(|node| node.name).collect();
        Completeness { oldest, lost, losses, missing_nodes, damaged }
    }

    /// The counts by the minute and by the hour.
    #[must_use]
    pub const fn rollups(&self) -> &Rollups {
        &self.rollups
    }

    /// Whether rows that are in no file yet fill the memory, so that a batch would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.writer().store.is_full(1)
    }

    /// Changes how many bytes of flows are held at most, and lets go of what is too much: flows that are in files, or
    /// where there are no files any. What is in no file stays, is written to one soon, and leaves then.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        let mut writer = self.writer();
        if writer.store.set_bytes_max(bytes_max) {
            self.show(&writer);
        }
    }

    /// What the index holds and has seen.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let writer = self.writer();
        Stats { batches_repeated: writer.batches_repeated, ..writer.store.stats() }
    }

    /// What is wrong with files that have rows of a range (both ends optional and inclusive), as far as is known now.
    #[must_use]
    pub fn damaged(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Vec<String> {
        self.damaged_since(self.read_mark(), since, until)
    }

    /// The same and what was wrong since a mark, though it may have passed: an answer that was begun there may lack the
    /// flows of these files.
    #[must_use]
    pub fn damaged_since(&self, mark: ReadMark, since: Option<Timestamp>, until: Option<Timestamp>) -> Vec<String> {
        let Some(durable) = &self.durable else { return Vec::new() };
        let meets = |trouble: &Trouble| {
            let (oldest, newest) = trouble.range;
            since.is_none_or(|since| newest >= since) && until.is_none_or(|until| oldest <= until)
        };
        durable.files.troubles_since(mark).into_iter().filter(meets).map(|trouble| trouble.problem).collect()
    }

    /// To be taken before an answer is begun, so that its end can tell what it lacks.
    #[must_use]
    pub fn read_mark(&self) -> ReadMark {
        self.durable.as_ref().map(|durable| durable.files.mark()).unwrap_or_default()
    }

    /// Shows readers what the writer has.
    fn show(&self, writer: &Writer) {
        let snapshot = writer.store.snapshot(&writer.files, writer.reader.as_ref());
        // The writer is held, so generations rise in the order snapshots were made.
        self.snapshots.send_modify(|shown| {
            *shown = Arc::new(Snapshot { generation: shown.generation + 1, ..snapshot });
        });
    }

    fn note_log(&self, log: &Wal) {
        *self.log_stats.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = log.stats();
    }

    fn log(&self) -> MutexGuard<'_, Option<Wal>> {
        self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic inside leaves at worst a batch half counted; the data itself is swapped in whole.
        self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Writer {
    fn new(config: Config) -> Self {
        Self {
            nodes: Nodes::new(config.nodes_max),
            ledger: Ledger::new(config.ledger_lines_max),
            store: Store::new(config),
            batches_repeated: 0,
            refused_full: 0,
            unlogged: Vec::new(),
            files: Arc::default(),
            reader: None,
        }
    }

    fn record_losses(&mut self, node: &str, losses: &[LossRecord]) {
        for loss in losses {
            self.ledger.record(node, loss);
        }
        let lost = losses.iter().fold(0_u64, |sum, loss| sum.saturating_add(loss.lost));
        if lost > 0 {
            let node = self.nodes.node(node);
            node.lost = node.lost.saturating_add(lost);
        }
    }

    /// All that is known besides flows.
    fn state(&self) -> StateRecord {
        let (lines, folded) = self.ledger.forms();
        StateRecord { end_seq: self.store.end_seq(), nodes: self.nodes.forms(), lines, folded }
    }
}
