//! `observer.Observer` over the node's history, as a Cilium agent answers it.

mod answer;
mod namespaces;
mod stream;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flow::Timestamp;
use flow::filter::FilterSet;
use futures::{Stream, StreamExt as _};
use proto::convert::{Details, filter_from_wire, time_from_wire};
use proto::mask::FieldMask;
use proto::observer::observer_server::Observer;
use proto::observer::{
    GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest, GetDebugEventsResponse, GetFlowsRequest,
    GetFlowsResponse, GetNamespacesRequest, GetNamespacesResponse, GetNodesRequest, GetNodesResponse,
    ServerStatusRequest, ServerStatusResponse,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use self::answer::{AgentAnswer, Answer, FlowAnswer};
use self::stream::{Client, stream};
use super::Node;
use super::span::{Span, Timed};
use crate::ring::{Event, Ring};

/// Answers that wait for one client; then its stream stands still, and the history may overtake it.
const ANSWERS_MAX: usize = 128;
/// Time over which the rate of flows is told.
const RATE_WINDOW: Duration = Duration::from_secs(60);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

/// The Observer service of a node.
pub(crate) struct NodeObserver {
    node: Arc<Node>,
    places: Arc<Semaphore>,
}

impl NodeObserver {
    /// The service of `node`.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let places = Arc::new(Semaphore::new(node.streams_max));
        Self { node, places }
    }

    /// Answers with a part of a history, if there is a place for one more client.
    fn answer<T, A>(&self, ring: &Ring<T>, span: Span, answer: A) -> Result<Response<Answers<A::Message>>, Status>
    where
        T: Clone + Timed + Send + 'static,
        A: Answer<T>,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let limit = self.node.streams_max;
            Status::resource_exhausted(format!(
                "{limit} streams are open already; close some or raise collector.observer.streams_max"
            ))
        })?;
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let client = Client { answers, _place: place };
        tokio::spawn(stream(Arc::clone(&self.node), ring.clone(), span, answer, client));
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

#[tonic::async_trait]
impl Observer for NodeObserver {
    type GetFlowsStream = Answers<GetFlowsResponse>;
    type GetAgentEventsStream = Answers<GetAgentEventsResponse>;
    type GetDebugEventsStream = Answers<GetDebugEventsResponse>;

    async fn get_flows(&self, request: Request<GetFlowsRequest>) -> Result<Response<Self::GetFlowsStream>, Status> {
        let request = request.into_inner();
        if request.first && request.follow {
            return Err(Status::invalid_argument("first cannot be specified with follow"));
        }
        let span = Span {
            number: request.number,
            first: request.first,
            follow: request.follow,
            since: request.since.map(time_from_wire),
            until: request.until.map(time_from_wire),
        };
        let answer = FlowAnswer {
            filters: filters(&request)?,
            mask: request.field_mask.as_ref().map(|mask| FieldMask::new(&mask.paths)),
            details: if proto::wants_details(&request) { Details::Send } else { Details::Omit },
            node_name: self.node.name.clone(),
        };
        self.answer(&self.node.flows, span, answer)
    }

    async fn get_agent_events(
        &self,
        request: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        let request = request.into_inner();
        if request.first && request.follow {
            return Err(Status::invalid_argument("first cannot be specified with follow"));
        }
        let span = Span {
            number: request.number,
            first: request.first,
            follow: request.follow,
            since: request.since.map(time_from_wire),
            until: request.until.map(time_from_wire),
        };
        let answer = AgentAnswer { node_name: self.node.name.clone() };
        self.answer(&self.node.agent_events, span, answer)
    }

    async fn get_debug_events(
        &self,
        request: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        // There is no datapath of ours that could send debug messages: the history is empty, and stays so.
        let stop = self.node.stop.clone();
        let silence = async move {
            if request.into_inner().follow {
                stop.cancelled().await;
            }
            None
        };
        Ok(Response::new(futures::stream::once(silence).filter_map(std::future::ready).boxed()))
    }

    async fn get_nodes(&self, _request: Request<GetNodesRequest>) -> Result<Response<GetNodesResponse>, Status> {
        Err(Status::unimplemented("GetNodes not implemented"))
    }

    async fn get_namespaces(
        &self,
        _request: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        Ok(Response::new(namespaces::seen_lately(&self.node)))
    }

    async fn server_status(
        &self,
        _request: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        let (flows, now) = (&self.node.flows, self.node.clock.now());
        Ok(Response::new(ServerStatusResponse {
            num_flows: flows.held(),
            max_flows: flows.capacity() as u64,
            seen_flows: flows.head(),
            uptime_ns: u64::try_from(now.since(self.node.started).as_nanos()).unwrap_or(u64::MAX),
            version: concat!("weir v", env!("CARGO_PKG_VERSION")).to_owned(),
            flows_rate: self.rate(now),
            ..ServerStatusResponse::default()
        }))
    }
}

impl NodeObserver {
    /// Flows a second over the last minute, or since the oldest flow held where that is younger.
    fn rate(&self, now: Timestamp) -> f64 {
        let flows = &self.node.flows;
        let lately = now.before(RATE_WINDOW);
        let start = Span { since: Some(lately), ..Span::default() }.start(flows, |_: &Event| true);
        let count = flows.head().saturating_sub(start);
        let reaches_back = start > flows.oldest();
        let oldest = if reaches_back { Some(lately) } else { flows.get(start).map(|event| event.time()) };
        let seconds = oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a history has far fewer than 2^52 flows")]
        let count = count as f64;
        if seconds > 0.0 { count / seconds } else { 0.0 }
    }
}

fn filters(request: &GetFlowsRequest) -> Result<FilterSet, Status> {
    let read = |list: &[proto::flow::FlowFilter]| list.iter().map(|f| filter_from_wire(f.clone())).collect::<Vec<_>>();
    // Hubble answers a bad filter with the code Unknown, and clients print its text.
    FilterSet::compile(&read(&request.whitelist), &read(&request.blacklist)).map_err(|e| Status::unknown(e.to_string()))
}
