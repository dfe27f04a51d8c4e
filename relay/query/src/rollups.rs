//! The tables of counts by the minute and by the hour.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::stream;
use relay_index::{Period, Rollup, RollupFile, RollupKind, RollupView};

/// Tables: name, what it counts, how finely.
pub(crate) const TABLES: [(&str, RollupKind, Period); 6] = [
    ("edges_1m", RollupKind::Edges, Period::Minute),
    ("edges_1h", RollupKind::Edges, Period::Hour),
    ("drops_1m", RollupKind::Drops, Period::Minute),
    ("drops_1h", RollupKind::Drops, Period::Hour),
    ("dns_1m", RollupKind::Dns, Period::Minute),
    ("dns_1h", RollupKind::Dns, Period::Hour),
];

/// Column of all rollup tables: start of the slice.
const TIME: &str = "time";

/// One table of counts at one moment.
#[derive(Debug)]
pub(crate) struct RollupTable {
    name: &'static str,
    kind: RollupKind,
    period: Period,
    rollups: Vec<Arc<Rollup>>,
    files: Vec<RollupFile>,
}

impl RollupTable {
    pub(crate) fn new(name: &'static str, kind: RollupKind, period: Period, view: &RollupView) -> Self {
        Self { name, kind, period, rollups: view.rollups(period).to_vec(), files: view.files().to_vec() }
    }
}

/// What a partition reads: rows in memory, or the counts beside a file, which are read when it is their turn.
#[derive(Clone, Debug)]
enum Part {
    Hot(RecordBatch),
    Cold(RollupFile),
}

#[async_trait]
impl TableProvider for RollupTable {
    fn schema(&self) -> SchemaRef {
        self.kind.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Slices are left out by their start; the rows of the others are filtered above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let range = filters.iter().fold(i64::MIN..=i64::MAX, narrow);
        let kept = self.rollups.iter().filter(|rollup| range.contains(&start_us(rollup)));
        let batches = kept.map(|rollup| rollup.batch(self.kind)).filter(|batch| batch.num_rows() > 0);
        let mut all: Vec<Part> = batches.cloned().map(Part::Hot).collect();
        let slices = all.len();
        let starts = *range.start()..range.end().saturating_add(1);
        all.extend(self.files.iter().filter(|file| file.meets(self.period, &starts)).cloned().map(Part::Cold));
        let read = (slices, all.len() - slices);
        let partitions = state.config().target_partitions().min(all.len()).max(1);
        let mut parts = vec![Vec::new(); partitions];
        for (i, part) in all.into_iter().enumerate() {
            parts[i % partitions].push(part);
        }
        let schema = match projection {
            Some(columns) => Arc::new(self.schema().project(columns)?),
            None => self.schema(),
        };
        let source = RollupSource {
            name: self.name,
            kind: self.kind,
            period: self.period,
            of: (self.rollups.len(), self.files.len()),
            read,
            range,
            parts,
            projection: projection.cloned(),
            schema,
            fetch: limit,
        };
        Ok(DataSourceExec::from_data_source(source))
    }
}

fn start_us(rollup: &Rollup) -> i64 {
    rollup.start().0.div_euclid(1_000)
}

/// Narrows a range of microseconds to what a filter lets through.
fn narrow(range: RangeInclusive<i64>, filter: &Expr) -> RangeInclusive<i64> {
    let (mut start, mut end) = (*range.start(), *range.end());
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            return narrow(narrow(range, left), right);
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (op, micros) = match (is_time(left), micros(right), is_time(right), micros(left)) {
                (true, Some(micros), ..) => (*op, micros),
                (_, _, true, Some(micros)) => (op.swap().unwrap_or(Operator::NotEq), micros),
                _ => return range,
            };
            match op {
                Operator::GtEq | Operator::Gt => start = start.max(micros),
                Operator::LtEq | Operator::Lt => end = end.min(micros),
                Operator::Eq => (start, end) = (start.max(micros), end.min(micros)),
                _ => {}
            }
        }
        Expr::Between(between) if !between.negated && is_time(&between.expr) => {
            start = micros(&between.low).map_or(start, |low| start.max(low));
            end = micros(&between.high).map_or(end, |high| end.min(high));
        }
        _ => {}
    }
    start..=end
}

fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => column.name == TIME,
        Expr::Cast(cast) => is_time(&cast.expr),
        _ => false,
    }
}

/// Microseconds of a constant moment. A nanosecond is rounded down, so it is never later than it was.
fn micros(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::TimestampMicrosecond(micros, _), _) => *micros,
        Expr::Literal(ScalarValue::TimestampNanosecond(nanos, _), _) => nanos.map(|nanos| nanos.div_euclid(1_000)),
        _ => None,
    }
}

/// The slices that are read.
#[derive(Clone, Debug)]
struct RollupSource {
    name: &'static str,
    kind: RollupKind,
    period: Period,
    /// Slices in memory and files there are, and those read.
    of: (usize, usize),
    read: (usize, usize),
    /// Starts of the slices asked for, in microseconds since the Unix epoch.
    range: RangeInclusive<i64>,
    parts: Vec<Vec<Part>>,
    projection: Option<Vec<usize>>,
    schema: SchemaRef,
    fetch: Option<usize>,
}

impl RollupSource {
    /// The batches of a part.
    fn batches(&self, part: &Part) -> Vec<RecordBatch> {
        match part {
            Part::Hot(batch) => vec![batch.clone()],
            Part::Cold(file) => {
                let rollups = file.read(self.period, &[self.kind]);
                let kept = rollups.iter().filter(|rollup| self.range.contains(&start_us(rollup)));
                kept.map(|rollup| rollup.batch(self.kind).clone()).collect()
            }
        }
    }

    fn projected(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(self.projection.as_ref().map_or_else(|| Ok(batch.clone()), |columns| batch.project(columns))?)
    }
}

impl DataSource for RollupSource {
    fn open(&self, partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut left = self.fetch.unwrap_or(usize::MAX);
        let source = self.clone();
        let parts = self.parts[partition].clone();
        // One file's counts are in memory at a time, as far as nothing else keeps them.
        let batches = parts.into_iter().flat_map({
            let source = source.clone();
            move |part| source.batches(&part)
        });
        let limited = batches.map_while(move |batch| {
            let rows = batch.num_rows().min(left);
            left -= rows;
            (rows > 0 || left > 0).then(|| batch.slice(0, rows))
        });
        let projected = limited.map(move |batch| source.projected(&batch));
        let stream = RecordBatchStreamAdapter::new(self.schema.clone(), stream::iter(projected));
        Ok(Box::pin(cooperative(stream)))
    }

    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, slices={} of {}", self.name, self.read.0, self.of.0)?;
        if self.of.1 > 0 {
            write!(f, ", files={} of {}", self.read.1, self.of.1)?;
        }
        Ok(())
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.parts.len())
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(self.schema.clone())
    }

    fn scheduling_type(&self) -> SchedulingType {
        SchedulingType::Cooperative
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let parts = match partition {
            None => self.parts.as_slice(),
            Some(partition) => std::slice::from_ref(&self.parts[partition]),
        };
        let mut statistics = Statistics::new_unknown(&self.schema);
        let rows = |part: &Part| if let Part::Hot(batch) = part { Some(batch.num_rows()) } else { None };
        let hot: Option<usize> = parts.iter().flatten().map(rows).sum();
        statistics.num_rows = match hot {
            Some(rows) if self.fetch.is_none() => Precision::Exact(rows),
            Some(rows) => Precision::Inexact(rows),
            // What files have is known once they are read.
            None => Precision::Absent,
        };
        Ok(Arc::new(statistics))
    }

    fn with_fetch(&self, fetch: Option<usize>) -> Option<Arc<dyn DataSource>> {
        Some(Arc::new(Self { fetch, ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        ExecutionPlanMetricsSet::new()
    }

    fn try_swapping_with_projection(&self, _projection: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        // The columns were chosen when the scan was made.
        Ok(None)
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}
