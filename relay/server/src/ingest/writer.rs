//! The one task that appends to the index.

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use flow::LossRecord;
use relay_index::{AppendError, Appended, BatchOrigin, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
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

/// KiB of batches that may wait whatever the budget: 2 GiB, which is far from what a semaphore can count.
const KIB_MAX: u32 = 1 << 21;

/// A batch to append, and how it came.
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

/// Door to the index for all sources. Holds a bounded number of batches and of their bytes; a source that finds it full
/// waits, and so stops reading.
#[derive(Debug)]
pub(crate) struct Ingest {
    queue: mpsc::Sender<Waiting>,
    /// A permit for each KiB.
    room: Arc<Semaphore>,
    kib_max: u32,
}

/// A batch on its way to the index.
struct Waiting {
    job: Job,
    answer: oneshot::Sender<Taken>,
    room: OwnedSemaphorePermit,
}

/// The receiving end of an [`Ingest`].
pub(crate) struct Queue(mpsc::Receiver<Waiting>);

impl Ingest {
    /// A door with room for so many batches of so many bytes together; one that is larger than all passes alone.
    pub(crate) fn new(batches: usize, bytes: usize) -> (Self, Queue) {
        let (queue, receiver) = mpsc::channel(batches);
        let kib_max = u32::try_from(bytes / 1_024).unwrap_or(u32::MAX).clamp(1, KIB_MAX);
        (Self { queue, room: Arc::new(Semaphore::new(kib_max as usize)), kib_max }, Queue(receiver))
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
        let kib = u32::try_from(table::memory_bytes(&job.batch) / 1_024).unwrap_or(u32::MAX).clamp(1, self.kib_max);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| Rejected::Stopping)?;
        self.queue.send(Waiting { job, answer, room }).await.map_err(|_| Rejected::Stopping)?;
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

/// Appends batches together, so that one call to the disk makes all of them durable. Room for one is not room for all:
/// those that find none wait again.
async fn append(relay: &Arc<Relay>, mut waiting: Vec<Waiting>) {
    loop {
        await_room(relay).await;
        let count = waiting.len();
        waiting = append_group(relay, waiting).await;
        if waiting.len() == count {
            break;
        }
    }
    for each in waiting {
        answer(relay, each.answer, Err(AppendError::Full.into()));
    }
}

/// Appends what there is room for, and gives back the rest.
async fn append_group(relay: &Arc<Relay>, waiting: Vec<Waiting>) -> Vec<Waiting> {
    let (mut jobs, mut senders) = (Vec::new(), Vec::new());
    for Waiting { job, answer, room } in waiting {
        jobs.push(job);
        senders.push((answer, room));
    }
    let worker = Arc::clone(relay);
    let appending = tokio::task::spawn_blocking(move || append_now(&worker, jobs));
    let tried = match appending.await {
        Ok(tried) => tried,
        Err(panic) => {
            error!(error = %panic, "appending a batch panicked");
            let panic = Arc::new(panic);
            senders.iter().map(|_| Tried::Answered(Err(Rejected::Failed(Arc::clone(&panic))))).collect()
        }
    };
    let mut left = Vec::new();
    for (tried, (sender, room)) in tried.into_iter().zip(senders) {
        match tried {
            Tried::Answered(taken) => answer(relay, sender, taken),
            Tried::NoRoom(job) => left.push(Waiting { job, answer: sender, room }),
        }
    }
    left
}

fn answer(relay: &Relay, sender: oneshot::Sender<Taken>, taken: Taken) {
    if let Err(rejected) = &taken {
        let cause = if rejected.is_transient() { "store" } else { "append" };
        relay.metrics.refused.get_or_create(&CauseLabels { cause }).inc();
    }
    // A source that went away meanwhile will send the batch again and then be told that it is a repeat.
    drop(sender.send(taken));
}

/// Waits for a while until there is room. Nothing else is taken meanwhile, so sources wait too, and send no faster than
/// files are written.
async fn await_room(relay: &Relay) {
    let until = Instant::now() + ROOM_WAIT;
    let stop = &relay.stages.sources.stop;
    if relay.pressure.is_held() {
        relay.metrics.memory.held.inc();
    }
    while (relay.index.is_full() || relay.pressure.is_held()) && Instant::now() < until {
        if stop.run_until_cancelled(tokio::time::sleep(ROOM_LOOK)).await.is_none() {
            return;
        }
    }
}

/// What became of a batch for now.
enum Tried {
    /// It is in the index, or never will be.
    Answered(Taken),
    /// The index is full.
    NoRoom(Job),
}

fn append_now(relay: &Relay, jobs: Vec<Job>) -> Vec<Tried> {
    let (incoming, from): (Vec<Incoming>, Vec<FromLabels>) =
        jobs.into_iter().map(|Job { from, origin, batch, losses }| (Incoming { origin, batch, losses }, from)).unzip();
    let taken = relay.index.append_all(&incoming);
    let tried = incoming.into_iter().zip(from).zip(taken).map(|((incoming, from), taken)| match taken {
        Err(AppendError::Full) => {
            let Incoming { origin, batch, losses } = incoming;
            Tried::NoRoom(Job { from, origin, batch, losses })
        }
        taken => {
            let appended = taken.inspect(|appended| note(relay, &incoming, &from, *appended));
            Tried::Answered(appended.map_err(Rejected::from))
        }
    });
    tried.collect()
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
