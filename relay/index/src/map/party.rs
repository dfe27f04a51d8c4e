//! The two ends of a conversation, as finely as they can be told apart.

use flow::Identity;
use flow::view::MapNode;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::MapBy;

/// One end of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    /// Something with a name of its own: a pod, container or unit.
    Workload {
        /// Cluster, empty for the local one.
        cluster: String,
        /// Namespace, empty for none.
        namespace: String,
        /// Nearest workload, else the pod.
        workload: String,
        /// Pod, else the workload.
        pod: String,
    },
    /// A machine, or a part of the cluster that has a reserved identity.
    Host(&'static str),
    /// A service address whose backend is not known.
    Service {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// An address that was resolved from a name.
    Dns(String),
    /// Anything outside.
    World,
    /// An address of which nothing is known.
    Address(String),
    /// Addresses that are too many to show.
    OtherAddresses,
    /// Not even an address is known.
    Unknown,
}

/// Name that Hubble gives the cluster where none was configured.
const DEFAULT_CLUSTER: &str = "default";

/// Reserved identities that are machines, or a part of the cluster.
const HOSTS: [&str; 5] = ["host", "remote-node", "kube-apiserver", "health", "ingress"];

/// What a row says of one end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartyFacts<'a> {
    pub(crate) identity: Option<Identity>,
    pub(crate) cluster: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) workload: &'a str,
    /// Name and namespace.
    pub(crate) service: Option<(&'a str, &'a str)>,
    pub(crate) dns_name: Option<&'a str>,
    pub(crate) ip: &'a str,
}

impl Party {
    /// The best that can be told of an end.
    pub(crate) fn of(facts: PartyFacts<'_>) -> Self {
        if let Some(party) = Self::of_endpoint(facts) {
            return party;
        }
        if let Some((name, namespace)) = facts.service.filter(|(name, _)| !name.is_empty()) {
            return Self::Service { namespace: namespace.to_owned(), name: name.to_owned() };
        }
        let reserved = facts.identity.and_then(Identity::reserved_name);
        match (facts.dns_name, reserved) {
            (Some(name), _) if !name.is_empty() => Self::Dns(name.trim_end_matches('.').to_owned()),
            (_, Some("world" | "world-ipv4" | "world-ipv6")) => Self::World,
            _ if facts.ip.is_empty() => Self::Unknown,
            _ => Self::Address(facts.ip.to_owned()),
        }
    }

    /// What the endpoint alone tells, where that is enough.
    pub(crate) fn of_endpoint(facts: PartyFacts<'_>) -> Option<Self> {
        let either = |a: &str, b: &str| if a.is_empty() { b.to_owned() } else { a.to_owned() };
        if !(facts.pod.is_empty() && facts.workload.is_empty()) {
            return Some(Self::Workload {
                cluster: facts.cluster.to_owned(),
                namespace: facts.namespace.to_owned(),
                workload: either(facts.workload, facts.pod),
                pod: either(facts.pod, facts.workload),
            });
        }
        let name = facts.identity.and_then(Identity::reserved_name)?;
        HOSTS.contains(&name).then_some(Self::Host(name))
    }

    /// The host of this name, such as `remote-node`.
    pub(crate) fn host(name: &str) -> Self {
        HOSTS.iter().find(|host| **host == name).map_or(Self::Unknown, |host| Self::Host(host))
    }

    /// The same without what tells pods of one workload apart.
    pub(crate) fn coarse(&self) -> Self {
        match self.clone() {
            Self::Workload { cluster, namespace, workload, .. } => {
                Self::Workload { cluster, namespace, workload, pod: String::new() }
            }
            other => other,
        }
    }

    /// A number that other parties do not have, the same in every process; never 0.
    ///
    /// Source: FNV-1a, RFC 9923.
    pub(crate) fn key(&self) -> i64 {
        let (kind, parts): (u8, [&str; 4]) = match self {
            Self::Workload { cluster, namespace, workload, pod } => (1, [cluster, namespace, workload, pod]),
            Self::Host(name) => (2, [name, "", "", ""]),
            Self::Service { namespace, name } => (3, [namespace, name, "", ""]),
            Self::Dns(name) => (4, [name, "", "", ""]),
            Self::World => (5, [""; 4]),
            Self::Address(ip) => (6, [ip, "", "", ""]),
            Self::OtherAddresses => (7, [""; 4]),
            Self::Unknown => (8, [""; 4]),
        };
        // A byte that is in no UTF-8 text stands between the parts.
        let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
        let hash = [kind]
            .into_iter()
            .chain(bytes)
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        hash.max(1).cast_signed()
    }

    /// Its cluster, where it is one of several that a map may show.
    pub(crate) fn cluster(&self) -> Option<&str> {
        match self {
            Self::Workload { cluster, .. } if cluster.is_empty() => Some(DEFAULT_CLUSTER),
            Self::Workload { cluster, .. } => Some(cluster),
            _ => None,
        }
    }

    /// The node of a map that stands for it. Where the map shows several clusters, ids begin with them.
    pub(crate) fn node(&self, by: MapBy, shows_clusters: bool) -> MapNode {
        let cluster =
            self.cluster().filter(|cluster| shows_clusters && *cluster != DEFAULT_CLUSTER).unwrap_or_default();
        let node = |id: String, name: &str, namespace: &str, kind: &str| MapNode {
            id: qualified(cluster, &id),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            cluster: cluster.to_owned(),
            kind: kind.to_owned(),
        };
        match self {
            Self::Workload { namespace, .. } | Self::Service { namespace, .. }
                if by == MapBy::Namespace && !namespace.is_empty() =>
            {
                node(namespace.clone(), namespace, namespace, "namespace")
            }
            Self::Workload { namespace, pod, .. } if by == MapBy::Pod => {
                node(qualified(namespace, pod), pod, namespace, "pod")
            }
            Self::Workload { namespace, workload: name, .. } => {
                node(qualified(namespace, name), name, namespace, "workload")
            }
            Self::Service { namespace, name } => node(qualified(namespace, name), name, namespace, "service"),
            Self::Host(name) => node(format!("reserved:{name}"), name, "", "host"),
            Self::Dns(name) => node(name.clone(), name, "", "dns"),
            Self::World => node("reserved:world".to_owned(), "world", "", "world"),
            Self::Address(ip) => node(ip.clone(), ip, "", "address"),
            Self::OtherAddresses => node("other-addresses".to_owned(), "other addresses", "", "address"),
            Self::Unknown => node("reserved:unknown".to_owned(), "unknown", "", "world"),
        }
    }
}

fn qualified(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

/// All ends met so far, each with a number. Ends beyond the limit share one number, so that a scan over a large network
/// cannot fill the memory.
#[derive(Debug)]
pub(crate) struct Parties {
    numbers: HashMap<Party, u32, RandomState>,
    parties: Vec<Party>,
}

/// Ends that are told apart.
const PARTIES_MAX: usize = 100_000;

impl Default for Parties {
    fn default() -> Self {
        let mut parties = Self { numbers: HashMap::default(), parties: Vec::new() };
        parties.number(Party::OtherAddresses);
        parties
    }
}

impl Parties {
    pub(crate) fn number(&mut self, party: Party) -> u32 {
        if let Some(number) = self.numbers.get(&party) {
            return *number;
        }
        if self.parties.len() >= PARTIES_MAX {
            return 0;
        }
        let number = u32::try_from(self.parties.len()).expect("below the limit");
        self.parties.push(party.clone());
        self.numbers.insert(party, number);
        number
    }

    /// Parties that have a number.
    pub(crate) const fn len(&self) -> usize {
        self.parties.len()
    }

    pub(crate) fn get(&self, number: u32) -> &Party {
        &self.parties[number as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Party> {
        self.parties.iter()
    }
}
