//! The door of Arrow Flight: `DoPut` with messages as [`Messages`] reads them, all else as the generated server does.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{FlightData, PutResult};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::flight::FlightIngest;
use super::messages::Messages;

/// Path of `DoPut`.
const DO_PUT: &str = "/arrow.flight.protocol.FlightService/DoPut";

/// Serves pushes of flows.
#[derive(Clone)]
pub(crate) struct FlightDoor {
    ingest: Arc<FlightIngest>,
    server: FlightServiceServer<FlightIngest>,
    message_bytes_max: usize,
}

impl FlightDoor {
    /// Takes messages of at most `message_bytes_max` bytes.
    pub(crate) fn new(ingest: FlightIngest, message_bytes_max: usize) -> Self {
        let ingest = Arc::new(ingest);
        let server = FlightServiceServer::from_arc(Arc::clone(&ingest)).max_decoding_message_size(message_bytes_max);
        Self { ingest, server, message_bytes_max }
    }
}

impl NamedService for FlightDoor {
    const NAME: &'static str = FlightServiceServer::<FlightIngest>::NAME;
}

impl Service<http::Request<Body>> for FlightDoor {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != DO_PUT {
            return self.server.call(request);
        }
        let (head, body) = request.into_parts();
        let messages = Some(Messages::new(body, self.message_bytes_max));
        let put = DoPut { ingest: Arc::clone(&self.ingest), messages };
        // All but the messages goes the usual way.
        let request = http::Request::from_parts(head, Body::empty());
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).streaming(put, request).await) })
    }
}

struct DoPut {
    ingest: Arc<FlightIngest>,
    /// Taken by the one call.
    messages: Option<Messages>,
}

impl StreamingService<FlightData> for DoPut {
    type Response = PutResult;
    type ResponseStream = <FlightIngest as FlightService>::DoPutStream;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<FlightData>>) -> Self::Future {
        let messages = self.messages.take().expect("a request is served once");
        let put = self.ingest.put(request.remote_addr(), messages);
        Box::pin(async move { put })
    }
}
