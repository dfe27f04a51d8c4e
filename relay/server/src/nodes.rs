//! Which nodes there are: who is connected, joined with what the index knows of each.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flow::{NodeState, Timestamp};
use relay_index::Index;
use tokio::sync::broadcast;

/// Connections of nodes, at most a fixed number of nodes.
///
/// When full, the node that has been disconnected for longest is forgotten; where all are connected a new one is not
/// listed, but its flows are taken in all the same.
#[derive(Debug)]
pub(crate) struct Presence {
    nodes: Mutex<HashMap<String, Entry>>,
    troubles: broadcast::Sender<Trouble>,
    nodes_max: usize,
    gone_after: Duration,
}

/// A node that was connected and broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Its name.
    pub(crate) name: String,
    /// Why, for people.
    pub(crate) message: String,
}

/// Troubles that a follower may be behind; of more, the oldest are not told to it.
const TROUBLES_MAX: usize = 256;

#[derive(Clone, Debug)]
struct Entry {
    connections: u32,
    address: String,
    message: String,
    /// Whether it was connected since its last trouble was told.
    was_connected: bool,
    /// Name in its certificate, where it is reached over TLS.
    tls: Option<String>,
    known_since: Timestamp,
    last_change: Timestamp,
    /// Whether it is no part of the cluster any more.
    has_left: bool,
}

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Name, `cluster/node` outside of the default cluster.
    pub(crate) name: String,
    /// Connected, unavailable or gone.
    pub(crate) state: NodeState,
    /// What went wrong last, for people; empty where nothing did.
    pub(crate) message: String,
    /// Address it pushes from or is pulled at.
    pub(crate) address: String,
    /// Name in its certificate, where it is reached over TLS.
    pub(crate) tls: Option<String>,
    /// Version of its collector, empty where it is not known.
    pub(crate) version: String,
    /// Flows taken in from it, by all runs of this relay.
    pub(crate) flows_seen: u64,
    /// Flows that it has seen since `known_since`.
    pub(crate) flows_since: u64,
    /// Flows that it reported as lost on the way here.
    pub(crate) lost: u64,
    /// Since when it is up, as far as that is known; else when it was first heard of.
    pub(crate) known_since: Timestamp,
    /// When its last batch came.
    pub(crate) last_batch: Option<Timestamp>,
}

impl Presence {
    /// No nodes, room for `nodes_max`; one that is disconnected for `gone_after` is gone.
    pub(crate) fn new(nodes_max: usize, gone_after: Duration) -> Self {
        Self { nodes: Mutex::default(), troubles: broadcast::channel(TROUBLES_MAX).0, nodes_max, gone_after }
    }

    /// Notes a connection of `name`. Undone by [`Presence::disconnected`].
    pub(crate) fn connected(&self, name: &str, address: &str, now: Timestamp) {
        self.change(name, now, |node| {
            node.has_left = false;
            node.connections += 1;
            node.was_connected = true;
            node.message.clear();
            address.clone_into(&mut node.address);
        });
    }

    /// Notes the end of a connection, with what went wrong or an empty text.
    pub(crate) fn disconnected(&self, name: &str, message: &str, now: Timestamp) {
        self.change(name, now, |node| {
            node.connections = node.connections.saturating_sub(1);
            message.clone_into(&mut node.message);
        });
        self.tell_trouble(name);
    }

    /// Notes whether a node is to be reached over TLS, and the name in its certificate.
    pub(crate) fn secured(&self, name: &str, server_name: Option<&str>, now: Timestamp) {
        self.change(name, now, |node| node.tls = server_name.map(str::to_owned));
    }

    /// Notes since when a node is up, as it tells itself.
    pub(crate) fn up_since(&self, name: &str, since: Timestamp, now: Timestamp) {
        self.change(name, now, |node| node.known_since = since);
    }

    /// News of nodes that break off.
    pub(crate) fn troubles(&self) -> broadcast::Receiver<Trouble> {
        self.troubles.subscribe()
    }

    /// Tells that a node broke off and why, once for each time that it was connected.
    fn tell_trouble(&self, name: &str) {
        let mut nodes = self.lock();
        let Some(node) = nodes.get_mut(name) else { return };
        if node.connections > 0 || !node.was_connected || node.message.is_empty() {
            return;
        }
        node.was_connected = false;
        let trouble = Trouble { name: name.to_owned(), message: node.message.clone() };
        // Without followers nobody needs to know.
        drop(self.troubles.send(trouble));
    }

    /// Notes a peer that is not connected yet, or could not be reached.
    pub(crate) fn unreachable(&self, name: &str, address: &str, message: &str, now: Timestamp) {
        self.change(name, now, |node| {
            node.has_left = false;
            message.clone_into(&mut node.message);
            address.clone_into(&mut node.address);
        });
        self.tell_trouble(name);
    }

    /// Forgets a peer that is no part of the cluster any more; its flows stay, and it is listed as gone for them.
    pub(crate) fn forget(&self, name: &str) {
        if let Some(node) = self.lock().get_mut(name) {
            node.has_left = true;
        }
    }

    /// All nodes by name, with what the index knows of them. One that sent flows lately, before the relay started, is
    /// awaited.
    pub(crate) fn list(&self, index: &Index, now: Timestamp) -> Vec<Node> {
        let (mut nodes, mut left) = (HashMap::new(), HashSet::new());
        for (name, entry) in &*self.lock() {
            if entry.has_left {
                left.insert(name.clone());
            } else {
                nodes.insert(name.clone(), self.describe(name, entry, now));
            }
        }
        for known in index.nodes() {
            // What was imported has no address.
            let is_awaited = !left.contains(&known.name) && !known.address.is_empty();
            let is_recent = known.last_batch.is_some_and(|last| now.since(last) <= self.gone_after);
            let node = nodes.entry(known.name.clone()).or_insert_with(|| Node {
                name: known.name.clone(),
                state: if is_awaited && is_recent { NodeState::NODE_UNAVAILABLE } else { NodeState::NODE_GONE },
                message: String::new(),
                address: known.address.clone(),
                tls: None,
                version: String::new(),
                flows_seen: 0,
                flows_since: 0,
                lost: 0,
                known_since: known.last_batch.unwrap_or(now),
                last_batch: None,
            });
            node.flows_since = flows_since(&known);
            node.flows_seen = known.flows_seen;
            node.version = known.version;
            node.lost = known.lost;
            node.last_batch = known.last_batch;
        }
        let mut nodes: Vec<Node> = nodes.into_values().collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    }

    fn describe(&self, name: &str, entry: &Entry, now: Timestamp) -> Node {
        let state = if entry.connections > 0 {
            NodeState::NODE_CONNECTED
        } else if now.since(entry.last_change) > self.gone_after {
            NodeState::NODE_GONE
        } else {
            NodeState::NODE_UNAVAILABLE
        };
        Node {
            name: name.to_owned(),
            state,
            message: entry.message.clone(),
            address: entry.address.clone(),
            tls: entry.tls.clone(),
            version: String::new(),
            flows_seen: 0,
            flows_since: 0,
            lost: 0,
            known_since: entry.known_since,
            last_batch: None,
        }
    }

    fn change(&self, name: &str, now: Timestamp, change: impl FnOnce(&mut Entry)) {
        let mut nodes = self.lock();
        if let Some(node) = nodes.get_mut(name) {
            node.last_change = now;
            change(node);
            return;
        }
        if nodes.len() >= self.nodes_max && !forget_one(&mut nodes) {
            return;
        }
        let mut node = Entry {
            connections: 0,
            address: String::new(),
            message: String::new(),
            was_connected: false,
            tls: None,
            known_since: now,
            last_change: now,
            has_left: false,
        };
        change(&mut node);
        nodes.insert(name.to_owned(), node);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_one(nodes: &mut HashMap<String, Entry>) -> bool {
    let silent = nodes.iter().filter(|(_, n)| n.connections == 0).min_by_key(|(_, n)| n.last_change);
    let Some(name) = silent.map(|(name, _)| name.clone()) else { return false };
    nodes.remove(&name).is_some()
}

/// Flows that a node has seen since it was first heard of in this run, or since its peer is up, which tells it.
fn flows_since(known: &relay_index::Node) -> u64 {
    match known.peer_seen {
        0 => known.flows_seen.saturating_sub(known.flows_before),
        seen => seen,
    }
}

/// Names of the nodes in `state`.
pub(crate) fn names_in(nodes: &[Node], state: NodeState) -> Vec<String> {
    nodes.iter().filter(|n| n.state == state).map(|n| n.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn states(presence: &Presence, now: Timestamp) -> Vec<(String, NodeState)> {
        let index = Index::new(relay_index::Config::default()).unwrap();
        presence.list(&index, now).into_iter().map(|n| (n.name, n.state)).collect()
    }

    /// Clients make a rate of them, so flows that a run before took in must not count.
    #[test]
    fn flows_are_those_of_the_time_that_is_told() {
        let known = relay_index::Node { flows_seen: 2_005, flows_before: 1_775, ..relay_index::Node::default() };
        assert_eq!(flows_since(&known), 230);
        assert_eq!(flows_since(&relay_index::Node { peer_seen: 9_000, ..known }), 9_000, "a peer counts by itself");
    }

    #[test]
    fn a_node_is_connected_until_its_last_connection_ends() {
        let presence = Presence::new(10, Duration::from_secs(60));
        presence.connected("a", "10.0.0.1:999", NOW);
        presence.connected("a", "10.0.0.1:1000", NOW);
        presence.disconnected("a", "reset", NOW);
        assert_eq!(states(&presence, NOW), [("a".to_owned(), NodeState::NODE_CONNECTED)]);
        presence.disconnected("a", "reset", NOW);
        assert_eq!(states(&presence, NOW), [("a".to_owned(), NodeState::NODE_UNAVAILABLE)]);
        let later = NOW.after(Duration::from_secs(61));
        assert_eq!(states(&presence, later), [("a".to_owned(), NodeState::NODE_GONE)]);
    }

    #[test]
    fn a_node_that_sent_before_the_relay_started_is_awaited_unless_it_left() {
        let index = Index::new(relay_index::Config::default()).unwrap();
        let mut batch = table::FlowBatchBuilder::new();
        batch.push(&flow::Flow::default()).unwrap();
        let batch = batch.finish();
        for (node, address) in [("a", "10.0.0.1:999"), ("b", "10.0.0.2:999"), ("import", "")] {
            let (node, address) = (node.to_owned(), address.to_owned());
            let origin = relay_index::BatchOrigin { node, address, received: NOW, ..Default::default() };
            index.append(&origin, &batch).unwrap();
        }
        let presence = Presence::new(10, Duration::from_secs(60));
        let states = |now| -> Vec<NodeState> { presence.list(&index, now).into_iter().map(|n| n.state).collect() };
        use NodeState as S;
        assert_eq!(states(NOW), [S::NODE_UNAVAILABLE, S::NODE_UNAVAILABLE, S::NODE_GONE]);
        assert_eq!(states(NOW.after(Duration::from_secs(61))), [S::NODE_GONE; 3]);
        presence.connected("b", "10.0.0.2:999", NOW);
        presence.disconnected("b", "", NOW);
        presence.forget("b");
        assert_eq!(states(NOW), [S::NODE_UNAVAILABLE, S::NODE_GONE, S::NODE_GONE]);
        presence.connected("b", "10.0.0.2:999", NOW);
        assert_eq!(states(NOW)[1], S::NODE_CONNECTED);
    }

    #[test]
    fn a_node_tells_since_when_it_is_up() {
        let presence = Presence::new(10, Duration::from_secs(60));
        let index = Index::new(relay_index::Config::default()).unwrap();
        let since = || presence.list(&index, NOW)[0].known_since;
        presence.unreachable("a", "", "not connected yet", NOW);
        assert_eq!(since(), NOW);
        let before = NOW.before(Duration::from_secs(3600));
        presence.up_since("a", before, NOW);
        presence.connected("a", "10.0.0.1:4244", NOW);
        assert_eq!(since(), before);
    }

    #[test]
    fn a_node_is_secure_as_it_was_told_last() {
        let presence = Presence::new(10, Duration::from_secs(60));
        let index = Index::new(relay_index::Config::default()).unwrap();
        let tls = || presence.list(&index, NOW)[0].tls.clone();
        presence.unreachable("a", "", "not connected yet", NOW);
        presence.secured("a", Some("a.example"), NOW);
        assert_eq!(tls().as_deref(), Some("a.example"));
        presence.secured("a", None, NOW);
        assert_eq!(tls(), None);
    }

    #[test]
    fn a_node_that_breaks_off_is_told_once() {
        let presence = Presence::new(10, Duration::from_secs(60));
        let mut troubles = presence.troubles();
        presence.unreachable("a", "", "not connected yet", NOW);
        presence.connected("a", "", NOW);
        presence.disconnected("a", "", NOW);
        presence.unreachable("a", "", "reset", NOW);
        presence.unreachable("a", "", "refused", NOW);
        presence.connected("b", "", NOW);
        presence.disconnected("b", "cancelled", NOW);
        let trouble = |name: &str, message: &str| Trouble { name: name.to_owned(), message: message.to_owned() };
        assert_eq!(troubles.try_recv(), Ok(trouble("a", "reset")));
        assert_eq!(troubles.try_recv(), Ok(trouble("b", "cancelled")));
        assert!(troubles.try_recv().is_err());
    }

    #[test]
    fn the_silent_one_is_forgotten_and_a_connected_one_never() {
        let presence = Presence::new(2, Duration::from_secs(60));
        presence.connected("a", "", NOW);
        presence.unreachable("b", "", "refused", NOW);
        presence.connected("c", "", NOW);
        presence.connected("d", "", NOW);
        let names: Vec<_> = states(&presence, NOW).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "c"]);
    }
}
