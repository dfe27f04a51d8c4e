//! From counts to record batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;
use foldhash::fast::RandomState;

use super::counts::{DnsCounts, DnsKey, DropCounts, DropKey, EdgeCounts, EdgeKey, L7_NAMES, Latency, SeenAt};
use super::names::Names;
use super::schema::RollupKind;
use super::slice::Slice;
use super::{Period, Rollup};
use crate::map::Party;
use crate::map::columns::Protocol;

/// The counts of a slice as batches.
pub(super) fn rollup(period: Period, start_us: i64, slice: &Slice, names: &Names) -> Rollup {
    let batches = RollupKind::ALL.map(|kind| table(kind, start_us, slice, names));
    Rollup { period, start_us, batches, overflowed: slice.edges_overflowed() }
}

/// One table of a slice.
pub(super) fn table(kind: RollupKind, start_us: i64, slice: &Slice, names: &Names) -> RecordBatch {
    let writer = Writer { start_us, names };
    match kind {
        RollupKind::Edges => writer.edges(slice),
        RollupKind::Drops => writer.drops(slice),
        RollupKind::Dns => writer.dns(slice),
        RollupKind::Watched => writer.watched(slice),
    }
}

struct Writer<'a> {
    start_us: i64,
    names: &'a Names,
}

impl Writer<'_> {
    fn edges(&self, slice: &Slice) -> RecordBatch {
        let settled = slice.settled();
        let rows: Vec<(&EdgeKey, &EdgeCounts)> = settled.iter().collect();
        let keys = || rows.iter().map(|(key, _)| *key);
        let count = |of: fn(&EdgeCounts) -> u64| numbers(rows.iter().map(|(_, counts)| of(counts)));
        let mut columns = vec![self.times(rows.len())];
        columns.extend(self.parties(keys().map(|key| key.client)));
        columns.extend(self.parties(keys().map(|key| key.server)));
        columns.push(integers(keys().map(|key| key.port.into())));
        columns.push(named(&Protocol::NAMES, keys().map(|key| key.protocol)));
        columns.push(named(&L7_NAMES, keys().map(|key| key.l7)));
        columns.push(named(&SeenAt::NAMES, keys().map(|key| u8::try_from(key.seen_at.view()).unwrap_or_default())));
        columns.push(Arc::new(keys().map(|key| Some(key.seen_at.is_repeated())).collect::<BooleanArray>()));
        columns.push(Arc::new(Int64Array::from_iter_values(keys().map(|key| key.client_key))));
        columns.extend([
            count(|c| c.flows),
            count(|c| c.reports),
            count(|c| c.packets),
            count(|c| c.sent),
            count(|c| c.received),
            count(|c| c.drops),
            count(|c| c.dropped),
            count(|c| c.requests),
            count(|c| c.responses),
            count(|c| c.samples),
            count(|c| c.errors_4xx),
            count(|c| c.errors_5xx),
            count(|c| c.dns_errors),
        ]);
        columns.extend(latencies(rows.iter().map(|(_, counts)| &counts.latency)));
        batch(RollupKind::Edges, columns)
    }

    fn drops(&self, slice: &Slice) -> RecordBatch {
        let rows: Vec<(&DropKey, &DropCounts)> = slice.drops.iter().collect();
        let keys = || rows.iter().map(|(key, _)| *key);
        let mut columns = vec![self.times(rows.len())];
        columns.push(self.texts(keys().map(|key| key.reason)));
        columns.push(self.texts(keys().map(|key| key.function)));
        columns.extend(self.parties(keys().map(|key| key.source)));
        columns.extend(self.parties(keys().map(|key| key.destination)));
        columns.push(integers(keys().map(|key| key.port.into())));
        columns.push(named(&Protocol::NAMES, keys().map(|key| key.protocol)));
        columns.push(Arc::new(keys().map(|key| Some(key.is_reply)).collect::<BooleanArray>()));
        columns.push(Arc::new(keys().map(|key| Some(key.is_request)).collect::<BooleanArray>()));
        columns.push(numbers(rows.iter().map(|(_, counts)| counts.drops)));
        columns.push(numbers(rows.iter().map(|(_, counts)| counts.packets)));
        batch(RollupKind::Drops, columns)
    }

    fn dns(&self, slice: &Slice) -> RecordBatch {
        let rows: Vec<(&DnsKey, &DnsCounts)> = slice.dns.iter().collect();
        let keys = || rows.iter().map(|(key, _)| *key);
        let count = |of: fn(&DnsCounts) -> u64| numbers(rows.iter().map(|(_, counts)| of(counts)));
        let mut columns = vec![self.times(rows.len())];
        columns.push(self.texts(keys().map(|key| key.name)));
        columns.push(self.texts(keys().map(|key| key.qtype)));
        columns.extend(self.parties(keys().map(|key| key.client)));
        columns.push(integers(keys().map(|key| key.rcode.into())));
        columns.extend([count(|c| c.queries), count(|c| c.responses), count(|c| c.failures)]);
        columns.extend(latencies(rows.iter().map(|(_, counts)| &counts.latency)));
        batch(RollupKind::Dns, columns)
    }

    fn watched(&self, slice: &Slice) -> RecordBatch {
        let keys = Int64Array::from_iter_values(slice.watched.iter().copied());
        batch(RollupKind::Watched, vec![self.times(slice.watched.len()), Arc::new(keys)])
    }

    fn times(&self, rows: usize) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_value(self.start_us, rows).with_timezone("UTC"))
    }

    /// The five columns of one side: kind, cluster, namespace, workload, name. They share their keys.
    fn parties(&self, numbers: impl Iterator<Item = u32>) -> [ArrayRef; 5] {
        let (keys, distinct) = distinct(numbers);
        let parties: Vec<PartyTexts<'_>> =
            distinct.iter().map(|number| PartyTexts::of(self.names.coarse.get(*number))).collect();
        let column = |of: fn(&PartyTexts<'_>) -> String| -> ArrayRef {
            let values = StringArray::from_iter_values(parties.iter().map(of));
            Arc::new(DictionaryArray::new(keys.clone(), Arc::new(values)))
        };
        [
            column(|party| party.kind.to_owned()),
            column(|party| party.cluster.to_owned()),
            column(|party| party.namespace.to_owned()),
            column(|party| party.workload.to_owned()),
            column(|party| party.name.to_owned()),
        ]
    }

    fn texts(&self, numbers: impl Iterator<Item = u32>) -> ArrayRef {
        let (keys, distinct) = distinct(numbers);
        let values = StringArray::from_iter_values(distinct.iter().map(|number| self.names.get(*number)));
        Arc::new(DictionaryArray::new(keys, Arc::new(values)))
    }
}

/// A party in the columns of its side.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PartyTexts<'a> {
    pub(super) kind: &'a str,
    pub(super) cluster: &'a str,
    pub(super) namespace: &'a str,
    pub(super) workload: &'a str,
    pub(super) name: &'a str,
}

impl<'a> PartyTexts<'a> {
    pub(super) fn of(party: &'a Party) -> Self {
        let plain = |kind, name| Self { kind, cluster: "", namespace: "", workload: "", name };
        match party {
            Party::Workload { cluster, namespace, workload, .. } => {
                Self { kind: "workload", cluster, namespace, workload, name: workload }
            }
            Party::Host(name) => plain("host", name),
            Party::Service { namespace, name } => Self { namespace, ..plain("service", name) },
            Party::Dns(name) => plain("dns", name),
            Party::World => plain("world", "world"),
            Party::Address(ip) => plain("address", ip),
            Party::OtherAddresses => plain("other", ""),
            Party::Unknown => plain("unknown", ""),
        }
    }

    /// The party of these texts; what no version of ours writes is unknown.
    pub(super) fn party(&self) -> Party {
        match self.kind {
            "workload" => Party::Workload {
                cluster: self.cluster.to_owned(),
                namespace: self.namespace.to_owned(),
                workload: self.workload.to_owned(),
                pod: String::new(),
            },
            "host" => Party::host(self.name),
            "service" => Party::Service { namespace: self.namespace.to_owned(), name: self.name.to_owned() },
            "dns" => Party::Dns(self.name.to_owned()),
            "world" => Party::World,
            "address" => Party::Address(self.name.to_owned()),
            "other" => Party::OtherAddresses,
            _ => Party::Unknown,
        }
    }
}

/// Keys of numbers and the distinct numbers in order of the keys.
fn distinct(numbers: impl Iterator<Item = u32>) -> (Int32Array, Vec<u32>) {
    let mut keys: HashMap<u32, i32, RandomState> = HashMap::default();
    let mut distinct = Vec::new();
    let of_rows = numbers.map(|number| {
        *keys.entry(number).or_insert_with(|| {
            distinct.push(number);
            i32::try_from(distinct.len() - 1).expect("there are fewer rows")
        })
    });
    let of_rows = Int32Array::from_iter_values(of_rows);
    (of_rows, distinct)
}

/// Names by number.
fn named(names: &'static [&'static str], numbers: impl Iterator<Item = u8>) -> ArrayRef {
    let keys = Int32Array::from_iter_values(numbers.map(i32::from));
    Arc::new(DictionaryArray::new(keys, Arc::new(StringArray::from(names.to_vec()))))
}

fn numbers(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values.map(|value| i64::try_from(value).unwrap_or(i64::MAX))))
}

fn integers(values: impl Iterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

/// Count, sum, maximum and sketch.
fn latencies<'a>(latencies: impl Iterator<Item = &'a Latency> + Clone) -> [ArrayRef; 4] {
    let count =
        |of: fn(&super::Sketch) -> u64| numbers(latencies.clone().map(|latency| latency.sketch().map_or(0, of)));
    let sketches = latencies.clone().map(|latency| latency.sketch().map(super::Sketch::encode).unwrap_or_default());
    [
        count(super::Sketch::count),
        count(super::Sketch::sum_ns),
        count(super::Sketch::max_ns),
        Arc::new(BinaryArray::from_iter_values(sketches)),
    ]
}

fn batch(kind: RollupKind, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(kind.schema(), columns).expect("the columns are made in the order of the schema")
}
