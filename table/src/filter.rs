//! Filters on whole batches.

use arrow::array::BooleanArray;
use arrow::record_batch::RecordBatch;
use flow::FlowFilter;
use flow::filter::FilterError;

use crate::SchemaError;

/// A whitelist and a blacklist prepared for record batches; selects exactly the rows whose flows
/// [`flow::filter::FilterSet`] matches.
#[derive(Debug, Default)]
pub struct BatchFilter {
    whitelist: Vec<FlowFilter>,
    blacklist: Vec<FlowFilter>,
}

impl BatchFilter {
    /// Checks and prepares the filters.
    ///
    /// # Errors
    /// A value of any filter cannot be understood.
    pub fn compile(whitelist: &[FlowFilter], blacklist: &[FlowFilter]) -> Result<Self, FilterError> {
        Ok(Self { whitelist: whitelist.to_vec(), blacklist: blacklist.to_vec() })
    }

    /// A filter that every flow passes.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Whether every flow passes, so that filtering can be left out.
    #[must_use]
    pub fn passes_everything(&self) -> bool {
        self.whitelist.is_empty() && self.blacklist.is_empty()
    }

    /// Marks the rows that pass, without nulls.
    ///
    /// # Errors
    /// The batch has not the columns of [`crate::schema()`].
    pub fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray, SchemaError> {
        let _ = batch;
        todo!()
    }
}

/// Marks the rows of a batch that pass a filter.
///
/// # Errors
/// The batch has not the columns of [`crate::schema()`].
pub fn mask(filter: &BatchFilter, batch: &RecordBatch) -> Result<BooleanArray, SchemaError> {
    filter.mask(batch)
}
