//! Random flows and filters that use every field, with values that meet often.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use flow::*;

/// A small generator of random numbers; the same seed gives the same flows for ever.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())].clone()
    }

    pub(crate) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.one_in(3) { None } else { Some(make(self)) }
    }

    pub(crate) fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn u32(&mut self) -> u32 {
        if self.one_in(2) { self.pick(&[0, 1, u32::MAX]) } else { u32::try_from(self.next() >> 32).unwrap() }
    }

    fn i32(&mut self) -> i32 {
        self.u32().cast_signed()
    }

    fn u64(&mut self) -> u64 {
        if self.one_in(2) { self.pick(&[0, 1, u64::MAX]) } else { self.next() }
    }

    fn u16(&mut self) -> u16 {
        if self.one_in(2) { self.pick(&[0, 53, 80, 443, u16::MAX]) } else { u16::try_from(self.next() >> 48).unwrap() }
    }

    fn u8(&mut self) -> u8 {
        u8::try_from(self.next() >> 56).unwrap()
    }

    /// Text with what JSON has to escape in it.
    fn text(&mut self) -> String {
        self.pick(&["", "a", "shop", "x,y", "\"q\"", "back\\slash", "li\nne", "\u{0}", "é🦀", "[]", "null"]).to_owned()
    }
}

/// A number of an enumeration: known, or unknown to this version.
macro_rules! number {
    ($random:expr, $kind:ident) => {
        if $random.one_in(8) { $kind($random.i32()) } else { $random.pick($kind::ALL) }
    };
}

pub(crate) const NAMESPACES: [&str; 4] = ["", "default", "shop", "kube-system"];
pub(crate) const PODS: [&str; 5] = ["", "api-1", "api-2", "web-7f", "db"];
pub(crate) const WORKLOADS: [&str; 4] = ["", "api", "web", "db"];
pub(crate) const LABELS: [&str; 6] =
    ["k8s:app=api", "k8s:app=web", "k8s:tier=front", "reserved:world", "k8s:odd=a\"b\\c", "k8s:empty="];
pub(crate) const NAMES: [&str; 4] = ["example.com", "api.shop.svc.cluster.local", "x_y.example.com", "Example.COM."];
pub(crate) const NODES: [&str; 4] = ["", "node-1", "node-2", "east/node-1"];
pub(crate) const URLS: [&str; 5] =
    ["", "http://shop/cart?id=1", "/cart", "http://[::1]:80/a%20b", "not a url at all\u{7f}"];
pub(crate) const QUERIES: [&str; 3] = ["example.com.", "api.shop.svc.cluster.local.", ""];
pub(crate) const TRACES: [&str; 3] = ["", "4bf92f3577b34da6a3ce929d0e0e4736", "other"];
pub(crate) const INTERFACES: [&str; 3] = ["", "eth0", "lxc1"];

pub(crate) fn ips() -> [IpAddr; 6] {
    [
        Ipv4Addr::new(10, 0, 0, 1).into(),
        Ipv4Addr::new(10, 1, 2, 3).into(),
        Ipv4Addr::new(192, 168, 1, 1).into(),
        Ipv6Addr::LOCALHOST.into(),
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7).into(),
        Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().into(),
    ]
}

pub(crate) fn uuids() -> [FlowId; 4] {
    [FlowId::None, FlowId::Uuid([0; 16]), FlowId::Uuid([7; 16]), FlowId::Text("flow-1".into())]
}

/// One flow drawn from a seed, every field filled now and then.
pub(crate) fn flow(seed: u64) -> Flow {
    let r = &mut Random::new(seed);
    let mut flow = Flow {
        time: Timestamp(match r.below(5) {
            0 => -i64::try_from(r.next() >> 8).unwrap(),
            1 => 0,
            _ => 1_768_471_872_000_000_000 + i64::try_from(r.next() >> 24).unwrap(),
        }),
        id: if r.one_in(3) {
            FlowId::Uuid(r.next().to_le_bytes().repeat(2).try_into().unwrap())
        } else {
            r.pick(&uuids())
        },
        emitter: r.maybe(|r| Arc::new(Emitter { name: r.text(), version: r.text() })),
        verdict: number!(r, Verdict),
        drop_reason: number!(r, DropReason),
        auth_type: number!(r, AuthType),
        ethernet: r.maybe(|r| Ethernet { source: mac(r), destination: mac(r) }),
        ip: r.maybe(ip),
        l4: r.maybe(l4),
        tunnel: r.one_in(4).then(|| tunnel(r)),
        source: r.maybe(|r| Arc::new(endpoint(r))),
        destination: r.maybe(|r| Arc::new(endpoint(r))),
        kind: number!(r, FlowType),
        node_name: r.pick(&NODES).into(),
        node_labels: labels(r).into(),
        source_names: r.some(2, |r| r.pick(&NAMES).to_owned()),
        destination_names: r.some(2, |r| r.pick(&NAMES).to_owned()),
        l7: r.maybe(l7),
        event_type: r.maybe(|r| EventType { kind: r.pick(&[0, 1, 4, 129]), sub_kind: r.pick(&[0, 5, 101, 133]) }),
        source_service: r.maybe(service),
        destination_service: r.maybe(service),
        traffic_direction: number!(r, TrafficDirection),
        policy_match_type: r.u32(),
        trace_point: number!(r, TraceObservationPoint),
        trace_reason: number!(r, TraceReason),
        ..Flow::default()
    };
    rest(r, &mut flow);
    flow
}

fn rest(r: &mut Random, flow: &mut Flow) {
    flow.file = r.maybe(|r| Arc::new(FileInfo { name: r.text(), line: r.u32() }));
    flow.ip_trace_id = r.maybe(|r| IpTraceId { trace_id: r.u64(), option_type: r.u32() });
    flow.is_reply = r.maybe(|r| r.one_in(2));
    flow.debug_capture_point = number!(r, DebugCapturePoint);
    flow.interface = r.maybe(|r| Interface { index: r.pick(&[0, 1, 2, u32::MAX]), name: r.pick(&INTERFACES).into() });
    flow.proxy_port = r.u32();
    flow.trace_id = r.pick(&TRACES).to_owned();
    flow.sock_xlate_point = number!(r, SocketTranslationPoint);
    flow.socket_cookie = r.u64();
    flow.cgroup_id = r.u64();
    flow.egress_allowed_by = r.some(2, policy);
    flow.ingress_allowed_by = r.some(1, policy);
    flow.egress_denied_by = r.some(1, policy);
    flow.ingress_denied_by = r.some(2, policy);
    flow.policy_log = r.some(2, Random::text);
    flow.aggregate = r.one_in(4).then(|| [r.u32(), r.u32(), r.u32()]);
    flow.summary = r.text();
    flow.details = r.maybe(details);
    flow.extension =
        r.one_in(4).then(|| Box::new(ForeignExtension { type_url: r.text(), value: r.some(9, Random::u8) }));
}

fn mac(r: &mut Random) -> MacAddr {
    MacAddr([r.u8(), 0, 1, 0xff, 0x0a, r.pick(&[1, 2])])
}

fn ip(r: &mut Random) -> Ip {
    Ip {
        source: r.pick(&ips()),
        destination: r.pick(&ips()),
        source_xlated: r.one_in(3).then(|| r.pick(&ips())),
        encrypted: r.one_in(3),
    }
}

fn l4(r: &mut Random) -> L4 {
    let (source_port, destination_port) = (r.u16(), r.u16());
    match r.below(8) {
        0 => L4::Udp { source_port, destination_port },
        1 => L4::Sctp { source_port, destination_port },
        2 => L4::Icmpv4 { kind: r.u8(), code: r.u8() },
        3 => L4::Icmpv6 { kind: r.u8(), code: r.u8() },
        4 => L4::Vrrp { kind: r.u32(), vrid: r.u32(), priority: r.u32() },
        5 => L4::Igmp { kind: r.u32(), group: r.pick(&ips()) },
        _ => L4::Tcp { source_port, destination_port, flags: r.maybe(|r| TcpFlags(r.u16() & 0x1ff)) },
    }
}

fn tunnel(r: &mut Random) -> Box<Tunnel> {
    Box::new(Tunnel { protocol: number!(r, TunnelProtocol), ip: r.maybe(ip), l4: r.maybe(l4), vni: r.u32() })
}

fn labels(r: &mut Random) -> Vec<String> {
    r.some(3, |r| r.pick(&LABELS).to_owned())
}

pub(crate) fn workload(r: &mut Random) -> Workload {
    Workload { name: r.pick(&WORKLOADS).to_owned(), kind: r.pick(&["", "Deployment", "DaemonSet"]).to_owned() }
}

fn endpoint(r: &mut Random) -> Endpoint {
    Endpoint {
        id: r.pick(&[0, 7, u32::MAX]),
        identity: Identity(r.pick(&[0, 1, 2, 12_345, u32::MAX])),
        cluster_name: r.pick(&["", "east"]).to_owned(),
        namespace: r.pick(&NAMESPACES).to_owned(),
        labels: labels(r),
        pod_name: r.pick(&PODS).to_owned(),
        workloads: r.some(2, workload),
    }
}

fn service(r: &mut Random) -> Arc<Service> {
    Arc::new(Service { name: r.pick(&WORKLOADS).to_owned(), namespace: r.pick(&NAMESPACES).to_owned() })
}

fn l7(r: &mut Random) -> Box<L7> {
    let record = match r.below(6) {
        0 => L7Record::None,
        1 => L7Record::Kafka(Kafka {
            error_code: r.i32(),
            api_version: r.i32(),
            api_key: r.text(),
            correlation_id: r.i32(),
            topic: r.text(),
        }),
        2 | 3 => L7Record::Dns(Dns {
            query: r.pick(&QUERIES).to_owned(),
            ips: r.some(2, |r| r.pick(&ips()).to_string()),
            ttl_seconds: r.u32(),
            cnames: r.some(1, Random::text),
            observation_source: r.text(),
            rcode: r.pick(&[0, 3, u32::MAX]),
            qtypes: r.some(2, Random::text),
            rrtypes: r.some(2, Random::text),
        }),
        _ => L7Record::Http(Http {
            code: r.pick(&[0, 200, 404, 500, u32::MAX]),
            method: r.pick(&["", "GET", "POST", "get"]).to_owned(),
            url: r.pick(&URLS).to_owned(),
            protocol: r.pick(&["HTTP/1.1", "HTTP/2"]).to_owned(),
            headers: r.some(2, |r| (r.pick(&["x-id", "Host"]).to_owned(), r.text())),
        }),
    };
    Box::new(L7 { kind: number!(r, L7FlowType), latency_ns: r.u64(), record })
}

fn policy(r: &mut Random) -> Arc<Policy> {
    Arc::new(Policy {
        name: r.text(),
        namespace: r.pick(&NAMESPACES).to_owned(),
        labels: labels(r),
        revision: r.u64(),
        kind: r.text(),
    })
}

fn process(r: &mut Random) -> Arc<Process> {
    Arc::new(Process {
        pid: r.u32(),
        uid: r.u32(),
        comm: r.pick(&["nginx", "redis"]).to_owned(),
        exe: r.text(),
        cgroup: r.text(),
        unit: r.text(),
        netns: r.text(),
    })
}

fn details(r: &mut Random) -> Box<FlowDetails> {
    Box::new(FlowDetails {
        phase: r.pick(&[FlowPhase::Unknown, FlowPhase::New, FlowPhase::Update, FlowPhase::Close]),
        bytes: r.u64(),
        packets: r.u64(),
        conversation: r.u64(),
        rtt_us: r.u32(),
        retransmits: r.u32(),
        vlan: r.u16(),
        source_process: r.maybe(process),
        destination_process: r.maybe(process),
        kernel_drop: r.maybe(|r| Arc::new(KernelDrop { reason: r.text(), function: r.text(), netns: r.text() })),
    })
}

/// One filter drawn from a seed: one to three fields, values that some of the flows have.
pub(crate) fn filter(seed: u64) -> FlowFilter {
    let r = &mut Random::new(seed);
    let mut filter = FlowFilter::default();
    for _ in 0..=r.below(3) {
        match r.below(2) {
            0 => side_field(r, &mut filter),
            _ => other_field(r, &mut filter),
        }
    }
    if r.one_in(3) {
        filter.event_type.push((129, None));
    }
    filter
}

/// One or two values.
fn values<T>(r: &mut Random, mut make: impl FnMut(&mut Random) -> T) -> Vec<T> {
    (0..=r.below(2)).map(|_| make(r)).collect()
}

fn side_field(r: &mut Random, f: &mut FlowFilter) {
    let source = r.one_in(2);
    macro_rules! put {
        ($source:ident, $destination:ident, $values:expr) => {{
            let values = $values;
            if source { f.$source = values } else { f.$destination = values }
        }};
    }
    let pods = |r: &mut Random| r.pick(&["shop/api", "/api-1", "shop/", "db", "default/web", "none/"]).to_owned();
    let prefixes =
        |r: &mut Random| r.pick(&["10.0.0.1", "10.0.0.0/8", "::/0", "::1", "0:0::1", "fd00::/16"]).to_owned();
    let selectors = |r: &mut Random| {
        r.pick(&["app=api", "k8s:tier", "!app", "app in (web,x)", "reserved:world", "empty="]).to_owned()
    };
    match r.below(9) {
        0 => put!(source_ip, destination_ip, values(r, prefixes)),
        1 => put!(source_pod, destination_pod, values(r, pods)),
        2 => put!(
            source_fqdn,
            destination_fqdn,
            values(r, |r| r.pick(&["example.com", "*.cluster.local", "*", "nothing"]).to_owned())
        ),
        3 => put!(source_label, destination_label, values(r, selectors)),
        4 => put!(source_service, destination_service, values(r, pods)),
        5 => put!(source_workload, destination_workload, values(r, workload)),
        6 => put!(source_cluster_name, destination_cluster_name, vec!["east".to_owned()]),
        7 => put!(source_port, destination_port, values(r, |r| r.pick(&["0", "80", "53", "65535"]).to_owned())),
        _ => put!(source_identity, destination_identity, values(r, |r| Identity(r.pick(&[0, 1, 2, 12_345])))),
    }
}

fn other_field(r: &mut Random, f: &mut FlowFilter) {
    let text = |r: &mut Random, from: &[&str]| values(r, |r| r.pick(from).to_owned());
    match r.below(22) {
        0 => f.uuid = values(r, |r| r.pick(&uuids()).to_string()),
        1 => f.source_ip_xlated = text(r, &["10.0.0.0/8", "::1"]),
        2 => f.traffic_direction = values(r, |r| r.pick(TrafficDirection::ALL)),
        3 => f.verdict = values(r, |r| r.pick(Verdict::ALL)),
        4 => f.drop_reason = values(r, |r| r.pick(&[DropReason::POLICY_DENIED, DropReason(0), DropReason(130)])),
        5 => {
            f.interface = values(r, |r| Interface { index: r.pick(&[0, 1, 2]), name: r.pick(&INTERFACES).into() });
        }
        6 => f.event_type = values(r, |r| (r.pick(&[0, 1, 4, 129]), r.maybe(|r| r.pick(&[0, 5, 101])))),
        7 => f.http_status_code = text(r, &["200", "4+", "50+"]),
        8 => f.protocol = text(r, &["tcp", "UDP", "icmp", "vrrp", "igmp", "sctp", "dns", "http", "kafka"]),
        9 => f.reply = values(r, |r| r.one_in(2)),
        10 => f.dns_query = text(r, &["example", "^api", "^$"]),
        11 => f.http_method = text(r, &["get", "POST"]),
        12 => f.http_path = text(r, &["^/cart$", "a b", "x"]),
        13 => f.http_url = text(r, &["shop", "^/", "^$"]),
        14 => f.http_header = values(r, |r| (r.pick(&["x-id", "Host"]).to_owned(), r.text())),
        15 => f.tcp_flags = values(r, |r| TcpFlags(r.pick(&[0, 1, 2, 18]))),
        16 => f.node_name = text(r, &["node-1", "node-*", "east/*", "default/"]),
        17 => f.node_labels = text(r, &["app=api", "!app", "tier"]),
        18 => f.ip_version = values(r, |r| r.pick(IpVersion::ALL)),
        19 => f.trace_id = text(r, &TRACES),
        20 => f.ip_trace_id = values(r, |r| r.pick(&[0, 1, u64::MAX])),
        _ => f.encrypted = values(r, |r| r.one_in(2)),
    }
}
