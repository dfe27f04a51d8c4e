//! Messages as bytes, for those who encode and decode by themselves.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message as _;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::tokio_stream::{Stream, StreamExt as _};
use tonic::codegen::{Body, BoxFuture, Service, StdError, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

use crate::observer::observer_server::{Observer, ObserverServer, SERVICE_NAME};
use crate::observer::{GetFlowsRequest, GetFlowsResponse};

/// Path of `GetFlows`.
pub const GET_FLOWS: &str = "/observer.Observer/GetFlows";

/// Takes and gives messages as they are encoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        // One write for some hundred flows instead of one for ten.
        const BUFFER_BYTES: usize = 64 << 10;
        BufferSettings::new(BUFFER_BYTES, BUFFER_BYTES)
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, encoded: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(encoded.copy_to_bytes(encoded.remaining())))
    }
}

/// An Observer whose flows are encoded by itself.
pub trait RawFlows: Observer {
    /// Encoded responses.
    type RawStream: Stream<Item = Result<Bytes, Status>> + Send + 'static;

    /// Answers `GetFlows` with encoded responses.
    ///
    /// # Errors
    /// As [`Observer::get_flows`].
    fn raw_flows(
        &self,
        request: Request<GetFlowsRequest>,
    ) -> impl Future<Output = Result<Response<Self::RawStream>, Status>> + Send;
}

/// Responses of a raw stream as messages, for callers that want those.
pub fn decoded(
    stream: impl Stream<Item = Result<Bytes, Status>> + Send + 'static,
) -> impl Stream<Item = Result<GetFlowsResponse, Status>> + Send + 'static {
    stream.map(|encoded| {
        GetFlowsResponse::decode(encoded?).map_err(|error| Status::internal(format!("not encoded well: {error}")))
    })
}

/// Serves an Observer: `GetFlows` with encoded responses, all else as the generated server does.
#[derive(Debug)]
pub struct ObserverDoor<T> {
    observer: Arc<T>,
    server: ObserverServer<T>,
}

impl<T> ObserverDoor<T> {
    /// Serves `observer`.
    pub fn new(observer: T) -> Self {
        let observer = Arc::new(observer);
        Self { server: ObserverServer::from_arc(Arc::clone(&observer)), observer }
    }
}

impl<T> Clone for ObserverDoor<T> {
    fn clone(&self) -> Self {
        Self { observer: Arc::clone(&self.observer), server: self.server.clone() }
    }
}

impl<T> NamedService for ObserverDoor<T> {
    const NAME: &'static str = SERVICE_NAME;
}

impl<T, B> Service<http::Request<B>> for ObserverDoor<T>
where
    T: RawFlows,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if request.uri().path() != GET_FLOWS {
            return self.server.call(request);
        }
        let method = GetFlows(Arc::clone(&self.observer));
        Box::pin(async move { Ok(Grpc::new(RawCodec).server_streaming(method, request).await) })
    }
}

struct GetFlows<T>(Arc<T>);

impl<T: RawFlows> ServerStreamingService<Bytes> for GetFlows<T> {
    type Response = Bytes;
    type ResponseStream = T::RawStream;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let observer = Arc::clone(&self.0);
        Box::pin(async move {
            let (metadata, extensions, encoded) = request.into_parts();
            let request = GetFlowsRequest::decode(encoded)
                .map_err(|error| Status::internal(format!("the request cannot be decoded: {error}")))?;
            observer.raw_flows(Request::from_parts(metadata, extensions, request)).await
        })
    }
}
