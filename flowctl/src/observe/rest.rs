//! What of an expression no filter of a server can say: it is asked of each flow that comes.

use flow::Flow;
use flow::filter::Query as Expression;
use proto::convert::flow_from_wire;
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

/// Expressions that flows have to match after the filters.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest(pub(super) Vec<Expression>);

impl Rest {
    /// Whether a message of a server is asked for. Losses and news about nodes belong to whatever is asked.
    pub(super) fn passes(&self, response: &GetFlowsResponse) -> bool {
        match &response.response_types {
            Some(ResponseTypes::Flow(flow)) => self.matches(&flow_from_wire(flow.clone())),
            _ => true,
        }
    }

    /// Whether a message of a file is asked for. What is no flow counts as one without any fields, as with filters.
    pub(super) fn passes_as_flow(&self, response: &GetFlowsResponse) -> bool {
        match &response.response_types {
            Some(ResponseTypes::Flow(flow)) => self.matches(&flow_from_wire(flow.clone())),
            _ => self.matches(&Flow::default()),
        }
    }

    fn matches(&self, flow: &Flow) -> bool {
        self.0.iter().all(|expression| expression.matches(flow))
    }
}
