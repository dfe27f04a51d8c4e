//! `observer.Observer` over the node's history, as a Cilium agent answers it.

mod answer;
mod namespaces;
mod stream;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use flow::Timestamp;
use futures::{Stream, StreamExt as _};
use proto::convert::{Details, checked_time};
use proto::encode::FlowEncoder;
use proto::filter::compile_for_flows;
use proto::flow::FlowFilter;
use proto::mask::FieldMask;
use proto::observer::observer_server::Observer;
use proto::observer::{
    GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest, GetDebugEventsResponse, GetFlowsRequest,
    GetFlowsResponse, GetNamespacesRequest, GetNamespacesResponse, GetNodesRequest, GetNodesResponse,
    ServerStatusRequest, ServerStatusResponse,
};
use proto::raw::{RawFlows, decoded};
use proto::status::with_causes;
use table::BatchFilter;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

pub(crate) use self::answer::agent_event_to_wire;
use self::answer::{AgentAnswer, Answer, FlowAnswer};
use self::stream::{Client, stream};
use super::Node;
use super::places::Places;
use super::span::Span;
use crate::ring::{Ring, Timed};

/// Answers that wait for one client; then its stream stands still, and the history may overtake it.
const ANSWERS_MAX: usize = 128;
/// Time over which the rate of flows is told.
const RATE_WINDOW: Duration = Duration::from_secs(60);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

/// The Observer service of a node.
pub(crate) struct NodeObserver {
    node: Arc<Node>,
    places: Places,
}

impl NodeObserver {
    /// The service of `node`.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let places = Places::new(node.streams_max);
        Self { node, places }
    }

    /// Answers with a part of a history, if there is a place for one more client.
    fn answer<T, A>(&self, ring: &Ring<T>, span: Span, answer: A) -> Result<Response<Answers<A::Message>>, Status>
    where
        T: Clone + Timed + Send + 'static,
        A: Answer<T>,
    {
        let place = self.places.take()?;
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let client = Client { answers, _place: place };
        tokio::spawn(stream(Arc::clone(&self.node), ring.clone(), span, answer, client));
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

impl RawFlows for NodeObserver {
    type RawStream = Answers<Bytes>;

    async fn raw_flows(&self, request: Request<GetFlowsRequest>) -> Result<Response<Answers<Bytes>>, Status> {
        let request = request.into_inner();
        let order = (request.number, request.first, request.follow);
        // Filters before times, as Hubble's server checks them: of two mistakes, the same one is told.
        refuse_first_with_follow(request.first, request.follow)?;
        let answer = FlowAnswer {
            mask: request.field_mask.as_ref().map(|m| FieldMask::new(&m.paths)).filter(|m| !m.keeps_everything()),
            details: if proto::wants_details(&request) { Details::Send } else { Details::Omit },
            filter: Arc::new(filter(request.whitelist, request.blacklist)?),
            node_name: self.node.name.clone(),
            encoder: FlowEncoder::default(),
        };
        self.answer(&self.node.flows, span(order, request.since, request.until)?, answer)
    }
}

#[tonic::async_trait]
impl Observer for NodeObserver {
    type GetFlowsStream = Answers<GetFlowsResponse>;
    type GetAgentEventsStream = Answers<GetAgentEventsResponse>;
    type GetDebugEventsStream = Answers<GetDebugEventsResponse>;

    async fn get_flows(&self, request: Request<GetFlowsRequest>) -> Result<Response<Self::GetFlowsStream>, Status> {
        Ok(self.raw_flows(request).await?.map(|stream| decoded(stream).boxed()))
    }

    async fn get_agent_events(
        &self,
        request: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        let request = request.into_inner();
        let span = span((request.number, request.first, request.follow), request.since, request.until)?;
        let answer = AgentAnswer { node_name: self.node.name.clone() };
        self.answer(&self.node.agent_events, span, answer)
    }

    async fn get_debug_events(
        &self,
        request: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        // Our datapath sends no debug messages: the history is empty, and stays so.
        let request = request.into_inner();
        span((request.number, request.first, request.follow), request.since, request.until)?;
        let (stop, place) = (self.node.stop.clone(), self.places.take()?);
        let silence = async move {
            let _place = place;
            if request.follow {
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
            seen_flows: flows.head().saturating_sub(self.node.status.losses.load(Ordering::Relaxed)),
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
        let (flows, lately) = (&self.node.flows, now.before(RATE_WINDOW));
        let mut lookup = flows.lookup();
        let (mut at, mut count, mut since) = (flows.head(), 0u32, lately);
        let mut oldest_seen = None;
        loop {
            if at <= flows.oldest() {
                since = oldest_seen.unwrap_or(lately);
                break;
            }
            at -= 1;
            match lookup.time(at) {
                Some(time) if time < lately => break,
                Some(time) => {
                    count = count.saturating_add(1);
                    oldest_seen = Some(time);
                }
                None => {}
            }
        }
        let seconds = now.since(since).as_secs_f64();
        if seconds > 0.0 { f64::from(count) / seconds } else { 0.0 }
    }
}

/// The part of a history that is asked for: (number, first, follow), since, until.
fn span(
    (number, first, follow): (u64, bool, bool),
    since: Option<prost_types::Timestamp>,
    until: Option<prost_types::Timestamp>,
) -> Result<Span, Status> {
    refuse_first_with_follow(first, follow)?;
    let time = |time: Option<prost_types::Timestamp>| {
        time.map(checked_time).transpose().map_err(|error| Status::unknown(error.to_string()))
    };
    Ok(Span { number, first, follow, since: time(since)?, until: time(until)? })
}

fn refuse_first_with_follow(first: bool, follow: bool) -> Result<(), Status> {
    if first && follow { Err(Status::invalid_argument("first cannot be specified with follow")) } else { Ok(()) }
}

fn filter(whitelist: Vec<FlowFilter>, blacklist: Vec<FlowFilter>) -> Result<BatchFilter, Status> {
    // Hubble answers a bad filter with the code Unknown, and clients print its text.
    let filters = compile_for_flows(whitelist, blacklist).map_err(|error| Status::unknown(with_causes(&error)))?;
    Ok(filters.into())
}
