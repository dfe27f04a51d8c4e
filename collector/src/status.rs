//! What the collector tells of itself, to metrics and to the ledger.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::capture::KernelCounters;
use crate::export::FlowLogStatus;
use crate::ledger::Tallies;
use crate::namespaces::Namespaces;
use crate::{decode, enrich, l7};

/// What the collector tells of itself. Written by the stage that knows, read by anybody.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Flows put into the history.
    pub(crate) flows: AtomicU64,
    /// Losses put into the history of flows.
    pub(crate) losses: AtomicU64,
    /// Agent events put into their history.
    pub(crate) agent_events: AtomicU64,
    /// Seen and lost, by stage and cause.
    pub(crate) tallies: Arc<Tallies>,
    /// Sizes of tables, as of a second ago.
    pub(crate) tables: Mutex<Tables>,
    /// Namespaces seen lately.
    pub(crate) namespaces: Namespaces,
    /// Flow logs of the file that may change.
    pub(crate) flow_logs: FlowLogStatus,
}

/// Sizes of the tables of all stages, and what the programs in the kernel counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) kernel: KernelCounters,
    pub(crate) decode: decode::TableStats,
    pub(crate) enrich: enrich::TableStats,
    pub(crate) l7: l7::L7Stats,
}

impl Status {
    /// Sizes of the tables.
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
