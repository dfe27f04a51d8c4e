//! From conversations to the nodes and edges of a map.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use flow::view::{MapEdge, MapNode};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::columns::L7;
use super::edge::{Edge, Edges};
use super::views::Traffic;
use super::{MapBy, MapShape, Parties, Party};
use crate::segment::as_u64;

/// Addresses and DNS names a map shows; the ones with the least traffic become one node.
const OUTSIDERS_MAX: usize = 200;

/// Ports a pair of nodes is shown with; the ones with the least traffic become one edge without a port.
const PORTS_MAX: usize = 16;

/// One edge of the map: both nodes, port and protocol.
type Key = (u32, u32, u16, u8);

/// What the edge of a map counts.
#[derive(Debug, Default)]
struct Sum {
    traffic: Traffic,
    rest: Edge,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.traffic.add(other.traffic);
        self.rest.add_all_but_traffic(&other.rest, |reason| reason);
    }

    /// Whether anything was dropped or failed.
    const fn is_trouble(&self) -> bool {
        self.rest.dropped > 0 || self.rest.errors > 0
    }

    /// Reports, of whatever kind.
    fn flows(&self) -> u64 {
        match self.traffic.flows.saturating_add(self.rest.drops) {
            0 => self.rest.requests.saturating_add(self.rest.responses).saturating_add(self.rest.samples),
            flows => flows,
        }
    }
}

/// Makes the nodes, by id, and the edges, by their nodes' ids, protocol and port; and says how many edges were left out.
///
/// There may be hundreds of thousands of conversations, so each step takes them out of the one before.
pub(crate) fn rollup(mut edges: Edges, shape: MapShape) -> (Vec<MapNode>, Vec<MapEdge>, u64) {
    let by = shape.by;
    edges.settle();
    let talks = coarse(&mut edges, by);
    let mut nodes = Nodes::of(&talks, by);
    let mut sums = Sums::with_capacity(talks.edges.len());
    for ((client, server, port, protocol), edge) in talks.edges {
        let (client, server) = (talks.parties.get(client), talks.parties.get(server));
        let key = (nodes.number(client), nodes.number(server), port, protocol);
        // Which view counts is decided here, for each pair, before pairs are added up.
        let sum = Sum { traffic: edge.best_traffic(), rest: edge };
        sums.add(key, sum, |known, sum| known.add(&sum));
    }
    let mut sums = fold_ports(sums);
    let left_out = leave_out(&mut sums, shape.edges_max);
    let shown: BTreeSet<u32> = sums.iter().flat_map(|((client, server, ..), _)| [*client, *server]).collect();
    let mut map_edges: Vec<MapEdge> = sums.iter().map(|(key, sum)| map_edge(&nodes, &edges, *key, sum)).collect();
    map_edges.sort_by(|a, b| {
        (&a.source, &a.destination, &a.protocol, a.port).cmp(&(&b.source, &b.destination, &b.protocol, b.port))
    });
    let mut map_nodes: Vec<MapNode> = shown.iter().map(|number| nodes.nodes[*number as usize].clone()).collect();
    map_nodes.sort_by(|a, b| a.id.cmp(&b.id));
    (map_nodes, map_edges, as_u64(left_out))
}

/// Values by key, each key once, in the order in which they came.
struct Sums<V> {
    places: HashMap<Key, u32, RandomState>,
    rows: Vec<(Key, V)>,
}

impl<V> Sums<V> {
    fn with_capacity(keys: usize) -> Self {
        let places = HashMap::with_capacity_and_hasher(keys, RandomState::default());
        Self { places, rows: Vec::with_capacity(keys) }
    }

    fn add(&mut self, key: Key, value: V, join: impl FnOnce(&mut V, V)) {
        match self.places.entry(key) {
            Entry::Occupied(place) => join(&mut self.rows[*place.get() as usize].1, value),
            Entry::Vacant(place) => {
                place.insert(u32::try_from(self.rows.len()).expect("edges are counted in 32 bits"));
                self.rows.push((key, value));
            }
        }
    }
}

/// Takes out all edges but so many; gives how many those were.
fn leave_out(sums: &mut Vec<(Key, Sum)>, edges_max: usize) -> usize {
    let left_out = sums.len().saturating_sub(edges_max);
    if left_out > 0 {
        // Of equals the first by key, so that the same flows always give the same map.
        sums.select_nth_unstable_by_key(edges_max, |(key, sum)| (Reverse((sum.is_trouble(), sum.flows())), *key));
        sums.truncate(edges_max);
    }
    left_out
}

/// Conversations of the parties a map tells apart, each once.
struct Talks {
    parties: Parties,
    edges: Vec<(Key, Edge)>,
}

/// Adds up the pods of a workload, unless the map shows pods.
fn coarse(edges: &mut Edges, by: MapBy) -> Talks {
    let mut parties = Parties::default();
    let fine = |party: &Party| if by == MapBy::Pod { party.clone() } else { party.coarse() };
    let numbers: Vec<u32> = edges.parties.iter().map(|party| parties.number(fine(party))).collect();
    let mut sums = Sums::with_capacity(if by == MapBy::Pod { edges.len() } else { 0 });
    for (talk, edge) in edges.take() {
        let key = (numbers[talk.client as usize], numbers[talk.server as usize], talk.port, talk.protocol.0);
        sums.add(key, edge, |known, edge| {
            known.add_traffic(&edge);
            known.add_all_but_traffic(&edge, |reason| reason);
        });
    }
    Talks { parties, edges: sums.rows }
}

/// Nodes of a map, each with a number; two with the same id are one.
struct Nodes {
    by: MapBy,
    /// Whether there are several clusters to tell apart.
    shows_clusters: bool,
    numbers: BTreeMap<String, u32>,
    nodes: Vec<MapNode>,
    /// Addresses and names that are not shown by themselves.
    folded: BTreeSet<String>,
}

impl Nodes {
    fn of(talks: &Talks, by: MapBy) -> Self {
        let mut flows: BTreeMap<&str, u64> = BTreeMap::new();
        for ((client, server, ..), edge) in &talks.edges {
            let (client, server) = (talks.parties.get(*client), talks.parties.get(*server));
            let seen = edge.best_traffic().flows.saturating_add(edge.drops).saturating_add(edge.requests);
            for party in [client, server] {
                if let Party::Address(name) | Party::Dns(name) = party {
                    let flows = flows.entry(name).or_default();
                    *flows = flows.saturating_add(seen);
                }
            }
        }
        let mut outsiders: Vec<(&str, u64)> = flows.into_iter().collect();
        // The sort is stable and the names came sorted, so the same flows always give the same map.
        outsiders.sort_by_key(|(_, flows)| Reverse(*flows));
        let folded = outsiders.iter().skip(OUTSIDERS_MAX).map(|(name, _)| (*name).to_owned()).collect();
        let clusters: BTreeSet<&str> = talks.parties.iter().filter_map(Party::cluster).collect();
        let shows_clusters = clusters.len() > 1;
        Self { by, shows_clusters, numbers: BTreeMap::new(), nodes: Vec::new(), folded }
    }

    fn number(&mut self, party: &Party) -> u32 {
        let party = match party {
            Party::Address(name) | Party::Dns(name) if self.folded.contains(name) => &Party::OtherAddresses,
            party => party,
        };
        let node = party.node(self.by, self.shows_clusters);
        if let Some(number) = self.numbers.get(&node.id) {
            return *number;
        }
        let number = u32::try_from(self.nodes.len()).expect("fewer than parties");
        self.numbers.insert(node.id.clone(), number);
        self.nodes.push(node);
        number
    }
}

/// Ports of a pair of nodes and a protocol, with the flows of each.
type Ports = HashMap<(u32, u32, u8), Vec<(u64, u16)>, RandomState>;

/// Makes one edge without a port of those of a pair that are too many.
fn fold_ports(sums: Sums<Sum>) -> Vec<(Key, Sum)> {
    let mut ports = Ports::default();
    for ((client, server, port, protocol), sum) in &sums.rows {
        ports.entry((*client, *server, *protocol)).or_default().push((sum.flows(), *port));
    }
    ports.retain(|_, ports| ports.len() > PORTS_MAX);
    if ports.is_empty() {
        return sums.rows;
    }
    for ports in ports.values_mut() {
        ports.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        ports.truncate(PORTS_MAX);
    }
    let is_folded = |(client, server, port, protocol): &Key| {
        let kept = ports.get(&(*client, *server, *protocol));
        kept.is_some_and(|kept| kept.iter().all(|(_, kept)| kept != port))
    };
    let mut folded = Sums::with_capacity(sums.rows.len());
    for ((client, server, port, protocol), sum) in sums.rows {
        let port = if is_folded(&(client, server, port, protocol)) { 0 } else { port };
        folded.add((client, server, port, protocol), sum, |known, sum| known.add(&sum));
    }
    folded.rows
}

fn map_edge(nodes: &Nodes, edges: &Edges, key: Key, sum: &Sum) -> MapEdge {
    let (client, server, port, protocol) = key;
    let id = |number: u32| nodes.nodes[number as usize].id.clone();
    let rest = &sum.rest;
    // Of equals the first by name, so that the same flows always give the same map.
    let name = |reason: u32| Reverse(edges.reasons.text(reason));
    let commonest = rest.reasons.iter().max_by_key(|(reason, packets)| (*packets, name(*reason)));
    MapEdge {
        source: id(client),
        destination: id(server),
        protocol: super::columns::Protocol(protocol).name().to_owned(),
        port,
        flows: sum.flows(),
        bytes_sent: sum.traffic.sent,
        bytes_received: sum.traffic.received,
        packets: sum.traffic.packets,
        dropped: rest.dropped,
        drop_reason: commonest.map(|(reason, _)| edges.reasons.text(*reason).to_owned()).unwrap_or_default(),
        // An observer that sees only responses has seen as many requests.
        requests: rest.requests.max(rest.responses),
        errors: rest.errors,
        latency_p50_us: rest.latencies.percentile_us(50),
        latency_p99_us: rest.latencies.percentile_us(99),
        l7: match rest.l7 {
            Some(L7::Http) => "HTTP",
            Some(L7::Dns) => "DNS",
            Some(L7::Kafka) => "KAFKA",
            Some(L7::None) | None => "",
        }
        .to_owned(),
    }
}
