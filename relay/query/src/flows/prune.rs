//! Leaving out segments whose time range cannot match.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use flow::Timestamp;
use relay_index::Segment;
use table::Col;

/// A filter on the time ranges of segments, made anew when the filters it is made of have sharpened.
#[derive(Debug)]
pub(super) struct Pruner {
    predicate: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// Of which generation of the filters it is made, and the filter; `None` where they say nothing about time.
    made: Option<(u64, Option<PruningPredicate>)>,
}

impl Pruner {
    /// Prunes by a predicate over columns of `schema`.
    pub(super) const fn new(predicate: Arc<dyn PhysicalExpr>, schema: SchemaRef) -> Self {
        Self { predicate, schema, made: None }
    }

    /// Whether the segment may have rows that match. Where that cannot be told, it may.
    pub(super) fn may_match(&mut self, segment: &Segment) -> bool {
        let generation = snapshot_generation(&self.predicate);
        if self.made.as_ref().is_none_or(|(made, _)| *made != generation) {
            let builder = PruningPredicateBuilder::new().with_file_schema(self.schema.clone());
            let pruning = builder.try_build(self.predicate.clone()).ok().filter(|pruning| !pruning.always_true());
            self.made = Some((generation, pruning));
        }
        let Some((_, Some(pruning))) = &self.made else { return true };
        pruning.prune(&Range(segment)).map_or(true, |kept| kept.first().copied().unwrap_or(true))
    }
}

/// What is known of the rows of one segment.
struct Range<'a>(&'a Segment);

impl Range<'_> {
    fn micros(&self, time: Timestamp) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![time.0.div_euclid(1_000)]).with_timezone("UTC"))
    }
}

impl PruningStatistics for Range<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == Col::Time.name()).then(|| self.micros(self.0.time_range().0))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == Col::Time.name()).then(|| self.micros(self.0.time_range().1))
    }

    fn num_containers(&self) -> usize {
        1
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == Col::Time.name()).then(|| Arc::new(UInt64Array::from(vec![0])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = u64::try_from(self.0.rows()).unwrap_or(u64::MAX);
        Some(Arc::new(UInt64Array::from(vec![rows])))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
