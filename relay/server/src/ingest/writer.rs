//! The one task that appends to the index.

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use flow::LossRecord;
use relay_index::{AppendError, Appended, BatchOrigin, Incoming};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::tally;
use crate::metrics::{CauseLabels, FromLabels, StageLabels};
use crate::relay::Relay;

/// Time between two looks at what has grown old, and two samples of the rate.
const TICK: Duration = Duration::from_secs(1);

/// Batches that one call to the disk may make durable.
const GROUP_MAX: usize = 64;

/// How long batches wait for room when they come faster than files are written, before they are refused. A run of rows
/// becomes files in less; a disk that is slower is in trouble, and collectors should hear of it.
const ROOM_WAIT: Duration = Duration::from_secs(10);
/// Time between two looks.
const ROOM_LOOK: Duration = Duration::from_millis(20);

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
    Failed(#[source] Arc<JoinError>),
    /// The relay is stopping; the batch was not taken.
    #[error("the relay is stopping")]
    Stopping,
}

impl Rejected {
    /// Whether the batch is good and may be taken later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Append(error) if error.is_transient())
    }
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

    /// Waits for room, then until the batch is in the index, and with a store on the disk.
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
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled(), if !queue.0.is_closed() => queue.0.close(),
            received = queue.0.recv_many(&mut waiting, GROUP_MAX) => {
                if received == 0 {
                    return;
                }
                append(&relay, std::mem::take(&mut waiting)).await;
            }
            _ = tick.tick() => look_after(&relay).await,
        }
    }
}

/// Appends batches together, so that one call to the disk makes all of them durable.
async fn append(relay: &Arc<Relay>, jobs: Vec<(Job, oneshot::Sender<Taken>)>) {
    await_room(relay).await;
    let (jobs, answers): (Vec<Job>, Vec<oneshot::Sender<Taken>>) = jobs.into_iter().unzip();
    let worker = Arc::clone(relay);
    let appending = tokio::task::spawn_blocking(move || append_now(&worker, jobs));
    let taken = match appending.await {
        Ok(taken) => taken,
        Err(panic) => {
            error!(error = %panic, "appending a batch panicked");
            let panic = Arc::new(panic);
            answers.iter().map(|_| Err(Rejected::Failed(Arc::clone(&panic)))).collect()
        }
    };
    for (taken, answer) in taken.into_iter().zip(answers) {
        if let Err(rejected) = &taken {
            let cause = if rejected.is_transient() { "store" } else { "append" };
            relay.metrics.refused.get_or_create(&CauseLabels { cause }).inc();
        }
        // A source that went away meanwhile will send the batch again and then be told that it is a repeat.
        drop(answer.send(taken));
    }
}

/// Waits for a while until there is room. Nothing else is taken meanwhile, so sources wait too, and send no faster than
/// files are written.
async fn await_room(relay: &Relay) {
    let until = Instant::now() + ROOM_WAIT;
    let stop = &relay.stages.sources.stop;
    while relay.index.is_full() && Instant::now() < until {
        if stop.run_until_cancelled(tokio::time::sleep(ROOM_LOOK)).await.is_none() {
            return;
        }
    }
}

fn append_now(relay: &Relay, jobs: Vec<Job>) -> Vec<Taken> {
    let (incoming, from): (Vec<Incoming>, Vec<FromLabels>) =
        jobs.into_iter().map(|Job { from, origin, batch, losses }| (Incoming { origin, batch, losses }, from)).unzip();
    let taken = relay.index.append_all(&incoming);
    let noted = incoming.iter().zip(from).zip(taken).map(|((job, from), taken)| {
        let appended = taken?;
        note(relay, job, &from, appended);
        Ok(appended)
    });
    noted.collect()
}

/// Counts what was taken, and tells followers of its losses.
fn note(relay: &Relay, job: &Incoming, from: &FromLabels, appended: Appended) {
    if appended.repeated {
        relay.metrics.repeats.inc();
        return;
    }
    tell_losses(relay, &job.origin.node, &job.losses);
    relay.metrics.batches.get_or_create(from).inc();
    relay.metrics.rows.get_or_create(from).inc_by(appended.rows as u64);
    if let Ok(batch) = table::conform(&job.batch) {
        tally::count(&relay.metrics, &batch);
    }
}

/// Writes losses into the ledger, counts them and tells followers.
pub(super) fn record_losses(relay: &Relay, node: &str, losses: &[LossRecord]) {
    if losses.is_empty() {
        return;
    }
    relay.index.record_losses(node, losses);
    tell_losses(relay, node, losses);
}

/// Counts losses that are in the ledger and tells followers.
fn tell_losses(relay: &Relay, node: &str, losses: &[LossRecord]) {
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
