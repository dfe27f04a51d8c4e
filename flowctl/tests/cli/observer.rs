//! A server in the test process: the real gRPC services over given answers.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::Stream;
use proto::observer::observer_server::{Observer, ObserverServer};
use proto::observer::{
    GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest, GetDebugEventsResponse, GetFlowsRequest,
    GetFlowsResponse, GetNamespacesRequest, GetNamespacesResponse, GetNodesRequest, GetNodesResponse,
    ServerStatusRequest, ServerStatusResponse,
};
use proto::peer::peer_server::{Peer, PeerServer};
use proto::peer::{ChangeNotification, NotifyRequest};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// What the server answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub(crate) flows: Vec<GetFlowsResponse>,
    /// Whether a stream of flows stays open after the last one, as with `--follow`.
    pub(crate) keep_open: bool,
    /// Whether filters and numbers of requests are heeded, as real servers do.
    pub(crate) heeds_requests: bool,
    /// Refuses requests for flows with this, as long as they have a field mask.
    pub(crate) mask_refusal: Option<Status>,
    /// Ends the stream of flows with this.
    pub(crate) end: Option<Status>,
    pub(crate) status: ServerStatusResponse,
    /// `None` for a server that is no relay.
    pub(crate) nodes: Option<GetNodesResponse>,
    pub(crate) namespaces: GetNamespacesResponse,
    pub(crate) peers: Vec<ChangeNotification>,
    pub(crate) healthy: bool,
}

/// A running server; it ends with the value.
pub(crate) struct RunningObserver {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    /// Holds the server's tasks.
    _runtime: Runtime,
}

#[derive(Debug)]
struct State {
    answers: Answers,
    requests: Mutex<Vec<GetFlowsRequest>>,
}

impl RunningObserver {
    /// Starts on a free port of the loopback device.
    pub(crate) fn start(answers: Answers) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { answers, requests: Mutex::default() });
        runtime.spawn(serve(state.clone(), TcpListenerStream::new(listener)));
        Self { address, state, _runtime: runtime }
    }

    /// Starts on a Unix socket.
    pub(crate) fn start_on_socket(answers: Answers, path: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let state = Arc::new(State { answers, requests: Mutex::default() });
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(path).unwrap()
        };
        runtime.spawn(serve(state.clone(), UnixListenerStream::new(listener)));
        Self { address: SocketAddr::from(([0, 0, 0, 0], 0)), state, _runtime: runtime }
    }

    /// Flag that leads to this server.
    pub(crate) fn flag(&self) -> String {
        format!("--server={}", self.address)
    }

    /// Requests for flows so far.
    pub(crate) fn requests(&self) -> Vec<GetFlowsRequest> {
        self.state.requests.lock().unwrap().clone()
    }
}

/// Serves all services over any kind of connection.
pub(crate) async fn serve<S, C, E>(state: Arc<impl Observer + Peer + Healthy>, connections: S)
where
    S: Stream<Item = Result<C, E>> + Send + 'static,
    C: tokio::io::AsyncRead + tokio::io::AsyncWrite + tonic::transport::server::Connected + Unpin + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let (reporter, health) = tonic_health::server::health_reporter();
    let serving =
        if state.is_healthy() { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
    reporter.set_service_status(proto::HEALTH_SERVICE, serving).await;
    // As agents and relays do, it answers with a file and those that it builds on.
    let (_, reflection) = proto::reflection::doors(&["observer.Observer", "peer.Peer"], &[]);
    Server::builder()
        .add_service(health)
        .add_service(reflection)
        .add_service(ObserverServer::from_arc(state.clone()))
        .add_service(PeerServer::from_arc(state))
        .serve_with_incoming(connections)
        .await
        .unwrap();
}

/// Whether the health service says that all is well.
pub(crate) trait Healthy {
    fn is_healthy(&self) -> bool;
}

impl Healthy for State {
    fn is_healthy(&self) -> bool {
        self.answers.healthy
    }
}

/// State for a server of another transport.
pub(crate) fn state(answers: Answers) -> Arc<impl Observer + Peer + Healthy> {
    Arc::new(State { answers, requests: Mutex::default() })
}

/// Flows that a real server would send of these.
fn asked_for(flows: Vec<GetFlowsResponse>, request: &GetFlowsRequest) -> Vec<GetFlowsResponse> {
    let filters = proto::filter::WireFilterSet::compile(&request.whitelist, &request.blacklist).unwrap();
    let time = |t: &prost_types::Timestamp| (t.seconds, t.nanos);
    let since = request.since.as_ref().map(time);
    let in_time = |flow: &GetFlowsResponse| since.is_none_or(|since| flow.time.as_ref().map(time) >= Some(since));
    let mut flows: Vec<_> = flows.into_iter().filter(|flow| filters.matches(flow) && in_time(flow)).collect();
    let number = usize::try_from(request.number).unwrap();
    if request.first {
        flows.truncate(number);
    } else if number > 0 || since.is_none() {
        flows.drain(..flows.len().saturating_sub(number));
    }
    flows
}

type Answer<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn stream_of<T: Send + 'static>(items: Vec<T>, end: Option<Status>, keep_open: bool) -> Answer<T> {
    let items = items.into_iter().map(Ok).chain(end.map(Err)).collect::<Vec<_>>();
    let items = futures::stream::iter(items);
    if keep_open { Box::pin(futures::StreamExt::chain(items, futures::stream::pending())) } else { Box::pin(items) }
}

#[tonic::async_trait]
impl Observer for State {
    type GetFlowsStream = Answer<GetFlowsResponse>;
    type GetAgentEventsStream = Answer<GetAgentEventsResponse>;
    type GetDebugEventsStream = Answer<GetDebugEventsResponse>;

    async fn get_flows(&self, request: Request<GetFlowsRequest>) -> Result<Response<Self::GetFlowsStream>, Status> {
        let request = request.into_inner();
        let masked = request.field_mask.is_some();
        let Answers { mut flows, end, keep_open, mask_refusal, heeds_requests, .. } = self.answers.clone();
        if heeds_requests {
            flows = asked_for(flows, &request);
        }
        let keep_open = keep_open && (request.follow || !heeds_requests);
        self.requests.lock().unwrap().push(request);
        match mask_refusal {
            Some(refusal) if masked => Err(refusal),
            _ => Ok(Response::new(stream_of(flows, end, keep_open))),
        }
    }

    async fn get_agent_events(
        &self,
        _request: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        Err(Status::unimplemented("GetAgentEvents"))
    }

    async fn get_debug_events(
        &self,
        _request: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        Err(Status::unimplemented("GetDebugEvents"))
    }

    async fn get_nodes(&self, _request: Request<GetNodesRequest>) -> Result<Response<GetNodesResponse>, Status> {
        self.answers.nodes.clone().map(Response::new).ok_or_else(|| Status::unimplemented("GetNodes"))
    }

    async fn get_namespaces(
        &self,
        _request: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        Ok(Response::new(self.answers.namespaces.clone()))
    }

    async fn server_status(
        &self,
        _request: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        Ok(Response::new(self.answers.status.clone()))
    }
}

#[tonic::async_trait]
impl Peer for State {
    type NotifyStream = Answer<ChangeNotification>;

    async fn notify(&self, _request: Request<NotifyRequest>) -> Result<Response<Self::NotifyStream>, Status> {
        Ok(Response::new(stream_of(self.answers.peers.clone(), None, self.answers.keep_open)))
    }
}
