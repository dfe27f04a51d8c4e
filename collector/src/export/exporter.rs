//! One flow log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flow::{Flow, LostEvent, Timestamp, TrafficDirection};
use prost::Message as _;
use proto::convert::{Details, flow_to_wire, lost_to_wire, time_to_wire};
use proto::flow::{AgentEvent, Aggregate};
use proto::mask::FieldMask;
use proto::observer::ExportEvent;
use proto::observer::export_event::ResponseTypes;

use super::config::{ExportError, Plan};
use super::rotate::{Output, RotatingFile};

/// Kinds of flows counted together. When a new one finds no room, all are written early and counting begins anew.
const KINDS_MAX: usize = 65_536;
/// Time between two warnings about writes that fail.
const WARN_EVERY: Duration = Duration::from_secs(30);

/// Writes one flow log.
#[derive(Debug)]
pub(super) struct Exporter {
    plan: Plan,
    output: Output,
    aggregator: Option<Aggregator>,
    /// Name of this node, without its cluster, as Hubble writes it for what is no flow.
    node: Arc<str>,
    failures: u64,
    warned: Option<Timestamp>,
}

/// Counts flows that are alike.
#[derive(Debug)]
struct Aggregator {
    fields: FieldMask,
    interval: Duration,
    next: Timestamp,
    /// By the encoded form of the fields.
    kinds: HashMap<Vec<u8>, Kind>,
}

/// Flows that are alike.
#[derive(Debug)]
struct Kind {
    flow: proto::flow::Flow,
    /// Ingress, egress, unknown.
    counts: [u32; 3],
}

impl Exporter {
    /// Opens the end of a flow log.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn open(plan: Plan, node: Arc<str>, now: Timestamp) -> Result<Self, ExportError> {
        let output = match &plan.path {
            None => Output::Stdout(std::io::stdout()),
            Some(path) => {
                let opened = RotatingFile::open(path, plan.rotation.clone());
                Output::File(opened.map_err(|cause| ExportError::Open {
                    name: plan.name.clone(),
                    path: path.display().to_string(),
                    cause,
                })?)
            }
        };
        let aggregator = plan.aggregate.clone().map(|(fields, interval)| Aggregator {
            fields,
            interval,
            next: now.after(interval),
            kinds: HashMap::new(),
        });
        Ok(Self { plan, output, aggregator, node, failures: 0, warned: None })
    }

    /// Whether the log has not come to its end.
    pub(super) fn is_active(&self, now: Timestamp) -> bool {
        self.plan.end.is_none_or(|end| end > now)
    }

    /// Writes a flow, or counts it with others that are alike.
    pub(super) fn flow(&mut self, flow: &Flow, now: Timestamp) {
        if !self.is_active(now) || !self.plan.filters.matches(flow) {
            return;
        }
        let wire = flow_to_wire(flow, Details::Omit);
        let Some(aggregator) = &mut self.aggregator else {
            let mut wire = wire;
            self.plan.mask.apply(&mut wire);
            return self.write(&flow_event(wire), now);
        };
        if aggregator.kinds.len() >= KINDS_MAX {
            self.write_kinds(now);
        }
        if let Some(aggregator) = &mut self.aggregator {
            aggregator.add(wire);
        }
    }

    /// Writes that events were lost. No filter holds it back: a log that hides its gaps would tell what is not true.
    pub(super) fn lost(&mut self, lost: &LostEvent, time: Timestamp, now: Timestamp) {
        if self.is_active(now) {
            let event = self.event(time, ResponseTypes::LostEvents(lost_to_wire(lost)));
            self.write(&event, now);
        }
    }

    /// Writes an event of the collector itself, where the filters let it pass.
    pub(super) fn agent_event(&mut self, event: AgentEvent, time: Timestamp, now: Timestamp) {
        if self.is_active(now) && self.plan.event_filters.matches_agent_event(&event) {
            let event = self.event(time, ResponseTypes::AgentEvent(event));
            self.write(&event, now);
        }
    }

    /// Writes what was counted together once its time has come, and hands all to the system.
    pub(super) fn tick(&mut self, now: Timestamp) {
        if let Some(aggregator) = &mut self.aggregator
            && now >= aggregator.next
        {
            aggregator.next = now.after(aggregator.interval);
            self.write_kinds(now);
        }
        let flushed = self.output.flush();
        self.note(flushed, now);
    }

    /// Writes what is still counted. Call before dropping it.
    pub(super) fn end(mut self, now: Timestamp) {
        self.write_out(now);
    }

    /// Writes what is still counted, though its time has not come, so that others may open the file.
    pub(super) fn write_out(&mut self, now: Timestamp) {
        self.write_kinds(now);
        let flushed = self.output.finish();
        self.note(flushed, now);
    }

    fn write_kinds(&mut self, now: Timestamp) {
        let kinds = self.aggregator.as_mut().map(|aggregator| std::mem::take(&mut aggregator.kinds));
        for (_, kind) in kinds.into_iter().flatten() {
            self.write(&kind.into_event(), now);
        }
    }

    fn event(&self, time: Timestamp, response: ResponseTypes) -> ExportEvent {
        ExportEvent { node_name: self.node.to_string(), time: Some(time_to_wire(time)), response_types: Some(response) }
    }

    fn write(&mut self, event: &ExportEvent, now: Timestamp) {
        let mut line = proto::json::to_json(event);
        line.push('\n');
        let written = self.output.write_line(&line, now);
        self.note(written, now);
    }

    /// Counts a failure; a full disk must not fill the logs too.
    fn note(&mut self, written: std::io::Result<()>, now: Timestamp) {
        let Err(error) = written else { return };
        self.failures += 1;
        if self.warned.is_none_or(|warned| now.since(warned) >= WARN_EVERY) {
            self.warned = Some(now);
            let (log, failures) = (&self.plan.name, self.failures);
            tracing::error!(log, failures, %error, "a flow log cannot be written; its lines are lost");
        }
    }

    /// Writes that failed.
    pub(super) const fn failures(&self) -> u64 {
        self.failures
    }
}

impl Aggregator {
    /// Flows are told apart by their time only where that is among the fields, but that of the first of a kind is kept.
    fn add(&mut self, mut flow: proto::flow::Flow) {
        let (time, direction) = (flow.time, TrafficDirection(flow.traffic_direction));
        self.fields.apply(&mut flow);
        let kind = self.kinds.entry(flow.encode_to_vec()).or_insert_with(|| {
            flow.time = time;
            Kind { flow, counts: [0; 3] }
        });
        let at = match direction {
            TrafficDirection::INGRESS => 0,
            TrafficDirection::EGRESS => 1,
            _ => 2,
        };
        kind.counts[at] = kind.counts[at].saturating_add(1);
    }
}

impl Kind {
    fn into_event(mut self) -> ExportEvent {
        let [ingress_flow_count, egress_flow_count, unknown_direction_flow_count] = self.counts;
        self.flow.aggregate = Some(Aggregate { ingress_flow_count, egress_flow_count, unknown_direction_flow_count });
        flow_event(self.flow)
    }
}

/// Node and time are those of the masked flow, as in answers.
fn flow_event(flow: proto::flow::Flow) -> ExportEvent {
    ExportEvent { node_name: flow.node_name.clone(), time: flow.time, response_types: Some(ResponseTypes::Flow(flow)) }
}
