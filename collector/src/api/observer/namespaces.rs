//! Which namespaces were seen lately.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::observer::{GetNamespacesResponse, Namespace};

use crate::api::Node;
use crate::api::span::{DISORDER, Turn};
use crate::ring::{Event, Found};

/// How long a namespace is told after its last flow.
const LATELY: Duration = Duration::from_secs(3600);

/// Namespaces of both sides of the flows of the last hour, sorted.
pub(super) async fn seen_lately(node: &Node) -> GetNamespacesResponse {
    let since = node.clock.now().before(LATELY);
    let (flows, too_old) = (&node.flows, since.before(DISORDER));
    let (mut names, mut lookup, mut turn) = (BTreeSet::new(), flows.lookup(), Turn::default());
    for number in (flows.oldest()..flows.head()).rev() {
        match lookup.time(number) {
            Some(time) if time < too_old => break,
            Some(time) if time >= since => {}
            _ => continue,
        }
        if let Found::Value(Event::Flow(flow)) = lookup.find(number) {
            for name in flow.namespaces() {
                if !name.is_empty() && !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
        turn.take().await;
    }
    let namespaces = names.into_iter().map(|namespace| Namespace { cluster: node.cluster.clone(), namespace });
    GetNamespacesResponse { namespaces: namespaces.collect() }
}
