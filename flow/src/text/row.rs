//! A flow as a row of the HTTP API.

use std::sync::Arc;

use super::{Names, Side, kind, name_of};
use crate::view::{FlowRow, Party};
use crate::{Flow, Process, TrafficDirection, Verdict};

impl From<&Flow> for FlowRow {
    fn from(flow: &Flow) -> Self {
        let dropped = flow.verdict == Verdict::DROPPED;
        let kernel = flow.details.as_ref().and_then(|d| d.kernel_drop.as_ref()).filter(|_| dropped);
        let latency_ns = flow.l7.as_ref().map_or(0, |l7| l7.latency_ns);
        Self {
            id: flow.id.to_string(),
            time: flow.time.to_string(),
            node: flow.node_name.to_string(),
            verdict: flow.verdict.to_string(),
            kind: kind(flow).into_owned(),
            direction: direction(flow.traffic_direction).to_owned(),
            is_reply: flow.is_reply,
            source: party(flow, Side::Source),
            destination: party(flow, Side::Destination),
            protocol: flow.l4.map_or("", |l4| l4.protocol()).to_owned(),
            summary: flow.summary.clone(),
            drop_reason: match kernel {
                Some(drop) if !drop.reason.is_empty() => drop.reason.clone(),
                _ if dropped => flow.drop_reason.to_string(),
                _ => String::new(),
            },
            drop_function: kernel.map_or(String::new(), |drop| drop.function.clone()),
            interface: flow.interface.as_ref().map_or(String::new(), |i| i.name.to_string()),
            bytes: flow.bytes(),
            packets: flow.packets(),
            latency_us: (latency_ns > 0).then(|| nanos_to_micros(latency_ns)),
        }
    }
}

const fn direction(direction: TrafficDirection) -> &'static str {
    match direction {
        TrafficDirection::INGRESS => "ingress",
        TrafficDirection::EGRESS => "egress",
        _ => "",
    }
}

/// Exact up to 104 days.
#[expect(clippy::cast_precision_loss, reason = "a latency of more than 104 days may lose nanoseconds")]
fn nanos_to_micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

fn party(flow: &Flow, side: Side) -> Party {
    let endpoint = flow.endpoint(side);
    let service = side.of(&flow.source_service, &flow.destination_service).as_deref();
    let name = name_of(flow, side, Names::Resolved);
    // `name_of` puts the namespace before the name; here it has a field of its own.
    let bare = endpoint.map_or("", |e| e.pod_name.as_str());
    let bare = if bare.is_empty() { service.map_or("", |s| s.name.as_str()) } else { bare };
    let namespace = endpoint.map_or("", |e| e.namespace.as_str());
    let namespace = if namespace.is_empty() { service.map_or("", |s| s.namespace.as_str()) } else { namespace };
    let process = process(flow, side);
    Party {
        name: if bare.is_empty() || flow.ip.is_none() { name.host.into_owned() } else { bare.to_owned() },
        namespace: namespace.to_owned(),
        workload: endpoint.and_then(|e| e.workloads.first()).map_or(String::new(), |w| w.name.clone()),
        ip: flow.ip.as_ref().map_or(String::new(), |ip| side.of(&ip.source, &ip.destination).to_string()),
        port: name.port,
        identity: endpoint.map(|e| e.identity).unwrap_or_default().to_string(),
        labels: endpoint.map_or(Vec::new(), |e| e.labels.clone()),
        process: process.map_or(String::new(), |p| format!("{} ({})", p.comm, p.pid)),
        cgroup: process.map_or(String::new(), |p| p.cgroup.clone()),
    }
}

fn process(flow: &Flow, side: Side) -> Option<&Arc<Process>> {
    let details = flow.details.as_ref()?;
    side.of(&details.source_process, &details.destination_process).as_ref()
}
