//! Counts of files that were read lately.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use crate::{Period, Rollup, RollupKind};

/// One table of the counts of a file by one period.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Its rows by start of their slice, in order of time.
    pub(super) slices: Vec<(i64, RecordBatch)>,
    /// Slices of the file whose keys were too many, and flows of those that share one row.
    pub(super) overflowed: Vec<(i64, u64)>,
    /// Bytes of memory.
    pub(super) bytes: usize,
}

impl Table {
    /// The rows of a table of these rollups, which are in order of time.
    pub(super) fn of(kind: RollupKind, rollups: &[Rollup]) -> Self {
        let slices: Vec<(i64, RecordBatch)> =
            rollups.iter().map(|rollup| (rollup.start_us(), rollup.batch(kind).clone())).collect();
        let bytes = slices.iter().map(|(_, batch)| table::memory_bytes(batch)).sum();
        let overflowed = rollups.iter().filter(|rollup| rollup.overflowed() > 0);
        Self { slices, overflowed: overflowed.map(|r| (r.start_us(), r.overflowed())).collect(), bytes }
    }
}

/// Whose rows a table has.
type Key = (String, Period, RollupKind);

/// Tables within a limit of bytes.
#[derive(Debug, Default)]
pub(super) struct Cache {
    of: HashMap<Key, Cached>,
    bytes: usize,
    tick: u64,
}

#[derive(Debug)]
struct Cached {
    table: Arc<Table>,
    used: u64,
}

impl Cache {
    pub(super) fn get(&mut self, key: &Key) -> Option<Arc<Table>> {
        self.tick += 1;
        let cached = self.of.get_mut(key)?;
        cached.used = self.tick;
        Some(cached.table.clone())
    }

    /// Keeps a table; those that were not asked for the longest leave first.
    pub(super) fn put(&mut self, key: Key, table: Arc<Table>, bytes_max: usize) {
        if table.bytes > bytes_max {
            return;
        }
        self.remove(&key);
        while self.bytes + table.bytes > bytes_max {
            let oldest = self.of.iter().min_by_key(|(_, cached)| cached.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        self.bytes += table.bytes;
        self.of.insert(key, Cached { table, used: self.tick });
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(cached) = self.of.remove(key) {
            self.bytes -= cached.table.bytes;
        }
    }

    /// Bytes of all tables.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
