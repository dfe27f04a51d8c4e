//! Leaving out runs of rows that cannot match, by their time range and by what files say of pods and ids.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use flow::{FlowId, Side, Timestamp};
use table::Col;
use table::schema::{DESTINATION, SOURCE};

use super::part::Part;

/// Columns of which files know whether a whole value is in them.
const SEARCHED: [Col; 3] = [Col::TraceId, Col::IpSrc, Col::IpDst];

/// A filter on what is known of runs of rows, made anew when the filters it is made of have sharpened.
#[derive(Debug)]
pub(super) struct Pruner {
    predicate: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// Of which generation of the filters it is made, and the filter; `None` where they say nothing of what is known.
    made: Option<(u64, Option<PruningPredicate>)>,
}

impl Pruner {
    /// Prunes by a predicate over columns of `schema`.
    pub(super) const fn new(predicate: Arc<dyn PhysicalExpr>, schema: SchemaRef) -> Self {
        Self { predicate, schema, made: None }
    }

    /// Whether a part may have rows that match. Where that cannot be told, it may.
    pub(super) fn may_match(&mut self, part: &Part) -> bool {
        let generation = snapshot_generation(&self.predicate);
        if self.made.as_ref().is_none_or(|(made, _)| *made != generation) {
            let builder = PruningPredicateBuilder::new().with_file_schema(self.schema.clone());
            let pruning = builder.try_build(self.predicate.clone()).ok().filter(|pruning| !pruning.always_true());
            self.made = Some((generation, pruning));
        }
        let Some((_, Some(pruning))) = &self.made else { return true };
        pruning.prune(&Range(part)).map_or(true, |kept| kept.first().copied().unwrap_or(true))
    }
}

/// What is known of the rows of one part.
struct Range<'a>(&'a Part);

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

    /// Whether any row may have one of these values: files know their pods, namespaces and ids.
    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let Part::Cold(chunk) = self.0 else { return None };
        let texts: Vec<&str> = values.iter().map(|value| value.try_as_str().flatten()).collect::<Option<_>>()?;
        let sides = [(Side::Source, &SOURCE), (Side::Destination, &DESTINATION)];
        let may = if column.name == Col::Uuid.name() {
            // A text that is no id is in no row.
            let ids = texts.iter().filter_map(|text| match FlowId::parse(text) {
                FlowId::Uuid(bytes) => Some(bytes),
                FlowId::Text(_) | FlowId::None => None,
            });
            chunk.may_have_uuid(&ids.collect::<Vec<_>>())
        } else if let Some((side, _)) = sides.iter().find(|(_, of)| of.pod.name() == column.name) {
            chunk.may_have_pod(*side, |_, pod| texts.contains(&pod))
        } else if let Some((side, _)) = sides.iter().find(|(_, of)| of.namespace.name() == column.name) {
            chunk.may_have_pod(*side, |namespace, _| texts.contains(&namespace))
        } else if let Some(col) = SEARCHED.into_iter().find(|col| col.name() == column.name) {
            chunk.may_have_text(col, &texts)
        } else {
            return None;
        };
        // That they may be there does not mean that there is nothing else.
        Some(BooleanArray::from(vec![if may { None } else { Some(false) }]))
    }
}
