//! Writing responses of `GetFlows`.

use std::sync::Arc;

use bytes::Bytes;
use flow::{Flow, NodeState, Timestamp};
use prost::Message as _;
use proto::convert::{flow_response, flow_to_wire, lost_to_wire, time_to_wire};
use proto::encode::FlowEncoder;
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;
use proto::relay::NodeStatusEvent;

use super::ask::Form;
use crate::losses::NodeLoss;
use crate::nodes::{Node, names_in};

/// Name under which the relay itself speaks in a stream of flows.
pub(super) const RELAY_NAME: &str = "weir-relay";
/// Nodes whose reason is told.
const REASONS_MAX: usize = 10;

/// Part of a piece by which the next one may be longer without growing.
const EXPECT_MORE: usize = 16;

/// Encoded responses on their way to a client.
pub(super) type Chunk = Vec<Bytes>;

/// Writes flows one after the other into one piece of memory.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    form: Arc<Form>,
    encoder: FlowEncoder,
    /// Bytes of the piece before: the next one is about as long, so its memory need not grow by doubling.
    expected: usize,
}

impl ChunkWriter {
    /// A writer of flows in this form.
    pub(super) fn new(form: Arc<Form>) -> Self {
        Self { form, encoder: FlowEncoder::default(), expected: 0 }
    }

    /// Responses of flows; node and time of a response are those of the masked flow, as Hubble has it.
    pub(super) fn write(&mut self, flows: impl Iterator<Item = Flow>) -> Chunk {
        let (mut encoded, mut ends) = (Vec::with_capacity(self.expected), Vec::new());
        for flow in flows {
            match &self.form.mask {
                None => self.encoder.response(&flow, self.form.details, &mut encoded),
                Some(mask) => {
                    let mut wire = flow_to_wire(&flow, self.form.details);
                    mask.apply(&mut wire);
                    flow_response(wire).encode(&mut encoded).expect("memory takes all bytes");
                }
            }
            ends.push(encoded.len());
        }
        self.expected = encoded.len() + encoded.len() / EXPECT_MORE;
        let mut encoded = Bytes::from(encoded);
        let mut begin = 0;
        let lengths = ends.into_iter().map(|end| end - std::mem::replace(&mut begin, end));
        lengths.map(|length| encoded.split_to(length)).collect()
    }
}

/// One response, encoded.
pub(super) fn single(response: &GetFlowsResponse) -> Chunk {
    vec![response.encode_to_vec().into()]
}

/// Events that a node lost; an empty name stands for the relay itself.
pub(super) fn lost(loss: &NodeLoss, now: Timestamp) -> GetFlowsResponse {
    GetFlowsResponse {
        node_name: if loss.node.is_empty() { RELAY_NAME.to_owned() } else { loss.node.clone() },
        time: Some(time_to_wire(loss.event.last.unwrap_or(now))),
        response_types: Some(ResponseTypes::LostEvents(lost_to_wire(&loss.event))),
    }
}

/// Files of the store whose flows are missing, told as the trouble of a node, which every client prints; `None` where none
/// is.
pub(super) fn damage(files: &[String], now: Timestamp) -> Option<GetFlowsResponse> {
    let first = files.first()?;
    let more = if files.len() > 1 { format!(" (and {} more files)", files.len() - 1) } else { String::new() };
    let message = format!("flows of the store are missing: {first}{more}");
    let node_names = vec![RELAY_NAME.to_owned()];
    let event = NodeStatusEvent { state_change: NodeState::NODE_ERROR.0, node_names, message };
    Some(GetFlowsResponse {
        node_name: RELAY_NAME.to_owned(),
        time: Some(time_to_wire(now)),
        response_types: Some(ResponseTypes::NodeStatus(event)),
    })
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
