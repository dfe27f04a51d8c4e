//! Taking batches: into the log first, then into memory.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use flow::{LossRecord, Timestamp};
use table::{SchemaError, conform, tidy};

use super::{AppendError, Appended, BatchOrigin, Index, Writer};
use crate::Segment;
use crate::segment::as_u64;
use crate::wal::Wal;

/// A batch that came.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Where it comes from.
    pub origin: BatchOrigin,
    /// The flows.
    pub batch: RecordBatch,
    /// Losses since the batch before.
    pub losses: Vec<LossRecord>,
}

/// What is to become of a batch.
#[expect(clippy::large_enum_variant, reason = "nearly all are taken, and none outlives its batch")]
enum Plan {
    Take(Segment),
    /// No flows, but a number and perhaps losses.
    TakeEmpty,
    Repeated,
    Refuse(AppendError),
}

impl Index {
    /// Appends the flows of a batch, unless the batch was appended before, and shows them to readers. See
    /// [`Index::append_all`].
    ///
    /// # Errors
    /// The batch is none of flows, or cannot be taken now; the index is unchanged.
    pub fn append(&self, origin: &BatchOrigin, batch: &RecordBatch) -> Result<Appended, AppendError> {
        let incoming = Incoming { origin: origin.clone(), batch: batch.clone(), losses: Vec::new() };
        self.append_all(&[incoming]).pop().unwrap_or(Err(AppendError::Full))
    }

    /// Appends batches that came at about the same time, and shows them to readers. With a store they are on the disk
    /// when this returns, all by one call; the losses that came with them too. A batch of more than
    /// [`table::MAX_BATCH_ROWS`] rows is refused. Writing and merging happen here, so a call may take some
    /// milliseconds: call it from a thread that may block.
    ///
    /// Gives for each batch what became of it: an error leaves the index as if the batch had not come.
    pub fn append_all(&self, incoming: &[Incoming]) -> Vec<Result<Appended, AppendError>> {
        let batches: Vec<_> = incoming.iter().map(|job| conform(&job.batch).and_then(|b| tidy(&b))).collect();
        let mut log = self.log();
        let plans = self.plan(incoming, batches);
        let logged = log.as_mut().map_or(Ok(()), |log| self.log_batches(log, incoming, &plans));
        let failure = logged.err().map(Arc::new);
        let mut writer = self.writer();
        let mut changed = false;
        let mut taken = Vec::with_capacity(incoming.len());
        for (job, plan) in incoming.iter().zip(plans) {
            taken.push(match (plan, &failure) {
                (Plan::Refuse(error), _) => {
                    writer.refused_full += u64::from(matches!(error, AppendError::Full));
                    Err(error)
                }
                (Plan::Repeated, _) => {
                    writer.batches_repeated += 1;
                    let acknowledged = writer.nodes.sequence(&job.origin.node, job.origin.boot_id);
                    Ok(Appended { repeated: true, rows: 0, acknowledged })
                }
                (Plan::Take(_) | Plan::TakeEmpty, Some(source)) => Err(AppendError::Log { source: source.clone() }),
                (Plan::Take(segment), None) => {
                    changed = true;
                    Ok(writer.take(job, Some(segment)))
                }
                (Plan::TakeEmpty, None) => Ok(writer.take(job, None)),
            });
        }
        if changed {
            self.show(&writer);
        }
        taken
    }

    /// Decides what is to become of each batch. Only the holder of the log appends, so it holds until then.
    fn plan(&self, incoming: &[Incoming], batches: Vec<Result<RecordBatch, SchemaError>>) -> Vec<Plan> {
        let writer = self.writer();
        let mut next_seq = writer.store.end_seq();
        let first_seq = next_seq;
        let mut taken: Vec<&BatchOrigin> = Vec::new();
        let mut plans = Vec::with_capacity(incoming.len());
        for (job, batch) in incoming.iter().zip(batches) {
            let origin = &job.origin;
            let same = |before: &&BatchOrigin| {
                origin.sequence != 0
                    && (&before.node, before.boot_id) == (&origin.node, origin.boot_id)
                    && before.sequence >= origin.sequence
            };
            let refuse = |source| {
                let (node, sequence) = (origin.node.clone(), origin.sequence);
                Plan::Refuse(AppendError::Schema { node, sequence, source })
            };
            let plan = match batch {
                Err(error) => refuse(error),
                Ok(_) if writer.nodes.is_repeated(origin) || taken.iter().any(same) => Plan::Repeated,
                Ok(_) if writer.store.is_full(next_seq - first_seq + 1) => Plan::Refuse(AppendError::Full),
                Ok(batch) if batch.num_rows() == 0 => Plan::TakeEmpty,
                Ok(batch) => Segment::new(batch, next_seq).map_or_else(refuse, Plan::Take),
            };
            if let Plan::Take(segment) = &plan {
                next_seq = segment.end_seq();
            }
            if matches!(plan, Plan::Take(_) | Plan::TakeEmpty) {
                taken.push(origin);
            }
            plans.push(plan);
        }
        plans
    }

    fn log_batches(&self, log: &mut Wal, incoming: &[Incoming], plans: &[Plan]) -> std::io::Result<()> {
        let mut end_seq = self.writer().store.end_seq();
        let mut now = Timestamp::default();
        for (job, plan) in incoming.iter().zip(plans) {
            let (batch, first_seq) = match plan {
                Plan::Take(segment) => (segment.batch(), segment.first_seq()),
                Plan::TakeEmpty => (&job.batch, end_seq),
                Plan::Repeated | Plan::Refuse(_) => continue,
            };
            if let Plan::Take(segment) = plan {
                end_seq = segment.end_seq();
            }
            now = now.max(job.origin.received);
            let newest = if let Plan::Take(segment) = plan { Some(segment.time_range().1) } else { None };
            log.put_batch((&job.origin, newest), &job.losses, first_seq, batch);
        }
        if log.pending_bytes() == 0 {
            return Ok(());
        }
        self.commit(log, end_seq, now)
    }

    /// Writes what was noted in the log, and losses that are not in it yet.
    ///
    /// # Errors
    /// The disk refuses; nothing of what was noted is in the log.
    pub(super) fn commit(&self, log: &mut Wal, end_seq: u64, now: Timestamp) -> std::io::Result<()> {
        let state = {
            let mut writer = self.writer();
            let unlogged = std::mem::take(&mut writer.unlogged);
            if log.begins_next() {
                // They are in the state.
                Some(writer.state())
            } else {
                for (node, losses) in unlogged {
                    log.put_losses(&node, &losses);
                }
                None
            }
        };
        let committed = log.commit(end_seq, now, state);
        self.note_log(log);
        committed
    }
}

impl Writer {
    /// Takes a batch that is in the log.
    pub(super) fn take(&mut self, job: &Incoming, segment: Option<Segment>) -> Appended {
        let rows = segment.as_ref().map_or(0, Segment::rows);
        let newest = segment.as_ref().map(|segment| segment.time_range().1);
        if let Some(segment) = segment {
            self.store.append(segment, job.origin.received);
        }
        self.nodes.took(&job.origin, as_u64(rows), newest);
        self.record_losses(&job.origin.node, &job.losses);
        Appended { repeated: false, rows, acknowledged: job.origin.sequence }
    }
}
