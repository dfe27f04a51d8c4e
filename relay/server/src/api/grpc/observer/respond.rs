//! Writing responses of `GetFlows`.

use flow::{Flow, NodeState, Timestamp};
use proto::convert::{flow_to_wire, lost_to_wire, time_to_wire};
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;
use proto::relay::NodeStatusEvent;

use super::ask::Form;
use crate::losses::NodeLoss;
use crate::nodes::{Node, names_in};

/// Name under which the relay itself speaks in a stream of flows.
const RELAY_NAME: &str = "weir-relay";
/// Nodes whose reason is told.
const REASONS_MAX: usize = 10;

/// A flow; node and time of the wrapper are those of the masked flow, as Hubble has it.
pub(super) fn flow(flow: &Flow, form: &Form) -> GetFlowsResponse {
    let mut wire = flow_to_wire(flow, form.details);
    if let Some(mask) = &form.mask {
        mask.apply(&mut wire);
    }
    GetFlowsResponse {
        node_name: wire.node_name.clone(),
        time: wire.time,
        response_types: Some(ResponseTypes::Flow(wire)),
    }
}

/// Events that a node lost; an empty name stands for the relay itself.
pub(super) fn lost(loss: &NodeLoss, now: Timestamp) -> GetFlowsResponse {
    GetFlowsResponse {
        node_name: if loss.node.is_empty() { RELAY_NAME.to_owned() } else { loss.node.clone() },
        time: Some(time_to_wire(loss.event.last.unwrap_or(now))),
        response_types: Some(ResponseTypes::LostEvents(lost_to_wire(&loss.event))),
    }
}

/// Nodes in a state, and what is known of why; `None` where no node is in it.
pub(super) fn node_status(state: NodeState, nodes: &[Node], now: Timestamp) -> Option<GetFlowsResponse> {
    let node_names = names_in(nodes, state);
    if node_names.is_empty() {
        return None;
    }
    let reasons = nodes.iter().filter(|n| n.state == state && !n.message.is_empty());
    let reasons: Vec<_> = reasons.take(REASONS_MAX).map(|n| format!("{}: {}", n.name, n.message)).collect();
    let event = NodeStatusEvent { state_change: state.0, node_names, message: reasons.join("; ") };
    Some(GetFlowsResponse {
        node_name: RELAY_NAME.to_owned(),
        time: Some(time_to_wire(now)),
        response_types: Some(ResponseTypes::NodeStatus(event)),
    })
}
