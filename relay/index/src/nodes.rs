//! The nodes that send flows.

use flow::{NodeState, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::BatchOrigin;
use crate::wal::NodeForm;

/// One node as the relay knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Connected, unavailable, gone or in error.
    pub state: NodeState,
    /// Version of its collector.
    pub version: String,
    /// Address it pushes from or is pulled at.
    pub address: String,
    /// Boot of its collector.
    pub boot_id: u64,
    /// Number of its last batch.
    pub sequence: u64,
    /// When its last batch arrived.
    pub last_batch: Option<Timestamp>,
    /// Last sign of life: a batch or a change of state.
    pub last_seen: Timestamp,
    /// Flows taken in from it.
    pub flows_seen: u64,
    /// Of those, the ones that runs of the relay before this one took in.
    pub flows_before: u64,
    /// Flows it reported as lost.
    pub lost: u64,
    /// Time of the newest flow taken in from it; a pull goes on from there after a restart.
    pub newest_flow: Option<Timestamp>,
    /// Of a peer that is pulled from: flows that it had seen when it sent the last one that was taken in.
    pub peer_seen: u64,
}

/// Boots of one collector that are remembered: after a restart it sends what its boots before had left, and when a
/// connection breaks then, batches of several boots come again.
const BOOTS_MAX: usize = 8;

/// All nodes, bounded: the one that was silent for longest is forgotten first.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: HashMap<String, Known, RandomState>,
    nodes_max: usize,
}

/// A node and the last batch of each of its boots, the one that sent last first.
#[derive(Debug, Default)]
struct Known {
    node: Node,
    boots: Vec<(u64, u64)>,
}

impl Nodes {
    pub(crate) fn new(nodes_max: usize) -> Self {
        Self { nodes: HashMap::default(), nodes_max }
    }

    /// The node of this name, made where it is not known.
    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        if !self.nodes.contains_key(name) && self.nodes.len() >= self.nodes_max {
            let silent = self.nodes.values().min_by_key(|known| known.node.last_seen);
            let silent = silent.map(|known| known.node.name.clone());
            silent.and_then(|name| self.nodes.remove(&name));
        }
        let known = || Known { node: Node { name: name.to_owned(), ..Node::default() }, boots: Vec::new() };
        &mut self.nodes.entry_ref(name).or_insert_with(known).node
    }

    /// The same, but no other is forgotten for it.
    pub(crate) fn node_if_room(&mut self, name: &str) -> Option<&mut Node> {
        let has_place = self.nodes.contains_key(name) || self.nodes.len() < self.nodes_max;
        has_place.then(|| self.node(name))
    }

    /// Whether this batch was taken before. Sources that do not number their batches never repeat one.
    pub(crate) fn is_repeated(&self, origin: &BatchOrigin) -> bool {
        origin.sequence != 0 && origin.sequence <= self.sequence(&origin.node, origin.boot_id)
    }

    /// Notes a batch that was taken, and the time of its newest flow.
    pub(crate) fn took(&mut self, origin: &BatchOrigin, rows: u64, newest: Option<Timestamp>) {
        let node = self.node(&origin.node);
        node.state = NodeState::NODE_CONNECTED;
        node.boot_id = origin.boot_id;
        node.sequence = origin.sequence;
        node.last_batch = Some(origin.received);
        node.last_seen = node.last_seen.max(origin.received);
        node.flows_seen = node.flows_seen.saturating_add(rows);
        node.newest_flow = node.newest_flow.max(newest);
        node.peer_seen = origin.peer_seen;
        for (ours, theirs) in [(&mut node.version, &origin.version), (&mut node.address, &origin.address)] {
            if !theirs.is_empty() && ours != theirs {
                ours.clone_from(theirs);
            }
        }
        self.remember(origin);
    }

    fn remember(&mut self, origin: &BatchOrigin) {
        let Some(known) = self.nodes.get_mut(&origin.node) else { return };
        known.boots.retain(|(boot, _)| *boot != origin.boot_id);
        known.boots.insert(0, (origin.boot_id, origin.sequence));
        known.boots.truncate(BOOTS_MAX);
    }

    /// Number of the last batch taken from a boot of the node.
    pub(crate) fn sequence(&self, name: &str, boot_id: u64) -> u64 {
        let boots = self.nodes.get(name).map_or(&[][..], |known| &known.boots);
        boots.iter().find(|(boot, _)| *boot == boot_id).map_or(0, |(_, sequence)| *sequence)
    }

    /// What is known of a node.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name).map(|known| &known.node)
    }

    /// All nodes by name.
    pub(crate) fn sorted(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = self.nodes.values().map(|known| known.node.clone()).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    }

    /// Notes that another run begins: what was taken in so far was so before it.
    pub(crate) fn begin_run(&mut self) {
        for known in self.nodes.values_mut() {
            known.node.flows_before = known.node.flows_seen;
        }
    }

    /// All nodes in the form of the log.
    pub(crate) fn forms(&self) -> Vec<NodeForm> {
        self.nodes.values().map(|known| NodeForm::of(&known.node, known.boots.clone())).collect()
    }

    /// Takes the nodes as the log has them, in place of what is known.
    pub(crate) fn restore(&mut self, forms: &[NodeForm]) {
        self.nodes.clear();
        for form in forms.iter().take(self.nodes_max) {
            let (node, boots) = form.node();
            self.nodes.insert(node.name.clone(), Known { node, boots });
        }
    }
}
