//! Nodes, workloads and pods, and who talks to whom.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use flow::{Endpoint, Identity, Interface, MacAddr, Process, Service, Workload};

use crate::dice::{Dice, Zipf};

/// Pods that live at one time.
pub const PODS: usize = 2_000;
/// Workloads.
pub const WORKLOADS: usize = 400;
/// Namespaces.
pub const NAMESPACES: usize = 40;
/// Nodes.
pub const NODES: usize = 100;
/// Paths of HTTP requests.
pub const ROUTES: usize = 80;

/// Pairs of workloads that talk.
const PAIRS: usize = 4_000;
/// Names outside.
const OUTSIDE: usize = 500;
/// Addresses of pods: some more than pods, so that they are used again.
const ADDRESSES: usize = PODS + PODS / 4;

const PODS_PER_WORKLOAD: usize = PODS / WORKLOADS;

const SUBJECTS: [&str; 20] = [
    "cart",
    "checkout",
    "catalog",
    "payment",
    "shipping",
    "user",
    "session",
    "search",
    "review",
    "pricing",
    "stock",
    "invoice",
    "mail",
    "audit",
    "report",
    "image",
    "recommend",
    "loyalty",
    "fraud",
    "gateway",
];
const ROLES: [&str; 20] = [
    "api", "web", "worker", "db", "cache", "queue", "sync", "batch", "proxy", "admin", "cron", "store", "index",
    "stream", "hooks", "export", "import", "auth", "edge", "agent",
];
const TIERS: [&str; 3] = ["front", "back", "data"];
const SERVER_PORTS: [u16; 8] = [80, 443, 5432, 6379, 8080, 9090, 9092, 27_017];

/// The cluster as it is now.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Arc<Node>>,
    /// Pods by workload, [`PODS_PER_WORKLOAD`] of each.
    pods: Vec<Arc<Pod>>,
    pairs: Vec<Pair>,
    ranks: Zipf,
    outside: Vec<Arc<Pod>>,
    outside_ranks: Zipf,
    pods_made: u32,
}

/// A machine.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) name: Arc<str>,
    pub(crate) labels: Arc<[String]>,
}

/// One end of a connection: a pod, or an address outside.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) workload: usize,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) service: Option<Arc<Service>>,
    /// DNS names of the address, for what is outside.
    pub(crate) names: Vec<String>,
    pub(crate) ip: IpAddr,
    pub(crate) mac: MacAddr,
    pub(crate) node: Arc<Node>,
    pub(crate) interface: Interface,
    pub(crate) process: Option<Arc<Process>>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    client: usize,
    server: usize,
}

impl Cluster {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let nodes: Vec<Arc<Node>> = (0..NODES).map(|number| Arc::new(node(number))).collect();
        let mut cluster = Self {
            pods: Vec::with_capacity(PODS),
            pairs: Vec::with_capacity(PAIRS),
            ranks: Zipf::new(PAIRS, 1.0),
            outside: (0..OUTSIDE).map(|number| Arc::new(outside(number, &nodes[number % NODES]))).collect(),
            outside_ranks: Zipf::new(OUTSIDE, 0.9),
            nodes,
            pods_made: 0,
        };
        for slot in 0..PODS {
            let pod = cluster.new_pod(slot, dice);
            cluster.pods.push(pod);
        }
        for _ in 0..PAIRS {
            cluster.pairs.push(Pair { client: dice.below(WORKLOADS), server: dice.below(WORKLOADS) });
        }
        cluster
    }

    /// Client and server of a new connection inside.
    pub(crate) fn pair(&self, dice: &mut Dice) -> (Arc<Pod>, Arc<Pod>) {
        let Pair { client, server } = self.pairs[self.ranks.roll(dice)];
        (self.pod_of(client, dice), self.pod_of(server, dice))
    }

    /// Client and server of a new connection to the outside.
    pub(crate) fn pair_outside(&self, dice: &mut Dice) -> (Arc<Pod>, Arc<Pod>) {
        let Pair { client, .. } = self.pairs[self.ranks.roll(dice)];
        (self.pod_of(client, dice), self.outside[self.outside_ranks.roll(dice)].clone())
    }

    /// A client and one of the cluster's name servers.
    pub(crate) fn pair_dns(&self, dice: &mut Dice) -> (Arc<Pod>, Arc<Pod>) {
        let Pair { client, .. } = self.pairs[self.ranks.roll(dice)];
        (self.pod_of(client, dice), self.pod_of(DNS_WORKLOAD, dice))
    }

    /// A pod goes and another of its workload comes, on some node, at an address that may have been another's.
    pub(crate) fn replace_a_pod(&mut self, dice: &mut Dice) {
        let slot = dice.below(PODS);
        self.pods[slot] = self.new_pod(slot, dice);
    }

    /// Clients of pairs that talk much, some and rarely.
    pub(crate) fn clients_by_traffic(&self) -> [&Pod; 3] {
        [0, PAIRS / 100, PAIRS - 1].map(|pair| &*self.pods[self.pairs[pair].client * PODS_PER_WORKLOAD])
    }

    fn pod_of(&self, workload: usize, dice: &mut Dice) -> Arc<Pod> {
        self.pods[workload * PODS_PER_WORKLOAD + dice.below(PODS_PER_WORKLOAD)].clone()
    }

    fn new_pod(&mut self, slot: usize, dice: &mut Dice) -> Arc<Pod> {
        let workload = slot / PODS_PER_WORKLOAD;
        let node = self.nodes[dice.below(NODES)].clone();
        self.pods_made += 1;
        let number = self.pods_made;
        let address = u32::try_from(usize::try_from(number).unwrap_or(slot) % ADDRESSES).expect("few addresses");
        let [.., high, low] = address.to_be_bytes();
        let (namespace, name) = (namespace(workload), workload_name(workload));
        let endpoint = Endpoint {
            id: 1 + address,
            identity: Identity(10_000 + u32::try_from(workload).expect("few workloads")),
            cluster_name: String::new(),
            labels: labels(workload, &namespace, &name),
            pod_name: format!("{name}-{:09x}-{:05x}", hash(workload) >> 28, hash(slot) >> 44 ^ u64::from(number)),
            workloads: vec![Workload { name: name.clone(), kind: workload_kind(workload).to_owned() }],
            namespace: namespace.clone(),
        };
        Arc::new(Pod {
            workload,
            endpoint: Arc::new(endpoint),
            service: Some(Arc::new(Service { name: name.clone(), namespace })),
            names: Vec::new(),
            ip: Ipv4Addr::new(10, 1, high, low).into(),
            mac: MacAddr([0x0a, 0x58, 10, 1, high, low]),
            interface: Interface { index: 10 + address, name: format!("lxc{:012x}", hash(slot) >> 16).into() },
            process: Some(Arc::new(Process {
                pid: 20_000 + number,
                uid: 1_000,
                comm: name.chars().take(15).collect(),
                exe: format!("/app/{name}"),
                cgroup: format!("/kubepods.slice/kubepods-burstable.slice/pod{:016x}", hash(slot) ^ u64::from(number)),
                unit: format!("{:016x}", hash(slot).wrapping_mul(u64::from(number))),
                netns: String::new(),
            })),
            node,
        })
    }
}

/// The name servers are pods of this workload.
const DNS_WORKLOAD: usize = 0;

/// Port a workload serves.
pub(crate) fn server_port(workload: usize) -> u16 {
    SERVER_PORTS[workload % SERVER_PORTS.len()]
}

/// Namespace of a workload.
pub(crate) fn namespace(workload: usize) -> String {
    if workload == DNS_WORKLOAD { "kube-system".to_owned() } else { format!("team-{}", workload % NAMESPACES) }
}

/// Name of a workload.
pub(crate) fn workload_name(workload: usize) -> String {
    if workload == DNS_WORKLOAD {
        return "coredns".to_owned();
    }
    format!("{}-{}", SUBJECTS[workload % SUBJECTS.len()], ROLES[workload / SUBJECTS.len()])
}

/// The route a workload serves under this number; each serves eight of them.
pub(crate) fn route(workload: usize, number: usize) -> String {
    let route = (workload * 7 + number % 8) % ROUTES;
    let subject = SUBJECTS[route % SUBJECTS.len()];
    match route / SUBJECTS.len() {
        0 => format!("/api/v1/{subject}"),
        1 => format!("/api/v1/{subject}/items"),
        2 => format!("/api/v2/{subject}/status"),
        _ => format!("/internal/{subject}/refresh"),
    }
}

fn workload_kind(workload: usize) -> &'static str {
    match workload % 20 {
        3 => "StatefulSet",
        19 => "DaemonSet",
        _ => "Deployment",
    }
}

fn labels(workload: usize, namespace: &str, name: &str) -> Vec<String> {
    vec![
        format!("k8s:app.kubernetes.io/name={name}"),
        format!("k8s:app.kubernetes.io/part-of={}", SUBJECTS[workload % SUBJECTS.len()]),
        format!("k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name={namespace}"),
        "k8s:io.cilium.k8s.policy.cluster=default".to_owned(),
        format!("k8s:io.cilium.k8s.policy.serviceaccount={name}"),
        format!("k8s:io.kubernetes.pod.namespace={namespace}"),
        format!("k8s:tier={}", TIERS[workload % TIERS.len()]),
        format!("k8s:version=v{}", 1 + workload % 4),
    ]
}

fn node(number: usize) -> Node {
    let name = format!("node-{number}");
    let labels = vec![
        format!("kubernetes.io/hostname={name}"),
        "node.kubernetes.io/instance-type=m7.2xlarge".to_owned(),
        format!("topology.kubernetes.io/zone=zone-{}", number % 3),
    ];
    Node { number, name: name.into(), labels: labels.into() }
}

fn outside(number: usize, node: &Arc<Node>) -> Pod {
    let [.., high, low] = u32::try_from(number).expect("few names").to_be_bytes();
    let subject = SUBJECTS[number % SUBJECTS.len()];
    Pod {
        workload: number,
        endpoint: Arc::new(Endpoint {
            identity: Identity(2),
            labels: vec!["reserved:world".to_owned()],
            ..Endpoint::default()
        }),
        service: None,
        names: vec![format!("{subject}-{}.example.com", number / SUBJECTS.len())],
        ip: Ipv4Addr::new(203, 0, 112 + high, low).into(),
        mac: MacAddr([0x0a, 0x58, 0xcb, 0, high, low]),
        node: node.clone(),
        interface: Interface { index: 2, name: "eth0".into() },
        process: None,
    }
}

/// A number that tells others apart and looks like the ones Kubernetes draws.
fn hash(number: usize) -> u64 {
    Dice::new(u64::try_from(number).expect("64 bits")).any()
}
