//! The nodes that send flows.

use flow::{NodeState, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::BatchOrigin;

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
    /// Flows it reported as lost.
    pub lost: u64,
}

/// All nodes, bounded: the one that was silent for longest is forgotten first.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: HashMap<String, Node, RandomState>,
    nodes_max: usize,
}

impl Nodes {
    pub(crate) fn new(nodes_max: usize) -> Self {
        Self { nodes: HashMap::default(), nodes_max }
    }

    /// The node of this name, made where it is not known.
    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        if !self.nodes.contains_key(name) && self.nodes.len() >= self.nodes_max {
            let silent = self.nodes.values().min_by_key(|node| node.last_seen).map(|node| node.name.clone());
            silent.and_then(|name| self.nodes.remove(&name));
        }
        self.nodes.entry_ref(name).or_insert_with(|| Node { name: name.to_owned(), ..Node::default() })
    }

    /// Whether this batch was taken before. Sources that do not number their batches never repeat one.
    pub(crate) fn is_repeated(&self, origin: &BatchOrigin) -> bool {
        origin.sequence != 0
            && self
                .nodes
                .get(&origin.node)
                .is_some_and(|node| node.boot_id == origin.boot_id && origin.sequence <= node.sequence)
    }

    /// Notes a batch that was taken.
    pub(crate) fn took(&mut self, origin: &BatchOrigin, rows: u64) {
        let node = self.node(&origin.node);
        node.state = NodeState::NODE_CONNECTED;
        node.boot_id = origin.boot_id;
        node.sequence = origin.sequence;
        node.last_batch = Some(origin.received);
        node.last_seen = node.last_seen.max(origin.received);
        node.flows_seen = node.flows_seen.saturating_add(rows);
        for (ours, theirs) in [(&mut node.version, &origin.version), (&mut node.address, &origin.address)] {
            if !theirs.is_empty() && ours != theirs {
                ours.clone_from(theirs);
            }
        }
    }

    /// Number of the last batch taken from the node.
    pub(crate) fn sequence(&self, name: &str) -> u64 {
        self.nodes.get(name).map_or(0, |node| node.sequence)
    }

    /// All nodes by name.
    pub(crate) fn sorted(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = self.nodes.values().cloned().collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        nodes
    }
}
