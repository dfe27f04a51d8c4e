//! What a stream of flows brings, in the words of `flow`.

use flow::{Flow, LostEvent, NodeState, Timestamp};
use proto::convert::{flow_from_wire, lost_from_wire, time_from_wire};
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

/// One message of a stream of flows.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A flow.
    Flow {
        flow: Box<Flow>,
        /// Time of the flow; `None` where a field mask left it out.
        time: Option<Timestamp>,
    },
    /// Flows that were lost.
    Lost { lost: LostEvent, node: String, time: Option<Timestamp> },
    /// News about the nodes behind a relay.
    Nodes { news: NodeNews, node: String, time: Option<Timestamp> },
    /// A kind of message that this version does not know.
    Unknown,
}

/// News about the nodes behind a relay.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeNews {
    pub(crate) state: NodeState,
    pub(crate) names: Vec<String>,
    pub(crate) message: String,
}

impl Event {
    /// Reads a message.
    pub(crate) fn from_wire(response: GetFlowsResponse) -> Self {
        let GetFlowsResponse { node_name: node, time, response_types } = response;
        let time = time.map(time_from_wire);
        match response_types {
            Some(ResponseTypes::Flow(flow)) => {
                let time = flow.time.map(time_from_wire);
                Self::Flow { flow: Box::new(flow_from_wire(flow)), time }
            }
            Some(ResponseTypes::LostEvents(lost)) => Self::Lost { lost: lost_from_wire(&lost), node, time },
            Some(ResponseTypes::NodeStatus(status)) => Self::Nodes {
                news: NodeNews {
                    state: NodeState(status.state_change),
                    names: status.node_names,
                    message: status.message,
                },
                node,
                time,
            },
            None => Self::Unknown,
        }
    }
}
