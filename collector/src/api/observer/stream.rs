//! Sending a part of a history to one client.

use std::sync::Arc;

use flow::{LostEvent, LostEventSource};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::answer::Answer;
use crate::api::Node;
use crate::api::span::{Span, Timed};
use crate::ledger::Cause;
use crate::ring::{Read, Ring};

/// Values looked at before other tasks get a turn.
const VALUES_PER_TURN: u32 = 512;

/// The way to a client, and its place among those served at once.
pub(super) struct Client<M> {
    pub(super) answers: mpsc::Sender<Result<M, Status>>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Sends the `span` of a history until it ends, the client goes, or the node stops.
///
/// A client that reads slowly holds up nobody: the history goes on, and what the client missed is told to it.
pub(super) async fn stream<T, A>(node: Arc<Node>, ring: Ring<T>, span: Span, answer: A, client: Client<A::Message>)
where
    T: Clone + Timed + Send + 'static,
    A: Answer<T>,
{
    let answers = &client.answers;
    let end = ring.head();
    let mut reader = ring.reader_at(span.start(&ring, |value| answer.counts(value)));
    let mut left = span.limit();
    let mut turn = 0;
    while left != Some(0) && (span.follow || reader.position() < end) {
        let message = match reader.read() {
            Read::Value(value) if span.is_past(value.when()) => break,
            Read::Value(value) if !span.covers(value.when()) => None,
            Read::Value(value) => answer.make(&value).map(|made| {
                left = left.map(|n| n - u64::from(made.counts));
                made.message
            }),
            Read::Lost(count) => {
                node.tallies.add(Cause::ClientOvertaken, count, count);
                let lost = LostEvent { source: LostEventSource::HUBBLE_RING_BUFFER, count, ..LostEvent::default() };
                answer.lost(lost, node.clock.now())
            }
            Read::Empty if !span.follow => break,
            Read::Empty => {
                tokio::select! {
                    waited = reader.wait() => if waited.is_err() { break },
                    () = node.stop.cancelled() => break,
                    () = answers.closed() => break,
                }
                None
            }
        };
        if let Some(message) = message {
            tokio::select! {
                sent = answers.send(Ok(message)) => if sent.is_err() { break },
                () = node.stop.cancelled() => break,
            }
        }
        turn += 1;
        if turn % VALUES_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
}
