//! What the rows of one segment say of conversations, looked up by key.

use arrow::array::{Array, BooleanArray, Int32Array};
use arrow::record_batch::RecordBatch;
use flow::{Identity, L7FlowType, TraceObservationPoint, TrafficDirection, Verdict};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use table::Col;
use table::column::{Numbers, Texts};
use table::schema::{DESTINATION, SOURCE, SideColumns};

use super::party::PartyFacts;
use super::{Parties, Party};
use crate::segment::{column, flags};

/// What [`Columns::open`] opens.
pub(crate) const COLUMNS: &[Col] = &[
    Col::Verdict,
    Col::DropReason,
    Col::FlowType,
    Col::TrafficDirection,
    Col::TracePoint,
    Col::IsReply,
    Col::IpSrc,
    Col::IpDst,
    Col::L4Protocol,
    Col::SrcPort,
    Col::DstPort,
    Col::SrcIdentity,
    Col::SrcCluster,
    Col::SrcNamespace,
    Col::SrcPod,
    Col::SrcWorkload,
    Col::SrcNames,
    Col::SrcService,
    Col::SrcServiceNamespace,
    Col::DstIdentity,
    Col::DstCluster,
    Col::DstNamespace,
    Col::DstPod,
    Col::DstWorkload,
    Col::DstNames,
    Col::DstService,
    Col::DstServiceNamespace,
    Col::L7Protocol,
    Col::L7Type,
    Col::L7LatencyNs,
    Col::HttpCode,
    Col::DnsRcode,
    Col::Bytes,
    Col::Packets,
    Col::KernelDropReason,
];

/// Columns of one segment that maps and drops need.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) facts: Vec<RowFacts>,
    fact_keys: Texts,
    pub(crate) source: SideParties,
    pub(crate) destination: SideParties,
    source_port: &'a Int32Array,
    destination_port: &'a Int32Array,
    is_reply: &'a BooleanArray,
    pub(crate) bytes: Numbers,
    pub(crate) packets: Numbers,
    pub(crate) latency_ns: Numbers,
    pub(crate) http_code: Numbers,
    pub(crate) dns_rcode: Numbers,
    pub(crate) kernel_reason: Texts,
    pub(crate) drop_reason: Texts,
}

/// What the enumerations of a row come down to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowFacts {
    pub(crate) kind: RowKind,
    pub(crate) view: View,
    pub(crate) protocol: Protocol,
    pub(crate) l7: L7,
}

/// What a row is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// Packets that passed.
    Traffic,
    /// Packets that were dropped.
    Drop,
    /// An application record: request.
    Request,
    /// An application record: response.
    Response,
    /// An application record that is neither.
    Sample,
}

/// From where a row was observed, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// By the client's node, at the client's own link.
    ClientEndpoint,
    /// By the client's node, at another link.
    ClientNetwork,
    /// By the server's node, at the server's own link.
    ServerEndpoint,
    /// By the server's node, at another link.
    ServerNetwork,
    /// From a place that does not tell.
    Unknown,
}

impl View {
    pub(crate) const COUNT: usize = 5;
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Protocol(pub(crate) u8);

impl Protocol {
    pub(crate) const NAMES: [&'static str; 8] = ["", "TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6", "VRRP", "IGMP"];

    pub(crate) fn of(name: &str) -> Self {
        let number = Self::NAMES.iter().position(|n| *n == name).unwrap_or_default();
        Self(u8::try_from(number).expect("there are eight"))
    }

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[usize::from(self.0)]
    }
}

/// Application protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum L7 {
    None,
    Http,
    Dns,
    Kafka,
}

impl L7 {
    /// The protocol of a number, [`L7::None`] left out.
    pub(crate) const fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Http),
            2 => Some(Self::Dns),
            3 => Some(Self::Kafka),
            _ => None,
        }
    }
}

/// One conversation as a row shows it, from client to server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Talk {
    pub(crate) client: u32,
    pub(crate) server: u32,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
}

/// First port that systems give to clients (Linux: 32768).
const FIRST_CLIENT_PORT: u16 = 32_768;

impl<'a> Columns<'a> {
    /// Opens a segment.
    pub(crate) fn open(batch: &'a RecordBatch) -> Self {
        let shape = "segments have the table's shape";
        let numbers = |col| Numbers::of(batch, col).expect(shape);
        let texts = |col| Texts::of(batch, col).expect(shape);
        Self {
            facts: facts(batch),
            fact_keys: texts(Col::Verdict),
            source: SideParties::open(batch, &SOURCE),
            destination: SideParties::open(batch, &DESTINATION),
            source_port: column(batch, Col::SrcPort).expect(shape),
            destination_port: column(batch, Col::DstPort).expect(shape),
            is_reply: flags(batch, Col::IsReply).expect(shape),
            bytes: numbers(Col::Bytes),
            packets: numbers(Col::Packets),
            latency_ns: numbers(Col::L7LatencyNs),
            http_code: numbers(Col::HttpCode),
            dns_rcode: numbers(Col::DnsRcode),
            kernel_reason: texts(Col::KernelDropReason),
            drop_reason: texts(Col::DropReason),
        }
    }

    pub(crate) fn facts(&self, row: usize) -> RowFacts {
        self.facts[self.fact_keys.key(row)]
    }

    /// Packets of a row; at least one, because something was seen.
    pub(crate) fn packets(&self, row: usize) -> u64 {
        self.packets.get(row).cast_unsigned().max(1)
    }

    /// The kernel's reason of a drop where it is known, else Hubble's.
    pub(crate) fn reason(&self, row: usize) -> &str {
        match self.kernel_reason.get(row) {
            "" => self.drop_reason.get(row),
            reason => reason,
        }
    }

    fn destination_port(&self, row: usize) -> u16 {
        u16::try_from(self.destination_port.value(row)).unwrap_or_default()
    }

    fn source_port(&self, row: usize) -> u16 {
        u16::try_from(self.source_port.value(row)).unwrap_or_default()
    }

    /// Port of the server's side, 0 for none.
    pub(crate) fn server_port(&self, row: usize, is_reply: bool) -> u16 {
        if is_reply { self.source_port(row) } else { self.destination_port(row) }
    }

    /// Whether a row travels from server to client. Drops do not say; there, a source port of a service and a
    /// destination port of a client tell.
    pub(crate) fn is_reply(&self, row: usize) -> bool {
        if self.is_reply.is_valid(row) {
            return self.is_reply.value(row);
        }
        let source = self.source_port(row);
        source > 0 && source < FIRST_CLIENT_PORT && self.destination_port(row) >= FIRST_CLIENT_PORT
    }

    /// Who talks to whom in a row.
    pub(crate) fn talk(&mut self, row: usize, is_reply: bool, protocol: Protocol, parties: &mut Parties) -> Talk {
        let source = self.source.party(row, parties);
        let destination = self.destination.party(row, parties);
        let (client, server) = if is_reply { (destination, source) } else { (source, destination) };
        Talk { client, server, port: self.server_port(row, is_reply), protocol }
    }
}

fn facts(batch: &RecordBatch) -> Vec<RowFacts> {
    let texts = |col| Texts::of(batch, col).expect("segments have the table's shape");
    let verdict = texts(Col::Verdict);
    let direction = texts(Col::TrafficDirection);
    let point = texts(Col::TracePoint);
    let l4 = texts(Col::L4Protocol);
    let l7 = texts(Col::L7Protocol);
    let l7_type = texts(Col::L7Type);
    let flow_type = texts(Col::FlowType);
    let row_facts = |key| RowFacts {
        kind: kind(verdict.entry(key), flow_type.entry(key), l7_type.entry(key)),
        view: view(direction.entry(key), point.entry(key)),
        protocol: Protocol::of(l4.entry(key)),
        l7: match l7.entry(key) {
            "HTTP" => L7::Http,
            "DNS" => L7::Dns,
            "KAFKA" => L7::Kafka,
            _ => L7::None,
        },
    };
    (0..verdict.values().len()).map(row_facts).collect()
}

fn kind(verdict: &str, flow_type: &str, l7_type: &str) -> RowKind {
    let name = |kind: L7FlowType| kind.name().unwrap_or_default();
    if l7_type == name(L7FlowType::REQUEST) {
        // A request that a proxy denied is a drop of the request, not of packets.
        RowKind::Request
    } else if l7_type == name(L7FlowType::RESPONSE) {
        RowKind::Response
    } else if flow_type == flow::FlowType::L7.name().unwrap_or_default() {
        RowKind::Sample
    } else if verdict == Verdict::DROPPED.name().unwrap_or_default() {
        RowKind::Drop
    } else {
        RowKind::Traffic
    }
}

fn view(direction: &str, point: &str) -> View {
    let own_link = [TraceObservationPoint::FROM_ENDPOINT, TraceObservationPoint::TO_ENDPOINT]
        .iter()
        .any(|own| own.name() == Some(point));
    match (TrafficDirection::from_name(direction), own_link) {
        (Some(TrafficDirection::EGRESS), true) => View::ClientEndpoint,
        (Some(TrafficDirection::EGRESS), false) => View::ClientNetwork,
        (Some(TrafficDirection::INGRESS), true) => View::ServerEndpoint,
        (Some(TrafficDirection::INGRESS), false) => View::ServerNetwork,
        _ => View::Unknown,
    }
}

/// The parties of one side of the rows.
#[derive(Debug)]
pub(crate) struct SideParties {
    identity: Numbers,
    cluster: Texts,
    namespace: Texts,
    pod: Texts,
    workload: Texts,
    service: Texts,
    service_namespace: Texts,
    names: Texts,
    ip: Texts,
    /// Number of the party by key of the endpoint, where the endpoint tells it.
    of_endpoint: Vec<Known>,
    /// Number of the party by keys of all that may tell it.
    of_keys: HashMap<[u16; 4], u32, RandomState>,
}

/// What is known of an endpoint's party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    NotYet,
    Not,
    Is(u32),
}

impl SideParties {
    fn open(batch: &RecordBatch, side: &SideColumns) -> Self {
        let shape = "segments have the table's shape";
        let texts = |col| Texts::of(batch, col).expect(shape);
        let identity = Numbers::of(batch, side.identity).expect(shape);
        Self {
            of_endpoint: vec![Known::NotYet; identity.values().len()],
            identity,
            cluster: texts(side.cluster),
            namespace: texts(side.namespace),
            pod: texts(side.pod),
            workload: texts(side.workload),
            service: texts(side.service_name),
            service_namespace: texts(side.service_namespace),
            names: texts(side.names),
            ip: texts(side.ip),
            of_keys: HashMap::default(),
        }
    }

    /// Number of the party of a row.
    #[inline]
    pub(crate) fn party(&mut self, row: usize, parties: &mut Parties) -> u32 {
        let key = self.identity.key(row);
        match self.of_endpoint.get(key) {
            Some(Known::Is(number)) => *number,
            _ => self.party_by_keys(row, key, parties),
        }
    }

    fn party_by_keys(&mut self, row: usize, key: usize, parties: &mut Parties) -> u32 {
        if self.of_endpoint.get(key) == Some(&Known::NotYet) && !self.identity.is_null(row) {
            let party = Party::of_endpoint(self.facts(row));
            let known = party.map_or(Known::Not, |party| Known::Is(parties.number(party)));
            self.of_endpoint[key] = known;
            if let Known::Is(number) = known {
                return number;
            }
        }
        let short = |key: usize| u16::try_from(key).unwrap_or(u16::MAX);
        let keys = [key, self.names.key(row), self.service.key(row), self.ip.key(row)].map(short);
        if let Some(number) = self.of_keys.get(&keys) {
            return *number;
        }
        let number = parties.number(Party::of(self.facts(row)));
        self.of_keys.insert(keys, number);
        number
    }

    fn facts(&self, row: usize) -> PartyFacts<'_> {
        let identity = u32::try_from(self.identity.get(row)).unwrap_or_default();
        PartyFacts {
            identity: (!self.identity.is_null(row)).then_some(Identity(identity)),
            cluster: self.cluster.get(row),
            namespace: self.namespace.get(row),
            pod: self.pod.get(row),
            workload: self.workload.get(row),
            service: (!self.service.is_null(row)).then(|| (self.service.get(row), self.service_namespace.get(row))),
            dns_name: first_of_list(self.names.get(row)),
            ip: self.ip.get(row),
        }
    }
}

/// First string of a JSON list of names; DNS names need no escapes.
fn first_of_list(list: &str) -> Option<&str> {
    let (first, _) = list.strip_prefix("[\"")?.split_once('"')?;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_list_is_found() {
        assert_eq!(first_of_list(r#"["a.example.com.","b"]"#), Some("a.example.com."));
        assert_eq!(first_of_list("[]"), None);
        assert_eq!(first_of_list(""), None);
    }
}
