//! Rows back into flows.

use arrow::record_batch::RecordBatch;
use flow::Flow;

use crate::SchemaError;

/// Reads rows of a batch as flows; endpoints, policies and the like are shared between the flows of one reader.
#[derive(Debug)]
pub struct RowReader {
    batch: RecordBatch,
}

impl RowReader {
    /// Opens a batch. It keeps the batch's buffers alive, nothing is copied.
    ///
    /// # Errors
    /// The batch has not the columns of [`crate::schema()`]; [`crate::conform`] may help.
    pub fn new(batch: &RecordBatch) -> Result<Self, SchemaError> {
        Ok(Self { batch: batch.clone() })
    }

    /// Rows of the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether the batch has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads one row with everything the flow carried.
    ///
    /// # Panics
    /// The row is not below [`RowReader::len`].
    #[must_use]
    pub fn flow(&self, row: usize) -> Flow {
        let _ = row;
        todo!()
    }
}
