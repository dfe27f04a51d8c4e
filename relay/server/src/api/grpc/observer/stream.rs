//! One stream of `GetFlows`: state of the nodes, then the past, then what follows.

use std::sync::Arc;
use std::time::Duration;

use flow::{LostEvent, LostEventSource, NodeState, Timestamp};
use proto::observer::GetFlowsResponse;
use relay_index::{Asker, Followed, Hit, Order, ReadMark, Search, Snapshot};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::debug;

use super::ask::Ask;
use super::respond::{self, Chunk, ChunkWriter};
use super::trouble::{self, Troubles};
use crate::losses::{LossWatch, NodeLoss, past_losses};
use crate::metrics::{Counted, Outcome, StageLabels};
use crate::relay::Relay;

/// Chunks of flows that wait for one client.
const CHUNKS: usize = 2;
/// Rows that are looked through on the spot; more go to a thread that may block, because they take over half a
/// millisecond.
const INLINE_ROWS_MAX: u64 = 64;
/// Time that flows from before `until` may take to arrive.
const LATE: Duration = Duration::from_secs(1);

/// Serves one request.
pub(super) struct FlowStream {
    relay: Arc<Relay>,
    ask: Ask,
    answers: mpsc::Sender<Result<Chunk, Status>>,
    losses: LossWatch,
    troubles: Troubles,
    stall: Duration,
    /// Flows read and encoded at a time.
    chunk_flows: usize,
    /// Gone with the stream, and with it the searches that others make for it, and what is still to be read of them.
    presence: Arc<()>,
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

/// Why a stream ends before its time.
#[derive(Debug)]
enum End {
    /// The client went away.
    Gone,
    /// The client stopped reading.
    Stalled,
    /// A bug.
    Failed,
}

type Hits = Box<dyn Iterator<Item = Hit> + Send>;

impl FlowStream {
    /// A stream that is not running yet.
    pub(super) fn new(
        relay: Arc<Relay>,
        ask: Ask,
        place: OwnedSemaphorePermit,
    ) -> (Self, mpsc::Receiver<Result<Chunk, Status>>) {
        // Half of what may wait is encoded while the other half is sent.
        let chunk_flows = (relay.config.grpc.stream_buffer_flows / CHUNKS).max(1);
        let (answers, receiver) = mpsc::channel(CHUNKS);
        let stall = Duration::from_millis(relay.config.grpc.stall_ms);
        let (losses, counted) = (relay.losses.watch(), Counted::new(&relay.metrics.streams));
        let troubles = Troubles::new(relay.presence.troubles());
        let (presence, _place, _counted) = (Arc::default(), place, counted);
        (Self { relay, ask, answers, losses, troubles, stall, chunk_flows, presence, _place, _counted }, receiver)
    }

    /// Serves until everything is told, the client goes, or the relay stops.
    pub(super) async fn run(mut self) {
        let begun = Instant::now();
        let relay = Arc::clone(&self.relay);
        let answers = self.answers.clone();
        let kind = if self.ask.follow { "follow" } else { "flows" };
        let ended = tokio::select! {
            ended = self.serve() => ended,
            () = answers.closed() => Err(End::Gone),
            () = relay.stages.streams.stop.cancelled() => {
                // Where the client is so slow that this does not fit, the end of the stream must say it.
                drop(answers.try_send(Err(Status::unavailable("the relay is stopping"))));
                relay.metrics.query_ended(kind, Outcome::Stopped, begun.elapsed());
                return;
            }
        };
        let (outcome, status) = match ended {
            Ok(()) => (Outcome::Ok, None),
            Err(End::Gone) => (Outcome::Cancelled, None),
            Err(End::Stalled) => {
                let problem = format!("the client read nothing for {:?}, the rest of the past was let go", self.stall);
                (Outcome::Stalled, Some(Status::new(Code::ResourceExhausted, problem)))
            }
            Err(End::Failed) => (Outcome::Failed, Some(Status::internal("reading the index failed"))),
        };
        relay.metrics.query_ended(kind, outcome, begun.elapsed());
        if let Some(status) = status {
            // Nothing of the index is held any more, so waiting for the client costs only the place it has.
            drop(self);
            let sent = relay.stages.streams.stop.run_until_cancelled(answers.send(Err(status))).await;
            debug!(told = matches!(sent, Some(Ok(()))), ?outcome, "a stream of flows ended early");
        }
    }

    async fn serve(&mut self) -> Result<(), End> {
        self.tell_nodes().await?;
        let (mark, snapshot) = (self.relay.index.read_mark(), self.relay.index.snapshot());
        let end_seq = snapshot.end_seq();
        if let Some((count, order)) = self.ask.past.walk() {
            self.tell_past(mark, snapshot, count, order).await?;
        } else {
            drop(snapshot);
        }
        if self.ask.follow { self.tell_news(end_seq).await } else { Ok(()) }
    }

    /// Which nodes flows may be expected of, as `hubble-relay` says first of all.
    async fn tell_nodes(&self) -> Result<(), End> {
        let (nodes, now) = (self.relay.nodes(), self.relay.now());
        for state in [NodeState::NODE_CONNECTED, NodeState::NODE_UNAVAILABLE] {
            if let Some(status) = respond::node_status(state, &nodes, now) {
                self.send(status).await?;
            }
        }
        Ok(())
    }

    async fn tell_past(
        &mut self,
        mark: ReadMark,
        snapshot: Arc<Snapshot>,
        count: usize,
        order: Order,
    ) -> Result<(), End> {
        let search = Search { asker: Asker::of(&self.presence), ..self.ask.search.clone() };
        let oldest = snapshot.oldest();
        let finding = self.relay.work(move || find(&snapshot, search, count, order));
        let (from, hits) = finding.await.map_err(|_| End::Failed)?;
        if let Some(from) = from.or(self.ask.search.since).or(oldest) {
            let lines = self.relay.index.losses();
            for loss in past_losses(&lines, from, self.ask.search.until) {
                self.send(respond::lost(&loss, self.relay.now())).await?;
            }
        }
        // What the ledger told is not news. A loss reported between the two may be told twice; none is left out.
        drop(self.losses.take());
        self.tell(hits).await.map_err(|(end, _)| end)?;
        // Only reading finds out what is damaged.
        let damaged = self.relay.index.damaged_since(mark, self.ask.search.since, self.ask.search.until);
        match respond::damage(&damaged, self.relay.now()) {
            Some(response) => self.send(response).await,
            None => Ok(()),
        }
    }

    async fn tell_news(&mut self, from_seq: u64) -> Result<(), End> {
        let relay = Arc::clone(&self.relay);
        let mut follower = relay.index.follow(from_seq).lag_max(relay.config.grpc.lag_flows_max);
        let end = self.ask.search.until.map(|until| until.after(LATE).since(relay.now()));
        let end = end.map(|wait| Instant::now() + wait);
        loop {
            tokio::select! {
                followed = follower.next() => match followed {
                    Some(followed) => {
                        if self.tell_followed(followed).await? {
                            return Ok(());
                        }
                    }
                    None => return Ok(()),
                },
                () = self.losses.changed() => {}
                trouble = self.troubles.next() => {
                    self.send_patiently(trouble::response(trouble, relay.now())).await?;
                }
                () = wait_for(end) => return Ok(()),
            }
            for loss in self.losses.take() {
                self.send_patiently(respond::lost(&loss, self.relay.now())).await?;
            }
        }
    }

    /// Tells rows that arrived; whether one of them was beyond the end.
    async fn tell_followed(&mut self, followed: Followed) -> Result<bool, End> {
        if followed.missed > 0 {
            self.tell_missed(followed.missed).await?;
        }
        let filter = Arc::clone(&self.ask.search.filter);
        let mut hits = if followed.rows() <= INLINE_ROWS_MAX {
            followed.matching(&filter)
        } else {
            self.relay.work(move || followed.matching(&filter)).await.map_err(|_| End::Failed)?
        };
        let matched = hits.len();
        hits.retain(|hit| !self.ask.is_over(hit.time()));
        let is_over = hits.len() < matched;
        let matched = hits.len() as u64;
        match self.tell(Box::new(hits.into_iter())).await {
            Ok(_) => Ok(is_over),
            Err((End::Stalled, told)) => self.tell_missed(matched - told).await.map(|()| is_over),
            Err((end, _)) => Err(end),
        }
    }

    /// Tells flows that could not be told in time.
    async fn tell_missed(&self, count: u64) -> Result<(), End> {
        self.relay.metrics.lost.get_or_create(&StageLabels { stage: flow::LossStage::Serve.name() }).inc_by(count);
        let event = LostEvent { source: LostEventSource::HUBBLE_RING_BUFFER, count, ..LostEvent::default() };
        self.send_patiently(respond::lost(&NodeLoss { node: String::new(), event }, self.relay.now())).await
    }

    /// Tells flows; gives how many, on failure too.
    async fn tell(&self, mut hits: Hits) -> Result<u64, (End, u64)> {
        let (mut told, chunk_flows) = (0, self.chunk_flows);
        let mut writer = ChunkWriter::new(Arc::clone(&self.ask.form));
        loop {
            let reading = self.relay.work(move || {
                let chunk = writer.write(hits.by_ref().take(chunk_flows).map(|hit| hit.flow()));
                (hits, writer, chunk)
            });
            let chunk;
            (hits, writer, chunk) = reading.await.map_err(|_| (End::Failed, told))?;
            if chunk.is_empty() {
                return Ok(told);
            }
            let flows = chunk.len() as u64;
            self.send_chunk(chunk).await.map_err(|end| (end, told))?;
            told += flows;
        }
    }

    async fn send(&self, response: GetFlowsResponse) -> Result<(), End> {
        self.send_chunk(respond::single(&response)).await
    }

    /// Sends responses; a client that takes none for too long has stalled.
    async fn send_chunk(&self, chunk: Chunk) -> Result<(), End> {
        match self.answers.try_send(Ok(chunk)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(End::Gone),
            Err(TrySendError::Full(chunk)) => match self.answers.send_timeout(chunk, self.stall).await {
                Ok(()) => Ok(()),
                Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(End::Stalled),
                Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(End::Gone),
            },
        }
    }

    /// Sends one response however long the client takes: nothing of the index is held meanwhile.
    async fn send_patiently(&self, response: GetFlowsResponse) -> Result<(), End> {
        self.answers.send(Ok(respond::single(&response))).await.map_err(|_| End::Gone)
    }
}

/// Finds the flows to tell, oldest first, and the time of the first where that is known before it is told.
fn find(snapshot: &Snapshot, search: Search, count: usize, order: Order) -> (Option<Timestamp>, Hits) {
    match order {
        Order::OldestFirst => (None, Box::new(snapshot.scan(search, order).take(count))),
        Order::NewestFirst => {
            let mut hits = snapshot.newest_rows(count, search).peekable();
            (hits.peek().map(Hit::time), Box::new(hits))
        }
    }
}

async fn wait_for(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
