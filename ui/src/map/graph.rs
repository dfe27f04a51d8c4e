//! The relay's answer as a graph to draw: one link between two services, outside peers folded, the small left out.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use flow::view::{MapEdge, MapNode, ServiceMap};
use ui_layout::sort_by;

use crate::map::outside;
use crate::map::scales::{Health, Totals};
use crate::parts::clock;
use crate::state::{Metric, ViewState};

/// Links drawn before small ones are left out; people read far fewer.
pub(crate) const LINKS_MAX: usize = 400;

/// A graph to draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Graph {
    /// Services, in the order of the answer.
    pub(crate) services: Vec<Service>,
    /// Links, the worst and then the largest first.
    pub(crate) links: Vec<Link>,
    /// Length of the range in seconds.
    pub(crate) seconds: f64,
    /// Services of the answer, folded ones included.
    pub(crate) services_seen: usize,
    /// Links that were left out for being small.
    pub(crate) links_hidden: usize,
    /// Conversations that the answer does not have because they are too many.
    pub(crate) left_out: u64,
}

/// One box.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    /// Cluster, where the map shows several.
    pub(crate) cluster: String,
    /// `workload`, `pod`, `host`, `world`, `dns` or `address`.
    pub(crate) kind: String,
    /// Names of the peers it stands for, where it is a fold.
    pub(crate) members: Vec<String>,
    /// What others call it for, such as `HTTP 8080`.
    pub(crate) ports: Vec<String>,
    /// Links to and from it.
    pub(crate) degree: (usize, usize),
    /// The worst of its links as a server.
    pub(crate) health: Health,
}

/// All traffic from one service to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Link {
    /// Client, by index.
    pub(crate) from: usize,
    /// Server, by index.
    pub(crate) to: usize,
    pub(crate) totals: Totals,
    pub(crate) health: Health,
    /// Conversations by port, the largest first.
    pub(crate) talks: Vec<Talk>,
}

/// Traffic of one link on one port.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Talk {
    pub(crate) protocol: String,
    pub(crate) port: u16,
    pub(crate) l7: String,
    pub(crate) drop_reason: String,
    pub(crate) totals: Totals,
}

impl Talk {
    /// Such as `HTTP 8080`, `TCP 5432`, `ICMPv4`.
    pub(crate) fn label(&self) -> String {
        let name = if self.l7.is_empty() { &self.protocol } else { &self.l7 };
        if self.port == 0 { name.clone() } else { format!("{name} {}", self.port) }
    }
}

impl Link {
    /// Id in the address bar.
    pub(crate) fn id(&self, services: &[Service]) -> String {
        format!("{}>{}", services[self.from].id, services[self.to].id)
    }

    /// Commonest reason of its drops, empty for none.
    pub(crate) fn drop_reason(&self) -> &str {
        let dropped = self.talks.iter().filter(|talk| talk.totals.dropped > 0);
        dropped.max_by_key(|talk| talk.totals.dropped).map_or("", |talk| talk.drop_reason.as_str())
    }
}

impl Graph {
    /// Builds the graph a view asks for.
    pub(crate) fn build(map: &ServiceMap, view: &ViewState) -> Self {
        let seconds = match (clock::millis(&map.since), clock::millis(&map.until)) {
            (Some(since), Some(until)) if until > since => (until - since) / 1000.0,
            _ => 1.0,
        };
        let (mut services, index) = services(map, view.unfolded);
        let mut links = links(&map.edges, &index);
        if view.problems {
            links.retain(|link| link.health > Health::Fine);
        }
        order(&mut links, view.metric, seconds);
        let links_hidden = if view.all_edges { 0 } else { links.len().saturating_sub(LINKS_MAX) };
        links.truncate(links.len() - links_hidden);
        if view.problems {
            keep_linked(&mut services, &mut links);
        }
        describe(&mut services, &links);
        Self { services, links, seconds, services_seen: map.nodes.len(), links_hidden, left_out: map.left_out }
    }

    /// Index of the service with this id.
    pub(crate) fn service(&self, id: &str) -> Option<usize> {
        self.services.iter().position(|service| service.id == id)
    }

    /// Index of the link with this id.
    pub(crate) fn link(&self, id: &str) -> Option<usize> {
        let (from, to) = id.split_once('>')?;
        let (from, to) = (self.service(from)?, self.service(to)?);
        self.links.iter().position(|link| link.from == from && link.to == to)
    }
}

impl Service {
    /// Where it stands on the map: its namespace, that of its cluster where there are several.
    pub(crate) fn place(&self) -> Cow<'_, str> {
        match (self.cluster.as_str(), self.namespace.as_str()) {
            ("", namespace) => Cow::Borrowed(namespace),
            (cluster, "") => Cow::Borrowed(cluster),
            (cluster, namespace) => Cow::Owned(format!("{cluster}/{namespace}")),
        }
    }
}

fn services(map: &ServiceMap, unfolded: bool) -> (Vec<Service>, HashMap<&str, usize>) {
    let (folds, fold_of) = if unfolded { Default::default() } else { outside::fold(&map.nodes) };
    let mut services: Vec<Service> = folds
        .into_iter()
        .map(|fold| Service {
            id: fold.id,
            name: fold.name,
            kind: fold.kind.into(),
            members: fold.members,
            ..Service::default()
        })
        .collect();
    let mut index = HashMap::new();
    for node in &map.nodes {
        let at = match fold_of.get(&node.id) {
            Some(&fold) => fold,
            None => {
                services.push(service(node));
                services.len() - 1
            }
        };
        index.insert(node.id.as_str(), at);
    }
    (services, index)
}

fn service(node: &MapNode) -> Service {
    Service {
        id: node.id.clone(),
        name: if node.name.is_empty() { node.id.clone() } else { node.name.clone() },
        namespace: node.namespace.clone(),
        cluster: node.cluster.clone(),
        kind: node.kind.clone(),
        ..Service::default()
    }
}

fn links(edges: &[MapEdge], index: &HashMap<&str, usize>) -> Vec<Link> {
    let mut by_ends: BTreeMap<(usize, usize), Link> = BTreeMap::new();
    for edge in edges {
        // An edge to a service the answer does not name cannot be drawn.
        let (Some(&from), Some(&to)) = (index.get(edge.source.as_str()), index.get(edge.destination.as_str())) else {
            continue;
        };
        if from == to {
            continue;
        }
        let totals = totals(edge);
        let link = by_ends.entry((from, to)).or_insert_with(|| Link { from, to, ..Link::default() });
        link.totals.add(&totals);
        add_talk(&mut link.talks, edge, totals);
    }
    let mut links: Vec<Link> = by_ends.into_values().collect();
    for link in &mut links {
        link.health = link.talks.iter().map(|talk| talk.totals.health()).max().unwrap_or_default();
        // Blocked means the whole of it: one closed port beside an open one is a drop.
        if link.health == Health::Blocked && !link.totals.is_blocked() {
            link.health = Health::Dropping;
        }
        sort_by(&mut link.talks, |a, b| b.totals.bytes().cmp(&a.totals.bytes()).then(a.port.cmp(&b.port)));
    }
    links
}

/// Folded peers have several edges to one port: they are one talk.
fn add_talk(talks: &mut Vec<Talk>, edge: &MapEdge, totals: Totals) {
    let same = talks.iter_mut().find(|t| t.port == edge.port && t.protocol == edge.protocol && t.l7 == edge.l7);
    match same {
        Some(talk) => {
            if totals.dropped > talk.totals.dropped {
                talk.drop_reason.clone_from(&edge.drop_reason);
            }
            talk.totals.add(&totals);
        }
        None => talks.push(Talk {
            protocol: edge.protocol.clone(),
            port: edge.port,
            l7: edge.l7.clone(),
            drop_reason: edge.drop_reason.clone(),
            totals,
        }),
    }
}

fn totals(edge: &MapEdge) -> Totals {
    Totals {
        bytes_sent: edge.bytes_sent,
        bytes_received: edge.bytes_received,
        packets: edge.packets,
        dropped: edge.dropped,
        requests: edge.requests,
        errors: edge.errors,
        flows: edge.flows,
        p50_us: edge.latency_p50_us,
        p99_us: edge.latency_p99_us,
    }
}

fn order(links: &mut Vec<Link>, metric: Metric, seconds: f64) {
    sort_by(links, |a, b| {
        let values = [b, a].map(|link| link.totals.value(metric, seconds));
        b.health.cmp(&a.health).then(values[0].total_cmp(&values[1])).then((a.from, a.to).cmp(&(b.from, b.to)))
    });
}

fn keep_linked(services: &mut Vec<Service>, links: &mut [Link]) {
    let mut moved_to = vec![usize::MAX; services.len()];
    let mut kept = Vec::new();
    for link in links {
        for end in [&mut link.from, &mut link.to] {
            if moved_to[*end] == usize::MAX {
                moved_to[*end] = kept.len();
                kept.push(services[*end].clone());
            }
            *end = moved_to[*end];
        }
    }
    *services = kept;
}

/// Fills in what services say of themselves from their links.
fn describe(services: &mut [Service], links: &[Link]) {
    for link in links {
        services[link.from].degree.1 += 1;
        let server = &mut services[link.to];
        server.degree.0 += 1;
        server.health = server.health.max(link.health);
        for talk in &link.talks {
            let label = talk.label();
            if talk.totals.gets_through() && !label.is_empty() && !server.ports.contains(&label) {
                server.ports.push(label);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, kind: &str) -> MapNode {
        MapNode { id: id.into(), name: id.into(), kind: kind.into(), ..MapNode::default() }
    }

    fn edge(source: &str, destination: &str, port: u16, received: u64, dropped: u64) -> MapEdge {
        MapEdge {
            source: source.into(),
            destination: destination.into(),
            protocol: "TCP".into(),
            port,
            bytes_sent: 100,
            bytes_received: received,
            packets: 10,
            dropped,
            drop_reason: if dropped > 0 { "NETFILTER_DROP".into() } else { String::new() },
            ..MapEdge::default()
        }
    }

    fn map() -> ServiceMap {
        ServiceMap {
            nodes: ["web", "api", "db", "thief"].iter().map(|id| node(id, "workload")).collect(),
            edges: vec![
                edge("web", "api", 80, 9000, 0),
                edge("web", "api", 443, 1000, 0),
                edge("api", "db", 5432, 500, 0),
                edge("thief", "db", 5432, 0, 7),
                edge("api", "api", 80, 1, 0),
            ],
            since: "2026-11-21T10:00:00Z".into(),
            until: "2026-11-21T10:00:10Z".into(),
            source: "flows".into(),
            ..ServiceMap::default()
        }
    }

    #[test]
    fn links_join_ports_and_the_worst_comes_first() {
        let graph = Graph::build(&map(), &ViewState::default());
        let ends: Vec<(&str, &str)> = graph
            .links
            .iter()
            .map(|l| (graph.services[l.from].name.as_str(), graph.services[l.to].name.as_str()))
            .collect();
        assert_eq!(ends, [("thief", "db"), ("web", "api"), ("api", "db")]);
        assert_eq!(graph.links[0].health, Health::Blocked);
        assert_eq!(graph.links[0].drop_reason(), "NETFILTER_DROP");
        assert_eq!(graph.links[1].talks.iter().map(Talk::label).collect::<Vec<_>>(), ["TCP 80", "TCP 443"]);
        assert_eq!(graph.seconds, 10.0);
        assert_eq!(graph.services[graph.service("db").unwrap()].ports, ["TCP 5432"]);
        assert_eq!(graph.link("web>api"), Some(1));
        assert_eq!(graph.link("api>web"), None);
    }

    #[test]
    fn agents_that_count_no_bytes_have_servers_too() {
        let counted = |source, flows, dropped| MapEdge {
            flows,
            bytes_sent: 0,
            packets: 0,
            ..edge(source, "db", 5432, 0, dropped)
        };
        let map = ServiceMap { edges: vec![counted("api", 100_003, 3), counted("thief", 4, 4)], ..map() };
        let graph = Graph::build(&map, &ViewState::default());
        let health: Vec<Health> = graph.links.iter().map(|link| link.health).collect();
        assert_eq!(health, [Health::Blocked, Health::Fine]);
        assert_eq!(graph.services[graph.service("db").unwrap()].ports, ["TCP 5432"]);
    }

    #[test]
    fn only_problems_keeps_their_ends() {
        let view = ViewState { problems: true, ..ViewState::default() };
        let graph = Graph::build(&map(), &view);
        let names: Vec<&str> = graph.services.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["thief", "db"]);
        assert_eq!((graph.links[0].from, graph.links[0].to), (0, 1));
        assert_eq!(graph.services_seen, 4);
    }

    #[test]
    fn the_smallest_links_are_left_out_and_counted() {
        let count = LINKS_MAX + 25;
        let mut map = map();
        map.nodes = (0..=count).map(|i| node(&format!("s{i}"), "workload")).collect();
        map.edges = (0..count).map(|i| edge(&format!("s{i}"), &format!("s{}", i + 1), 80, i as u64 + 1, 0)).collect();
        map.edges[3] = edge("s3", "s4", 80, 0, 9);
        let graph = Graph::build(&map, &ViewState::default());
        assert_eq!((graph.links.len(), graph.links_hidden), (LINKS_MAX, 25));
        assert_eq!(graph.links[0].health, Health::Blocked, "problems are never left out");
        let all = Graph::build(&map, &ViewState { all_edges: true, ..ViewState::default() });
        assert_eq!((all.links.len(), all.links_hidden), (count, 0));
    }

    #[test]
    fn folded_peers_are_one_service() {
        let mut map = map();
        for i in 0..6 {
            map.nodes.push(node(&format!("h{i}.example.org"), "dns"));
            map.edges.push(edge("api", &format!("h{i}.example.org"), 443, 10, 0));
        }
        let graph = Graph::build(&map, &ViewState::default());
        let fold = graph.service("fold:dns:example.org").unwrap();
        assert_eq!(graph.services[fold].members.len(), 6);
        let link = &graph.links[graph.link("api>fold:dns:example.org").unwrap()];
        assert_eq!((link.talks.len(), link.totals.bytes_received), (1, 60));
        let unfolded = Graph::build(&map, &ViewState { unfolded: true, ..ViewState::default() });
        assert!(unfolded.service("h3.example.org").is_some());
    }
}
