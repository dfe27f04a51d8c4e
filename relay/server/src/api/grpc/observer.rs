//! `observer.Observer` over the index: answers as `hubble-relay` does, with one global order and one global limit.

mod ask;
mod respond;
mod status;
mod stream;
mod trouble;

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use proto::observer::observer_server::Observer;
use proto::observer::{
    GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest, GetDebugEventsResponse, GetFlowsRequest,
    GetFlowsResponse, GetNamespacesRequest, GetNamespacesResponse, GetNodesRequest, GetNodesResponse,
    ServerStatusRequest, ServerStatusResponse,
};
use proto::raw::{RawFlows, decoded};
use tokio::sync::Semaphore;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use self::ask::Ask;
use self::respond::Chunk;
use self::stream::FlowStream;
use crate::relay::Relay;

/// The Observer service of a relay.
pub(crate) struct RelayObserver {
    relay: Arc<Relay>,
    places: Arc<Semaphore>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

impl RelayObserver {
    /// A service with room for as many streams as the settings say.
    pub(crate) fn new(relay: Arc<Relay>) -> Self {
        let places = Arc::new(Semaphore::new(relay.config.grpc.streams_max));
        Self { relay, places }
    }
}

impl RawFlows for RelayObserver {
    type RawStream = Answers<Bytes>;

    async fn raw_flows(&self, request: Request<GetFlowsRequest>) -> Result<Response<Answers<Bytes>>, Status> {
        let ask = Ask::read(request.into_inner())?;
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let limit = self.relay.config.grpc.streams_max;
            let problem = format!("{limit} streams are open already; close some or raise relay.grpc.streams_max");
            return Err(Status::resource_exhausted(problem));
        };
        let (stream, chunks) = FlowStream::new(Arc::clone(&self.relay), ask, place);
        self.relay.stages.streams.tasks.spawn(stream.run());
        Ok(Response::new(ReceiverStream::new(chunks).flat_map(one_by_one).boxed()))
    }
}

/// The responses of a chunk, or what went wrong instead.
fn one_by_one(chunk: Result<Chunk, Status>) -> impl Stream<Item = Result<Bytes, Status>> {
    let (responses, error) = match chunk {
        Ok(responses) => (responses, None),
        Err(error) => (Chunk::new(), Some(Err(error))),
    };
    futures::stream::iter(responses.into_iter().map(Ok).chain(error))
}

#[tonic::async_trait]
impl Observer for RelayObserver {
    type GetFlowsStream = Answers<GetFlowsResponse>;
    type GetAgentEventsStream = Answers<GetAgentEventsResponse>;
    type GetDebugEventsStream = Answers<GetDebugEventsResponse>;

    async fn get_flows(&self, request: Request<GetFlowsRequest>) -> Result<Response<Self::GetFlowsStream>, Status> {
        Ok(self.raw_flows(request).await?.map(|stream| decoded(stream).boxed()))
    }

    async fn get_agent_events(
        &self,
        _request: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        Err(Status::unimplemented("GetAgentEvents is answered by the nodes, not by a relay"))
    }

    async fn get_debug_events(
        &self,
        _request: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        Err(Status::unimplemented("GetDebugEvents is answered by the nodes, not by a relay"))
    }

    async fn get_nodes(&self, _request: Request<GetNodesRequest>) -> Result<Response<GetNodesResponse>, Status> {
        let relay = Arc::clone(&self.relay);
        let nodes = self.relay.work(move || status::nodes(&relay)).await;
        nodes.map(Response::new).map_err(|_| Status::internal("counting the flows of the nodes failed"))
    }

    async fn get_namespaces(
        &self,
        _request: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        let relay = Arc::clone(&self.relay);
        let namespaces = self.relay.work(move || status::namespaces(&relay)).await;
        namespaces.map(Response::new).map_err(|_| Status::internal("looking up the namespaces failed"))
    }

    async fn server_status(
        &self,
        _request: Request<ServerStatusRequest>,
    ) -> Result<Response<ServerStatusResponse>, Status> {
        Ok(Response::new(status::server(&self.relay)))
    }
}
