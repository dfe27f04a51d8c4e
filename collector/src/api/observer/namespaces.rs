//! Which namespaces were seen lately.

use proto::observer::{GetNamespacesResponse, Namespace};

use crate::api::Node;

/// Namespaces of both sides of the flows of the last hour, sorted. All are told as of this node's cluster, as by Hubble.
pub(super) fn seen_lately(node: &Node) -> GetNamespacesResponse {
    let names = node.status.namespaces.lately(node.clock.now()).into_iter();
    let namespaces = names.map(|namespace| Namespace { cluster: node.cluster.clone(), namespace });
    GetNamespacesResponse { namespaces: namespaces.collect() }
}
