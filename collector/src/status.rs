//! What the collector tells of itself, to metrics and to the ledger.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ledger::Tallies;
use crate::{decode, enrich, l7};

/// What the collector tells of itself. Written by the stage that knows, read by anybody.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// Flows put into the history.
    pub(crate) flows: AtomicU64,
    /// Agent events put into their history.
    pub(crate) agent_events: AtomicU64,
    /// Seen and lost, by stage and cause.
    pub(crate) tallies: Tallies,
    /// Sizes of tables, as of a second ago.
    pub(crate) tables: Mutex<Tables>,
    /// State of the shipper.
    pub(crate) ship: ShipStatus,
}

/// Sizes of the tables of all stages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) decode: decode::TableStats,
    pub(crate) enrich: enrich::TableStats,
    pub(crate) l7: l7::L7Stats,
}

/// State of the shipper.
#[derive(Debug, Default)]
pub(crate) struct ShipStatus {
    /// Whether the relay answers.
    pub(crate) connected: AtomicBool,
    /// Connections made to the relay.
    pub(crate) connections: AtomicU64,
    /// Bytes of batches held.
    pub(crate) spool_bytes: AtomicU64,
    /// Batches held.
    pub(crate) spool_batches: AtomicU64,
    /// Rows the relay has acknowledged.
    pub(crate) rows_acknowledged: AtomicU64,
    /// Batches the relay has acknowledged.
    pub(crate) batches_acknowledged: AtomicU64,
    /// Batches the relay had already.
    pub(crate) batches_repeated: AtomicU64,
}

impl Status {
    /// Sizes of the tables.
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
