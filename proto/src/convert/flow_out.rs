//! A flow on its way to the wire.

use std::sync::Arc;

use flow::{Flow, Ip, L4, L7, L7Record, TcpFlags, Tunnel};

use super::{Details, details, time_to_wire};
use crate::{flow as wire, residue};

/// A flow on the wire. The deprecated fields that old clients read (`reply`, `drop_reason`) are filled in.
#[must_use]
#[expect(deprecated, reason = "old clients read the deprecated fields")]
pub fn flow_to_wire(flow: &Flow, details: Details) -> wire::Flow {
    wire::Flow {
        time: Some(time_to_wire(flow.time)),
        uuid: flow.id.to_string(),
        emitter: flow.emitter.as_deref().map(|e| wire::Emitter { name: e.name.clone(), version: e.version.clone() }),
        verdict: flow.verdict.0,
        drop_reason: u32::try_from(flow.drop_reason.0).unwrap_or(0),
        auth_type: flow.auth_type.0,
        ethernet: flow
            .ethernet
            .map(|e| wire::Ethernet { source: e.source.to_string(), destination: e.destination.to_string() }),
        ip: flow.ip.as_ref().map(ip),
        l4: flow.l4.as_ref().map(l4),
        tunnel: flow.tunnel.as_deref().map(|t| Box::new(tunnel(t))),
        source: flow.source.as_deref().map(endpoint),
        destination: flow.destination.as_deref().map(endpoint),
        r#type: flow.kind.0,
        node_name: flow.node_name.to_string(),
        node_labels: flow.node_labels.to_vec(),
        source_names: flow.source_names.clone(),
        destination_names: flow.destination_names.clone(),
        l7: flow.l7.as_deref().map(|record| Box::new(l7(record))),
        reply: flow.is_reply == Some(true),
        event_type: flow.event_type.map(|e| wire::CiliumEventType { r#type: e.kind, sub_type: e.sub_kind }),
        source_service: flow.source_service.as_deref().map(service),
        destination_service: flow.destination_service.as_deref().map(service),
        traffic_direction: flow.traffic_direction.0,
        policy_match_type: flow.policy_match_type,
        trace_observation_point: flow.trace_point.0,
        trace_reason: flow.trace_reason.0,
        file: flow.file.as_deref().map(|f| wire::FileInfo { name: f.name.clone(), line: f.line }),
        ip_trace_id: flow.ip_trace_id.map(|t| wire::IpTraceId { trace_id: t.trace_id, ip_option_type: t.option_type }),
        drop_reason_desc: flow.drop_reason.0,
        is_reply: flow.is_reply,
        debug_capture_point: flow.debug_capture_point.0,
        interface: flow.interface.as_ref().map(|i| wire::NetworkInterface { index: i.index, name: i.name.to_string() }),
        proxy_port: flow.proxy_port,
        trace_context: (!flow.trace_id.is_empty())
            .then(|| wire::TraceContext { parent: Some(wire::TraceParent { trace_id: flow.trace_id.clone() }) }),
        sock_xlate_point: flow.sock_xlate_point.0,
        socket_cookie: flow.socket_cookie,
        cgroup_id: flow.cgroup_id,
        summary: flow.summary.clone(),
        extensions: extension_to_wire(flow, details),
        egress_allowed_by: policies(&flow.egress_allowed_by),
        ingress_allowed_by: policies(&flow.ingress_allowed_by),
        egress_denied_by: policies(&flow.egress_denied_by),
        ingress_denied_by: policies(&flow.ingress_denied_by),
        policy_log: flow.policy_log.clone(),
        aggregate: flow.aggregate.map(|[ingress, egress, unknown]| wire::Aggregate {
            ingress_flow_count: ingress,
            egress_flow_count: egress,
            unknown_direction_flow_count: unknown,
        }),
    }
}

/// There is one place for extensions: our details where they are asked for, else what another program put there.
pub(crate) fn extension_to_wire(flow: &Flow, details: Details) -> Option<prost_types::Any> {
    match (&flow.details, details) {
        (Some(d), Details::Send) => Some(details::pack(d)),
        _ => flow.extension.as_deref().and_then(residue::extension_of),
    }
}

fn ip(ip: &Ip) -> wire::Ip {
    wire::Ip {
        source: ip.source.to_string(),
        source_xlated: ip.source_xlated.map(|a| a.to_string()).unwrap_or_default(),
        destination: ip.destination.to_string(),
        ip_version: ip.version().0,
        encrypted: ip.encrypted,
    }
}

fn l4(l4: &L4) -> wire::Layer4 {
    use wire::layer4::Protocol;
    let protocol = match *l4 {
        L4::Tcp { source_port, destination_port, flags } => Protocol::Tcp(wire::Tcp {
            source_port: source_port.into(),
            destination_port: destination_port.into(),
            flags: flags.map(tcp_flags),
        }),
        L4::Udp { source_port, destination_port } => {
            Protocol::Udp(wire::Udp { source_port: source_port.into(), destination_port: destination_port.into() })
        }
        L4::Sctp { source_port, destination_port } => {
            Protocol::Sctp(wire::Sctp { source_port: source_port.into(), destination_port: destination_port.into() })
        }
        L4::Icmpv4 { kind, code } => Protocol::IcmPv4(wire::IcmPv4 { r#type: kind.into(), code: code.into() }),
        L4::Icmpv6 { kind, code } => Protocol::IcmPv6(wire::IcmPv6 { r#type: kind.into(), code: code.into() }),
        L4::Vrrp { kind, vrid, priority } => Protocol::Vrrp(wire::Vrrp { r#type: kind, vrid, priority }),
        L4::Igmp { kind, group } => Protocol::Igmp(wire::Igmp { r#type: kind, group_address: group.to_string() }),
    };
    wire::Layer4 { protocol: Some(protocol) }
}

pub(super) fn tcp_flags(flags: TcpFlags) -> wire::TcpFlags {
    let has = |flag| flags.contains(flag);
    wire::TcpFlags {
        fin: has(TcpFlags::FIN),
        syn: has(TcpFlags::SYN),
        rst: has(TcpFlags::RST),
        psh: has(TcpFlags::PSH),
        ack: has(TcpFlags::ACK),
        urg: has(TcpFlags::URG),
        ece: has(TcpFlags::ECE),
        cwr: has(TcpFlags::CWR),
        ns: has(TcpFlags::NS),
    }
}

fn tunnel(tunnel: &Tunnel) -> wire::Tunnel {
    wire::Tunnel {
        protocol: tunnel.protocol.0,
        ip: tunnel.ip.as_ref().map(ip),
        l4: tunnel.l4.as_ref().map(l4),
        vni: tunnel.vni,
    }
}

fn endpoint(endpoint: &flow::Endpoint) -> wire::Endpoint {
    wire::Endpoint {
        id: endpoint.id,
        identity: endpoint.identity.0,
        cluster_name: endpoint.cluster_name.clone(),
        namespace: endpoint.namespace.clone(),
        labels: endpoint.labels.clone(),
        pod_name: endpoint.pod_name.clone(),
        workloads: endpoint.workloads.iter().map(workload).collect(),
    }
}

pub(super) fn workload(workload: &flow::Workload) -> wire::Workload {
    wire::Workload { name: workload.name.clone(), kind: workload.kind.clone() }
}

fn service(service: &flow::Service) -> wire::Service {
    wire::Service { name: service.name.clone(), namespace: service.namespace.clone() }
}

fn policies(policies: &[Arc<flow::Policy>]) -> Vec<wire::Policy> {
    policies
        .iter()
        .map(|p| wire::Policy {
            name: p.name.clone(),
            namespace: p.namespace.clone(),
            labels: p.labels.clone(),
            revision: p.revision,
            kind: p.kind.clone(),
        })
        .collect()
}

#[expect(deprecated, reason = "Kafka records are deprecated, but agents still send them")]
fn l7(l7: &L7) -> wire::Layer7 {
    use wire::layer7::Record;
    let record = match &l7.record {
        L7Record::None => None,
        L7Record::Dns(dns) => Some(Record::Dns(wire::Dns {
            query: dns.query.clone(),
            ips: dns.ips.clone(),
            ttl: dns.ttl_seconds,
            cnames: dns.cnames.clone(),
            observation_source: dns.observation_source.clone(),
            rcode: dns.rcode,
            qtypes: dns.qtypes.clone(),
            rrtypes: dns.rrtypes.clone(),
        })),
        L7Record::Http(http) => Some(Record::Http(wire::Http {
            code: http.code,
            method: http.method.clone(),
            url: http.url.clone(),
            protocol: http.protocol.clone(),
            headers: http
                .headers
                .iter()
                .map(|(key, value)| wire::HttpHeader { key: key.clone(), value: value.clone() })
                .collect(),
        })),
        L7Record::Kafka(kafka) => Some(Record::Kafka(wire::Kafka {
            error_code: kafka.error_code,
            api_version: kafka.api_version,
            api_key: kafka.api_key.clone(),
            correlation_id: kafka.correlation_id,
            topic: kafka.topic.clone(),
        })),
    };
    wire::Layer7 { r#type: l7.kind.0, latency_ns: l7.latency_ns, record }
}
