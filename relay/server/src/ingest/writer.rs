//! The one task that appends to the index.

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use flow::LossRecord;
use relay_index::{AppendError, Appended, BatchOrigin};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::tally;
use crate::metrics::{CauseLabels, FromLabels, StageLabels};
use crate::relay::Relay;

/// Time between two looks at what has grown old, and two samples of the rate.
const TICK: Duration = Duration::from_secs(1);

/// A batch to append, and whom to tell.
#[derive(Debug)]
pub(super) struct Job {
    /// How it came.
    pub(super) from: FromLabels,
    /// Where it came from.
    pub(super) origin: BatchOrigin,
    /// The flows.
    pub(super) batch: RecordBatch,
    /// Losses since the batch before.
    pub(super) losses: Vec<LossRecord>,
}

/// What became of a batch.
pub(super) type Taken = Result<Appended, Rejected>;

/// A batch that is not in the index.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejected {
    /// It is none of flows.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Appending it panicked, which is a bug.
    #[error("appending the batch failed")]
    Failed(#[source] JoinError),
    /// The relay is stopping; the batch was not taken.
    #[error("the relay is stopping")]
    Stopping,
}

/// Door to the index for all sources. Holds a bounded number of batches; a source that finds it full waits, and so
/// stops reading.
#[derive(Debug)]
pub(crate) struct Ingest {
    queue: mpsc::Sender<(Job, oneshot::Sender<Taken>)>,
}

/// The receiving end of an [`Ingest`].
pub(crate) struct Queue(mpsc::Receiver<(Job, oneshot::Sender<Taken>)>);

impl Ingest {
    /// A door with room for `batches`.
    pub(crate) fn new(batches: usize) -> (Self, Queue) {
        let (queue, receiver) = mpsc::channel(batches);
        (Self { queue }, Queue(receiver))
    }

    /// Waits for room, then until the batch is in the index.
    ///
    /// # Errors
    /// The batch is not in the index.
    ///
    /// # Cancel safety
    /// The batch may or may not get into the index when the call is dropped; sending it again is harmless, because
    /// repeats are dropped.
    pub(super) async fn take(&self, job: Job) -> Taken {
        let (answer, taken) = oneshot::channel();
        self.queue.send((job, answer)).await.map_err(|_| Rejected::Stopping)?;
        taken.await.unwrap_or(Err(Rejected::Stopping))
    }
}

/// Appends what comes until `stop`, then what is still queued.
pub(crate) async fn write(relay: Arc<Relay>, mut queue: Queue, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled(), if !queue.0.is_closed() => queue.0.close(),
            job = queue.0.recv() => match job {
                Some((job, answer)) => append(&relay, job, answer).await,
                None => return,
            },
            _ = tick.tick() => look_after(&relay).await,
        }
    }
}

async fn append(relay: &Arc<Relay>, job: Job, answer: oneshot::Sender<Taken>) {
    let worker = Arc::clone(relay);
    let appending = tokio::task::spawn_blocking(move || append_now(&worker, &job));
    let taken = appending.await.unwrap_or_else(|panic| {
        error!(error = %panic, "appending a batch panicked");
        Err(Rejected::Failed(panic))
    });
    if taken.is_err() {
        relay.metrics.refused.get_or_create(&CauseLabels { cause: "append" }).inc();
    }
    // A source that went away meanwhile will send the batch again and then be told that it is a repeat.
    drop(answer.send(taken));
}

fn append_now(relay: &Relay, job: &Job) -> Taken {
    let appended = relay.index.append(&job.origin, &job.batch)?;
    if appended.repeated {
        relay.metrics.repeats.inc();
        return Ok(appended);
    }
    record_losses(relay, &job.origin.node, &job.losses);
    relay.metrics.batches.get_or_create(&job.from).inc();
    relay.metrics.rows.get_or_create(&job.from).inc_by(appended.rows as u64);
    if let Ok(batch) = table::conform(&job.batch) {
        tally::count(&relay.metrics, &batch);
    }
    Ok(appended)
}

/// Writes losses into the ledger, counts them and tells followers.
pub(super) fn record_losses(relay: &Relay, node: &str, losses: &[LossRecord]) {
    if losses.is_empty() {
        return;
    }
    relay.index.record_losses(node, losses);
    for loss in losses.iter().filter(|l| l.lost > 0) {
        relay.metrics.lost.get_or_create(&StageLabels { stage: loss.stage.name() }).inc_by(loss.lost);
    }
    relay.losses.add(node, losses);
}

async fn look_after(relay: &Arc<Relay>) {
    let relay = Arc::clone(relay);
    let sealing = tokio::task::spawn_blocking(move || {
        let now = relay.now();
        relay.index.merge_old(now);
        relay.index.rollups().catch_up(&relay.index.snapshot());
        relay.sample_rate(now);
    });
    if let Err(error) = sealing.await {
        error!(%error, "sealing old segments panicked");
    }
}
