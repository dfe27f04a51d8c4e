//! Filters on whole batches.
//!
//! A rule is asked once per distinct value, giving a table of answers; the rows look their answer up by key.

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;
use arrow::record_batch::RecordBatch;
use flow::FlowFilter;
use flow::filter::{Filter, FilterError, FilterSet, Rule};

use crate::{Col, RowReader, SchemaError};

mod columns;
mod rules;
mod truth;

/// A whitelist and a blacklist prepared for record batches; selects exactly the rows whose flows
/// [`flow::filter::FilterSet`] matches.
#[derive(Clone, Debug, Default)]
pub struct BatchFilter {
    filters: FilterSet,
}

/// Why a batch could not be filtered by key.
enum Refusal {
    /// Columns that form a group in our batches have different keys here.
    KeysDiffer,
    /// The batch is none of ours at all.
    Schema(SchemaError),
}

impl From<SchemaError> for Refusal {
    fn from(error: SchemaError) -> Self {
        Self::Schema(error)
    }
}

impl BatchFilter {
    /// Checks and prepares the filters.
    ///
    /// # Errors
    /// A value of any filter cannot be understood.
    pub fn compile(whitelist: &[FlowFilter], blacklist: &[FlowFilter]) -> Result<Self, FilterError> {
        FilterSet::compile(whitelist, blacklist).map(Self::from)
    }

    /// A filter that every flow passes.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Whether every flow passes, so that filtering can be left out.
    #[must_use]
    pub fn passes_everything(&self) -> bool {
        self.filters.passes_everything()
    }

    /// The same filter for single flows.
    #[must_use]
    pub const fn filters(&self) -> &FilterSet {
        &self.filters
    }

    /// Whether expressions are evaluated on each flow, which may take long; all other rules look distinct values up.
    #[must_use]
    pub fn has_expressions(&self) -> bool {
        self.rules().any(|rule| matches!(rule, Rule::Expressions(_)))
    }

    /// Whether a single value may take long: an expression does, and a regular expression on a long text.
    #[must_use]
    pub fn may_take_long(&self) -> bool {
        let is_regular = |rule: &Rule| matches!(rule, Rule::DnsQuery(_) | Rule::HttpPath(_) | Rule::HttpUrl(_));
        self.has_expressions() || self.rules().any(is_regular)
    }

    /// Columns that decide whether a row passes; the others may hold anything.
    #[must_use]
    pub fn columns(&self) -> Vec<Col> {
        let mut columns: Vec<Col> = self.rules().flat_map(columns::columns).collect();
        columns.sort_by_key(|col| col.index());
        columns.dedup();
        columns
    }

    /// Marks the rows that pass, without nulls.
    ///
    /// # Errors
    /// The batch has not the columns of [`crate::schema()`].
    pub fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray, SchemaError> {
        let rows = batch.num_rows();
        if self.passes_everything() {
            return Ok(BooleanBuffer::new_set(rows).into());
        }
        match self.by_key(batch) {
            Ok(mask) => Ok(mask.into()),
            Err(Refusal::Schema(error)) => Err(error),
            Err(Refusal::KeysDiffer) => {
                let reader = RowReader::new(batch)?;
                Ok(BooleanBuffer::collect_bool(rows, |row| self.filters.matches(&reader.flow(row))).into())
            }
        }
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.filters.whitelist().iter().chain(self.filters.blacklist()).flat_map(Filter::rules)
    }

    fn by_key(&self, batch: &RecordBatch) -> Result<BooleanBuffer, Refusal> {
        let rows = batch.num_rows();
        let mut passed = match self.filters.whitelist() {
            [] => BooleanBuffer::new_set(rows),
            filters => any(filters, batch)?,
        };
        if passed.has_true() && !self.filters.blacklist().is_empty() {
            passed = &passed & &!&any(self.filters.blacklist(), batch)?;
        }
        Ok(passed)
    }
}

impl From<FilterSet> for BatchFilter {
    fn from(filters: FilterSet) -> Self {
        Self { filters }
    }
}

/// Marks the rows of a batch that pass a filter.
///
/// # Errors
/// The batch has not the columns of [`crate::schema()`].
pub fn mask(filter: &BatchFilter, batch: &RecordBatch) -> Result<BooleanArray, SchemaError> {
    filter.mask(batch)
}

/// Rows that match one of the filters.
fn any(filters: &[Filter], batch: &RecordBatch) -> Result<BooleanBuffer, Refusal> {
    let mut matched = BooleanBuffer::new_unset(batch.num_rows());
    for filter in filters {
        let rows = all(filter, batch)?;
        matched = if matched.has_true() { &matched | &rows } else { rows };
    }
    Ok(matched)
}

/// Rows that match all rules of a filter.
fn all(filter: &Filter, batch: &RecordBatch) -> Result<BooleanBuffer, Refusal> {
    let mut matched = BooleanBuffer::new_set(batch.num_rows());
    for rule in filter.rules() {
        if !matched.has_true() {
            break;
        }
        matched = &matched & &rules::mask(rule, batch)?;
    }
    Ok(matched)
}
