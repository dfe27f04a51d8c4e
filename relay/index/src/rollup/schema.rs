//! Columns of the rollup tables, the only place that names them.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// A rollup table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RollupKind {
    /// Who talks to whom: one row for each client, server, port, protocols and place it was seen at.
    Edges,
    /// What was dropped: one row for each reason, function, source, destination and port.
    Drops,
    /// Names looked up: one row for each name, record type, answer and client.
    Dns,
    /// Clients whose own node reports their traffic; serves the service map only.
    Watched,
}

impl RollupKind {
    /// All tables.
    pub const ALL: [Self; 4] = [Self::Edges, Self::Drops, Self::Dns, Self::Watched];

    /// Its name in files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Edges => "edges",
            Self::Drops => "drops",
            Self::Dns => "dns",
            Self::Watched => "watched",
        }
    }

    /// Columns of the table. Its first is `time`, the start of the minute or hour.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; 4]> = LazyLock::new(|| RollupKind::ALL.map(make_schema));
        Arc::clone(&SCHEMAS[self as usize])
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Time,
    Text,
    Port,
    Flag,
    Number,
    Bytes,
}

impl Holds {
    fn data_type(self) -> DataType {
        match self {
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Text => text_type(),
            Self::Port => DataType::Int32,
            Self::Flag => DataType::Boolean,
            Self::Number => DataType::Int64,
            Self::Bytes => DataType::Binary,
        }
    }
}

/// Text through a dictionary.
pub(super) fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Version of the layout. Grows when a column is added; columns are never renamed, retyped or removed. Counts of a later
/// version may be of other keys: they are left alone, and what they are of is counted from the flows.
pub const ROLLUP_VERSION: u32 = 1;

const VERSION_KEY: &str = "weir.rollup_version";

fn make_schema(kind: RollupKind) -> SchemaRef {
    let fields: Vec<Field> =
        columns(kind).iter().map(|(name, holds)| Field::new(*name, holds.data_type(), false)).collect();
    let metadata = [(VERSION_KEY.to_owned(), ROLLUP_VERSION.to_string())].into();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// Columns of one table, in order.
pub(super) const fn columns(kind: RollupKind) -> &'static [(&'static str, Holds)] {
    match kind {
        RollupKind::Edges => EDGES,
        RollupKind::Drops => DROPS,
        RollupKind::Dns => DNS,
        RollupKind::Watched => WATCHED,
    }
}

const EDGES: &[(&str, Holds)] = &[
    ("time", Holds::Time),
    ("client_kind", Holds::Text),
    ("client_cluster", Holds::Text),
    ("client_namespace", Holds::Text),
    ("client_workload", Holds::Text),
    ("client_name", Holds::Text),
    ("server_kind", Holds::Text),
    ("server_cluster", Holds::Text),
    ("server_namespace", Holds::Text),
    ("server_workload", Holds::Text),
    ("server_name", Holds::Text),
    ("server_port", Holds::Port),
    ("l4_protocol", Holds::Text),
    ("l7_protocol", Holds::Text),
    ("seen_at", Holds::Text),
    ("repeated", Holds::Flag),
    ("client_key", Holds::Number),
    ("flows", Holds::Number),
    ("reports", Holds::Number),
    ("packets", Holds::Number),
    ("bytes_sent", Holds::Number),
    ("bytes_received", Holds::Number),
    ("drops", Holds::Number),
    ("dropped_packets", Holds::Number),
    ("requests", Holds::Number),
    ("responses", Holds::Number),
    ("samples", Holds::Number),
    ("errors_4xx", Holds::Number),
    ("errors_5xx", Holds::Number),
    ("dns_errors", Holds::Number),
    ("latency_count", Holds::Number),
    ("latency_sum_ns", Holds::Number),
    ("latency_max_ns", Holds::Number),
    ("latency", Holds::Bytes),
];

const DROPS: &[(&str, Holds)] = &[
    ("time", Holds::Time),
    ("reason", Holds::Text),
    ("function", Holds::Text),
    ("src_kind", Holds::Text),
    ("src_cluster", Holds::Text),
    ("src_namespace", Holds::Text),
    ("src_workload", Holds::Text),
    ("src_name", Holds::Text),
    ("dst_kind", Holds::Text),
    ("dst_cluster", Holds::Text),
    ("dst_namespace", Holds::Text),
    ("dst_workload", Holds::Text),
    ("dst_name", Holds::Text),
    ("server_port", Holds::Port),
    ("l4_protocol", Holds::Text),
    ("is_reply", Holds::Flag),
    ("is_request", Holds::Flag),
    ("drops", Holds::Number),
    ("packets", Holds::Number),
];

const DNS: &[(&str, Holds)] = &[
    ("time", Holds::Time),
    ("name", Holds::Text),
    ("qtype", Holds::Text),
    ("client_kind", Holds::Text),
    ("client_cluster", Holds::Text),
    ("client_namespace", Holds::Text),
    ("client_workload", Holds::Text),
    ("client_name", Holds::Text),
    ("rcode", Holds::Port),
    ("queries", Holds::Number),
    ("responses", Holds::Number),
    ("failures", Holds::Number),
    ("latency_count", Holds::Number),
    ("latency_sum_ns", Holds::Number),
    ("latency_max_ns", Holds::Number),
    ("latency", Holds::Bytes),
];

const WATCHED: &[(&str, Holds)] = &[("time", Holds::Time), ("client_key", Holds::Number)];
