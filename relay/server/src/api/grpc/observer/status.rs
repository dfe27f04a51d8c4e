//! State of the relay and of its nodes, as Hubble clients ask for it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use arrow::array::{Array, AsArray, DictionaryArray};
use arrow::datatypes::Int16Type;
use arrow::record_batch::RecordBatch;
use flow::{NodeState, Timestamp};
use proto::observer::{GetNamespacesResponse, GetNodesResponse, Namespace, Node, ServerStatusResponse, Tls};
use table::Col;
use table::schema::{DESTINATION, SOURCE};

use crate::nodes::names_in;
use crate::relay::{Relay, VERSION};

/// Names of unavailable nodes that are listed.
const UNAVAILABLE_NAMES_MAX: usize = 10;
/// Age up to which a flow's namespaces are listed.
const NAMESPACES_SPAN: Duration = Duration::from_secs(3600);
/// Name that Hubble gives the cluster where none was configured.
const DEFAULT_CLUSTER: &str = "default";

/// Answers `ServerStatus` for all nodes together.
pub(super) fn server(relay: &Relay) -> ServerStatusResponse {
    let stats = relay.index.stats();
    let nodes = relay.nodes();
    let connected = names_in(&nodes, NodeState::NODE_CONNECTED).len();
    let mut unavailable = names_in(&nodes, NodeState::NODE_UNAVAILABLE);
    let num_unavailable = unavailable.len();
    unavailable.truncate(UNAVAILABLE_NAMES_MAX);
    // That of the node that is up for the longest time, as with Hubble.
    let now = relay.now();
    let connected_nodes = nodes.iter().filter(|node| node.state == NodeState::NODE_CONNECTED);
    let up_since = connected_nodes.map(|node| node.known_since).min().unwrap_or(relay.started);
    let count = |n: usize| Some(u32::try_from(n).unwrap_or(u32::MAX));
    ServerStatusResponse {
        num_flows: stats.rows,
        max_flows: relay.config.index.flows_max as u64,
        seen_flows: stats.rows_seen,
        uptime_ns: nanos(now.since(up_since)),
        num_connected_nodes: count(connected),
        num_unavailable_nodes: count(num_unavailable),
        unavailable_nodes: unavailable,
        version: format!("weir-relay v{VERSION}"),
        flows_rate: relay.flows_per_second(),
    }
}

/// Answers `GetNodes`. What may be held is the index's to share among the nodes, so each has all of it.
pub(super) fn nodes(relay: &Relay) -> GetNodesResponse {
    let now = relay.now();
    let held = held_by_node(relay);
    let nodes = relay.nodes().into_iter().map(|node| {
        let num_flows = held.get(&node.name).copied().unwrap_or(0);
        let is_connected = node.state == NodeState::NODE_CONNECTED;
        let max_flows = relay.config.index.flows_max as u64;
        Node {
            num_flows,
            name: node.name,
            version: node.version,
            address: node.address,
            state: node.state.0,
            tls: Some(Tls { enabled: node.tls.is_some(), server_name: node.tls.unwrap_or_default() }),
            // Clients say "N/A" for what a node that cannot be asked does not tell.
            uptime_ns: if is_connected { nanos(now.since(node.known_since)) } else { 0 },
            max_flows: if is_connected || num_flows > 0 { max_flows } else { 0 },
            // Clients divide it by the time above.
            seen_flows: node.flows_since,
        }
    });
    GetNodesResponse { nodes: nodes.collect() }
}

/// Flows held of each node.
fn held_by_node(relay: &Relay) -> HashMap<String, u64> {
    let mut held = HashMap::new();
    for segment in relay.index.snapshot().segments() {
        let nodes = segment.batch().column(Col::NodeName.index()).as_dictionary_opt::<Int16Type>();
        let Some(nodes) = nodes else {
            debug_assert!(false, "this column of the flow table is a dictionary");
            continue;
        };
        let mut counts = vec![0u64; nodes.values().len()];
        for key in nodes.keys().iter().flatten() {
            if let Some(count) = usize::try_from(key).ok().and_then(|key| counts.get_mut(key)) {
                *count += 1;
            }
        }
        for (key, count) in (0i16..).zip(counts).filter(|(_, count)| *count > 0) {
            *held.entry(text(nodes, key).to_owned()).or_default() += count;
        }
    }
    held
}

/// Answers `GetNamespaces`: those of both sides of the flows of the last hour, sorted by cluster and name.
pub(super) fn namespaces(relay: &Relay) -> GetNamespacesResponse {
    let since = relay.now().before(NAMESPACES_SPAN);
    let snapshot = relay.index.snapshot();
    let mut found = BTreeSet::new();
    for segment in snapshot.segments().filter(|s| s.time_range().1 >= since) {
        for side in [&SOURCE, &DESTINATION] {
            collect(segment.batch(), since, side.cluster, side.namespace, &mut found);
        }
    }
    let columns = [Col::Time, SOURCE.cluster, SOURCE.namespace, DESTINATION.cluster, DESTINATION.namespace];
    for chunk in snapshot.chunks().filter(|chunk| chunk.time_range().1 >= since) {
        let Some(batch) = chunk.read(&columns) else { continue };
        for side in [&SOURCE, &DESTINATION] {
            collect(&batch, since, side.cluster, side.namespace, &mut found);
        }
    }
    let namespaces = found.into_iter().map(|(cluster, namespace)| Namespace { cluster, namespace });
    GetNamespacesResponse { namespaces: namespaces.collect() }
}

/// Adds the pairs of cluster and namespace of the rows since a moment.
fn collect(
    batch: &RecordBatch,
    since: Timestamp,
    cluster: Col,
    namespace: Col,
    found: &mut BTreeSet<(String, String)>,
) {
    let dictionary = |col: Col| batch.column(col.index()).as_dictionary_opt::<Int16Type>();
    let times = batch.column(Col::Time.index());
    let times = times.as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>();
    let (Some(clusters), Some(namespaces), Some(times)) = (dictionary(cluster), dictionary(namespace), times) else {
        debug_assert!(false, "these columns of the flow table have these types");
        return;
    };
    let since_us = since.0.div_euclid(1000);
    let mut pairs = HashSet::new();
    for row in 0..batch.num_rows() {
        if times.value(row) >= since_us && !namespaces.is_null(row) {
            pairs.insert((clusters.keys().value(row), namespaces.keys().value(row)));
        }
    }
    for (cluster, namespace) in pairs {
        let name = text(namespaces, namespace);
        if !name.is_empty() {
            let cluster = Some(text(clusters, cluster)).filter(|c| !c.is_empty()).unwrap_or(DEFAULT_CLUSTER);
            found.insert((cluster.to_owned(), name.to_owned()));
        }
    }
}

fn text(column: &DictionaryArray<Int16Type>, key: i16) -> &str {
    let values = column.values().as_string_opt::<i32>();
    values.zip(usize::try_from(key).ok()).map_or("", |(values, key)| values.value(key))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
