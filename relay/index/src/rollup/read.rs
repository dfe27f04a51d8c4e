//! From record batches to counts.

use std::collections::BTreeMap;

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;

use super::Sketch;
use super::counts::{
    Counts as _, DnsCounts, DnsKey, DropCounts, DropKey, EdgeCounts, EdgeKey, L7_NAMES, Latency, SeenAt,
};
use super::names::Names;
use super::schema::{Holds, RollupKind, columns, text_type};
use super::slice::Slice;
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
pub(super) fn conform(kind: RollupKind, batch: &RecordBatch) -> Result<RecordBatch, RollupError> {
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

/// A side of the rows of a batch: one party for each entry of the dictionary.
pub(crate) struct SideRows {
    shared: bool,
    columns: [(Int32Array, StringArray); 5],
}

impl SideRows {
    fn open(batch: &RecordBatch, first: usize) -> Self {
        let columns: [(Int32Array, StringArray); 5] = std::array::from_fn(|i| texts(batch, first + i));
        // Ours share their keys; those of files may not.
        let shared = columns.iter().all(|(keys, _)| keys.values() == columns[0].0.values())
            && columns.iter().all(|(_, values)| values.len() == columns[0].1.len());
        Self { shared, columns }
    }

    /// Number of the party of each row, numbered by `number`.
    pub(crate) fn numbers(&self, mut number: impl FnMut(Party) -> u32) -> Vec<u32> {
        let rows = self.columns[0].0.len();
        if !self.shared {
            return (0..rows).map(|row| number(self.at(|column| text_at(column, row)))).collect();
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
    pub(crate) times: &'a TimestampMicrosecondArray,
    pub(crate) client: SideRows,
    pub(crate) server: SideRows,
    port: &'a Int32Array,
    protocols: Vec<u8>,
    l7: Vec<u8>,
    seen_at: Vec<u8>,
    repeated: &'a BooleanArray,
    client_key: &'a Int64Array,
    counts: Vec<&'a Int64Array>,
    latency: LatencyRows<'a>,
}

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

/// Columns of a sketch.
struct LatencyRows<'a> {
    sum_ns: &'a Int64Array,
    max_ns: &'a Int64Array,
    sketch: &'a BinaryArray,
}

impl<'a> LatencyRows<'a> {
    /// From the column of the count on.
    fn open(batch: &'a RecordBatch, first: usize) -> Self {
        let number = |i: usize| batch.column(first + i).as_primitive();
        Self { sum_ns: number(1), max_ns: number(2), sketch: batch.column(first + 3).as_binary() }
    }

    fn get(&self, row: usize) -> Latency {
        let bytes = self.sketch.value(row);
        if bytes.is_empty() {
            return Latency::default();
        }
        let (sum, max) = (self.sum_ns.value(row).cast_unsigned(), self.max_ns.value(row).cast_unsigned());
        Latency(Sketch::decode(bytes, sum, max).map(Box::new))
    }
}

impl<'a> EdgeRows<'a> {
    /// Opens a batch in the table's own shape.
    pub(crate) fn open(batch: &'a RecordBatch) -> Self {
        Self {
            times: batch.column(0).as_primitive(),
            client: SideRows::open(batch, 1),
            server: SideRows::open(batch, 6),
            port: batch.column(11).as_primitive(),
            protocols: entries(batch, 12, |name| Protocol::of(name).0),
            l7: entries(batch, 13, |name| position(&L7_NAMES, name)),
            seen_at: entries(batch, 14, |name| position(&SeenAt::NAMES, name)),
            repeated: batch.column(15).as_boolean(),
            client_key: batch.column(16).as_primitive(),
            counts: (17..30).map(|i| batch.column(i).as_primitive()).collect(),
            latency: LatencyRows::open(batch, 30),
        }
    }

    pub(crate) fn row(&self, row: usize) -> EdgeRow {
        let count = |i: usize| self.counts[i].value(row).cast_unsigned();
        let seen_at = SeenAt(self.seen_at[row]);
        EdgeRow {
            port: u16::try_from(self.port.value(row)).unwrap_or_default(),
            protocol: self.protocols[row],
            l7: self.l7[row],
            seen_at: if self.repeated.value(row) { seen_at.repeated() } else { seen_at },
            client_key: self.client_key.value(row),
            counts: EdgeCounts {
                flows: count(0),
                reports: count(1),
                packets: count(2),
                sent: count(3),
                received: count(4),
                drops: count(5),
                dropped: count(6),
                requests: count(7),
                responses: count(8),
                samples: count(9),
                errors_4xx: count(10),
                errors_5xx: count(11),
                dns_errors: count(12),
                latency: Latency::default(),
            },
        }
    }

    /// The sketch of a row.
    pub(crate) fn sketch(&self, row: usize) -> &[u8] {
        self.latency.sketch.value(row)
    }
}

/// The rows of `drops_1m`.
pub(crate) struct DropRows<'a> {
    pub(crate) times: &'a TimestampMicrosecondArray,
    pub(crate) reason: (Int32Array, StringArray),
    function: (Int32Array, StringArray),
    pub(crate) source: SideRows,
    pub(crate) destination: SideRows,
    pub(crate) port: &'a Int32Array,
    pub(crate) protocols: Vec<u8>,
    pub(crate) is_reply: &'a BooleanArray,
    pub(crate) is_request: &'a BooleanArray,
    drops: &'a Int64Array,
    pub(crate) packets: &'a Int64Array,
}

impl<'a> DropRows<'a> {
    pub(crate) fn open(batch: &'a RecordBatch) -> Self {
        Self {
            times: batch.column(0).as_primitive(),
            reason: texts(batch, 1),
            function: texts(batch, 2),
            source: SideRows::open(batch, 3),
            destination: SideRows::open(batch, 8),
            port: batch.column(13).as_primitive(),
            protocols: entries(batch, 14, |name| Protocol::of(name).0),
            is_reply: batch.column(15).as_boolean(),
            is_request: batch.column(16).as_boolean(),
            drops: batch.column(17).as_primitive(),
            packets: batch.column(18).as_primitive(),
        }
    }
}

/// Adds the rows of batches in the table's own shape to the slices of `slice_us` they belong to.
pub(super) fn add(batches: &[RecordBatch; 4], names: &mut Names, slices: &mut Slices<'_>) {
    let [edges, drops, dns, watched] = batches;
    add_edges(&EdgeRows::open(edges), names, slices);
    add_drops(&DropRows::open(drops), names, slices);
    add_dns(dns, names, slices);
    let times: &TimestampMicrosecondArray = watched.column(0).as_primitive();
    let keys: &Int64Array = watched.column(1).as_primitive();
    for (time, key) in times.values().iter().zip(keys.values()) {
        slices.at(*time).watched.insert(*key);
    }
}

/// Slices that rows are added to.
pub(super) struct Slices<'a> {
    pub(super) slices: &'a mut BTreeMap<i64, Slice>,
    /// Microseconds of a slice.
    pub(super) slice_us: i64,
    /// Rows a table of a new slice may have.
    pub(super) rows_max: usize,
}

impl Slices<'_> {
    fn at(&mut self, time_us: i64) -> &mut Slice {
        let number = time_us.div_euclid(self.slice_us);
        self.slices.entry(number).or_insert_with(|| Slice::new(self.rows_max))
    }
}

fn add_edges(rows: &EdgeRows<'_>, names: &mut Names, slices: &mut Slices<'_>) {
    let clients = rows.client.numbers(|party| names.coarse.number(party));
    let servers = rows.server.numbers(|party| names.coarse.number(party));
    for (row, time) in rows.times.values().iter().enumerate() {
        let EdgeRow { port, protocol, l7, seen_at, client_key, mut counts } = rows.row(row);
        counts.latency = rows.latency.get(row);
        let key = EdgeKey { client: clients[row], server: servers[row], client_key, port, protocol, l7, seen_at };
        slices.at(*time).edges.get(key).join(&counts);
    }
}

fn add_drops(rows: &DropRows<'_>, names: &mut Names, slices: &mut Slices<'_>) {
    let sources = rows.source.numbers(|party| names.coarse.number(party));
    let destinations = rows.destination.numbers(|party| names.coarse.number(party));
    for (row, time) in rows.times.values().iter().enumerate() {
        let key = DropKey {
            reason: names.text(text_at(&rows.reason, row)),
            function: names.text(text_at(&rows.function, row)),
            source: sources[row],
            destination: destinations[row],
            port: u16::try_from(rows.port.value(row)).unwrap_or_default(),
            protocol: rows.protocols[row],
            is_reply: rows.is_reply.value(row),
            is_request: rows.is_request.value(row),
        };
        let counts = DropCounts {
            drops: rows.drops.value(row).cast_unsigned(),
            packets: rows.packets.value(row).cast_unsigned(),
        };
        slices.at(*time).drops.get(key).join(&counts);
    }
}

fn add_dns(batch: &RecordBatch, names: &mut Names, slices: &mut Slices<'_>) {
    let times: &TimestampMicrosecondArray = batch.column(0).as_primitive();
    let (name, qtype) = (texts(batch, 1), texts(batch, 2));
    let clients = SideRows::open(batch, 3).numbers(|party| names.coarse.number(party));
    let number = |column: usize, row: usize| -> u64 {
        let numbers: &Int64Array = batch.column(column).as_primitive();
        numbers.value(row).cast_unsigned()
    };
    let rcode: &Int32Array = batch.column(8).as_primitive();
    let latency = LatencyRows::open(batch, 12);
    for (row, time) in times.values().iter().enumerate() {
        let slice = slices.at(*time);
        let asked = names.text(text_at(&name, row));
        let key = DnsKey {
            name: slice.dns_name(asked, names),
            qtype: names.text(text_at(&qtype, row)),
            client: clients[row],
            rcode: u16::try_from(rcode.value(row)).unwrap_or(u16::MAX),
        };
        let counts = DnsCounts {
            queries: number(9, row),
            responses: number(10, row),
            failures: number(11, row),
            latency: latency.get(row),
        };
        slice.dns.get(key).join(&counts);
    }
}

/// Text of a row.
pub(crate) fn text_at((keys, values): &(Int32Array, StringArray), row: usize) -> &str {
    values.value(usize::try_from(keys.value(row)).unwrap_or_default())
}

fn texts(batch: &RecordBatch, column: usize) -> (Int32Array, StringArray) {
    let dictionary: &DictionaryArray<Int32Type> = batch.column(column).as_dictionary();
    (dictionary.keys().clone(), dictionary.values().as_string::<i32>().clone())
}

/// A small number for each row, found by name.
fn entries(batch: &RecordBatch, column: usize, number: impl Fn(&str) -> u8) -> Vec<u8> {
    let (keys, values) = texts(batch, column);
    let of_entry: Vec<u8> = values.iter().map(|name| number(name.unwrap_or_default())).collect();
    keys.values().iter().map(|key| of_entry[usize::try_from(*key).unwrap_or_default()]).collect()
}

fn position(names: &[&str], name: &str) -> u8 {
    let last = names.len() - 1;
    let found = names.iter().position(|n| *n == name);
    u8::try_from(found.unwrap_or(if names[0].is_empty() { 0 } else { last })).expect("there are few names")
}
