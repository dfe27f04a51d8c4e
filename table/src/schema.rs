//! The flow table: its columns, the only place that names them.
//!
//! One wide table, one row a flow. Rules that every column follows:
//!
//! - Text and most numbers are dictionary columns with 16-bit keys, so a batch has at most [`MAX_BATCH_ROWS`] rows and
//!   a dictionary can never overflow. Columns of one thing (an endpoint, a process, an HTTP request) form a
//!   [group](GROUPS) and share one buffer of keys. A dictionary may hold a value twice.
//! - Absent text is `''`, an absent list `'[]'`, an absent number `0`. Only the columns marked nullable hold NULL, and
//!   there NULL means that the flow does not carry the thing at all (no endpoint, no IP header, no process).
//! - Enumerations are stored by name, numbers this version does not know as decimal text.
//! - Lists of strings are JSON arrays in text, one per distinct list.
//! - 64-bit unsigned values are stored with their bits as signed ones.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

mod columns;
mod conform;
mod document;
mod file;

pub use columns::{COLUMNS, Col};
pub use conform::{SchemaError, check_schema, conform};
pub use document::document;
pub use file::{file_schema, for_file};

/// Most rows of one batch, so that 16-bit dictionary keys always suffice.
pub const MAX_BATCH_ROWS: usize = 1 << 15;

/// Version of the table's layout. Grows when a column is added; columns are never renamed, retyped or removed.
pub const SCHEMA_VERSION: u32 = 1;

/// Key of the schema's metadata that holds [`SCHEMA_VERSION`].
pub const VERSION_KEY: &str = "weir.schema_version";

/// One column of the flow table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name in Arrow, SQL and Parquet.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// Unit of the value, empty for none.
    pub unit: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// What a column holds, which decides its Arrow type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Microseconds since the Unix epoch, UTC.
    Time,
    /// 16-bit integer.
    Small,
    /// 32-bit integer.
    Integer,
    /// 64-bit integer through a dictionary.
    Number,
    /// Truth value.
    Flag,
    /// 16 bytes.
    Uuid,
    /// Text through a dictionary.
    Text,
    /// List of strings: a JSON array as text through a dictionary.
    List,
    /// A nested value: JSON as text through a dictionary.
    Json,
}

impl ColumnKind {
    /// Whether the values are text in some form.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::List | Self::Json)
    }

    /// Arrow type of the column.
    #[must_use]
    pub fn data_type(self) -> DataType {
        let dictionary = |value| DataType::Dictionary(Box::new(DataType::Int16), Box::new(value));
        match self {
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Small => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::Number => dictionary(DataType::Int64),
            Self::Flag => DataType::Boolean,
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Text | Self::List | Self::Json => dictionary(DataType::Utf8),
        }
    }

    /// Whether the column is a dictionary.
    #[must_use]
    pub const fn is_dictionary(self) -> bool {
        matches!(self, Self::Number | Self::Text | Self::List | Self::Json)
    }

    /// Text that stands for nothing in a text column: `[]` for lists, else the empty text.
    #[must_use]
    pub const fn empty_text(self) -> &'static str {
        match self {
            Self::List => "[]",
            _ => "",
        }
    }
}

impl Col {
    /// Position in the table.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Description of the column.
    #[must_use]
    pub const fn column(self) -> &'static Column {
        &COLUMNS[self as usize]
    }

    /// Name of the column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.column().name
    }
}

/// Schema of the flow table, with its version as metadata.
#[must_use]
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let fields: Vec<Field> = COLUMNS.iter().map(|c| Field::new(c.name, c.kind.data_type(), c.nullable)).collect();
        let metadata = [(VERSION_KEY.to_owned(), SCHEMA_VERSION.to_string())].into();
        Arc::new(Schema::new_with_metadata(fields, metadata))
    });
    Arc::clone(&SCHEMA)
}

/// Dictionary columns that share one buffer of keys, because together they describe one thing. Every dictionary column
/// is in exactly one group.
pub static GROUPS: &[&[Col]] = &[
    &[Col::NodeName, Col::NodeLabels, Col::EmitterName, Col::EmitterVersion],
    &[Col::IdText],
    FACTS,
    &[Col::EthSrc],
    &[Col::EthDst],
    &[Col::IpSrc],
    &[Col::IpDst],
    &[Col::IpSrcXlated],
    &[Col::L4Extra],
    &[Col::Tunnel],
    SOURCE.endpoint,
    &[Col::SrcLabels],
    DESTINATION.endpoint,
    &[Col::DstLabels],
    &[Col::SrcNames],
    &[Col::DstNames],
    SOURCE.service,
    DESTINATION.service,
    &[Col::Interface, Col::InterfaceIndex],
    &[Col::FileName, Col::FileLine],
    &[Col::L7LatencyNs],
    &[Col::HttpCode],
    &[Col::HttpMethod, Col::HttpUrl, Col::HttpProtocol, Col::HttpHeaders],
    &[Col::DnsQuery, Col::DnsIps, Col::DnsRcode, Col::DnsCnames, Col::DnsSource, Col::DnsQtypes, Col::DnsRrtypes],
    &[Col::DnsTtl],
    &[Col::Kafka],
    &[Col::TraceId],
    &[Col::IpTraceId, Col::IpTraceOption],
    &[Col::SocketCookie],
    &[Col::CgroupId],
    &[Col::EgressAllowedBy, Col::IngressAllowedBy, Col::EgressDeniedBy, Col::IngressDeniedBy, Col::PolicyLog],
    &[Col::AggregateIngress, Col::AggregateEgress, Col::AggregateUnknown],
    &[Col::Summary],
    &[Col::Bytes],
    &[Col::Packets],
    &[Col::Conversation],
    &[Col::RttUs],
    &[Col::Retransmits],
    SOURCE.process,
    DESTINATION.process,
    &[Col::KernelDropReason, Col::KernelDropFunction, Col::KernelDropNetns],
    &[Col::ExtensionType, Col::ExtensionValue],
];

/// The group of enumerations and small numbers: few distinct rows, so one key stands for all of them.
pub(crate) static FACTS: &[Col] = &[
    Col::Verdict,
    Col::DropReason,
    Col::AuthType,
    Col::FlowType,
    Col::TrafficDirection,
    Col::TracePoint,
    Col::TraceReason,
    Col::DebugCapturePoint,
    Col::SockXlatePoint,
    Col::EventType,
    Col::EventSubType,
    Col::PolicyMatchType,
    Col::ProxyPort,
    Col::L4Protocol,
    Col::TcpFlags,
    Col::IcmpType,
    Col::IcmpCode,
    Col::L7Protocol,
    Col::L7Type,
    Col::Phase,
    Col::Vlan,
];

/// The columns of one side of a flow.
#[derive(Debug)]
pub struct SideColumns {
    /// Address.
    pub ip: Col,
    /// Port.
    pub port: Col,
    /// Security identity; NULL where the endpoint is not known.
    pub identity: Col,
    /// Number of the endpoint on its node.
    pub endpoint_id: Col,
    /// Cluster.
    pub cluster: Col,
    /// Namespace.
    pub namespace: Col,
    /// Pod.
    pub pod: Col,
    /// Nearest workload.
    pub workload: Col,
    /// Kind of the nearest workload.
    pub workload_kind: Col,
    /// All workloads, where there is more than one.
    pub more_workloads: Col,
    /// Labels.
    pub labels: Col,
    /// DNS names.
    pub names: Col,
    /// Service of the address; NULL for none.
    pub service_name: Col,
    /// Namespace of the service.
    pub service_namespace: Col,
    /// Process id; NULL where the process is not known.
    pub pid: Col,
    /// Owner of the process.
    pub uid: Col,
    /// Name of the process.
    pub comm: Col,
    /// Executable of the process.
    pub exe: Col,
    /// Cgroup of the process.
    pub cgroup: Col,
    /// Unit or container of the process.
    pub unit: Col,
    /// Network namespace of the process.
    pub netns: Col,
    /// Group of the endpoint's columns.
    pub(crate) endpoint: &'static [Col],
    /// Group of the service's columns.
    pub(crate) service: &'static [Col],
    /// Group of the process's columns.
    pub(crate) process: &'static [Col],
}

/// Columns of the sender.
pub static SOURCE: SideColumns = SideColumns {
    ip: Col::IpSrc,
    port: Col::SrcPort,
    identity: Col::SrcIdentity,
    endpoint_id: Col::SrcEndpointId,
    cluster: Col::SrcCluster,
    namespace: Col::SrcNamespace,
    pod: Col::SrcPod,
    workload: Col::SrcWorkload,
    workload_kind: Col::SrcWorkloadKind,
    more_workloads: Col::SrcMoreWorkloads,
    labels: Col::SrcLabels,
    names: Col::SrcNames,
    service_name: Col::SrcService,
    service_namespace: Col::SrcServiceNamespace,
    pid: Col::SrcPid,
    uid: Col::SrcUid,
    comm: Col::SrcComm,
    exe: Col::SrcExe,
    cgroup: Col::SrcCgroup,
    unit: Col::SrcUnit,
    netns: Col::SrcNetns,
    endpoint: &[
        Col::SrcIdentity,
        Col::SrcEndpointId,
        Col::SrcCluster,
        Col::SrcNamespace,
        Col::SrcPod,
        Col::SrcWorkload,
        Col::SrcWorkloadKind,
        Col::SrcMoreWorkloads,
    ],
    service: &[Col::SrcService, Col::SrcServiceNamespace],
    process: &[Col::SrcPid, Col::SrcUid, Col::SrcComm, Col::SrcExe, Col::SrcCgroup, Col::SrcUnit, Col::SrcNetns],
};

/// Columns of the receiver.
pub static DESTINATION: SideColumns = SideColumns {
    ip: Col::IpDst,
    port: Col::DstPort,
    identity: Col::DstIdentity,
    endpoint_id: Col::DstEndpointId,
    cluster: Col::DstCluster,
    namespace: Col::DstNamespace,
    pod: Col::DstPod,
    workload: Col::DstWorkload,
    workload_kind: Col::DstWorkloadKind,
    more_workloads: Col::DstMoreWorkloads,
    labels: Col::DstLabels,
    names: Col::DstNames,
    service_name: Col::DstService,
    service_namespace: Col::DstServiceNamespace,
    pid: Col::DstPid,
    uid: Col::DstUid,
    comm: Col::DstComm,
    exe: Col::DstExe,
    cgroup: Col::DstCgroup,
    unit: Col::DstUnit,
    netns: Col::DstNetns,
    endpoint: &[
        Col::DstIdentity,
        Col::DstEndpointId,
        Col::DstCluster,
        Col::DstNamespace,
        Col::DstPod,
        Col::DstWorkload,
        Col::DstWorkloadKind,
        Col::DstMoreWorkloads,
    ],
    service: &[Col::DstService, Col::DstServiceNamespace],
    process: &[Col::DstPid, Col::DstUid, Col::DstComm, Col::DstExe, Col::DstCgroup, Col::DstUnit, Col::DstNetns],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dictionary_column_is_in_exactly_one_group() {
        let mut seen = vec![0; COLUMNS.len()];
        for col in GROUPS.iter().copied().flatten() {
            seen[col.index()] += 1;
        }
        for (column, seen) in COLUMNS.iter().zip(seen) {
            assert_eq!(seen, usize::from(column.kind.is_dictionary()), "{}", column.name);
        }
    }

    #[test]
    fn names_are_unique_and_in_snake_case() {
        let mut names: Vec<_> = COLUMNS.iter().map(|c| c.name).collect();
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COLUMNS.len());
    }
}
