//! Arrow Flight: collectors push batches with `DoPut`, each answered once the index owns it.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::stream::Peekable;
use futures::{Stream, StreamExt as _};
use relay_index::Appended;
use table::wire::FLIGHT_PATH;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info, warn};

use super::decode::{Decoded, Decoder};
use super::header::{Header, acknowledge};
use super::messages::Message;
use super::{Job, Rejected};
use crate::metrics::{CauseLabels, Counted, FromLabels};
use crate::relay::Relay;
use proto::status::with_causes;

/// Acknowledgments that wait for a collector that does not read them; then the relay stops reading its batches.
const ACKS_MAX: usize = 16;

/// The Flight service of a relay: `DoPut` for flows, nothing else. [`FlightDoor`](super::FlightDoor) serves it.
pub(crate) struct FlightIngest {
    relay: Arc<Relay>,
    places: Arc<Semaphore>,
}

/// Messages of a push, in order.
pub(super) trait FlightStream: Stream<Item = Result<Message, Status>> + Send + Unpin + 'static {}

impl<S: Stream<Item = Result<Message, Status>> + Send + Unpin + 'static> FlightStream for S {}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

impl FlightIngest {
    /// A service with room for as many collectors as the settings say.
    pub(crate) fn new(relay: Arc<Relay>) -> Self {
        let places = Arc::new(Semaphore::new(relay.config.ingest.collectors_max));
        Self { relay, places }
    }

    /// Takes what a collector pushes from this address.
    pub(super) fn put(
        &self,
        address: Option<SocketAddr>,
        messages: impl FlightStream,
    ) -> Result<Response<Answers<PutResult>>, Status> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let limit = self.relay.config.ingest.collectors_max;
            let problem = format!("{limit} collectors are pushing already; raise relay.ingest.collectors_max");
            return Err(Status::resource_exhausted(problem));
        };
        let address = address.map(|a| a.to_string()).unwrap_or_default();
        let (answers, receiver) = mpsc::channel(ACKS_MAX);
        let push = Push {
            relay: Arc::clone(&self.relay),
            address,
            node: None,
            answers,
            _place: place,
            _counted: Counted::new(&self.relay.metrics.pushing),
        };
        self.relay.stages.sources.tasks.spawn(push.run(messages));
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }
}

/// One collector that is pushing.
struct Push {
    relay: Arc<Relay>,
    address: String,
    /// Name of its node, once it said one.
    node: Option<String>,
    answers: mpsc::Sender<Result<PutResult, Status>>,
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Push {
    /// Reads batches until the collector or the relay stops, or something is wrong with what it sends.
    async fn run(mut self, messages: impl FlightStream) {
        let message = match self.read(messages).await {
            Ok(()) => String::new(),
            Err(status) => {
                warn!(address = self.address, node = self.node, error = %status, "a push of flows ended early");
                let message = status.message().to_owned();
                self.answer(Err(status)).await;
                message
            }
        };
        if let Some(node) = &self.node {
            info!(node, address = self.address, reason = message, "collector disconnected");
            self.relay.presence.disconnected(node, &message, self.relay.now());
        }
    }

    async fn read(&mut self, messages: impl FlightStream) -> Result<(), Status> {
        let mut messages = messages.peekable();
        let stop = self.relay.stages.sources.stop.clone();
        let stopping = || Status::unavailable("the relay is stopping");
        stop.run_until_cancelled(self.check_descriptor(&mut messages)).await.ok_or_else(stopping)??;
        let mut decoder = Decoder::default();
        loop {
            // Only the wait for a message is cut short by a stop: a batch that was read is indexed and acknowledged.
            let Some(message) = stop.run_until_cancelled(messages.next()).await.ok_or_else(stopping)? else {
                return Ok(());
            };
            let message = message.map_err(|status| self.broken(status))?;
            // Bytes of strangers: should arrow panic on some, it must be this stream that ends, with a reason.
            let decoded = catch_unwind(AssertUnwindSafe(|| decoder.take(message)))
                .map_err(|_| self.refuse("panic", "the batch cannot be decoded".to_owned()))?
                .map_err(|error| {
                    self.refuse("decode", format!("the message is not Arrow Flight data: {}", with_causes(&error)))
                })?;
            match decoded {
                Decoded::Nothing => {}
                Decoded::Schema(schema) => {
                    table::check_schema(&schema).map_err(|error| self.refuse("schema", with_causes(&error)))?;
                }
                Decoded::Batch { metadata, batch } => {
                    if self.take(&metadata, batch).await? {
                        decoder.forget_dictionaries();
                    }
                }
            }
        }
    }

    /// The first message says what is pushed.
    async fn check_descriptor(&self, messages: &mut Peekable<impl FlightStream>) -> Result<(), Status> {
        let path = match Pin::new(messages).peek().await {
            Some(Ok(first)) => first.data.flight_descriptor.as_ref().map(|d| d.path.as_slice()),
            // Who reads on meets the same error, or the same end, and tells it.
            Some(Err(_)) | None => return Ok(()),
        };
        match path {
            Some([path]) if path == FLIGHT_PATH => Ok(()),
            other => {
                let found = format!("{:?}", other.unwrap_or_default());
                let problem =
                    format!("the first message must have a FlightDescriptor with path [\"flows\"], not {found}");
                Err(self.refuse("descriptor", problem))
            }
        }
    }

    /// Gives whether the next batch brings its own dictionaries.
    async fn take(&mut self, metadata: &[u8], batch: RecordBatch) -> Result<bool, Status> {
        let rows = batch.num_rows();
        let rows_max = self.relay.config.ingest.batch_rows_max;
        if rows > rows_max {
            return Err(self.refuse("rows", format!("the batch has {rows} rows where {rows_max} are allowed")));
        }
        let header = Header::read(metadata, rows).map_err(|error| self.refuse("header", with_causes(&error)))?;
        self.meet(&header.origin.node)?;
        let now = self.relay.now();
        let origin = relay_index::BatchOrigin { address: self.address.clone(), received: now, ..header.origin };
        let (node, boot_id, sequence) = (origin.node.clone(), origin.boot_id, origin.sequence);
        let job = Job { from: FromLabels::PUSH, origin, batch, losses: header.losses };
        let appended = self.relay.ingest.take(job).await.map_err(refused)?;
        debug!(node, sequence, rows, repeated = appended.repeated, "took a batch");
        self.acknowledge(boot_id, appended).await;
        Ok(header.own_dictionaries)
    }

    /// Notes whose stream this is; one stream is of one node.
    fn meet(&mut self, node: &str) -> Result<(), Status> {
        match &self.node {
            Some(known) if known == node => Ok(()),
            Some(known) => {
                let problem = format!("batches of {node:?} on the stream of {known:?}: open a stream for each node");
                Err(self.refuse("header", problem))
            }
            None => {
                info!(node, address = self.address, "collector connected");
                self.relay.presence.connected(node, &self.address, self.relay.now());
                self.node = Some(node.to_owned());
                Ok(())
            }
        }
    }

    async fn acknowledge(&self, boot_id: u64, appended: Appended) {
        self.answer(Ok(PutResult { app_metadata: acknowledge(boot_id, appended).into() })).await;
    }

    /// Sends to the collector, unless it is gone (reading its next message will tell) or the relay stops before it
    /// reads what it was sent already.
    async fn answer(&self, answer: Result<PutResult, Status>) {
        let stop = &self.relay.stages.sources.stop;
        let sent = match self.answers.try_send(answer) {
            Ok(()) => return,
            Err(TrySendError::Full(answer)) => stop.run_until_cancelled(self.answers.send(answer)).await,
            Err(TrySendError::Closed(_)) => None,
        };
        if !matches!(sent, Some(Ok(()))) {
            debug!(address = self.address, "a collector went away before it was answered");
        }
    }

    /// Counts and describes what cannot be taken.
    fn refuse(&self, cause: &'static str, problem: String) -> Status {
        self.relay.metrics.refused.get_or_create(&CauseLabels { cause }).inc();
        Status::invalid_argument(problem)
    }

    /// What ended the transport: a message that is too long was refused, all else is no fault of a batch.
    fn broken(&self, status: Status) -> Status {
        if status.code() == tonic::Code::OutOfRange {
            self.refuse("bytes", status.message().to_owned())
        } else {
            status
        }
    }
}

fn refused(error: Rejected) -> Status {
    let text = with_causes(&error);
    if error.is_transient() {
        // The collector keeps what is not acknowledged, and comes again.
        return Status::unavailable(text);
    }
    match error {
        Rejected::Append(_) => Status::invalid_argument(text),
        Rejected::Failed(_) => Status::internal(text),
        Rejected::Stopping => Status::unavailable(text),
    }
}

fn not_here(call: &str) -> Status {
    Status::unimplemented(format!(
        "{call} is not offered: this port takes flows by DoPut and answers observer.Observer"
    ))
}

#[tonic::async_trait]
impl FlightService for FlightIngest {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        self.put(request.remote_addr(), request.into_inner().map(|message| message.map(Message::from)))
    }

    async fn handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(not_here("Handshake"))
    }

    async fn list_flights(&self, _request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(not_here("ListFlights"))
    }

    async fn get_flight_info(&self, _request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Err(not_here("GetFlightInfo"))
    }

    async fn poll_flight_info(&self, _request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(not_here("PollFlightInfo"))
    }

    async fn get_schema(&self, _request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(not_here("GetSchema"))
    }

    async fn do_get(&self, _request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        Err(not_here("DoGet"))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(not_here("DoExchange"))
    }

    async fn do_action(&self, _request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        Err(not_here("DoAction"))
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(not_here("ListActions"))
    }
}
