//! What the histories hold.

use std::sync::Arc;

use flow::{AgentEventType, Flow, LostEvent, Timestamp};

use crate::policy::PolicyChange;

/// What the history of flows holds.
#[derive(Clone, Debug)]
pub enum Event {
    /// An observed flow.
    Flow(Arc<Flow>),
    /// Events lost before they could become flows, and when that was noticed.
    Lost(Arc<(Timestamp, LostEvent)>),
}

impl Event {
    /// When it happened.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Flow(flow) => flow.time,
            Self::Lost(lost) => lost.0,
        }
    }
}

/// Something that happened to the collector itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentEvent {
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub what: AgentNews,
}

/// What happened to the collector itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentNews {
    /// The collector began to observe.
    Started,
    /// An endpoint appeared on or vanished from this node.
    Endpoint {
        /// Whether it appeared.
        created: bool,
        /// The endpoint.
        endpoint: Arc<flow::Endpoint>,
    },
    /// The packet policy of this machine changed.
    Policy(Arc<PolicyChange>),
}

impl AgentEvent {
    /// Kind in the numbering of the API.
    #[must_use]
    pub const fn kind(&self) -> AgentEventType {
        match self.what {
            AgentNews::Started => AgentEventType::AGENT_STARTED,
            AgentNews::Policy(_) => AgentEventType::POLICY_UPDATED,
            AgentNews::Endpoint { created: true, .. } => AgentEventType::ENDPOINT_CREATED,
            AgentNews::Endpoint { created: false, .. } => AgentEventType::ENDPOINT_DELETED,
        }
    }
}

/// Something with a time.
pub(crate) trait Timed {
    /// When it happened.
    fn when(&self) -> Timestamp;

    /// Whether it is told whatever the times, the filters and the number asked for: news of a loss.
    fn is_loss(&self) -> bool {
        false
    }
}

impl Timed for Event {
    fn when(&self) -> Timestamp {
        self.time()
    }

    fn is_loss(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

impl Timed for AgentEvent {
    fn when(&self) -> Timestamp {
        self.time
    }
}
