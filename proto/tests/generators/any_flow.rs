//! Flows and filters of any content.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{
    AuthType, DebugCapturePoint, Dns, DropReason, Emitter, Endpoint, Ethernet, EventType, FileInfo, Flow, FlowDetails,
    FlowFilter, FlowId, FlowPhase, FlowType, ForeignExtension, Http, Identity, Interface, Ip, IpTraceId, IpVersion,
    Kafka, KernelDrop, L4, L7, L7FlowType, L7Record, MacAddr, Policy, Process, Service, SocketTranslationPoint,
    TcpFlags, Timestamp, TraceObservationPoint, TraceReason, TrafficDirection, Tunnel, TunnelProtocol, Verdict,
    Workload,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z0-9./:=-]{1,12}", "\\PC{0,6}"]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..3)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (any::<u32>(), any::<u32>(), text(), text(), texts(), text(), vec(workload(), 0..3)).prop_map(
        |(id, identity, cluster_name, namespace, labels, pod_name, workloads)| Endpoint {
            id,
            identity: Identity(identity),
            cluster_name,
            namespace,
            labels,
            pod_name,
            workloads,
        },
    )
}

fn workload() -> impl Strategy<Value = Workload> {
    (text(), text()).prop_map(|(name, kind)| Workload { name, kind })
}

fn service() -> impl Strategy<Value = Service> {
    (text(), text()).prop_map(|(name, namespace)| Service { name, namespace })
}

fn ip() -> impl Strategy<Value = Ip> {
    (any::<IpAddr>(), any::<IpAddr>(), option::of(any::<IpAddr>()), any::<bool>()).prop_map(
        |(source, destination, source_xlated, encrypted)| Ip { source, destination, source_xlated, encrypted },
    )
}

fn tcp_flags() -> impl Strategy<Value = TcpFlags> {
    (0..512_u16).prop_map(TcpFlags)
}

fn l4() -> impl Strategy<Value = L4> {
    let ports = || (any::<u16>(), any::<u16>());
    prop_oneof![
        (ports(), option::of(tcp_flags())).prop_map(|((source_port, destination_port), flags)| L4::Tcp {
            source_port,
            destination_port,
            flags
        }),
        ports().prop_map(|(source_port, destination_port)| L4::Udp { source_port, destination_port }),
        ports().prop_map(|(source_port, destination_port)| L4::Sctp { source_port, destination_port }),
        any::<(u8, u8)>().prop_map(|(kind, code)| L4::Icmpv4 { kind, code }),
        any::<(u8, u8)>().prop_map(|(kind, code)| L4::Icmpv6 { kind, code }),
        any::<(u32, u32, u32)>().prop_map(|(kind, vrid, priority)| L4::Vrrp { kind, vrid, priority }),
        (any::<u32>(), any::<IpAddr>()).prop_map(|(kind, group)| L4::Igmp { kind, group }),
    ]
}

fn tunnel() -> impl Strategy<Value = Tunnel> {
    (any::<i32>(), option::of(ip()), option::of(l4()), any::<u32>()).prop_map(|(protocol, ip, l4, vni)| Tunnel {
        protocol: TunnelProtocol(protocol),
        ip,
        l4,
        vni,
    })
}

fn record() -> impl Strategy<Value = L7Record> {
    let dns = (text(), texts(), any::<u32>(), texts(), text(), any::<u32>(), texts(), texts()).prop_map(
        |(query, ips, ttl_seconds, cnames, observation_source, rcode, qtypes, rrtypes)| {
            L7Record::Dns(Dns { query, ips, ttl_seconds, cnames, observation_source, rcode, qtypes, rrtypes })
        },
    );
    let http = (any::<u32>(), text(), text(), text(), vec((text(), text()), 0..3)).prop_map(
        |(code, method, url, protocol, headers)| L7Record::Http(Http { code, method, url, protocol, headers }),
    );
    let kafka = (any::<i32>(), any::<i32>(), text(), any::<i32>(), text()).prop_map(
        |(error_code, api_version, api_key, correlation_id, topic)| {
            L7Record::Kafka(Kafka { error_code, api_version, api_key, correlation_id, topic })
        },
    );
    prop_oneof![Just(L7Record::None), dns, http, kafka]
}

fn l7() -> impl Strategy<Value = L7> {
    (any::<i32>(), any::<u64>(), record()).prop_map(|(kind, latency_ns, record)| L7 {
        kind: L7FlowType(kind),
        latency_ns,
        record,
    })
}

fn policies() -> impl Strategy<Value = Vec<Arc<Policy>>> {
    let policy =
        (text(), text(), texts(), any::<u64>(), text()).prop_map(|(name, namespace, labels, revision, kind)| {
            Arc::new(Policy { name, namespace, labels, revision, kind })
        });
    vec(policy, 0..3)
}

fn process() -> impl Strategy<Value = Arc<Process>> {
    (any::<u32>(), any::<u32>(), text(), text(), text(), text(), text()).prop_map(
        |(pid, uid, comm, exe, cgroup, unit, netns)| Arc::new(Process { pid, uid, comm, exe, cgroup, unit, netns }),
    )
}

fn details() -> impl Strategy<Value = FlowDetails> {
    let numbers = (0..4, any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<u16>());
    let drop =
        (text(), text(), text()).prop_map(|(reason, function, netns)| Arc::new(KernelDrop { reason, function, netns }));
    (numbers, option::of(process()), option::of(process()), option::of(drop)).prop_map(
        |(
            (phase, bytes, packets, conversation, rtt_us, retransmits, vlan),
            source_process,
            destination_process,
            kernel_drop,
        )| {
            FlowDetails {
                phase: FlowPhase::from_number(phase),
                bytes,
                packets,
                conversation,
                rtt_us,
                retransmits,
                vlan,
                source_process,
                destination_process,
                kernel_drop,
            }
        },
    )
}

fn id() -> impl Strategy<Value = FlowId> {
    prop_oneof![any::<[u8; 16]>().prop_map(FlowId::Uuid), text().prop_map(|text| FlowId::parse(&text))]
}

fn head() -> impl Strategy<Value = Flow> {
    let numbers = any::<(i64, i32, i32, i32, i32)>();
    let emitter = option::of((text(), text()).prop_map(|(name, version)| Arc::new(Emitter { name, version })));
    let ethernet = option::of(
        any::<([u8; 6], [u8; 6])>()
            .prop_map(|(source, destination)| Ethernet { source: MacAddr(source), destination: MacAddr(destination) }),
    );
    (numbers, id(), emitter, ethernet, option::of(ip()), option::of(l4()), option::of(tunnel())).prop_map(
        |((time, verdict, drop_reason, auth_type, kind), id, emitter, ethernet, ip, l4, tunnel)| Flow {
            time: Timestamp(time),
            id,
            emitter,
            verdict: Verdict(verdict),
            drop_reason: DropReason(drop_reason),
            auth_type: AuthType(auth_type),
            kind: FlowType(kind),
            ethernet,
            ip,
            l4,
            tunnel: tunnel.map(Box::new),
            ..Flow::default()
        },
    )
}

fn names() -> impl Strategy<Value = Flow> {
    let side = || (option::of(endpoint()), texts(), option::of(service()));
    (side(), side(), text(), texts(), option::of(l7()), text()).prop_map(
        |(source, destination, node_name, node_labels, l7, summary)| Flow {
            source: source.0.map(Arc::new),
            source_names: source.1,
            source_service: source.2.map(Arc::new),
            destination: destination.0.map(Arc::new),
            destination_names: destination.1,
            destination_service: destination.2.map(Arc::new),
            node_name: node_name.into(),
            node_labels: node_labels.into(),
            l7: l7.map(Box::new),
            summary,
            ..Flow::default()
        },
    )
}

fn datapath() -> impl Strategy<Value = Flow> {
    let points = any::<(i32, i32, i32, i32, i32)>();
    let numbers = any::<(u32, u32, u64, u64)>();
    let event = option::of(any::<(i32, i32)>().prop_map(|(kind, sub_kind)| EventType { kind, sub_kind }));
    let file = option::of((text(), any::<u32>()).prop_map(|(name, line)| Arc::new(FileInfo { name, line })));
    let trace = option::of(any::<(u64, u32)>().prop_map(|(trace_id, option_type)| IpTraceId { trace_id, option_type }));
    (points, numbers, event, file, trace, any::<Option<bool>>(), option::of(interface()), text()).prop_map(
        |(points, numbers, event_type, file, ip_trace_id, is_reply, interface, trace_id)| Flow {
            traffic_direction: TrafficDirection(points.0),
            trace_point: TraceObservationPoint(points.1),
            trace_reason: TraceReason(points.2),
            debug_capture_point: DebugCapturePoint(points.3),
            sock_xlate_point: SocketTranslationPoint(points.4),
            policy_match_type: numbers.0,
            proxy_port: numbers.1,
            socket_cookie: numbers.2,
            cgroup_id: numbers.3,
            event_type,
            file,
            ip_trace_id,
            is_reply,
            interface,
            trace_id,
            ..Flow::default()
        },
    )
}

fn interface() -> impl Strategy<Value = Interface> {
    (any::<u32>(), text()).prop_map(|(index, name)| Interface { index, name: name.into() })
}

fn tail() -> impl Strategy<Value = Flow> {
    let policies = (policies(), policies(), policies(), policies(), texts());
    let foreign = (text(), vec(any::<u8>(), 0..8)).prop_map(|(type_url, value)| Flow {
        extension: Some(Box::new(ForeignExtension { type_url, value })),
        ..Flow::default()
    });
    let ours = details().prop_map(|d| Flow { details: Some(Box::new(d)), ..Flow::default() });
    let extension = prop_oneof![Just(Flow::default()), foreign, ours];
    (policies, any::<Option<[u32; 3]>>(), extension).prop_map(|(policies, aggregate, extension)| Flow {
        egress_allowed_by: policies.0,
        ingress_allowed_by: policies.1,
        egress_denied_by: policies.2,
        ingress_denied_by: policies.3,
        policy_log: policies.4,
        aggregate,
        ..extension
    })
}

/// A flow with any content that has a place on the wire: its details or a foreign extension, not both.
pub(crate) fn flow() -> impl Strategy<Value = Flow> {
    (head(), names(), datapath(), tail()).prop_map(|(head, names, datapath, tail)| Flow {
        source: names.source,
        destination: names.destination,
        node_name: names.node_name,
        node_labels: names.node_labels,
        source_names: names.source_names,
        destination_names: names.destination_names,
        l7: names.l7,
        source_service: names.source_service,
        destination_service: names.destination_service,
        summary: names.summary,
        event_type: datapath.event_type,
        traffic_direction: datapath.traffic_direction,
        policy_match_type: datapath.policy_match_type,
        trace_point: datapath.trace_point,
        trace_reason: datapath.trace_reason,
        file: datapath.file,
        ip_trace_id: datapath.ip_trace_id,
        is_reply: datapath.is_reply,
        debug_capture_point: datapath.debug_capture_point,
        interface: datapath.interface,
        proxy_port: datapath.proxy_port,
        trace_id: datapath.trace_id,
        sock_xlate_point: datapath.sock_xlate_point,
        socket_cookie: datapath.socket_cookie,
        cgroup_id: datapath.cgroup_id,
        egress_allowed_by: tail.egress_allowed_by,
        ingress_allowed_by: tail.ingress_allowed_by,
        egress_denied_by: tail.egress_denied_by,
        ingress_denied_by: tail.ingress_denied_by,
        policy_log: tail.policy_log,
        aggregate: tail.aggregate,
        details: tail.details,
        extension: tail.extension,
        ..head
    })
}

fn sided_filter() -> impl Strategy<Value = FlowFilter> {
    let numbers = (vec(any::<u32>(), 0..3), vec(workload(), 0..3));
    (texts(), texts(), texts(), texts(), texts(), texts(), texts(), numbers).prop_map(
        |(ip, pod, fqdn, label, service, cluster, port, (identity, workload))| FlowFilter {
            source_ip: ip.clone(),
            destination_ip: ip,
            source_pod: pod.clone(),
            destination_pod: pod,
            source_fqdn: fqdn.clone(),
            destination_fqdn: fqdn,
            source_label: label.clone(),
            destination_label: label,
            source_service: service.clone(),
            destination_service: service,
            source_cluster_name: cluster.clone(),
            destination_cluster_name: cluster,
            source_port: port.clone(),
            destination_port: port,
            source_identity: identity.iter().copied().map(Identity).collect(),
            destination_identity: identity.into_iter().map(Identity).collect(),
            source_workload: workload.clone(),
            destination_workload: workload,
            ..FlowFilter::default()
        },
    )
}

fn plain_filter() -> impl Strategy<Value = FlowFilter> {
    let numbers = (vec(any::<i32>(), 0..3), vec(any::<i32>(), 0..3), vec(any::<i32>(), 0..3), vec(any::<u64>(), 0..3));
    let events = vec(any::<(i32, Option<i32>)>(), 0..3);
    let http = (texts(), texts(), texts(), texts(), vec((text(), text()), 0..3));
    let bools = (vec(any::<bool>(), 0..3), vec(any::<bool>(), 0..3));
    let devices = (vec(interface(), 0..3), vec(tcp_flags(), 0..3));
    let nodes = (texts(), texts(), texts(), texts());
    (numbers, events, http, bools, devices, nodes, (texts(), texts(), texts())).prop_map(
        |(numbers, event_type, http, bools, devices, nodes, rest)| FlowFilter {
            verdict: numbers.0.into_iter().map(Verdict).collect(),
            drop_reason: numbers.1.iter().copied().map(DropReason).collect(),
            traffic_direction: numbers.1.into_iter().map(TrafficDirection).collect(),
            ip_version: numbers.2.into_iter().map(IpVersion).collect(),
            ip_trace_id: numbers.3,
            event_type,
            http_status_code: http.0,
            http_method: http.1,
            http_path: http.2,
            http_url: http.3,
            http_header: http.4,
            reply: bools.0,
            encrypted: bools.1,
            interface: devices.0,
            tcp_flags: devices.1,
            node_name: nodes.0,
            node_labels: nodes.1,
            trace_id: nodes.2,
            uuid: nodes.3,
            protocol: rest.0,
            dns_query: rest.1,
            cel_expression: rest.2,
            ..FlowFilter::default()
        },
    )
}

/// A filter of any content, well-formed or not.
pub(crate) fn filter() -> impl Strategy<Value = FlowFilter> {
    (sided_filter(), plain_filter(), texts()).prop_map(|(sided, plain, xlated)| FlowFilter {
        source_ip_xlated: xlated,
        verdict: plain.verdict,
        drop_reason: plain.drop_reason,
        traffic_direction: plain.traffic_direction,
        ip_version: plain.ip_version,
        ip_trace_id: plain.ip_trace_id,
        event_type: plain.event_type,
        http_status_code: plain.http_status_code,
        http_method: plain.http_method,
        http_path: plain.http_path,
        http_url: plain.http_url,
        http_header: plain.http_header,
        reply: plain.reply,
        encrypted: plain.encrypted,
        interface: plain.interface,
        tcp_flags: plain.tcp_flags,
        node_name: plain.node_name,
        node_labels: plain.node_labels,
        trace_id: plain.trace_id,
        uuid: plain.uuid,
        protocol: plain.protocol,
        dns_query: plain.dns_query,
        cel_expression: plain.cel_expression,
        ..sided
    })
}
