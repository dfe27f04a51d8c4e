//! Sending a part of a history to one client.

use std::sync::Arc;
use std::time::Duration;

use flow::{LostEvent, LostEventSource, Timestamp};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;

use super::answer::Answer;
use crate::api::Node;
use crate::api::places::Place;
use crate::api::span::{DISORDER, Span, Turn};
use crate::ledger::Cause;
use crate::ring::{Read, Reader, Ring, Timed};

/// Time over which what a client missed is gathered into one event, as Hubble does.
const MISSED_WINDOW: Duration = Duration::from_secs(1);

/// The way to a client, and its place among those served at once.
pub(super) struct Client<M> {
    pub(super) answers: mpsc::Sender<Result<M, Status>>,
    pub(super) _place: Place,
}

/// What a client missed and was not told yet.
#[derive(Clone, Copy, Debug)]
struct Missed {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

/// One stream.
struct Sending<T, A: Answer<T>> {
    node: Arc<Node>,
    reader: Reader<T>,
    span: Span,
    answer: A,
    client: Client<A::Message>,
    missed: Option<Missed>,
    /// Matching values still to be told; `None` for no limit.
    left: Option<u64>,
    /// When those who follow have waited long enough for what may come late; `None` before a value is too new for them.
    over_at: Option<Instant>,
}

/// The client is gone, the node stops, or nothing more can come.
struct Over;

/// Sends the `span` of a history until it ends, the client goes, or the node stops.
///
/// A client that reads slowly holds up nobody: the history goes on, and what the client missed is told to it.
/// Nor does one that is gone cost anything, though nothing that is looked at is for it.
pub(super) async fn stream<T, A>(node: Arc<Node>, ring: Ring<T>, span: Span, answer: A, client: Client<A::Message>)
where
    T: Clone + Timed + Send + 'static,
    A: Answer<T>,
{
    let (stop, answers) = (node.stop.clone(), client.answers.clone());
    tokio::select! {
        () = serve(node, ring, span, answer, client) => {}
        () = answers.closed() => {}
        () = stop.cancelled() => {}
    }
}

async fn serve<T, A>(node: Arc<Node>, ring: Ring<T>, span: Span, mut answer: A, client: Client<A::Message>)
where
    T: Clone + Timed + Send + 'static,
    A: Answer<T>,
{
    let end = ring.head();
    let wanted = answer.wanted();
    let lookup = ring.lookup().wanting(wanted.clone());
    let asked = &mut answer;
    let start = span.start(&ring, end, lookup, move |value| asked.counts(value)).await;
    let reader = ring.reader_at(start).wanting(wanted);
    let mut sending = Sending { node, reader, span, answer, client, missed: None, left: span.limit(), over_at: None };
    if sending.send_values(end).await.is_ok() {
        // The stream ends either way.
        let _told = sending.tell_missed().await;
    }
}

impl<T, A> Sending<T, A>
where
    T: Clone + Timed + Send + 'static,
    A: Answer<T>,
{
    /// Sends until the span, or without following the history, ends.
    async fn send_values(&mut self, end: u64) -> Result<(), Over> {
        let mut turn = Turn::default();
        while self.left != Some(0) && (self.span.follow || self.reader.position() < end) {
            let read = self.reader.read();
            // What came since is not part of the answer; the reader may have passed over what was.
            if !self.span.follow && self.reader.position() > end {
                return Ok(());
            }
            match read {
                Read::Value(value) if !value.is_loss() && self.span.is_past(value.when()) => return Ok(()),
                Read::Value(value) if !value.is_loss() && !self.span.covers(value.when()) => {
                    if self.span.is_beyond(value.when()) {
                        self.over_at.get_or_insert_with(|| Instant::now() + DISORDER);
                    }
                }
                Read::Value(value) => {
                    if let Some(made) = self.answer.make(&value) {
                        self.left = self.left.map(|n| n - u64::from(made.counts));
                        self.send(made.message).await?;
                    }
                }
                Read::Lost(count) => self.miss(count),
                Read::Passed => {}
                Read::Empty if !self.span.follow => return Ok(()),
                Read::Empty => {
                    self.tell_missed().await?;
                    self.wait().await?;
                }
            }
            let now = self.missed.is_some().then(|| self.node.clock.now());
            if now.zip(self.missed).is_some_and(|(now, missed)| now.since(missed.first) >= MISSED_WINDOW) {
                self.tell_missed().await?;
            }
            turn.take().await;
        }
        Ok(())
    }

    fn miss(&mut self, count: u64) {
        self.node.status.tallies.add(Cause::ClientOvertaken, count, count);
        let now = self.node.clock.now();
        let missed = self.missed.get_or_insert(Missed { count: 0, first: now, last: now });
        missed.count += count;
        missed.last = now;
    }

    async fn tell_missed(&mut self) -> Result<(), Over> {
        let Some(Missed { count, first, last }) = self.missed.take() else { return Ok(()) };
        let source = LostEventSource::HUBBLE_RING_BUFFER;
        let lost = LostEvent { source, count, first: Some(first), last: Some(last), ..LostEvent::default() };
        match self.answer.lost(lost, self.node.clock.now()) {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, message: A::Message) -> Result<(), Over> {
        tokio::select! {
            sent = self.client.answers.send(Ok(message)) => sent.map_err(|_| Over),
            () = self.node.stop.cancelled() => Err(Over),
        }
    }

    async fn wait(&mut self) -> Result<(), Over> {
        let over_at = self.over_at;
        tokio::select! {
            waited = self.reader.wait() => waited.map_err(|_| Over),
            () = self.node.stop.cancelled() => Err(Over),
            () = self.client.answers.closed() => Err(Over),
            () = sleep_until(over_at) => Err(Over),
        }
    }
}

async fn sleep_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
