//! What became of the file of flow logs, for Hubble's metrics of its dynamic exporter.

use std::sync::{Mutex, MutexGuard, PoisonError};

use flow::Timestamp;

/// State of the flow logs of the file. Written by the exporter, read when metrics are scraped.
#[derive(Debug, Default)]
pub(crate) struct FlowLogStatus(Mutex<FlowLogs>);

/// The flow logs of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlowLogs {
    /// Checksum of the file and when it was last applied; `None` as long as there is none.
    pub(crate) applied: Option<(u32, Timestamp)>,
    /// Logs that began, changed and ended, and times that the file could not be read.
    pub(crate) changes: [u64; 4],
    /// Names of the logs, and whether each is written; one that has come to its end is not.
    pub(crate) logs: Vec<(String, bool)>,
}

/// What happened to a flow log, or to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Update,
    Remove,
    Failure,
}

impl FlowLogs {
    /// Names of the changes, in their order.
    pub(crate) const CHANGES: [&'static str; 4] = ["add", "update", "remove", "failure"];
}

impl FlowLogStatus {
    /// The state.
    pub(crate) fn get(&self) -> FlowLogs {
        self.lock().clone()
    }

    pub(super) fn applied(&self, checksum: u32, now: Timestamp) {
        self.lock().applied = Some((checksum, now));
    }

    pub(super) fn changed(&self, change: Change) {
        self.lock().changes[change as usize] += 1;
    }

    pub(super) fn set_logs(&self, logs: Vec<(String, bool)>) {
        self.lock().logs = logs;
    }

    fn lock(&self) -> MutexGuard<'_, FlowLogs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
