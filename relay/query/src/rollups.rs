//! The tables of counts by the minute and by the hour.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use relay_index::{Period, Rollup, RollupFile, RollupKind, RollupView};

use crate::blocking::{self, Read};

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

/// Whether an expression is the time of a row, at most as a finer type: as a date it would be an earlier moment.
fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => column.name == TIME,
        Expr::Cast(cast) => {
            let keeps_all =
                matches!(cast.field.data_type(), DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _));
            keeps_all && matches!(&*cast.expr, Expr::Column(column) if column.name == TIME)
        }
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
    fn projected(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(self.projection.as_ref().map_or_else(|| Ok(batch.clone()), |columns| batch.project(columns))?)
    }
}

/// A partition being read.
struct Reading {
    source: RollupSource,
    parts: std::vec::IntoIter<Part>,
    /// Batches of the part that is being given.
    batches: std::vec::IntoIter<RecordBatch>,
    left: usize,
    /// Memory of the counts of the file that is being given.
    memory: MemoryReservation,
}

impl Read for Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.batches.next() {
                let rows = batch.num_rows().min(self.left);
                self.left -= rows;
                return self.source.projected(&batch.slice(0, rows)).map(Some);
            }
            // One file's counts are in memory at a time, as far as nothing else keeps them.
            self.memory.free();
            let Some(part) = (if self.left > 0 { self.parts.next() } else { None }) else { return Ok(None) };
            self.batches = match part {
                Part::Hot(batch) => vec![batch].into_iter(),
                Part::Cold(file) => {
                    let (period, kind) = (self.source.period, self.source.kind);
                    let rollups = blocking::run(move |stop| file.read(period, &[kind], stop)).await?;
                    self.memory.try_grow(rollups.iter().map(|rollup| rollup.bytes()).sum())?;
                    let kept = rollups.iter().filter(|rollup| self.source.range.contains(&start_us(rollup)));
                    let batches = kept.map(|rollup| rollup.batch(self.source.kind).clone());
                    batches.filter(|batch| batch.num_rows() > 0).collect::<Vec<_>>().into_iter()
                }
            };
        }
    }
}

impl DataSource for RollupSource {
    fn open(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let reading = Reading {
            source: self.clone(),
            parts: self.parts[partition].clone().into_iter(),
            batches: Vec::new().into_iter(),
            left: self.fetch.unwrap_or(usize::MAX),
            memory: MemoryConsumer::new(self.name).register(context.memory_pool()),
        };
        Ok(blocking::stream(self.schema.clone(), reading))
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
