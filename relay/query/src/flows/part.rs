//! Runs of rows that a plan reads: in memory, or in a file.

use std::sync::Arc;

use arrow::buffer::BooleanBuffer;
use arrow::record_batch::RecordBatch;
use flow::Timestamp;
use relay_index::{Chunk, Segment, Snapshot};
use table::Col;

/// A run of rows.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Hot(Arc<Segment>),
    Cold(Chunk),
}

impl Part {
    /// All rows of a snapshot, the newest first, because most questions are about what is new.
    pub(super) fn all_of(snapshot: &Snapshot) -> Vec<Self> {
        let hot = snapshot.segments().cloned().map(Self::Hot);
        let mut parts: Vec<Self> = hot.chain(snapshot.chunks().map(Self::Cold)).collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.time_range().1));
        parts
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Hot(segment) => segment.rows(),
            Self::Cold(chunk) => chunk.rows(),
        }
    }

    pub(super) fn time_range(&self) -> (Timestamp, Timestamp) {
        match self {
            Self::Hot(segment) => segment.time_range(),
            Self::Cold(chunk) => chunk.time_range(),
        }
    }

    /// Whether its rows are there for certain and at once: reading a file blocks, and it may turn out to be damaged.
    pub(super) const fn is_in_memory(&self) -> bool {
        matches!(self, Self::Hot(_))
    }

    /// A batch of the flow table that has at least these columns, given by position; `None` where the file cannot be
    /// read, which the index remembers.
    pub(super) fn read(&self, columns: &[usize]) -> Option<RecordBatch> {
        match self {
            Self::Hot(segment) => Some(segment.batch().clone()),
            Self::Cold(chunk) => chunk.read(&columns.iter().map(|column| Col::ALL[*column]).collect::<Vec<_>>()),
        }
    }

    /// The same of the marked rows only, where the part is in a file and they are few of its rows; else `None`.
    pub(super) fn read_few(&self, columns: &[usize], marked: &BooleanBuffer) -> Option<Option<RecordBatch>> {
        /// Share of the rows from which on reading all costs less than reading some.
        const MANY: usize = 4;
        let Self::Cold(chunk) = self else { return None };
        if marked.count_set_bits() > marked.len() / MANY {
            return None;
        }
        let rows: Vec<u16> = marked.set_indices().filter_map(|row| u16::try_from(row).ok()).collect();
        Some(chunk.read_rows(&columns.iter().map(|column| Col::ALL[*column]).collect::<Vec<_>>(), &rows))
    }
}
