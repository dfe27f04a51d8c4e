//! Pulling from one peer, over all its connections.

use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::PathAndQuery;
use bytes::Bytes;
use flow::{Flow, FlowId, LossRecord, LostEventSource, Timestamp};
use prost::Message as _;
use proto::convert::{flow_from_wire, lost_from_wire, time_from_wire, time_to_wire};
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetFlowsRequest, ServerStatusRequest, ServerStatusResponse};
use proto::pieces::{PieceDecoder, Splitter};
use proto::raw::{GET_FLOWS, RawCodec};
use proto::residue::{decode_response, with_unknown_fields};
use proto::weir::GetFlowsOptions;
use relay_index::BatchOrigin;
use table::FlowBatchBuilder;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tracing::{debug, info, warn};

use super::Pauses;
use super::delivery::Delivery;
use super::recent::Recent;
use super::target::{Target, TargetError};
use crate::ingest::{Rejected, record_losses};
use crate::losses::stage_of;
use crate::relay::Relay;
use proto::status::with_causes;

/// Time that the last flows of a pull that ends have to get into the index. Changes of other peers wait meanwhile.
const LAST_FLUSH: Duration = Duration::from_secs(10);
/// Time for an answer that is no stream.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one response; a flow has some hundred.
const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Cause of flows that a peer's ring had overwritten when the connection came back.
const GAP: &str = "gap_after_break";

/// Why a pull ended.
#[derive(Debug, thiserror::Error)]
enum PullError {
    #[error(transparent)]
    Connect(#[from] TargetError),
    #[error("the peer refused: {}", rpc_error(.0))]
    Call(Box<Status>),
    #[error("the connection was lost at once")]
    Lost(#[source] tonic::transport::Error),
    #[error("the stream broke: {}", rpc_error(.0))]
    Stream(Box<Status>),
    #[error("the peer sent what is no response")]
    Response(#[source] prost::DecodeError),
    #[error("the stream ended")]
    Ended,
    #[error("the index did not take the flows")]
    Rejected(#[from] Rejected),
}

/// A status as Hubble's clients know it: what the library says of one has its inner parts in it, too.
fn rpc_error(status: &Status) -> String {
    format!("rpc error: code = {:?} desc = {}", status.code(), status.message())
}

/// One peer.
struct Pull {
    relay: Arc<Relay>,
    target: Target,
    version: String,
    builder: FlowBatchBuilder,
    /// A batch that the index has not taken yet; its flows are among the recent ones already.
    delivery: Option<Delivery>,
    splitter: Splitter,
    decoder: PieceDecoder,
    recent: Recent,
    position: Position,
}

/// How far into the peer's own count of flows the pull is.
#[derive(Debug, Default)]
struct Position {
    /// Flows that the peer had seen when it sent the last one that came here.
    reached: u64,
    /// Flows still to come that the peer had counted already when this connection began.
    counted: u64,
    /// Flows that the peer had overwritten when this connection began.
    overwritten: u64,
    /// Whether the connection continues an earlier one, and no flow of that one has come again yet.
    continues: bool,
}

/// Pulls from a peer until `stop`; connects again with growing pauses. Goes on after what `recent` remembers, else after
/// what the store has of it. Gives what is remembered of its flows.
pub(super) async fn pull(relay: Arc<Relay>, target: Target, recent: Option<Recent>, stop: CancellationToken) -> Recent {
    relay.presence.unreachable(&target.name, &target.address, "not connected yet", relay.now());
    relay.presence.secured(&target.name, target.tls.as_deref(), relay.now());
    let known = relay.index.node(&target.name).unwrap_or_default();
    let recent = match recent {
        Some(recent) => recent,
        None => of_store(&relay, &target.name, known.newest_flow).await,
    };
    let (version, builder) = (String::new(), FlowBatchBuilder::new());
    let position = Position { reached: known.peer_seen, ..Position::default() };
    let decoder = PieceDecoder::new(target.name.as_str().into());
    let splitter = Splitter::default();
    let mut pull = Pull { relay, target, version, builder, delivery: None, splitter, decoder, recent, position };
    let mut pauses = Pauses::new();
    while let Some(error) = stop.run_until_cancelled(pull.connect_and_read(&mut pauses)).await {
        let (name, text) = (&pull.target.name, with_causes(&error));
        warn!(peer = name, retry_in = ?pauses.next(), error = text, "a peer gives no flows");
        pull.relay.presence.unreachable(name, &pull.target.address, &text, pull.relay.now());
        if !pauses.wait(&stop).await {
            break;
        }
    }
    pull.end().await
}

/// What the store has of a peer.
async fn of_store(relay: &Arc<Relay>, peer: &str, newest: Option<Timestamp>) -> Recent {
    let Some(newest) = newest else { return Recent::default() };
    let (snapshot, peer, now) = (relay.index.snapshot(), peer.to_owned(), relay.now());
    let reading = relay.work(move || Recent::of_store(&snapshot, &peer, newest, now));
    reading.await.unwrap_or_else(|error| {
        warn!(%error, "looking up what is known of a peer panicked");
        Recent::default()
    })
}

impl Pull {
    async fn connect_and_read(&mut self, pauses: &mut Pauses) -> PullError {
        let mut stream = match self.open().await {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        pauses.begin_again();
        info!(peer = self.target.name, version = self.version, "connected to a peer");
        let _connected = Connected::new(&self.relay, &self.target);
        let error = match self.read(&mut stream).await {
            Ok(()) => PullError::Ended,
            Err(error) => error,
        };
        match self.flush().await {
            Ok(()) => error,
            Err(rejected) => rejected.into(),
        }
    }

    async fn open(&mut self) -> Result<Streaming<Bytes>, PullError> {
        let channel = self.target.connect(self.relay.config.peer_tls.as_ref()).await?;
        let refused = |status: Status| PullError::Call(Box::new(status));
        let mut request = tonic::Request::new(ServerStatusRequest {});
        request.set_timeout(CALL_TIMEOUT);
        match ObserverClient::new(channel.clone()).server_status(request).await {
            Ok(status) => self.note(status.into_inner()),
            // A server that has flows but no status is still good enough.
            Err(status) if status.code() == Code::Unimplemented => {}
            Err(status) => return Err(refused(status)),
        }
        let request = self.request();
        self.recent.resume();
        get_flows(channel, &request).await
    }

    /// Learns from the peer's status how far its ring reaches back.
    fn note(&mut self, status: ServerStatusResponse) {
        let overwritten = status.seen_flows.saturating_sub(status.num_flows);
        // A peer that has seen less than before has started anew: nothing of it was overwritten.
        let started_anew = status.seen_flows < self.position.reached;
        let continues = self.recent.newest().is_some() && !started_anew;
        let asked = if continues { status.seen_flows - self.position.reached } else { self.history() };
        self.position = Position {
            reached: status.seen_flows,
            counted: asked.min(status.num_flows),
            overwritten: overwritten.saturating_sub(self.position.reached),
            continues,
        };
        self.version = status.version;
        if status.uptime_ns > 0 {
            let now = self.relay.now();
            let since = now.before(Duration::from_nanos(status.uptime_ns));
            self.relay.presence.up_since(&self.target.name, since, now);
        }
    }

    /// Flows of the past asked for when the peer is met for the first time.
    fn history(&self) -> u64 {
        self.relay.config.ingest.peer_history_flows
    }

    fn request(&self) -> GetFlowsRequest {
        // A Weir server knows the options, a Hubble server ignores them.
        let extensions = prost_types::Any::from_msg(&GetFlowsOptions { details: true });
        let since = self.recent.since(self.relay.now()).map(time_to_wire);
        GetFlowsRequest {
            number: if since.is_some() { 0 } else { self.history() },
            since,
            follow: true,
            extensions: extensions.ok(),
            ..GetFlowsRequest::default()
        }
    }

    /// Reads responses and makes batches of them: when there are enough rows, or the first has waited long enough.
    async fn read(&mut self, stream: &mut Streaming<Bytes>) -> Result<(), PullError> {
        let wait = Duration::from_millis(self.relay.config.ingest.peer_batch_ms);
        let rows_max = self.relay.config.ingest.peer_batch_rows;
        let due = tokio::time::sleep(wait);
        tokio::pin!(due);
        loop {
            // What is there is read before the clock is looked at: while more comes, the batch fills soon.
            let message = tokio::select! {
                biased;
                message = stream.message() => message.map_err(|status| PullError::Stream(Box::new(status)))?,
                () = &mut due, if !self.builder.is_empty() => {
                    self.flush().await?;
                    continue;
                }
            };
            let Some(encoded) = message else { return Ok(()) };
            if self.builder.is_empty() {
                due.as_mut().reset(Instant::now() + wait);
            }
            self.take(&encoded)?;
            if self.builder.len() >= rows_max {
                self.flush().await?;
            }
        }
    }

    /// Takes a response: in pieces where it is a flow as nearly all are, else as a whole.
    fn take(&mut self, encoded: &[u8]) -> Result<(), PullError> {
        if let Some(pieces) = self.splitter.split(encoded)
            && let Ok(understood) = self.builder.understand(&pieces, &mut self.decoder)
        {
            let repeats = !self.recent.is_new_id(FlowId::Uuid(pieces.uuid), pieces.time, self.relay.now());
            if self.position.take(repeats) {
                tell_gap(&self.relay, &self.target, &self.position, pieces.time);
            }
            if !repeats {
                understood.push();
            }
            return Ok(());
        }
        self.take_whole(encoded)
    }

    fn take_whole(&mut self, encoded: &[u8]) -> Result<(), PullError> {
        let (response, unknown) = decode_response(encoded).map_err(PullError::Response)?;
        match response.response_types {
            Some(ResponseTypes::Flow(wire)) => {
                let mut flow = flow_from_wire(wire);
                flow.extension = with_unknown_fields(flow.extension, unknown);
                self.take_flow(flow, encoded);
            }
            Some(ResponseTypes::LostEvents(lost)) => {
                let lost = lost_from_wire(&lost);
                let time = response.time.map_or_else(|| self.relay.now(), time_from_wire);
                let record = LossRecord {
                    window: time.window(LossRecord::WINDOW),
                    stage: stage_of(lost.source),
                    cause: lost.source.to_string().to_lowercase(),
                    seen: 0,
                    lost: lost.count,
                };
                record_losses(&self.relay, &self.target.name, &[record]);
            }
            Some(ResponseTypes::NodeStatus(status)) => {
                debug!(peer = self.target.name, ?status, "status of a peer's nodes");
            }
            None => {}
        }
        Ok(())
    }

    fn take_flow(&mut self, mut flow: Flow, encoded: &[u8]) {
        if flow.node_name.is_empty() {
            flow.node_name = self.target.name.as_str().into();
        }
        let repeats = !self.recent.is_new(&flow, encoded, self.relay.now());
        if self.position.take(repeats) {
            tell_gap(&self.relay, &self.target, &self.position, flow.time);
        }
        if !repeats && self.builder.push(&flow).is_err() {
            debug_assert!(false, "a batch is flushed before it is full");
        }
    }

    /// Hands over what there is. While the store cannot take it, it waits, and so stops reading from the peer.
    ///
    /// # Cancel safety
    /// A batch under way is kept, and the next call goes on with it.
    async fn flush(&mut self) -> Result<(), Rejected> {
        loop {
            if let Some(delivery) = &mut self.delivery {
                let ended = delivery.await;
                self.delivery = None;
                ended?;
            }
            if self.builder.is_empty() {
                return Ok(());
            }
            let origin = BatchOrigin {
                node: self.target.name.clone(),
                version: self.version.clone(),
                address: self.target.address.clone(),
                peer_seen: self.position.reached.saturating_sub(self.position.counted),
                ..BatchOrigin::default()
            };
            self.delivery = Some(Delivery::begin(&self.relay, origin, self.builder.finish()));
        }
    }

    /// Hands over the last flows, as far as they are taken in time.
    async fn end(mut self) -> Recent {
        match tokio::time::timeout(LAST_FLUSH, self.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(peer = self.target.name, error = with_causes(&error), "the last flows of a peer were not taken");
            }
            Err(_) => {
                if let Some(delivery) = self.delivery.take() {
                    delivery.try_once_more();
                    // It counts what it gives up.
                    self.relay.stages.sources.tasks.spawn(delivery);
                }
            }
        }
        self.recent
    }
}

async fn get_flows(channel: Channel, request: &GetFlowsRequest) -> Result<Streaming<Bytes>, PullError> {
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(RESPONSE_BYTES_MAX);
    client.ready().await.map_err(PullError::Lost)?;
    let request = tonic::Request::new(Bytes::from(request.encode_to_vec()));
    let answer = client.server_streaming(request, PathAndQuery::from_static(GET_FLOWS), RawCodec).await;
    answer.map(tonic::Response::into_inner).map_err(|status| PullError::Call(Box::new(status)))
}

impl Position {
    /// Notes a flow that came. Gives whether flows are missing before it: it is the first after a break, and news though
    /// the newest one from before was asked for too.
    fn take(&mut self, repeats: bool) -> bool {
        let first = std::mem::take(&mut self.continues);
        if repeats {
            return false;
        }
        match self.counted {
            0 => self.reached += 1,
            ref mut counted => *counted -= 1,
        }
        first
    }
}

/// The peer's ring has overwritten the newest flow from before a break, and maybe more. How many is what the peer's
/// counts say; they may be off by the flows that it saw between two answers.
fn tell_gap(relay: &Relay, target: &Target, position: &Position, first: Timestamp) {
    let lost = position.overwritten.max(1);
    warn!(peer = target.name, lost, "a peer overwrote flows while it was not connected");
    let stage = stage_of(LostEventSource::HUBBLE_RING_BUFFER);
    let record = LossRecord { window: first.window(LossRecord::WINDOW), stage, cause: GAP.to_owned(), seen: 0, lost };
    record_losses(relay, &target.name, &[record]);
}

/// Notes that a peer is connected, for as long as it lives.
struct Connected {
    relay: Arc<Relay>,
    name: String,
}

impl Connected {
    fn new(relay: &Arc<Relay>, target: &Target) -> Self {
        relay.presence.connected(&target.name, &target.address, relay.now());
        Self { relay: Arc::clone(relay), name: target.name.clone() }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.relay.presence.disconnected(&self.name, "", self.relay.now());
    }
}
