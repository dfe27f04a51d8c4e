//! The client, the same for both relays: it costs as little as it can.

use anyhow::Result;
use prost::Message as _;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetFlowsRequest, ServerStatusRequest, ServerStatusResponse};
use proto::raw::{GET_FLOWS, RawCodec};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

/// Flows that a relay says it has, or its nodes have, seen.
pub(crate) async fn seen(address: &str) -> Result<u64> {
    Ok(status(address).await?.seen_flows)
}

/// Flows that an agent says it holds.
pub(crate) async fn held(address: &str) -> Result<u64> {
    Ok(status(address).await?.num_flows)
}

async fn status(address: &str) -> Result<ServerStatusResponse> {
    let mut client = ObserverClient::connect(format!("http://{address}")).await?;
    Ok(client.server_status(ServerStatusRequest {}).await?.into_inner())
}

/// Reads all flows as several clients, each over a connection of its own.
pub(crate) async fn read_at_once(address: &str, clients: usize) -> Result<usize> {
    let mut reading = JoinSet::new();
    for _ in 0..clients {
        let address = address.to_owned();
        reading.spawn(async move { read_all(&address).await });
    }
    let mut flows = 0;
    while let Some(read) = reading.join_next().await {
        flows += read??;
    }
    Ok(flows)
}

/// Reads all flows without decoding them.
async fn read_all(address: &str) -> Result<usize> {
    const WINDOW_BYTES: u32 = 8 << 20;
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    let mut client = tonic::client::Grpc::new(endpoint.connect().await?);
    client.ready().await?;
    let request = GetFlowsRequest { first: true, ..GetFlowsRequest::default() };
    let request = tonic::Request::new(request.encode_to_vec().into());
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(GET_FLOWS);
    let mut stream = client.server_streaming(request, path, RawCodec).await?.into_inner();
    let mut flows = 0;
    while let Some(message) = stream.message().await? {
        flows += usize::from(is_flow(message)?);
    }
    Ok(flows)
}

/// Whether a response holds a flow, which is its field 1, and not the state of the nodes, which comes first.
fn is_flow(mut response: bytes::Bytes) -> Result<bool> {
    const FLOW: u32 = 1;
    while !response.is_empty() {
        let (number, kind) = prost::encoding::decode_key(&mut response)?;
        if number == FLOW {
            return Ok(true);
        }
        prost::encoding::skip_field(kind, number, &mut response, prost::encoding::DecodeContext::default())?;
    }
    Ok(false)
}
