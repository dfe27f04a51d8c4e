//! Hubble's metrics of flows: names, labels and rules are those of Hubble 1.19.

use flow::{DropReason, Flow, L4, L7Record, LostEvent, Verdict, event_type};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::series::Series;
use crate::config::MetricsConfig;
use application::Applications;
use network::Networks;
use policy::Policies;

mod application;
mod network;
mod policy;

/// Counts flows. Owned by the pipeline, so that the way to a series is a look-up in a table of its own.
#[derive(Debug)]
pub(crate) struct FlowMetrics {
    processed: Series<(Protocol, i32, i32, Verdict), Counter, 4>,
    drops: Series<(Protocol, DropReason, String), Counter, 2>,
    applications: Applications,
    networks: Networks,
    policies: Policies,
    lost: Series<i32, Counter, 1>,
}

/// Protocol as Hubble's metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Protocol(&'static str);

impl FlowMetrics {
    /// Registers all metrics, as `config` says.
    pub(crate) fn new(registry: &mut Registry, config: &MetricsConfig) -> Self {
        let (r, max) = (registry, config.series_max);
        let processed = ["protocol", "type", "subtype", "verdict"];
        Self {
            processed: Series::counter(r, "hubble_flows_processed", "Flows processed", processed, max),
            drops: Series::counter(r, "hubble_drop", "Dropped packets", ["reason", "protocol"], max),
            applications: Applications::new(r, config.http, max),
            networks: Networks::new(r, &config.flows_to_world, max),
            policies: Policies::new(r, max),
            lost: Series::counter(r, "hubble_lost_events", "Events lost before they became flows", ["source"], max),
        }
    }

    /// Counts a flow.
    pub(crate) fn count(&mut self, flow: &Flow) {
        let protocol = Protocol::of(flow);
        let event = flow.event_type.unwrap_or_default();
        self.processed
            .of((protocol, event.kind, event.sub_kind, flow.verdict), || {
                let (kind, sub_kind) = type_names(flow);
                [protocol.0.to_owned(), kind.to_owned(), sub_kind, flow.verdict.to_string()]
            })
            .inc();
        if flow.verdict == Verdict::DROPPED {
            self.count_drop(flow, protocol);
        }
        self.policies.count(flow);
        self.networks.count(flow);
        if let Some(l7) = &flow.l7 {
            self.applications.count(flow, l7);
        }
    }

    /// Counts events that were lost before they became flows.
    pub(crate) fn count_lost(&mut self, lost: &LostEvent) {
        let name = || [lost.source.name().unwrap_or("unknown").to_lowercase()];
        self.lost.of(lost.source.0, name).inc_by(lost.count);
    }

    /// A flow of ours may stand for several dropped packets; Hubble's counter counts packets.
    fn count_drop(&mut self, flow: &Flow, protocol: Protocol) {
        let kernel = flow.details.as_ref().and_then(|d| d.kernel_drop.as_ref());
        let mapped = flow.drop_reason != DropReason::DROP_REASON_UNKNOWN;
        let own_name = kernel.filter(|_| !mapped).map_or("", |drop| drop.reason.as_str());
        self.drops
            .of((protocol, flow.drop_reason, own_name.to_owned()), || {
                let reason = if own_name.is_empty() { flow.drop_reason.to_string() } else { own_name.to_owned() };
                [reason, protocol.0.to_owned()]
            })
            .inc_by(flow.packets().max(1));
    }
}

impl Protocol {
    fn of(flow: &Flow) -> Self {
        Self(match flow.event_type.map(|event| event.kind) {
            Some(event_type::L7) => match flow.l7.as_ref().map(|l7| &l7.record) {
                Some(L7Record::Dns(_)) => "DNS",
                Some(L7Record::Http(_)) => "HTTP",
                Some(L7Record::Kafka(_)) => "Kafka",
                _ => "Unknown L7",
            },
            Some(event_type::DROP | event_type::TRACE | event_type::POLICY_VERDICT | event_type::CAPTURE) => {
                flow.l4.as_ref().map_or("Unknown L4", L4::protocol)
            }
            _ => "Unknown flow",
        })
    }
}

/// Type and sub type of a flow as Hubble's metrics name them.
fn type_names(flow: &Flow) -> (&'static str, String) {
    match flow.event_type.map(|event| event.kind) {
        Some(event_type::L7) => {
            let name = Protocol::of(flow).0;
            ("L7", if name == "Unknown L7" { String::new() } else { name.to_owned() })
        }
        Some(event_type::DROP) => ("Drop", String::new()),
        Some(event_type::CAPTURE) => ("Capture", String::new()),
        Some(event_type::TRACE) => ("Trace", flow::text::kind(flow).into_owned()),
        Some(event_type::POLICY_VERDICT) => ("PolicyVerdict", String::new()),
        other => ("Unknown", other.unwrap_or_default().to_string()),
    }
}

#[cfg(test)]
mod tests;
