//! Making answers of what the histories hold.

use std::sync::Arc;

use bytes::Bytes;
use flow::{Flow, LostEvent, Timestamp};
use prost::Message as _;
use proto::convert::{Details, flow_response, flow_to_wire, lost_to_wire, time_to_wire};
use proto::encode::FlowEncoder;
use proto::flow::{
    AgentEvent as WireAgentEvent, EndpointUpdateNotification, PolicyUpdateNotification, TimeNotification, agent_event,
};
use proto::mask::FieldMask;
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::{GetAgentEventsResponse, GetFlowsResponse};
use table::BatchFilter;

use crate::ring::{AgentEvent, AgentNews, Event};

/// Room for an encoded flow; most take some hundred bytes.
const FLOW_BYTES: usize = 768;

/// Makes answers of one kind of value for one client.
pub(super) trait Answer<T>: Send + 'static {
    /// What the client gets.
    type Message: Send + 'static;

    /// What a value has to pass to count, where it can be told before the value is read.
    fn wanted(&self) -> Option<Arc<BatchFilter>> {
        None
    }

    /// Whether the value counts towards the number asked for.
    fn counts(&self, value: &T) -> bool;

    /// The answer for a value; `None` where the client does not want it.
    fn make(&mut self, value: &T) -> Option<Made<Self::Message>>;

    /// The answer that tells of values the client missed; `None` where the API has none.
    fn lost(&self, lost: LostEvent, now: Timestamp) -> Option<Self::Message>;
}

/// An answer.
pub(super) struct Made<M> {
    pub(super) message: M,
    /// Whether it counts towards the number asked for.
    pub(super) counts: bool,
}

/// Answers of `GetFlows`, encoded.
pub(super) struct FlowAnswer {
    pub(super) filter: Arc<BatchFilter>,
    pub(super) mask: Option<FieldMask>,
    pub(super) details: Details,
    pub(super) node_name: String,
    pub(super) encoder: FlowEncoder,
}

impl FlowAnswer {
    fn encode(&mut self, flow: &Flow) -> Bytes {
        let Some(mask) = &self.mask else {
            let mut encoded = Vec::with_capacity(FLOW_BYTES);
            self.encoder.response(flow, self.details, &mut encoded);
            return encoded.into();
        };
        let mut wire = flow_to_wire(flow, self.details);
        mask.apply(&mut wire);
        flow_response(wire).encode_to_vec().into()
    }
}

impl Answer<Event> for FlowAnswer {
    type Message = Bytes;

    fn wanted(&self) -> Option<Arc<BatchFilter>> {
        // What may take long for a single flow is asked flow by flow: others have their turn between two.
        (!self.filter.may_take_long()).then(|| Arc::clone(&self.filter))
    }

    fn counts(&self, value: &Event) -> bool {
        matches!(value, Event::Flow(flow) if self.filter.filters().matches(flow))
    }

    fn make(&mut self, value: &Event) -> Option<Made<Bytes>> {
        match value {
            Event::Flow(flow) if self.filter.filters().matches(flow) => {
                Some(Made { message: self.encode(flow), counts: true })
            }
            Event::Flow(_) => None,
            Event::Lost(lost) => self.lost(lost.1, lost.0).map(|message| Made { message, counts: false }),
        }
    }

    fn lost(&self, lost: LostEvent, now: Timestamp) -> Option<Bytes> {
        let response = GetFlowsResponse {
            node_name: self.node_name.clone(),
            time: Some(time_to_wire(now)),
            response_types: Some(ResponseTypes::LostEvents(lost_to_wire(&lost))),
        };
        Some(response.encode_to_vec().into())
    }
}

/// Answers of `GetAgentEvents`.
pub(super) struct AgentAnswer {
    pub(super) node_name: String,
}

impl Answer<AgentEvent> for AgentAnswer {
    type Message = GetAgentEventsResponse;

    fn counts(&self, _value: &AgentEvent) -> bool {
        true
    }

    fn make(&mut self, value: &AgentEvent) -> Option<Made<GetAgentEventsResponse>> {
        let message = GetAgentEventsResponse {
            node_name: self.node_name.clone(),
            time: Some(time_to_wire(value.time)),
            agent_event: Some(agent_event_to_wire(value)),
        };
        Some(Made { message, counts: true })
    }

    fn lost(&self, _lost: LostEvent, _now: Timestamp) -> Option<GetAgentEventsResponse> {
        None
    }
}

/// An event of the collector itself, on the wire.
pub(crate) fn agent_event_to_wire(event: &AgentEvent) -> WireAgentEvent {
    let notification = match &event.what {
        AgentNews::Started => {
            agent_event::Notification::AgentStart(TimeNotification { time: Some(time_to_wire(event.time)) })
        }
        AgentNews::Policy(change) => agent_event::Notification::PolicyUpdate(PolicyUpdateNotification {
            labels: vec!["nftables".to_owned(), format!("process={}", change.process), format!("pid={}", change.pid)],
            revision: u64::from(change.generation),
            rule_count: i64::from(change.rules),
        }),
        AgentNews::Endpoint { endpoint, .. } => agent_event::Notification::EndpointUpdate(EndpointUpdateNotification {
            id: u64::from(endpoint.id),
            labels: endpoint.labels.clone(),
            error: String::new(),
            pod_name: endpoint.pod_name.clone(),
            namespace: endpoint.namespace.clone(),
        }),
    };
    WireAgentEvent { r#type: event.kind().0, notification: Some(notification) }
}
