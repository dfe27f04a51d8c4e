//! A relay that answers batches as a test wants, over Arrow Flight on a port of its own.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::{Stream, StreamExt as _};
use prost::Message as _;
use proto::weir::{BatchAck, BatchHeader};
use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// What is done with a batch.
pub(super) enum Answer {
    /// It is acknowledged.
    Take,
    /// It is acknowledged as one that came before.
    Repeat,
    /// It is left without an answer.
    Ignore,
    /// The stream is ended.
    End(Status),
}

/// Answers a batch by its header and how many came before it.
type Answers = dyn Fn(&BatchHeader, usize) -> Answer + Send + Sync;

/// A relay; ends with the test's runtime.
pub(super) struct TestRelay {
    pub(super) address: SocketAddr,
    headers: Arc<Mutex<Vec<BatchHeader>>>,
}

impl TestRelay {
    pub(super) async fn start(answers: impl Fn(&BatchHeader, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(Arc::new(answers), usize::MAX).await
    }

    /// One that takes all batches whose messages have at most so many bytes.
    pub(super) async fn start_checking_messages(bytes_max: usize) -> Self {
        Self::serve(Arc::new(|_: &BatchHeader, _| Answer::Take), bytes_max).await
    }

    async fn serve(answers: Arc<Answers>, bytes_max: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let headers = Arc::<Mutex<Vec<BatchHeader>>>::default();
        let service = FlightServiceServer::new(Service { answers, headers: Arc::clone(&headers) });
        let service = service.max_decoding_message_size(bytes_max);
        let serving = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(async { serving.await.unwrap() });
        Self { address, headers }
    }

    /// Headers of the batches that came.
    pub(super) fn headers(&self) -> Vec<BatchHeader> {
        self.headers.lock().unwrap().clone()
    }
}

struct Service {
    answers: Arc<Answers>,
    headers: Arc<Mutex<Vec<BatchHeader>>>,
}

type Answered<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    /// What is answered to a message; a batch ends with the one that has a header.
    fn answer(&self, message: &FlightData) -> Option<Result<PutResult, Status>> {
        if message.app_metadata.is_empty() {
            return None;
        }
        let header = BatchHeader::decode(message.app_metadata.clone()).unwrap();
        let mut headers = self.headers.lock().unwrap();
        let answer = (self.answers)(&header, headers.len());
        headers.push(header.clone());
        let repeated_batch = matches!(answer, Answer::Repeat);
        let ack = BatchAck { boot_id: header.boot_id, sequence: header.sequence, repeated_batch };
        match answer {
            Answer::Take | Answer::Repeat => Some(Ok(PutResult { app_metadata: ack.encode_to_vec().into() })),
            Answer::Ignore => None,
            Answer::End(status) => Some(Err(status)),
        }
    }
}

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("no part of this relay"))
}

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = Answered<HandshakeResponse>;
    type ListFlightsStream = Answered<FlightInfo>;
    type DoGetStream = Answered<FlightData>;
    type DoPutStream = Answered<PutResult>;
    type DoExchangeStream = Answered<FlightData>;
    type DoActionStream = Answered<arrow_flight::Result>;
    type ListActionsStream = Answered<ActionType>;

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let mut messages = request.into_inner();
        let (answers, receiver) = tokio::sync::mpsc::channel(16);
        let service = Self { answers: Arc::clone(&self.answers), headers: Arc::clone(&self.headers) };
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                let answer = match message {
                    Ok(message) => service.answer(&message),
                    Err(status) => Some(Err(status)),
                };
                let Some(answer) = answer else { continue };
                let is_last = answer.is_err();
                if answers.send(answer).await.is_err() || is_last {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        not_here()
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        not_here()
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        not_here()
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        not_here()
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        not_here()
    }

    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        not_here()
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        not_here()
    }

    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        not_here()
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        not_here()
    }
}
