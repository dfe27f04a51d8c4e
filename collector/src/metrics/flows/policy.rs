//! Verdicts of policies.

use flow::{Flow, Identity, L7Record, TrafficDirection, Verdict, event_type};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::metrics::series::Series;

/// Verdicts by direction and by the part of a rule that matched.
#[derive(Debug)]
pub(super) struct Policies {
    verdicts: Series<(TrafficDirection, &'static str, Verdict), Counter, 3>,
}

impl Policies {
    pub(super) fn new(r: &mut Registry, max: usize) -> Self {
        let labels = ["direction", "match", "action"];
        Self { verdicts: Series::counter(r, "hubble_policy_verdicts", "Verdicts of network policies", labels, max) }
    }

    pub(super) fn count(&mut self, flow: &Flow) {
        let Some(matched) = matched(flow) else { return };
        let (direction, action) = (flow.traffic_direction, flow.verdict);
        let labels =
            || [direction.to_string().to_lowercase(), matched.to_lowercase(), action.to_string().to_lowercase()];
        self.verdicts.of((direction, matched, action), labels).inc();
    }
}

/// What matched; `None` for flows that tell of no verdict.
fn matched(flow: &Flow) -> Option<&'static str> {
    match flow.event_type?.kind {
        // A host may always reach its own endpoints, so its verdicts say nothing of a policy.
        event_type::POLICY_VERDICT if flow.source.as_ref().is_some_and(|from| from.identity == Identity::HOST) => None,
        event_type::POLICY_VERDICT => Some(flow::text::policy_match(flow.policy_match_type)),
        event_type::L7 => Some(match flow.l7.as_ref().map(|l7| &l7.record) {
            Some(L7Record::Dns(_)) => "l7/dns",
            Some(L7Record::Http(_)) => "l7/http",
            Some(L7Record::Kafka(_)) => "l7/kafka",
            _ => "l7/",
        }),
        _ => None,
    }
}
