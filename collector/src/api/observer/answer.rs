//! Making answers of what the histories hold.

use flow::filter::FilterSet;
use flow::{LostEvent, Timestamp};
use proto::convert::{Details, flow_response, flow_to_wire, lost_to_wire, time_to_wire};
use proto::flow::{AgentEvent as WireAgentEvent, EndpointUpdateNotification, TimeNotification, agent_event};
use proto::mask::FieldMask;
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::{GetAgentEventsResponse, GetFlowsResponse};

use crate::ring::{AgentEvent, AgentNews, Event};

/// Makes answers of one kind of value for one client.
pub(super) trait Answer<T>: Send + 'static {
    /// What the client gets.
    type Message: Send + 'static;

    /// Whether the value counts towards the number asked for.
    fn counts(&self, value: &T) -> bool;

    /// The answer for a value; `None` where the client does not want it.
    fn make(&self, value: &T) -> Option<Made<Self::Message>>;

    /// The answer that tells of values the client missed; `None` where the API has none.
    fn lost(&self, lost: LostEvent, now: Timestamp) -> Option<Self::Message>;
}

/// An answer.
pub(super) struct Made<M> {
    pub(super) message: M,
    /// Whether it counts towards the number asked for.
    pub(super) counts: bool,
}

/// Answers of `GetFlows`.
pub(super) struct FlowAnswer {
    pub(super) filters: FilterSet,
    pub(super) mask: Option<FieldMask>,
    pub(super) details: Details,
    pub(super) node_name: String,
}

impl Answer<Event> for FlowAnswer {
    type Message = GetFlowsResponse;

    fn counts(&self, value: &Event) -> bool {
        matches!(value, Event::Flow(flow) if self.filters.matches(flow))
    }

    fn make(&self, value: &Event) -> Option<Made<GetFlowsResponse>> {
        match value {
            Event::Flow(flow) if self.filters.matches(flow) => {
                let mut wire = flow_to_wire(flow, self.details);
                if let Some(mask) = &self.mask {
                    mask.apply(&mut wire);
                }
                Some(Made { message: flow_response(wire), counts: true })
            }
            Event::Flow(_) => None,
            Event::Lost(lost) => self.lost(lost.1, lost.0).map(|message| Made { message, counts: false }),
        }
    }

    fn lost(&self, lost: LostEvent, now: Timestamp) -> Option<GetFlowsResponse> {
        Some(GetFlowsResponse {
            node_name: self.node_name.clone(),
            time: Some(time_to_wire(now)),
            response_types: Some(ResponseTypes::LostEvents(lost_to_wire(&lost))),
        })
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

    fn make(&self, value: &AgentEvent) -> Option<Made<GetAgentEventsResponse>> {
        let notification = match &value.what {
            AgentNews::Started => {
                agent_event::Notification::AgentStart(TimeNotification { time: Some(time_to_wire(value.time)) })
            }
            AgentNews::Endpoint { endpoint, .. } => {
                agent_event::Notification::EndpointUpdate(EndpointUpdateNotification {
                    id: u64::from(endpoint.id),
                    labels: endpoint.labels.clone(),
                    error: String::new(),
                    pod_name: endpoint.pod_name.clone(),
                    namespace: endpoint.namespace.clone(),
                })
            }
        };
        let message = GetAgentEventsResponse {
            node_name: self.node_name.clone(),
            time: Some(time_to_wire(value.time)),
            agent_event: Some(WireAgentEvent { r#type: value.kind().0, notification: Some(notification) }),
        };
        Some(Made { message, counts: true })
    }

    fn lost(&self, _lost: LostEvent, _now: Timestamp) -> Option<GetAgentEventsResponse> {
        None
    }
}
