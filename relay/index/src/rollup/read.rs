//! From record batches to counts.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::counts::{EdgeCounts, L7_NAMES, Latency, SeenAt};
use super::schema::{Holds, RollupKind, columns, text_type};
use super::write::PartyTexts;
use crate::map::Party;
use crate::map::columns::Protocol;

/// A batch is no rollup of this kind.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    /// A column is missing.
    #[error("the rollup {kind:?} has no column {column:?}")]
    Missing {
        /// Table.
        kind: RollupKind,
        /// Name of the column.
        column: &'static str,
    },
    /// A column has another type.
    #[error("the column {column:?} of the rollup {kind:?} has the wrong type")]
    Type {
        /// Table.
        kind: RollupKind,
        /// Name of the column.
        column: &'static str,
        /// What arrow says.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// A column has NULL, which none may have.
    #[error("the column {column:?} of the rollup {kind:?} has NULL in it")]
    Null {
        /// Table.
        kind: RollupKind,
        /// Name of the column.
        column: &'static str,
    },
}

/// Brings a batch as files give it (text without dictionaries, columns in any order, new ones of later versions) into
/// the table's own shape.
///
/// # Errors
/// A column is missing, cannot be cast or has NULL in it.
pub(crate) fn conform(kind: RollupKind, batch: &RecordBatch) -> Result<RecordBatch, RollupError> {
    let schema = kind.schema();
    if batch.schema_ref().fields() == schema.fields() {
        return Ok(batch.clone());
    }
    let mut arrays = Vec::with_capacity(schema.fields().len());
    for (field, (column, holds)) in schema.fields().iter().zip(columns(kind)) {
        let array = batch.column_by_name(column).ok_or(RollupError::Missing { kind, column })?;
        let data_type = if *holds == Holds::Text { &text_type() } else { field.data_type() };
        let array = cast(array, data_type).map_err(|source| RollupError::Type { kind, column, source })?;
        if array.null_count() > 0 {
            return Err(RollupError::Null { kind, column });
        }
        arrays.push(array);
    }
    Ok(RecordBatch::try_new(schema, arrays).expect("every column was brought into the type of the schema"))
}

/// Columns of a side: kind, cluster, namespace, workload and name.
type Side = [&'static str; 5];

const CLIENT: Side = ["client_kind", "client_cluster", "client_namespace", "client_workload", "client_name"];
const SERVER: Side = ["server_kind", "server_cluster", "server_namespace", "server_workload", "server_name"];
const SOURCE: Side = ["src_kind", "src_cluster", "src_namespace", "src_workload", "src_name"];
const DESTINATION: Side = ["dst_kind", "dst_cluster", "dst_namespace", "dst_workload", "dst_name"];

/// A side of the rows of a batch: one party for each entry of the dictionary.
pub(crate) struct SideRows {
    shared: bool,
    columns: [(Int32Array, StringArray); 5],
}

impl SideRows {
    fn open(batch: &RecordBatch, side: Side) -> Self {
        let columns: [(Int32Array, StringArray); 5] = side.map(|name| texts(batch, name));
        // Ours share their keys; those of files may not.
        let shared = columns.iter().all(|(keys, _)| keys.values() == columns[0].0.values())
            && columns.iter().all(|(_, values)| values.len() == columns[0].1.len());
        Self { shared, columns }
    }

    /// Number of the party of each row, numbered by `number`.
    pub(crate) fn numbers(&self, mut number: impl FnMut(Party) -> u32) -> Vec<u32> {
        let rows = self.columns[0].0.len();
        if !self.shared {
            let mut known: HashMap<[i32; 5], u32, RandomState> = HashMap::default();
            let keys = self.columns.each_ref().map(|(keys, _)| keys.values());
            let of_row = |row: usize| {
                let key = keys.each_ref().map(|keys| keys[row]);
                *known.entry(key).or_insert_with(|| number(self.at(|column| text_at(column, row))))
            };
            return (0..rows).map(of_row).collect();
        }
        let entries = self.columns[0].1.len();
        let of_entry: Vec<u32> = (0..entries).map(|entry| number(self.at(|(_, values)| values.value(entry)))).collect();
        self.columns[0].0.values().iter().map(|key| of_entry[usize::try_from(*key).unwrap_or_default()]).collect()
    }

    fn at<'a>(&'a self, text: impl Fn(&'a (Int32Array, StringArray)) -> &'a str) -> Party {
        let [kind, cluster, namespace, workload, name] = self.columns.each_ref().map(text);
        PartyTexts { kind, cluster, namespace, workload, name }.party()
    }
}

/// The rows of `edges_1m`.
pub(crate) struct EdgeRows<'a> {
    pub(crate) client: SideRows,
    pub(crate) server: SideRows,
    port: &'a Int32Array,
    protocols: Vec<u8>,
    l7: Vec<u8>,
    seen_at: Vec<u8>,
    repeated: &'a BooleanArray,
    client_key: &'a Int64Array,
    counts: [&'a Int64Array; COUNTS.len()],
    sketch: &'a BinaryArray,
}

/// Counts of `edges_1m`, the latencies left out.
const COUNTS: [&str; 13] = [
    "flows",
    "reports",
    "packets",
    "bytes_sent",
    "bytes_received",
    "drops",
    "dropped_packets",
    "requests",
    "responses",
    "samples",
    "errors_4xx",
    "errors_5xx",
    "dns_errors",
];

/// One row of `edges_1m` without its sides.
pub(crate) struct EdgeRow {
    pub(crate) port: u16,
    pub(crate) protocol: u8,
    pub(crate) l7: u8,
    pub(crate) seen_at: SeenAt,
    pub(crate) client_key: i64,
    /// Its counts, the latencies left out.
    pub(crate) counts: EdgeCounts,
}

impl<'a> EdgeRows<'a> {
    /// Opens a batch in the table's own shape.
    pub(crate) fn open(batch: &'a RecordBatch) -> Self {
        Self {
            client: SideRows::open(batch, CLIENT),
            server: SideRows::open(batch, SERVER),
            port: column(batch, "server_port").as_primitive(),
            protocols: entries(batch, "l4_protocol", |name| Protocol::of(name).0),
            l7: entries(batch, "l7_protocol", |name| position(&L7_NAMES, name)),
            seen_at: entries(batch, "seen_at", |name| position(&SeenAt::NAMES, name)),
            repeated: column(batch, "repeated").as_boolean(),
            client_key: column(batch, "client_key").as_primitive(),
            counts: COUNTS.map(|name| column(batch, name).as_primitive()),
            sketch: column(batch, "latency").as_binary(),
        }
    }

    pub(crate) fn row(&self, row: usize) -> EdgeRow {
        // In the order of `COUNTS`.
        let mut counts = self.counts.iter().map(|counts| counts.value(row).cast_unsigned());
        let mut next = || counts.next().unwrap_or_default();
        let seen_at = SeenAt(self.seen_at[row]);
        EdgeRow {
            port: u16::try_from(self.port.value(row)).unwrap_or_default(),
            protocol: self.protocols[row],
            l7: self.l7[row],
            seen_at: if self.repeated.value(row) { seen_at.repeated() } else { seen_at },
            client_key: self.client_key.value(row),
            counts: EdgeCounts {
                flows: next(),
                reports: next(),
                packets: next(),
                sent: next(),
                received: next(),
                drops: next(),
                dropped: next(),
                requests: next(),
                responses: next(),
                samples: next(),
                errors_4xx: next(),
                errors_5xx: next(),
                dns_errors: next(),
                latency: Latency::default(),
            },
        }
    }

    /// The sketch of a row.
    pub(crate) fn sketch(&self, row: usize) -> &[u8] {
        self.sketch.value(row)
    }
}

/// The rows of `drops_1m`.
pub(crate) struct DropRows<'a> {
    pub(crate) reason: (Int32Array, StringArray),
    pub(crate) source: SideRows,
    pub(crate) destination: SideRows,
    pub(crate) port: &'a Int32Array,
    pub(crate) protocols: Vec<u8>,
    pub(crate) is_reply: &'a BooleanArray,
    pub(crate) is_request: &'a BooleanArray,
    pub(crate) packets: &'a Int64Array,
}

impl<'a> DropRows<'a> {
    pub(crate) fn open(batch: &'a RecordBatch) -> Self {
        Self {
            reason: texts(batch, "reason"),
            source: SideRows::open(batch, SOURCE),
            destination: SideRows::open(batch, DESTINATION),
            port: column(batch, "server_port").as_primitive(),
            protocols: entries(batch, "l4_protocol", |name| Protocol::of(name).0),
            is_reply: column(batch, "is_reply").as_boolean(),
            is_request: column(batch, "is_request").as_boolean(),
            packets: column(batch, "packets").as_primitive(),
        }
    }
}

/// Text of a row.
pub(crate) fn text_at((keys, values): &(Int32Array, StringArray), row: usize) -> &str {
    values.value(usize::try_from(keys.value(row)).unwrap_or_default())
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).expect("the batch is in the table's own shape")
}

fn texts(batch: &RecordBatch, name: &str) -> (Int32Array, StringArray) {
    let dictionary: &DictionaryArray<Int32Type> = column(batch, name).as_dictionary();
    (dictionary.keys().clone(), dictionary.values().as_string::<i32>().clone())
}

/// A small number for each row, found by name.
fn entries(batch: &RecordBatch, name: &str, number: impl Fn(&str) -> u8) -> Vec<u8> {
    let (keys, values) = texts(batch, name);
    let of_entry: Vec<u8> = values.iter().map(|name| number(name.unwrap_or_default())).collect();
    keys.values().iter().map(|key| of_entry[usize::try_from(*key).unwrap_or_default()]).collect()
}

fn position(names: &[&str], name: &str) -> u8 {
    let last = names.len() - 1;
    let found = names.iter().position(|n| *n == name);
    u8::try_from(found.unwrap_or(if names[0].is_empty() { 0 } else { last })).expect("there are few names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_is_no_rollup_is_refused() {
        let drops = RecordBatch::new_empty(RollupKind::Drops.schema());
        let error = conform(RollupKind::Edges, &drops).unwrap_err().to_string();
        assert_eq!(error, r#"the rollup Edges has no column "client_kind""#);
        assert!(conform(RollupKind::Drops, &drops).is_ok());
    }
}
