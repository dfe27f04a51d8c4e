//! A flow on its way from the wire.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{
    AuthType, DebugCapturePoint, Dns, DropReason, Emitter, Endpoint, Ethernet, EventType, FileInfo, Flow, FlowId,
    FlowType, Http, Identity, Interface, Ip, IpTraceId, Kafka, L4, L7, L7FlowType, L7Record, Policy, Service,
    SocketTranslationPoint, TcpFlags, TraceObservationPoint, TraceReason, TrafficDirection, Tunnel, TunnelProtocol,
    Verdict, Workload,
};

use super::{details, time_from_wire};
use crate::flow as wire;

/// A flow from the wire; what cannot be understood is left out field by field.
#[must_use]
pub fn flow_from_wire(flow: wire::Flow) -> Flow {
    flow_from_wire_counted(flow).0
}

/// A flow from the wire, and how many of its fields could not be understood and were left out.
#[must_use]
#[expect(deprecated, reason = "old observers fill the deprecated fields only")]
pub fn flow_from_wire_counted(wire: wire::Flow) -> (Flow, u32) {
    let mut reader = Reader { left_out: 0 };
    let (details, extension) = match wire.extensions.map(details::unpack) {
        None => (None, None),
        Some(details::Unpacked::Details(details)) => (Some(details), None),
        Some(details::Unpacked::Foreign(extension)) => (None, Some(extension)),
    };
    let drop_reason = match wire.drop_reason_desc {
        0 => i32::try_from(wire.drop_reason).unwrap_or(0),
        reason => reason,
    };
    let flow = Flow {
        time: wire.time.map(time_from_wire).unwrap_or_default(),
        id: FlowId::parse(&wire.uuid),
        emitter: wire.emitter.map(|e| Arc::new(Emitter { name: e.name, version: e.version })),
        verdict: Verdict(wire.verdict),
        drop_reason: DropReason(drop_reason),
        auth_type: AuthType(wire.auth_type),
        ethernet: wire.ethernet.and_then(|e| reader.ethernet(&e)),
        ip: wire.ip.and_then(|ip| reader.ip(&ip)),
        l4: wire.l4.and_then(|l4| reader.l4(l4)),
        tunnel: wire.tunnel.map(|t| Box::new(reader.tunnel(*t))),
        source: wire.source.map(endpoint),
        destination: wire.destination.map(endpoint),
        kind: FlowType(wire.r#type),
        node_name: wire.node_name.into(),
        node_labels: wire.node_labels.into(),
        source_names: wire.source_names,
        destination_names: wire.destination_names,
        l7: wire.l7.map(|record| Box::new(l7(*record))),
        event_type: wire.event_type.map(|e| EventType { kind: e.r#type, sub_kind: e.sub_type }),
        source_service: wire.source_service.map(service),
        destination_service: wire.destination_service.map(service),
        traffic_direction: TrafficDirection(wire.traffic_direction),
        policy_match_type: wire.policy_match_type,
        trace_point: TraceObservationPoint(wire.trace_observation_point),
        trace_reason: TraceReason(wire.trace_reason),
        file: wire.file.map(|f| Arc::new(FileInfo { name: f.name, line: f.line })),
        ip_trace_id: wire.ip_trace_id.map(|t| IpTraceId { trace_id: t.trace_id, option_type: t.ip_option_type }),
        // Observers before 1.8 know only `reply`, where false may also mean unknown.
        is_reply: wire.is_reply.or(wire.reply.then_some(true)),
        debug_capture_point: DebugCapturePoint(wire.debug_capture_point),
        interface: wire.interface.map(|i| Interface { index: i.index, name: i.name.into() }),
        proxy_port: wire.proxy_port,
        trace_id: wire.trace_context.and_then(|t| t.parent).map(|p| p.trace_id).unwrap_or_default(),
        sock_xlate_point: SocketTranslationPoint(wire.sock_xlate_point),
        socket_cookie: wire.socket_cookie,
        cgroup_id: wire.cgroup_id,
        egress_allowed_by: policies(wire.egress_allowed_by),
        ingress_allowed_by: policies(wire.ingress_allowed_by),
        egress_denied_by: policies(wire.egress_denied_by),
        ingress_denied_by: policies(wire.ingress_denied_by),
        policy_log: wire.policy_log,
        aggregate: wire.aggregate.map(|a| [a.ingress_flow_count, a.egress_flow_count, a.unknown_direction_flow_count]),
        summary: wire.summary,
        details,
        extension,
    };
    (flow, reader.left_out)
}

/// Reads the fields that may hold what the vocabulary cannot.
struct Reader {
    left_out: u32,
}

impl Reader {
    fn keep<T>(&mut self, read: Option<T>) -> Option<T> {
        if read.is_none() {
            self.left_out = self.left_out.saturating_add(1);
        }
        read
    }

    fn ethernet(&mut self, wire: &wire::Ethernet) -> Option<Ethernet> {
        let read = wire.source.parse().ok().zip(wire.destination.parse().ok());
        self.keep(read.map(|(source, destination)| Ethernet { source, destination }))
    }

    fn ip(&mut self, wire: &wire::Ip) -> Option<Ip> {
        let both: Option<(IpAddr, IpAddr)> = wire.source.parse().ok().zip(wire.destination.parse().ok());
        let (source, destination) = self.keep(both)?;
        let source_xlated =
            if wire.source_xlated.is_empty() { None } else { self.keep(wire.source_xlated.parse().ok()) };
        Some(Ip { source, destination, source_xlated, encrypted: wire.encrypted })
    }

    /// A header without a protocol says nothing and is not counted.
    fn l4(&mut self, wire: wire::Layer4) -> Option<L4> {
        let read = l4(wire.protocol?);
        self.keep(read)
    }

    fn tunnel(&mut self, wire: wire::Tunnel) -> Tunnel {
        Tunnel {
            protocol: TunnelProtocol(wire.protocol),
            ip: wire.ip.and_then(|ip| self.ip(&ip)),
            l4: wire.l4.and_then(|l4| self.l4(l4)),
            vni: wire.vni,
        }
    }
}

fn l4(protocol: wire::layer4::Protocol) -> Option<L4> {
    use wire::layer4::Protocol;
    let ports = |source: u32, destination: u32| u16::try_from(source).ok().zip(u16::try_from(destination).ok());
    let kind_and_code = |kind: u32, code: u32| u8::try_from(kind).ok().zip(u8::try_from(code).ok());
    match protocol {
        Protocol::Tcp(tcp) => ports(tcp.source_port, tcp.destination_port).map(|(source_port, destination_port)| {
            L4::Tcp { source_port, destination_port, flags: tcp.flags.map(tcp_flags) }
        }),
        Protocol::Udp(udp) => ports(udp.source_port, udp.destination_port)
            .map(|(source_port, destination_port)| L4::Udp { source_port, destination_port }),
        Protocol::Sctp(sctp) => ports(sctp.source_port, sctp.destination_port)
            .map(|(source_port, destination_port)| L4::Sctp { source_port, destination_port }),
        Protocol::IcmPv4(icmp) => kind_and_code(icmp.r#type, icmp.code).map(|(kind, code)| L4::Icmpv4 { kind, code }),
        Protocol::IcmPv6(icmp) => kind_and_code(icmp.r#type, icmp.code).map(|(kind, code)| L4::Icmpv6 { kind, code }),
        Protocol::Vrrp(vrrp) => Some(L4::Vrrp { kind: vrrp.r#type, vrid: vrrp.vrid, priority: vrrp.priority }),
        Protocol::Igmp(igmp) => igmp.group_address.parse().ok().map(|group| L4::Igmp { kind: igmp.r#type, group }),
    }
}

pub(crate) fn tcp_flags(wire: wire::TcpFlags) -> TcpFlags {
    [
        (wire.fin, TcpFlags::FIN),
        (wire.syn, TcpFlags::SYN),
        (wire.rst, TcpFlags::RST),
        (wire.psh, TcpFlags::PSH),
        (wire.ack, TcpFlags::ACK),
        (wire.urg, TcpFlags::URG),
        (wire.ece, TcpFlags::ECE),
        (wire.cwr, TcpFlags::CWR),
        (wire.ns, TcpFlags::NS),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .fold(TcpFlags::default(), |all, (_, flag)| all.union(flag))
}

fn endpoint(wire: wire::Endpoint) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        id: wire.id,
        identity: Identity(wire.identity),
        cluster_name: wire.cluster_name,
        namespace: wire.namespace,
        labels: wire.labels,
        pod_name: wire.pod_name,
        workloads: wire.workloads.into_iter().map(workload).collect(),
    })
}

pub(super) fn workload(wire: wire::Workload) -> Workload {
    Workload { name: wire.name, kind: wire.kind }
}

fn service(wire: wire::Service) -> Arc<Service> {
    Arc::new(Service { name: wire.name, namespace: wire.namespace })
}

fn policies(wire: Vec<wire::Policy>) -> Vec<Arc<Policy>> {
    wire.into_iter()
        .map(|p| {
            Arc::new(Policy {
                name: p.name,
                namespace: p.namespace,
                labels: p.labels,
                revision: p.revision,
                kind: p.kind,
            })
        })
        .collect()
}

#[expect(deprecated, reason = "Kafka records are deprecated, but agents still send them")]
fn l7(wire: wire::Layer7) -> L7 {
    use wire::layer7::Record;
    let record = match wire.record {
        None => L7Record::None,
        Some(Record::Dns(dns)) => L7Record::Dns(Dns {
            query: dns.query,
            ips: dns.ips,
            ttl_seconds: dns.ttl,
            cnames: dns.cnames,
            observation_source: dns.observation_source,
            rcode: dns.rcode,
            qtypes: dns.qtypes,
            rrtypes: dns.rrtypes,
        }),
        Some(Record::Http(http)) => L7Record::Http(Http {
            code: http.code,
            method: http.method,
            url: http.url,
            protocol: http.protocol,
            headers: http.headers.into_iter().map(|h| (h.key, h.value)).collect(),
        }),
        Some(Record::Kafka(kafka)) => L7Record::Kafka(Kafka {
            error_code: kafka.error_code,
            api_version: kafka.api_version,
            api_key: kafka.api_key,
            correlation_id: kafka.correlation_id,
            topic: kafka.topic,
        }),
    };
    L7 { kind: L7FlowType(wire.r#type), latency_ns: wire.latency_ns, record }
}
