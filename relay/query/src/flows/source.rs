//! Reading rows in memory and in files for a plan.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::source::DataSource;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, conjunction};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use table::Col;
use table::schema::COLUMNS;

use super::part::Part;
use super::prune::Pruner;
use super::shape::{self, Widener};
use crate::blocking::{self, Read};

/// Runs of rows, the columns asked for and the filters on them.
///
/// Filters look at their own columns first; only rows that pass have the other columns widened.
#[derive(Clone, Debug)]
pub(super) struct FlowSource {
    partitions: Vec<Vec<Part>>,
    /// Positions in the table of the columns asked for.
    columns: Arc<[usize]>,
    schema: SchemaRef,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    fetch: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
}

impl FlowSource {
    pub(super) fn new(
        partitions: Vec<Vec<Part>>,
        projection: Option<&Vec<usize>>,
        fetch: Option<usize>,
    ) -> Result<Self> {
        let columns: Arc<[usize]> = projection.map_or_else(|| (0..COLUMNS.len()).collect(), |p| p.as_slice().into());
        let schema = Arc::new(shape::schema().project(&columns)?);
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { partitions, columns, schema, filters: Vec::new(), fetch, metrics })
    }

    fn rows(&self, partition: Option<usize>) -> usize {
        let partitions = match partition {
            None => self.partitions.as_slice(),
            Some(partition) => std::slice::from_ref(&self.partitions[partition]),
        };
        partitions.iter().flatten().map(Part::rows).sum()
    }

    /// Position of the time among the columns asked for.
    fn time_position(&self) -> Option<usize> {
        self.columns.iter().position(|column| *column == Col::Time.index())
    }
}

/// A partition being read.
struct Reading {
    parts: std::vec::IntoIter<Part>,
    /// Not there while it reads a file, and after it panicked.
    reader: Option<PartReader>,
    left: usize,
}

/// Reads the rows asked for of a part.
struct PartReader {
    columns: Arc<[usize]>,
    schema: SchemaRef,
    filter: Option<Filter>,
    pruned: Count,
}

/// The filters of a source.
struct Filter {
    pruner: Pruner,
    /// The columns the filters look at, as positions in the table.
    columns: Vec<usize>,
    schema: SchemaRef,
    /// Filters over these columns.
    filters: Vec<Arc<dyn PhysicalExpr>>,
}

impl Filter {
    fn new(source: &FlowSource) -> Result<Option<Self>> {
        if source.filters.is_empty() {
            return Ok(None);
        }
        let all = conjunction(source.filters.iter().cloned());
        let mut used: Vec<usize> = collect_columns(&all).iter().map(|column| column.index()).collect();
        used.sort_unstable();
        let schema = Arc::new(source.schema.project(&used)?);
        let columns = used.iter().map(|column| source.columns[*column]).collect();
        let filters = source
            .filters
            .iter()
            .map(|filter| reassign_expr_columns(filter.clone(), &schema))
            .collect::<Result<Vec<_>>>()?;
        Ok(Some(Self { pruner: Pruner::new(all, source.schema.clone()), columns, schema, filters }))
    }

    /// Rows of a batch that pass; `None` where all do.
    fn mask(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        let rows = project(batch, &self.columns, &self.schema)?;
        let mut mask: Option<BooleanArray> = None;
        for filter in &self.filters {
            let passed = filter.evaluate(&rows)?.into_array(rows.num_rows())?;
            let passed = arrow::array::AsArray::as_boolean(&passed);
            // NULL does not pass. The function insists on a mask that has some.
            let has_nulls = arrow::array::Array::nulls(passed).is_some();
            let passed = if has_nulls { prep_null_mask_filter(passed) } else { passed.clone() };
            mask = Some(match mask {
                None => passed,
                Some(before) => arrow::compute::and(&before, &passed)?,
            });
            if mask.as_ref().is_some_and(|mask| !mask.values().has_true()) {
                break;
            }
        }
        Ok(mask.filter(|mask| mask.values().has_false()))
    }
}

impl Read for Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            let (Some(part), Some(mut reader)) = (self.parts.next(), self.reader.take()) else { return Ok(None) };
            let (reader, rows) = if part.is_in_memory() {
                let rows = reader.read(&part);
                (reader, rows)
            } else {
                let work = move |_: &AtomicBool| {
                    let rows = reader.read(&part);
                    (reader, rows)
                };
                blocking::run(work).await?
            };
            self.reader = Some(reader);
            let rows = rows?;
            if rows.num_rows() > 0 {
                let rows = rows.slice(0, rows.num_rows().min(self.left));
                self.left -= rows.num_rows();
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }
}

impl PartReader {
    fn read(&mut self, part: &Part) -> Result<RecordBatch> {
        let nothing = || Ok(RecordBatch::new_empty(self.schema.clone()));
        let Some(filter) = &mut self.filter else {
            let Some(batch) = part.read(&self.columns) else { return nothing() };
            return project(&batch, &self.columns, &self.schema);
        };
        if !filter.pruner.may_match(part) {
            self.pruned.add(1);
            return nothing();
        }
        // Of a file only what the filters look at is read first; most parts have no row that passes.
        let Some(batch) = part.read(&filter.columns) else { return nothing() };
        let mask = filter.mask(&batch)?;
        if mask.as_ref().is_some_and(|mask| !mask.values().has_true()) {
            return nothing();
        }
        if let Some(mask) = &mask
            && let Some(batch) = part.read_few(&self.columns, mask.values())
        {
            let Some(batch) = batch else { return nothing() };
            return project(&batch, &self.columns, &self.schema);
        }
        let Some(batch) = part.read(&self.columns) else { return nothing() };
        match mask {
            None => project(&batch, &self.columns, &self.schema),
            Some(mask) => {
                let narrow = batch.project(&self.columns)?;
                let passed = filter_record_batch(&narrow, &mask)?;
                let all: Vec<usize> = self.columns.to_vec();
                widen(passed.columns(), &all, &self.schema, passed.num_rows())
            }
        }
    }
}

/// Columns of a batch as SQL sees them.
fn project(batch: &RecordBatch, columns: &[usize], schema: &SchemaRef) -> Result<RecordBatch> {
    let narrow: Vec<ArrayRef> = columns.iter().map(|column| batch.column(*column).clone()).collect();
    widen(&narrow, columns, schema, batch.num_rows())
}

fn widen(narrow: &[ArrayRef], columns: &[usize], schema: &SchemaRef, rows: usize) -> Result<RecordBatch> {
    let mut widener = Widener::default();
    let wide = narrow
        .iter()
        .zip(columns)
        .map(|(array, column)| widener.widen(COLUMNS[*column].kind, array))
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), wide, &options).map_err(DataFusionError::from)
}

impl DataSource for FlowSource {
    fn open(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reader = PartReader {
            columns: self.columns.clone(),
            schema: self.schema.clone(),
            filter: Filter::new(self)?,
            pruned: MetricBuilder::new(&self.metrics).counter("segments_pruned", partition),
        };
        let reading = Reading {
            parts: self.partitions[partition].clone().into_iter(),
            reader: Some(reader),
            left: self.fetch.unwrap_or(usize::MAX),
        };
        Ok(blocking::stream(self.schema.clone(), reading))
    }

    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segments = self.partitions.iter().map(Vec::len).sum::<usize>();
        match kind {
            DisplayFormatType::TreeRender => writeln!(f, "flows"),
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "flows, segments={segments}")?;
                if !self.filters.is_empty() {
                    write!(f, ", filter={}", conjunction(self.filters.iter().cloned()))?;
                }
                self.fetch.map_or(Ok(()), |fetch| write!(f, ", fetch={fetch}"))
            }
        }
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.partitions.len())
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(self.schema.clone())
    }

    fn scheduling_type(&self) -> SchedulingType {
        SchedulingType::Cooperative
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(self.rows(partition));
        if let (Some(position), None) = (self.time_position(), partition) {
            let ranges = || self.partitions.iter().flatten().map(Part::time_range);
            let micros = |time: flow::Timestamp| {
                ScalarValue::TimestampMicrosecond(Some(time.0.div_euclid(1_000)), Some("UTC".into()))
            };
            if let (Some(oldest), Some(newest)) = (ranges().map(|r| r.0).min(), ranges().map(|r| r.1).max()) {
                statistics.column_statistics[position] = ColumnStatistics {
                    null_count: Precision::Exact(0),
                    min_value: Precision::Exact(micros(oldest)),
                    max_value: Precision::Exact(micros(newest)),
                    ..ColumnStatistics::new_unknown()
                };
            }
        }
        let certain = self.partitions.iter().flatten().all(Part::is_in_memory);
        let limited = !self.filters.is_empty() || self.fetch.is_some() || !certain;
        Ok(Arc::new(if limited { statistics.to_inexact() } else { statistics }))
    }

    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn DataSource>> {
        Some(Arc::new(Self { fetch, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.metrics.clone()
    }

    fn try_swapping_with_projection(&self, _projection: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        // The columns were chosen when the scan was made.
        Ok(None)
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        // A limit counts rows before these filters, so they must stay above it.
        let takes = |filter: &Arc<dyn PhysicalExpr>| self.fetch.is_none() && !is_volatile(filter);
        let answers = filters.iter().map(|filter| if takes(filter) { PushedDown::Yes } else { PushedDown::No });
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(answers.collect());
        let taken: Vec<Arc<dyn PhysicalExpr>> = filters.into_iter().filter(takes).collect();
        if taken.is_empty() {
            return Ok(propagation);
        }
        let mut source = self.clone();
        source.filters.extend(taken);
        Ok(propagation.with_updated_node(Arc::new(source)))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut recursion = TreeNodeRecursion::Continue;
        for filter in &self.filters {
            recursion = recursion.visit_sibling(|| f(filter))?;
        }
        Ok(recursion)
    }
}
