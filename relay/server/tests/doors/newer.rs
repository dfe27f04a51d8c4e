//! A peer that speaks a newer API than we do: what we do not know passes through.

use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use prost::Message as _;
use proto::observer::observer_server::Observer;
use proto::observer::{
    GetAgentEventsRequest, GetAgentEventsResponse, GetDebugEventsRequest, GetDebugEventsResponse, GetFlowsRequest,
    GetFlowsResponse, GetNamespacesRequest, GetNamespacesResponse, GetNodesRequest, GetNodesResponse,
    ServerStatusRequest, ServerStatusResponse,
};
use proto::raw::{GET_FLOWS, ObserverDoor, RawCodec, RawFlows, decoded};
use relay_server::PeerConfig;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use crate::relay::{TestRelay, channel, wait_until, within};

/// A server that gives one flow to everybody and then stays silent.
struct NewerPeer(Bytes);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

impl RawFlows for NewerPeer {
    type RawStream = Answers<Bytes>;

    async fn raw_flows(&self, _request: Request<GetFlowsRequest>) -> Result<Response<Self::RawStream>, Status> {
        let flow = futures::stream::iter([Ok(self.0.clone())]);
        Ok(Response::new(flow.chain(futures::stream::pending()).boxed()))
    }
}

#[tonic::async_trait]
impl Observer for NewerPeer {
    type GetFlowsStream = Answers<GetFlowsResponse>;
    type GetAgentEventsStream = Answers<GetAgentEventsResponse>;
    type GetDebugEventsStream = Answers<GetDebugEventsResponse>;

    async fn get_flows(&self, request: Request<GetFlowsRequest>) -> Result<Response<Self::GetFlowsStream>, Status> {
        Ok(self.raw_flows(request).await?.map(|stream| decoded(stream).boxed()))
    }

    async fn get_agent_events(
        &self,
        _: Request<GetAgentEventsRequest>,
    ) -> Result<Response<Self::GetAgentEventsStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_debug_events(
        &self,
        _: Request<GetDebugEventsRequest>,
    ) -> Result<Response<Self::GetDebugEventsStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_nodes(&self, _: Request<GetNodesRequest>) -> Result<Response<GetNodesResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_namespaces(
        &self,
        _: Request<GetNamespacesRequest>,
    ) -> Result<Response<GetNamespacesResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn server_status(&self, _: Request<ServerStatusRequest>) -> Result<Response<ServerStatusResponse>, Status> {
        Err(Status::unimplemented("an old server has no status"))
    }
}

/// A field of a newer API: number 30000, text `new`.
const UNKNOWN: &[u8] = &[0x82, 0xd3, 0x0e, 0x03, b'n', b'e', b'w'];

/// The source of a flow: these fields and one that we do not know.
fn source(known: &[u8]) -> Vec<u8> {
    let length = u8::try_from(known.len() + UNKNOWN.len()).unwrap();
    [&[0x42, length][..], known, UNKNOWN].concat()
}

/// A response with a flow that has a field more than we know, as has its source, and an extension of another program.
fn newer_response() -> Bytes {
    let any = prost_types::Any { type_url: "example.com/other.Program".to_owned(), value: vec![8, 1] };
    let flow = proto::flow::Flow {
        uuid: "one".to_owned(),
        node_name: "newer".to_owned(),
        time: Some(prost_types::Timestamp { seconds: 1_750_000_000, nanos: 0 }),
        extensions: Some(any),
        ..Default::default()
    };
    let mut encoded = flow.encode_to_vec();
    encoded.extend(source(b"\x2a\x03web"));
    encoded.extend_from_slice(UNKNOWN);
    let mut response = vec![0x0a];
    prost::encoding::encode_varint(encoded.len() as u64, &mut response);
    response.extend(encoded);
    response.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_and_foreign_extensions_pass_through() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let door = ObserverDoor::new(NewerPeer(newer_response()));
    let serving = tokio::spawn(tonic::transport::Server::builder().add_service(door).serve_with_incoming(incoming));
    let peer = PeerConfig { name: "newer".to_owned(), address, ..PeerConfig::default() };
    let relay = TestRelay::start_with(|config| config.peers = vec![peer]).await;
    let status = ServerStatusRequest {};
    wait_until("the flow is pulled", async || {
        relay.observer().await.server_status(status).await.unwrap().into_inner().seen_flows == 1
    })
    .await;

    let mut client = tonic::client::Grpc::new(channel(format!("http://{}", relay.grpc())).await);
    client.ready().await.unwrap();
    let request = Request::new(Bytes::from(GetFlowsRequest { number: 1, ..Default::default() }.encode_to_vec()));
    let path = axum::http::uri::PathAndQuery::from_static(GET_FLOWS);
    let mut stream = client.server_streaming(request, path, RawCodec).await.unwrap().into_inner();
    let mut flows = Vec::new();
    while let Some(message) = within(stream.message()).await.unwrap() {
        if message.first() == Some(&0x0a) {
            flows.push(message);
        }
    }
    let (response, unknown) = proto::residue::decode_response(&flows[0]).unwrap();
    assert_eq!((flows.len(), unknown), (1, [&source(&[]), UNKNOWN].concat()));
    let Some(proto::observer::get_flows_response::ResponseTypes::Flow(flow)) = response.response_types else {
        panic!()
    };
    assert_eq!(flow.source.unwrap().pod_name, "web");
    assert_eq!(flow.extensions.unwrap().type_url, "example.com/other.Program");
    serving.abort();
    relay.stop().await.unwrap();
}
