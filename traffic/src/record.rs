//! Flows of connections.

use std::sync::Arc;

use flow::{
    Dns, DropReason, Ethernet, EventType, Flow, FlowDetails, FlowId, FlowPhase, FlowType, Http, Ip, KernelDrop, L4, L7,
    L7FlowType, L7Record, Timestamp, TraceObservationPoint, TraceReason, TrafficDirection, Verdict, event_type,
};

use crate::cluster::{NODES, Node, WORKLOADS, namespace, route, workload_name};
use crate::connection::{Connection, Step};
use crate::dice::Dice;

/// Reasons of drops.
pub const DROP_REASONS: usize = DROPS.len();

/// Reasons, the commonest first: the kernel's, the function it names, and Hubble's.
const DROPS: [(&str, &str, DropReason); 12] = [
    ("NETFILTER_DROP", "nf_hook_slow", DropReason::POLICY_DENIED),
    ("NO_SOCKET", "tcp_v4_rcv", DropReason::SOCKET_LOOKUP_FAILED),
    ("TCP_INVALID_SYN", "tcp_v4_conn_request", DropReason::INVALID_PACKET_DROPPED),
    ("IP_OUTNOROUTES", "ip_queue_xmit", DropReason::FIB_LOOKUP_FAILED),
    ("NEIGH_FAILED", "neigh_probe", DropReason::LOCAL_HOST_IS_UNREACHABLE),
    ("TCP_OVERWINDOW", "tcp_validate_incoming", DropReason::INVALID_PACKET_DROPPED),
    ("SOCKET_RCVBUFF", "__udp_enqueue_schedule_skb", DropReason::SOCKET_ASSIGN_FAILED),
    ("UDP_CSUM", "udp_queue_rcv_one_skb", DropReason::ERROR_WHILE_CORRECTING_L4_CHECKSUM),
    ("IP_RPFILTER", "ip_route_input_slow", DropReason::INVALID_SOURCE_IP),
    ("QDISC_DROP", "__dev_queue_xmit", DropReason::REACHED_EDT_RATE_LIMITING_DROP_HORIZON),
    ("CPU_BACKLOG", "enqueue_to_backlog", DropReason::DROP_REASON_UNKNOWN),
    ("SOCKET_FILTER", "sk_filter_trim_cap", DropReason::POLICY_DENY),
];

/// The kernel's account of each reason.
pub(crate) fn kernel_drops() -> Vec<Arc<KernelDrop>> {
    let drop = |(reason, function, _): (&str, &str, DropReason)| {
        Arc::new(KernelDrop { reason: reason.to_owned(), function: function.to_owned(), netns: String::new() })
    };
    DROPS.into_iter().map(drop).collect()
}

/// Ids as collectors give them: microseconds, a number of the node's run, a count.
#[derive(Debug)]
pub(crate) struct Ids {
    runs: Vec<u64>,
    counts: Vec<u32>,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x1d5);
        Self { runs: (0..NODES).map(|_| dice.any()).collect(), counts: vec![0; NODES] }
    }

    /// Source: RFC 9562, section 5.8 (version 8).
    pub(crate) fn next(&mut self, time: Timestamp, node: &Node) -> FlowId {
        let count = &mut self.counts[node.number];
        *count = count.wrapping_add(1);
        let [.., m5, m4, m3, m2, m1, m0] = time.0.div_euclid(1_000).to_be_bytes();
        let [_, _, r5, r4, r3, r2, r1, r0] = self.runs[node.number].to_be_bytes();
        let [c3, c2, c1, c0] = count.to_be_bytes();
        FlowId::Uuid([m5, m4, m3, m2, m1, m0, 0x80 | (r5 & 0x0f), r4, 0x80 | (r3 & 0x3f), r2, r1, r0, c3, c2, c1, c0])
    }
}

/// A packet of a connection.
pub(crate) fn packet(connection: &Connection, step: &Step, dice: &mut Dice) -> Flow {
    let Connection { client, server, client_port, server_port, .. } = connection;
    let (source, destination) = if step.is_reply { (server, client) } else { (client, server) };
    let (source_port, destination_port) =
        if step.is_reply { (*server_port, *client_port) } else { (*client_port, *server_port) };
    let local = if step.at_client { client } else { server };
    let leaves = step.at_client != step.is_reply;
    let point = if leaves { TraceObservationPoint::FROM_ENDPOINT } else { TraceObservationPoint::TO_ENDPOINT };
    let bytes = if step.phase == FlowPhase::Update {
        dice.one_of(&[66, 590, 1_514, 12_000, 48_000]) + dice.wide(64)
    } else {
        66 + dice.wide(16)
    };
    Flow {
        verdict: Verdict::FORWARDED,
        ethernet: Some(Ethernet { source: source.mac, destination: destination.mac }),
        ip: Some(Ip::new(source.ip, destination.ip)),
        l4: Some(L4::Tcp { source_port, destination_port, flags: Some(step.flags) }),
        source: Some(source.endpoint.clone()),
        destination: Some(destination.endpoint.clone()),
        source_names: source.names.clone(),
        destination_names: destination.names.clone(),
        source_service: if step.is_reply { source.service.clone() } else { None },
        destination_service: if step.is_reply { None } else { destination.service.clone() },
        kind: FlowType::L3_L4,
        node_name: local.node.name.clone(),
        node_labels: local.node.labels.clone(),
        event_type: Some(EventType { kind: event_type::TRACE, sub_kind: point.0 }),
        traffic_direction: if step.at_client { TrafficDirection::EGRESS } else { TrafficDirection::INGRESS },
        trace_point: point,
        trace_reason: match step.phase {
            FlowPhase::New => TraceReason::NEW,
            _ if step.is_reply => TraceReason::REPLY,
            _ => TraceReason::ESTABLISHED,
        },
        is_reply: Some(step.is_reply),
        interface: Some(local.interface.clone()),
        socket_cookie: 1 + (connection.number >> 40),
        cgroup_id: 5_000 + u64::from(local.endpoint.id),
        details: Some(Box::new(FlowDetails {
            phase: step.phase,
            bytes,
            packets: 1 + bytes / 1_514,
            conversation: connection.number,
            rtt_us: if step.is_reply { 100 + u32::try_from(dice.below(400)).expect("small") } else { 0 },
            retransmits: u32::from(dice.below(200) == 0),
            source_process: if leaves { source.process.clone() } else { None },
            destination_process: if leaves { None } else { destination.process.clone() },
            ..FlowDetails::default()
        })),
        ..Flow::default()
    }
}

/// Makes it a DNS query or its answer.
pub(crate) fn dns(flow: &mut Flow, connection: &Connection, step: &Step, dice: &mut Dice) {
    let subject = connection.subject;
    // One name in ten does not exist: the search list of a pod makes such names, always the same for a workload.
    let missing = subject.is_multiple_of(10);
    let workload = 1 + subject % (WORKLOADS - 1);
    let query = match subject % 4 {
        _ if missing => {
            format!(
                "{}.example.com.{}.svc.cluster.local.",
                workload_name(workload),
                namespace(connection.client.workload)
            )
        }
        0 => format!("{}-{}.example.com.", workload_name(workload), workload % 7),
        _ => format!("{}.{}.svc.cluster.local.", workload_name(workload), namespace(workload)),
    };
    let rcode = match (step.is_reply, missing, subject % 500) {
        (false, ..) => 0,
        (true, _, 7) => 2,
        (true, true, _) => 3,
        (true, false, _) => 0,
    };
    let found = step.is_reply && rcode == 0;
    let [.., high, low] = u32::try_from(workload).expect("few workloads").to_be_bytes();
    let record = Dns {
        ttl_seconds: if found { 30 } else { 0 },
        rcode,
        rrtypes: if found { vec!["A".to_owned()] } else { Vec::new() },
        ips: if found { vec![format!("10.96.{high}.{low}")] } else { Vec::new() },
        cnames: Vec::new(),
        observation_source: "wire".to_owned(),
        qtypes: vec![if subject.is_multiple_of(2) { "A" } else { "AAAA" }.to_owned()],
        query,
    };
    let latency_ns = if step.is_reply { dice.latency_ns(600_000) } else { 0 };
    let (source_port, destination_port) = flow.l4.as_ref().and_then(L4::ports).unwrap_or_default();
    flow.l4 = Some(L4::Udp { source_port, destination_port });
    application(flow, step, latency_ns, L7Record::Dns(record));
}

/// Makes it an HTTP request or its response.
pub(crate) fn http(flow: &mut Flow, connection: &Connection, step: &Step, dice: &mut Dice) {
    let server = connection.server.workload;
    let subject = connection.subject;
    let url = format!("http://{}.{}:8080{}", workload_name(server), namespace(server), route(server, subject));
    let code = match subject % 200 {
        0 => 503,
        1 => 500,
        2..6 => 404,
        6..8 => 401,
        8..30 => 201,
        _ => 200,
    };
    let record = Http {
        code: if step.is_reply { code } else { 0 },
        method: if subject.is_multiple_of(4) { "POST" } else { "GET" }.to_owned(),
        url,
        protocol: "HTTP/1.1".to_owned(),
        headers: Vec::new(),
    };
    let typical_ns = 1_000_000 * (1 + u32::try_from(server % 40).expect("small"));
    let latency_ns = if step.is_reply { dice.latency_ns(typical_ns) } else { 0 };
    // One request in three is traced.
    if subject.is_multiple_of(3) {
        flow.trace_id = format!("{:016x}{:016x}", connection.number, Dice::new(subject as u64).any());
    }
    application(flow, step, latency_ns, L7Record::Http(record));
}

/// Makes it a drop, for the reason of this rank.
pub(crate) fn drop(flow: &mut Flow, rank: usize, kernel_drop: &Arc<KernelDrop>) {
    let (.., reason) = DROPS[rank];
    flow.verdict = Verdict::DROPPED;
    flow.drop_reason = reason;
    flow.is_reply = None;
    flow.trace_point = TraceObservationPoint::UNKNOWN_POINT;
    flow.trace_reason = TraceReason::TRACE_REASON_UNKNOWN;
    flow.event_type = Some(EventType { kind: event_type::DROP, sub_kind: reason.0 });
    if let Some(details) = &mut flow.details {
        details.kernel_drop = Some(kernel_drop.clone());
    }
}

fn application(flow: &mut Flow, step: &Step, latency_ns: u64, record: L7Record) {
    flow.kind = FlowType::L7;
    flow.event_type = Some(EventType { kind: event_type::L7, sub_kind: 0 });
    flow.trace_point = TraceObservationPoint::UNKNOWN_POINT;
    flow.trace_reason = TraceReason::TRACE_REASON_UNKNOWN;
    let kind = if step.is_reply { L7FlowType::RESPONSE } else { L7FlowType::REQUEST };
    flow.l7 = Some(Box::new(L7 { kind, latency_ns, record }));
    if let Some(details) = &mut flow.details {
        (details.bytes, details.packets, details.rtt_us, details.retransmits) = (0, 0, 0, 0);
    }
}
