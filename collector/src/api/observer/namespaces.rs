//! Which namespaces were seen lately.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::observer::{GetNamespacesResponse, Namespace};

use crate::api::Node;
use crate::api::span::Span;
use crate::ring::Event;

/// How long a namespace is told after its last flow.
const LATELY: Duration = Duration::from_secs(3600);

/// Namespaces of both sides of the flows of the last hour, sorted.
pub(super) async fn seen_lately(node: &Node) -> GetNamespacesResponse {
    let since = node.clock.now().before(LATELY);
    let flows = &node.flows;
    let start = Span { since: Some(since), ..Span::default() }.start(flows, |_: &Event| true).await;
    let mut names = BTreeSet::new();
    for number in start..flows.head() {
        if let Some(Event::Flow(flow)) = flows.get(number)
            && flow.time >= since
        {
            for name in flow.namespaces() {
                if !name.is_empty() && !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
    }
    let namespaces = names.into_iter().map(|namespace| Namespace { cluster: node.cluster.clone(), namespace });
    GetNamespacesResponse { namespaces: namespaces.collect() }
}
