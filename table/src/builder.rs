//! Flows in, record batches out.

use arrow::record_batch::RecordBatch;
use flow::Flow;

/// Gathers flows into a record batch of the flow table, at most [`crate::MAX_BATCH_ROWS`] of them.
#[derive(Debug, Default)]
pub struct FlowBatchBuilder {
    rows: usize,
}

/// The batch has as many rows as one can have: finish it and begin the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch is full at {} rows", crate::MAX_BATCH_ROWS)]
pub struct BatchFull;

impl FlowBatchBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one flow.
    ///
    /// # Errors
    /// The batch is full; the flow was not added.
    pub fn push(&mut self, flow: &Flow) -> Result<(), BatchFull> {
        let _ = flow;
        todo!()
    }

    /// Rows added since the last batch.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether no row was added since the last batch.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether [`FlowBatchBuilder::push`] would fail.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.rows >= crate::MAX_BATCH_ROWS
    }

    /// Gives the rows as a batch of [`crate::schema()`] and starts over with none; memory is kept for the next batch.
    pub fn finish(&mut self) -> RecordBatch {
        todo!()
    }
}
