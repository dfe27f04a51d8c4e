//! One table of counts, as it is kept.

use arrow::record_batch::RecordBatch;

use crate::{Rollup, RollupKind};

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
