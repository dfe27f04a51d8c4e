//! The small tables beside the flows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use flow::Timestamp;
use relay_index::{LedgerLine, Node};

/// A column: name, whether it may be NULL, values.
type Column = (&'static str, bool, ArrayRef);

/// The loss ledger: what each stage of each node saw and lost in windows of ten seconds.
pub(crate) fn losses(lines: &[LedgerLine]) -> Result<Arc<MemTable>, DataFusionError> {
    table(vec![
        ("node", false, texts(lines.iter().map(|line| line.node.as_str()))),
        ("window_start", false, times(lines.iter().map(|line| Some(line.window)))),
        ("stage", false, texts(lines.iter().map(|line| line.stage.name()))),
        ("cause", false, texts(lines.iter().map(|line| line.cause.as_str()))),
        ("seen", false, numbers(lines.iter().map(|line| line.seen))),
        ("lost", false, numbers(lines.iter().map(|line| line.lost))),
    ])
}

/// The nodes that send flows.
pub(crate) fn nodes(nodes: &[Node]) -> Result<Arc<MemTable>, DataFusionError> {
    table(vec![
        ("name", false, texts(nodes.iter().map(|node| node.name.as_str()))),
        ("state", false, Arc::new(StringArray::from_iter_values(nodes.iter().map(state)))),
        ("version", false, texts(nodes.iter().map(|node| node.version.as_str()))),
        ("address", false, texts(nodes.iter().map(|node| node.address.as_str()))),
        ("last_batch", true, times(nodes.iter().map(|node| node.last_batch))),
        ("flows_seen", false, numbers(nodes.iter().map(|node| node.flows_seen))),
        ("lost", false, numbers(nodes.iter().map(|node| node.lost))),
    ])
}

/// `connected`, `unavailable`, `gone` or `error`, as the HTTP API says it.
fn state(node: &Node) -> String {
    node.state.to_string().trim_start_matches("NODE_").to_lowercase()
}

fn table(columns: Vec<Column>) -> Result<Arc<MemTable>, DataFusionError> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, nullable, array)| Field::new(*name, array.data_type().clone(), *nullable)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, _, array)| array).collect())?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn numbers(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values.map(|value| i64::try_from(value).unwrap_or(i64::MAX))))
}

fn times(values: impl Iterator<Item = Option<Timestamp>>) -> ArrayRef {
    let micros = values.map(|time| time.map(|Timestamp(nanos)| nanos.div_euclid(1_000)));
    let array: TimestampMicrosecondArray = micros.collect();
    Arc::new(array.with_timezone("UTC"))
}
