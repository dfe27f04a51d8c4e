//! Flows as a cluster of 2,000 pods makes them, from a seed: 400 workloads in 40 namespaces on 100 nodes, pairs drawn by
//! Zipf's law, 20 % DNS, 25 % HTTP, 3 % drops, 10,000 flows a second that arrive up to 20 ms out of order.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use flow::{
    Dns, DropReason, Emitter, Endpoint, Ethernet, EventType, Flow, FlowDetails, FlowId, FlowPhase, FlowType, Http,
    Identity, Interface, Ip, KernelDrop, L4, L7, L7FlowType, L7Record, MacAddr, Process, TcpFlags, Timestamp,
    TraceObservationPoint, TraceReason, TrafficDirection, Verdict, Workload, event_type,
};

const PODS: usize = 2_000;
const WORKLOADS: usize = 400;
const NAMESPACES: usize = 40;
const NODES: usize = 100;
const PAIRS: usize = 20_000;
const NANOS_PER_FLOW: i64 = 100_000;

/// An endless stream of flows.
pub struct Traffic {
    state: u64,
    now: i64,
    pods: Vec<Pod>,
    nodes: Vec<Node>,
    pairs: Vec<Pair>,
    /// Sum of the weights of the pairs up to each.
    weights: Vec<f64>,
    emitter: Arc<Emitter>,
    drops: Vec<Arc<KernelDrop>>,
}

struct Pod {
    endpoint: Arc<Endpoint>,
    ip: IpAddr,
    mac: MacAddr,
    node: usize,
    interface: Interface,
    process: Arc<Process>,
}

struct Node {
    name: Arc<str>,
    labels: Arc<[String]>,
}

struct Pair {
    client: usize,
    server: usize,
    port: u16,
}

impl Traffic {
    pub fn new(seed: u64) -> Self {
        let mut traffic = Self {
            state: seed,
            now: 1_768_471_872_000_000_000,
            pods: (0..PODS).map(pod).collect(),
            nodes: (0..NODES).map(node).collect(),
            pairs: Vec::new(),
            weights: Vec::new(),
            emitter: Arc::new(Emitter { name: "Weir".to_owned(), version: "0.1.0".to_owned() }),
            drops: ["NETFILTER_DROP", "NO_SOCKET", "TCP_INVALID_SYN"]
                .map(|reason| {
                    Arc::new(KernelDrop {
                        reason: reason.to_owned(),
                        function: "nf_hook_slow".to_owned(),
                        netns: String::new(),
                    })
                })
                .to_vec(),
        };
        let mut sum = 0.0;
        for rank in 1..=PAIRS {
            let (client, server) = (traffic.below(PODS), traffic.below(PODS));
            let port = [80, 443, 5432, 6379, 8080, 9090][traffic.below(6)];
            traffic.pairs.push(Pair { client, server, port });
            sum += 1.0 / f64::from(u32::try_from(rank).expect("small"));
            traffic.weights.push(sum);
        }
        traffic
    }

    /// Names of a pod that talks much, one that talks some, and one that talks rarely.
    pub fn pods_by_traffic(&self) -> [String; 3] {
        [0, PAIRS / 100, PAIRS - 1].map(|pair| {
            let endpoint = &self.pods[self.pairs[pair].client].endpoint;
            format!("{}/{}", endpoint.namespace, endpoint.pod_name)
        })
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.random() % u64::try_from(n).expect("small")).expect("below n")
    }

    fn pair(&mut self) -> usize {
        let total = self.weights.last().copied().expect("there are pairs");
        let unit = f64::from(u32::try_from(self.random() >> 32).expect("32 bits")) / f64::from(u32::MAX);
        self.weights.partition_point(|weight| *weight < unit * total).min(PAIRS - 1)
    }

    /// The next flow.
    pub fn flow(&mut self) -> Flow {
        self.now += NANOS_PER_FLOW;
        let pair = self.pair();
        let is_reply = self.below(2) == 1;
        let conversation = pair * 8 + self.below(8);
        let mut flow = self.packet(pair, conversation, is_reply);
        match self.below(100) {
            0..20 => self.dns(&mut flow, is_reply),
            20..45 => self.http(&mut flow, is_reply),
            45..48 => self.drop(&mut flow),
            _ => {}
        }
        flow.summary = summary(&flow);
        flow
    }

    fn packet(&mut self, pair: usize, conversation: usize, is_reply: bool) -> Flow {
        let late = i64::try_from(self.below(20_000_000)).expect("small");
        let id = [self.random().to_le_bytes(), self.random().to_le_bytes()].concat().try_into().expect("16 bytes");
        let bytes = [66, 74, 1_514, 12_000, 590][self.below(5)] + u64::try_from(self.below(64)).expect("small");
        let rtt_us = 100 + u32::try_from(self.below(400)).expect("small");
        let flags = [TcpFlags(0x10), TcpFlags(0x18), TcpFlags(0x02), TcpFlags(0x11)][self.below(4)];
        let phase = [FlowPhase::New, FlowPhase::Update, FlowPhase::Update, FlowPhase::Close][self.below(4)];
        let at_client = self.below(2) == 0;
        let Pair { client, server, port } = self.pairs[pair];
        let client_port = 32_768 + u16::try_from(conversation % 28_000).expect("small");
        let (source, destination) = if is_reply { (server, client) } else { (client, server) };
        let (source_port, destination_port) = if is_reply { (port, client_port) } else { (client_port, port) };
        let (source, destination) = (&self.pods[source], &self.pods[destination]);
        let local = &self.pods[if at_client { client } else { server }];
        let node = &self.nodes[local.node];
        let leaves = at_client != is_reply;
        let point = if leaves { TraceObservationPoint::FROM_ENDPOINT } else { TraceObservationPoint::TO_ENDPOINT };
        Flow {
            time: Timestamp(self.now - late),
            id: FlowId::Uuid(id),
            emitter: Some(self.emitter.clone()),
            verdict: Verdict::FORWARDED,
            ethernet: Some(Ethernet { source: source.mac, destination: destination.mac }),
            ip: Some(Ip::new(source.ip, destination.ip)),
            l4: Some(L4::Tcp { source_port, destination_port, flags: Some(flags) }),
            source: Some(source.endpoint.clone()),
            destination: Some(destination.endpoint.clone()),
            kind: FlowType::L3_L4,
            node_name: node.name.clone(),
            node_labels: node.labels.clone(),
            event_type: Some(EventType { kind: event_type::TRACE, sub_kind: point.0 }),
            traffic_direction: if at_client { TrafficDirection::EGRESS } else { TrafficDirection::INGRESS },
            trace_point: point,
            trace_reason: if is_reply { TraceReason::REPLY } else { TraceReason::ESTABLISHED },
            is_reply: Some(is_reply),
            interface: Some(local.interface.clone()),
            socket_cookie: u64::try_from(conversation).expect("small") + 1_000_000,
            cgroup_id: u64::try_from(client).expect("small") + 5_000,
            details: Some(Box::new(FlowDetails {
                phase,
                bytes,
                packets: 1 + bytes / 1_514,
                conversation: u64::try_from(conversation).expect("small").wrapping_mul(0x9e37_79b9_7f4a_7c15),
                rtt_us,
                source_process: leaves.then(|| source.process.clone()),
                destination_process: (!leaves).then(|| destination.process.clone()),
                ..FlowDetails::default()
            })),
            ..Flow::default()
        }
    }

    fn dns(&mut self, flow: &mut Flow, is_reply: bool) {
        let name = format!("svc-{}.ns-{}.svc.cluster.local.", self.below(WORKLOADS), self.below(NAMESPACES));
        let failed = self.below(10) == 0;
        let ips = if is_reply && !failed { vec![address(self.below(PODS)).to_string()] } else { Vec::new() };
        let record = Dns {
            query: name,
            ttl_seconds: if is_reply { 30 } else { 0 },
            rcode: if is_reply && failed { 3 } else { 0 },
            rrtypes: if ips.is_empty() { Vec::new() } else { vec!["A".to_owned()] },
            ips,
            cnames: Vec::new(),
            observation_source: "wire".to_owned(),
            qtypes: vec!["A".to_owned()],
        };
        let latency_ns = if is_reply { 200_000 + self.random() % 4_000_000 } else { 0 };
        let (source_port, destination_port) = flow.l4.as_ref().and_then(L4::ports).unwrap_or_default();
        flow.l4 = Some(if is_reply {
            L4::Udp { source_port: 53, destination_port }
        } else {
            L4::Udp { source_port, destination_port: 53 }
        });
        application(flow, is_reply, latency_ns, L7Record::Dns(record));
    }

    fn http(&mut self, flow: &mut Flow, is_reply: bool) {
        let url = format!("http://svc-{}/api/v1/items/{}", self.below(WORKLOADS), self.below(50));
        let record = Http {
            code: if is_reply { [200, 200, 200, 201, 404, 503][self.below(6)] } else { 0 },
            method: ["GET", "GET", "POST"][self.below(3)].to_owned(),
            url,
            protocol: "HTTP/1.1".to_owned(),
            headers: Vec::new(),
        };
        let latency_ns = if is_reply { 500_000 + self.random() % 40_000_000 } else { 0 };
        application(flow, is_reply, latency_ns, L7Record::Http(record));
    }

    fn drop(&mut self, flow: &mut Flow) {
        flow.verdict = Verdict::DROPPED;
        flow.drop_reason = DropReason::POLICY_DENIED;
        flow.is_reply = None;
        flow.event_type = Some(EventType { kind: event_type::DROP, sub_kind: DropReason::POLICY_DENIED.0 });
        let drop = self.drops[self.below(3)].clone();
        if let Some(details) = &mut flow.details {
            details.kernel_drop = Some(drop);
        }
    }
}

fn application(flow: &mut Flow, is_reply: bool, latency_ns: u64, record: L7Record) {
    flow.kind = FlowType::L7;
    flow.event_type = Some(EventType { kind: event_type::L7, sub_kind: 0 });
    flow.trace_point = TraceObservationPoint::UNKNOWN_POINT;
    flow.trace_reason = TraceReason::TRACE_REASON_UNKNOWN;
    let kind = if is_reply { L7FlowType::RESPONSE } else { L7FlowType::REQUEST };
    flow.l7 = Some(Box::new(L7 { kind, latency_ns, record }));
    if let Some(details) = &mut flow.details {
        (details.bytes, details.packets, details.rtt_us) = (0, 0, 0);
    }
}

/// Near enough to what collectors write.
fn summary(flow: &Flow) -> String {
    match flow.l7.as_deref().map(|l7| (&l7.record, l7.kind, l7.latency_ns)) {
        Some((L7Record::Http(http), L7FlowType::RESPONSE, latency_ns)) => {
            format!("{} {} {}ms ({} {})", http.protocol, http.code, latency_ns / 1_000_000, http.method, http.url)
        }
        Some((L7Record::Http(http), ..)) => format!("{} {} {}", http.protocol, http.method, http.url),
        Some((L7Record::Dns(dns), L7FlowType::RESPONSE, _)) => {
            format!("DNS Answer {:?} TTL: {} (Wire {} A)", dns.ips.join(","), dns.ttl_seconds, dns.query)
        }
        Some((L7Record::Dns(dns), ..)) => format!("DNS Query {} A", dns.query),
        _ => {
            let flags = flow.l4.as_ref().and_then(L4::tcp_flags).unwrap_or_default();
            let drop = flow.details.as_ref().and_then(|d| d.kernel_drop.as_ref());
            drop.map_or_else(|| format!("TCP Flags: {flags}"), |d| format!("TCP Flags: {flags}; {}", d.reason))
        }
    }
}

fn pod(number: usize) -> Pod {
    let workload = number % WORKLOADS;
    let namespace = workload % NAMESPACES;
    let short = u32::try_from(number).expect("small");
    let [.., high, low] = short.to_be_bytes();
    let endpoint = Endpoint {
        id: short,
        identity: Identity(10_000 + u32::try_from(workload).expect("small")),
        cluster_name: String::new(),
        namespace: format!("ns-{namespace}"),
        labels: vec![
            format!("k8s:app=svc-{workload}"),
            format!("k8s:io.cilium.k8s.policy.serviceaccount=svc-{workload}"),
            format!("k8s:io.kubernetes.pod.namespace=ns-{namespace}"),
            format!("k8s:tier={}", ["front", "back", "data"][workload % 3]),
        ],
        pod_name: format!("svc-{workload}-7d9f8b6c5-{number:05x}"),
        workloads: vec![Workload { name: format!("svc-{workload}"), kind: "Deployment".to_owned() }],
    };
    Pod {
        endpoint: Arc::new(endpoint),
        ip: address(number),
        mac: MacAddr([0x0a, 0x58, 10, 0, high, low]),
        node: number % NODES,
        interface: Interface { index: short + 10, name: format!("lxc{number:08x}").into() },
        process: Arc::new(Process {
            pid: 20_000 + short,
            uid: 1_000,
            comm: format!("svc-{}", workload % 20),
            exe: format!("/app/svc-{}", workload % 20),
            cgroup: format!("/kubepods/burstable/pod{number:032x}"),
            unit: format!("{number:064x}"),
            netns: String::new(),
        }),
    }
}

fn address(pod: usize) -> IpAddr {
    let [.., high, low] = u32::try_from(pod).expect("small").to_be_bytes();
    Ipv4Addr::new(10, 1, high, low).into()
}

fn node(number: usize) -> Node {
    Node {
        name: format!("node-{number}").into(),
        labels: vec![
            format!("kubernetes.io/hostname=node-{number}"),
            format!("topology.kubernetes.io/zone=zone-{}", number % 3),
        ]
        .into(),
    }
}
