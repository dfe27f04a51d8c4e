//! Rows back into flows.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, FixedSizeBinaryArray, Int16Array, Int32Array, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use flow::{
    Emitter, Ethernet, FileInfo, Flow, FlowDetails, FlowId, ForeignExtension, Interface, Ip, IpTraceId, KernelDrop, L4,
    Timestamp,
};

use crate::column::{Numbers, Texts, downcast};
use crate::schema::{COLUMNS, Col, ColumnKind, DESTINATION, SOURCE};
use crate::{SchemaError, json};

mod application;
mod cache;
mod facts;
mod side;

use cache::Cache;
use facts::Facts;
use side::SideCaches;

/// Reads rows of a batch as flows; endpoints, processes and the like are shared between the flows of one reader.
#[derive(Debug)]
pub struct RowReader {
    rows: usize,
    time: TimestampMicrosecondArray,
    time_ns: Int16Array,
    uuid: FixedSizeBinaryArray,
    is_reply: BooleanArray,
    encrypted: BooleanArray,
    source_port: Int32Array,
    destination_port: Int32Array,
    columns: Vec<Column>,
    facts: Cache<Facts>,
    observers: Cache<Observer>,
    source: SideCaches,
    destination: SideCaches,
    interfaces: Cache<Arc<str>>,
    files: Cache<Arc<FileInfo>>,
    kernel_drops: Cache<Arc<KernelDrop>>,
}

/// A dictionary column, or the place of another.
#[derive(Debug)]
enum Column {
    Texts(Texts),
    Numbers(Numbers),
    Plain,
}

/// Who observed a flow.
#[derive(Clone, Debug)]
struct Observer {
    node_name: Arc<str>,
    node_labels: Arc<[String]>,
    emitter: Option<Arc<Emitter>>,
}

impl RowReader {
    /// Opens a batch. It keeps the batch's buffers alive, nothing is copied.
    ///
    /// # Errors
    /// The batch has not the columns of [`crate::schema()`]; [`crate::conform`] may help.
    pub fn new(batch: &RecordBatch) -> Result<Self, SchemaError> {
        let open = |(column, col): (&crate::schema::Column, &Col)| {
            Ok(match column.kind {
                ColumnKind::Number => Column::Numbers(Numbers::of(batch, *col)?),
                kind if kind.is_dictionary() => Column::Texts(Texts::of(batch, *col)?),
                _ => Column::Plain,
            })
        };
        Ok(Self {
            rows: batch.num_rows(),
            time: downcast::<TimestampMicrosecondArray>(batch, Col::Time)?.clone(),
            time_ns: downcast::<Int16Array>(batch, Col::TimeNs)?.clone(),
            uuid: downcast::<FixedSizeBinaryArray>(batch, Col::Uuid)?.clone(),
            is_reply: downcast::<BooleanArray>(batch, Col::IsReply)?.clone(),
            encrypted: downcast::<BooleanArray>(batch, Col::Encrypted)?.clone(),
            source_port: downcast::<Int32Array>(batch, Col::SrcPort)?.clone(),
            destination_port: downcast::<Int32Array>(batch, Col::DstPort)?.clone(),
            columns: COLUMNS.iter().zip(Col::ALL).map(open).collect::<Result<_, SchemaError>>()?,
            facts: Cache::default(),
            observers: Cache::default(),
            source: SideCaches::default(),
            destination: SideCaches::default(),
            interfaces: Cache::default(),
            files: Cache::default(),
            kernel_drops: Cache::default(),
        })
    }

    /// Rows of the batch.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether the batch has no rows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Time of a row.
    ///
    /// # Panics
    /// The row is not below [`RowReader::len`].
    #[must_use]
    pub fn time(&self, row: usize) -> Timestamp {
        Timestamp(self.time.value(row).saturating_mul(1_000).saturating_add(self.time_ns.value(row).into()))
    }

    /// Reads one row with everything the flow carried.
    ///
    /// # Panics
    /// The row is not below [`RowReader::len`].
    #[must_use]
    pub fn flow(&self, row: usize) -> Flow {
        let facts = self.facts(row);
        let observer = self.cached(&self.observers, &OBSERVER, row, |row| self.observer(row));
        Flow {
            time: self.time(row),
            id: self.id(row),
            emitter: observer.emitter.filter(|_| !self.is_null(Col::EmitterName, row)),
            verdict: facts.verdict,
            drop_reason: facts.drop_reason,
            auth_type: facts.auth_type,
            ethernet: self.ethernet(row),
            ip: self.ip(row),
            l4: self.l4(&facts, row),
            tunnel: self.optional_json(Col::Tunnel, row, json::read_tunnel),
            source: self.endpoint(&self.source, &SOURCE, row),
            destination: self.endpoint(&self.destination, &DESTINATION, row),
            kind: facts.kind,
            node_name: observer.node_name,
            node_labels: observer.node_labels,
            source_names: self.list(Col::SrcNames, row),
            destination_names: self.list(Col::DstNames, row),
            l7: self.l7(&facts, row),
            event_type: facts.event,
            source_service: self.service(&self.source, &SOURCE, row),
            destination_service: self.service(&self.destination, &DESTINATION, row),
            traffic_direction: facts.direction,
            policy_match_type: facts.policy_match_type,
            trace_point: facts.trace_point,
            trace_reason: facts.trace_reason,
            file: self.file(row),
            ip_trace_id: self.ip_trace_id(row),
            is_reply: self.is_reply.is_valid(row).then(|| self.is_reply.value(row)),
            debug_capture_point: facts.debug_capture_point,
            interface: self.interface(row),
            proxy_port: facts.proxy_port,
            trace_id: self.string(Col::TraceId, row),
            sock_xlate_point: facts.sock_xlate_point,
            socket_cookie: self.unsigned(Col::SocketCookie, row),
            cgroup_id: self.unsigned(Col::CgroupId, row),
            egress_allowed_by: json::read_policies(self.text(Col::EgressAllowedBy, row)),
            ingress_allowed_by: json::read_policies(self.text(Col::IngressAllowedBy, row)),
            egress_denied_by: json::read_policies(self.text(Col::EgressDeniedBy, row)),
            ingress_denied_by: json::read_policies(self.text(Col::IngressDeniedBy, row)),
            policy_log: self.list(Col::PolicyLog, row),
            aggregate: self.aggregate(row),
            summary: self.string(Col::Summary, row),
            details: self.details(&facts, row),
            extension: self.extension(row),
        }
    }
}

/// Columns of [`Observer`].
const OBSERVER: [Col; 4] = [Col::NodeName, Col::NodeLabels, Col::EmitterName, Col::EmitterVersion];

impl RowReader {
    /// What the columns of a group mean in this row, from the cache where the group shares its keys.
    fn cached<T: Clone>(&self, cache: &Cache<T>, group: &[Col], row: usize, build: impl FnOnce(usize) -> T) -> T {
        cache.get(self.columns[group[0].index()].key(row), || self.shared_entries(group), || build(row))
    }

    /// How many entries a group has, if all its columns have the same keys in all rows.
    fn shared_entries(&self, group: &[Col]) -> Option<usize> {
        let first = &self.columns[group[0].index()];
        let same = group[1..].iter().all(|col| first.same_keys(&self.columns[col.index()]));
        same.then(|| first.entries())
    }

    fn text(&self, col: Col, row: usize) -> &str {
        match &self.columns[col.index()] {
            Column::Texts(texts) => texts.get(row),
            Column::Numbers(_) | Column::Plain => unreachable!("only text columns are read as text"),
        }
    }

    fn string(&self, col: Col, row: usize) -> String {
        self.text(col, row).to_owned()
    }

    fn list(&self, col: Col, row: usize) -> Vec<String> {
        json::read_list(self.text(col, row))
    }

    fn optional_json<T>(&self, col: Col, row: usize, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(col, row);
        if text.is_empty() { None } else { read(text) }
    }

    fn number(&self, col: Col, row: usize) -> i64 {
        match &self.columns[col.index()] {
            Column::Numbers(numbers) => numbers.get(row),
            Column::Texts(_) | Column::Plain => unreachable!("only number columns are read as numbers"),
        }
    }

    /// A number that was unsigned before it became bits of a signed one.
    fn unsigned(&self, col: Col, row: usize) -> u64 {
        self.number(col, row).cast_unsigned()
    }

    /// A number of fewer bits; what does not fit is no number of ours and becomes 0.
    fn narrow<T: TryFrom<i64> + Default>(&self, col: Col, row: usize) -> T {
        T::try_from(self.number(col, row)).unwrap_or_default()
    }

    /// Text of the entry of a row, whether the row is NULL or not.
    fn entry_text(&self, col: Col, row: usize) -> &str {
        match &self.columns[col.index()] {
            Column::Texts(texts) => texts.entry(texts.key(row)),
            Column::Numbers(_) | Column::Plain => unreachable!("only text columns are read as text"),
        }
    }

    /// Number of the entry of a row, whether the row is NULL or not.
    fn entry_number<T: TryFrom<i64> + Default>(&self, col: Col, row: usize) -> T {
        match &self.columns[col.index()] {
            Column::Numbers(numbers) => T::try_from(numbers.entry(numbers.key(row))).unwrap_or_default(),
            Column::Texts(_) | Column::Plain => unreachable!("only number columns are read as numbers"),
        }
    }

    fn is_null(&self, col: Col, row: usize) -> bool {
        match &self.columns[col.index()] {
            Column::Texts(texts) => texts.is_null(row),
            Column::Numbers(numbers) => numbers.is_null(row),
            Column::Plain => false,
        }
    }

    fn id(&self, row: usize) -> FlowId {
        if self.uuid.is_valid(row) {
            return self.uuid.value(row).try_into().map_or(FlowId::None, FlowId::Uuid);
        }
        match self.text(Col::IdText, row) {
            "" => FlowId::None,
            text => FlowId::Text(text.into()),
        }
    }

    fn observer(&self, row: usize) -> Observer {
        let [node, labels, name, version] = OBSERVER.map(|col| self.entry_text(col, row));
        Observer {
            node_name: node.into(),
            node_labels: json::read_list(labels).into(),
            emitter: Some(Arc::new(Emitter { name: name.to_owned(), version: version.to_owned() })),
        }
    }

    fn ethernet(&self, row: usize) -> Option<Ethernet> {
        let mac = |col| self.text(col, row).parse().unwrap_or_default();
        (!self.is_null(Col::EthSrc, row)).then(|| Ethernet { source: mac(Col::EthSrc), destination: mac(Col::EthDst) })
    }

    fn ip(&self, row: usize) -> Option<Ip> {
        Some(Ip {
            source: self.text(Col::IpSrc, row).parse().ok()?,
            destination: self.text(Col::IpDst, row).parse().ok()?,
            source_xlated: self.text(Col::IpSrcXlated, row).parse().ok(),
            encrypted: self.encrypted.value(row),
        })
    }

    fn l4(&self, facts: &Facts, row: usize) -> Option<L4> {
        let port = |ports: &Int32Array| u16::try_from(ports.value(row)).unwrap_or_default();
        let source_port = port(&self.source_port);
        let destination_port = port(&self.destination_port);
        let (kind, code) = facts.icmp;
        match facts.l4 {
            facts::Protocol::None => None,
            facts::Protocol::Tcp => Some(L4::Tcp { source_port, destination_port, flags: facts.tcp_flags }),
            facts::Protocol::Udp => Some(L4::Udp { source_port, destination_port }),
            facts::Protocol::Sctp => Some(L4::Sctp { source_port, destination_port }),
            facts::Protocol::Icmpv4 => Some(L4::Icmpv4 { kind, code }),
            facts::Protocol::Icmpv6 => Some(L4::Icmpv6 { kind, code }),
            facts::Protocol::Other => self.optional_json(Col::L4Extra, row, json::read_l4_extra),
        }
    }

    fn file(&self, row: usize) -> Option<Arc<FileInfo>> {
        if self.is_null(Col::FileName, row) {
            return None;
        }
        let build =
            |row| Arc::new(FileInfo { name: self.string(Col::FileName, row), line: self.narrow(Col::FileLine, row) });
        Some(self.cached(&self.files, &[Col::FileName, Col::FileLine], row, build))
    }

    fn ip_trace_id(&self, row: usize) -> Option<IpTraceId> {
        (!self.is_null(Col::IpTraceId, row)).then(|| IpTraceId {
            trace_id: self.unsigned(Col::IpTraceId, row),
            option_type: self.narrow(Col::IpTraceOption, row),
        })
    }

    fn interface(&self, row: usize) -> Option<Interface> {
        if self.is_null(Col::Interface, row) {
            return None;
        }
        let name = self.cached(&self.interfaces, &[Col::Interface], row, |row| self.text(Col::Interface, row).into());
        Some(Interface { index: self.narrow(Col::InterfaceIndex, row), name })
    }

    fn aggregate(&self, row: usize) -> Option<[u32; 3]> {
        let columns = [Col::AggregateIngress, Col::AggregateEgress, Col::AggregateUnknown];
        (!self.is_null(Col::AggregateIngress, row)).then(|| columns.map(|col| self.narrow(col, row)))
    }

    fn details(&self, facts: &Facts, row: usize) -> Option<Box<FlowDetails>> {
        Some(Box::new(FlowDetails {
            phase: facts.phase?,
            bytes: self.unsigned(Col::Bytes, row),
            packets: self.unsigned(Col::Packets, row),
            conversation: self.unsigned(Col::Conversation, row),
            rtt_us: self.narrow(Col::RttUs, row),
            retransmits: self.narrow(Col::Retransmits, row),
            vlan: facts.vlan,
            source_process: self.process(&self.source, &SOURCE, row),
            destination_process: self.process(&self.destination, &DESTINATION, row),
            kernel_drop: self.kernel_drop(row),
        }))
    }

    fn kernel_drop(&self, row: usize) -> Option<Arc<KernelDrop>> {
        if self.is_null(Col::KernelDropReason, row) {
            return None;
        }
        let columns = [Col::KernelDropReason, Col::KernelDropFunction, Col::KernelDropNetns];
        let build = |row| {
            let [reason, function, netns] = columns.map(|col| self.string(col, row));
            Arc::new(KernelDrop { reason, function, netns })
        };
        Some(self.cached(&self.kernel_drops, &columns, row, build))
    }

    fn extension(&self, row: usize) -> Option<Box<ForeignExtension>> {
        (!self.is_null(Col::ExtensionType, row)).then(|| {
            Box::new(ForeignExtension {
                type_url: self.string(Col::ExtensionType, row),
                value: unhex(self.text(Col::ExtensionValue, row)),
            })
        })
    }
}

impl Column {
    fn key(&self, row: usize) -> usize {
        match self {
            Self::Texts(texts) => texts.key(row),
            Self::Numbers(numbers) => numbers.key(row),
            Self::Plain => 0,
        }
    }

    fn entries(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.values().len(),
            Self::Numbers(numbers) => numbers.values().len(),
            Self::Plain => 0,
        }
    }

    fn same_keys(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Texts(a), Self::Texts(b)) => a.same_keys(b),
            (Self::Texts(a), Self::Numbers(b)) => a.same_keys(b),
            (Self::Numbers(a), Self::Texts(b)) => a.same_keys(b),
            (Self::Numbers(a), Self::Numbers(b)) => a.same_keys(b),
            (Self::Plain, _) | (_, Self::Plain) => false,
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or_default();
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
