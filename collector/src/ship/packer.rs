//! Packing flows of the history into batches.

use std::sync::Arc;
use std::time::Duration;

use flow::LossRecord;
use table::FlowBatchBuilder;
use tokio::time::{Instant, sleep_until};

use super::parcel::Parcel;
use super::{Sender, Shared};
use crate::config::RelayConfig;
use crate::ledger::{Cause, Ledger};
use crate::ring::{Event, Read, Reader};

/// How often an idle shipper looks whether a window of the ledger has ended.
const LEDGER_EVERY: Duration = Duration::from_secs(1);
/// Rows after which other tasks have their turn.
const YIELD_ROWS: usize = 1_024;
/// Lines of the ledger kept for a later batch: some hours of windows.
const UNTOLD_MAX: usize = 4_096;

/// Bytes of an encoded batch. A relay takes messages of 16 MiB unless it is told otherwise; a narrow link should have a
/// batch across, and acknowledged, in seconds.
const BATCH_BYTES_MAX: usize = 2 << 20;

/// Reads the history and fills the spool.
pub(super) struct Packer {
    shared: Arc<Shared>,
    sender: Sender,
    ledger: Ledger,
    /// Lines of the ledger whose batch was lost before it was sent.
    untold: Vec<LossRecord>,
    builder: FlowBatchBuilder,
    rows_max: usize,
    bytes_max: usize,
    age_max: Duration,
    /// When the batch under construction has to go.
    due: Option<Instant>,
}

impl Packer {
    pub(super) fn new(config: &RelayConfig, sender: Sender, shared: Arc<Shared>) -> Self {
        Self {
            ledger: Ledger::new(sender.clock.now()),
            untold: Vec::new(),
            builder: FlowBatchBuilder::new(),
            rows_max: config.batch_rows_max.clamp(1, table::MAX_BATCH_ROWS),
            // More than one must have room in the spool.
            bytes_max: BATCH_BYTES_MAX.min(config.spool_bytes_max / 2),
            age_max: Duration::from_millis(config.batch_age_ms_max),
            due: None,
            shared,
            sender,
        }
    }

    /// Packs until the history ends, then packs what is left.
    pub(super) async fn run(mut self, mut reader: Reader<Event>) {
        loop {
            match reader.read() {
                Read::Value(Event::Flow(flow)) => {
                    // The builder is emptied at `rows_max`, which is at most what it takes.
                    if self.builder.push(&flow).is_err() {
                        self.pack();
                    }
                    self.due.get_or_insert_with(|| Instant::now() + self.age_max);
                    let rows = self.builder.len();
                    if rows >= self.rows_max {
                        self.pack();
                    }
                    if rows.is_multiple_of(YIELD_ROWS) || self.builder.is_empty() {
                        tokio::task::yield_now().await;
                    }
                }
                Read::Value(Event::Lost(_)) | Read::Passed => {}
                Read::Lost(count) => self.sender.tallies.add(Cause::ShipperOvertaken, count, count),
                Read::Empty => {
                    if self.wait(&mut reader).await.is_err() {
                        break;
                    }
                }
            }
        }
        let last = self.ledger.draw(&self.sender.tallies);
        self.put(last);
    }

    /// Waits for more; packs meanwhile what is due.
    async fn wait(&mut self, reader: &mut Reader<Event>) -> Result<(), crate::ring::Ended> {
        let look = Instant::now() + LEDGER_EVERY;
        tokio::select! {
            waited = reader.wait() => waited?,
            () = sleep_until(self.due.unwrap_or(look).min(look)) => {
                if self.due.is_some_and(|due| due <= Instant::now()) {
                    self.pack();
                } else {
                    let ended = self.ledger.ended(&self.sender.tallies, self.sender.clock.now());
                    if !ended.is_empty() {
                        self.put(ended);
                    }
                }
            }
        }
        Ok(())
    }

    fn pack(&mut self) {
        let losses = self.ledger.ended(&self.sender.tallies, self.sender.clock.now());
        self.put(losses);
    }

    /// Puts the batch under construction into the spool, even an empty one where there are losses to tell.
    fn put(&mut self, mut losses: Vec<LossRecord>) {
        self.due = None;
        if self.builder.is_empty() && losses.is_empty() {
            return;
        }
        losses.append(&mut self.untold);
        let batch = self.builder.finish();
        let rows = batch.num_rows() as u64;
        let parcels = match Parcel::encode_within(&batch, losses, self.bytes_max) {
            Ok(parcels) => parcels,
            Err(error) => {
                self.sender.tallies.add(Cause::NotSent, rows, rows);
                tracing::error!(rows, %error, "a batch could not be encoded: its flows are lost");
                return;
            }
        };
        self.sender.tallies.add(Cause::ShipperOvertaken, rows, 0);
        self.sender.tallies.add(Cause::SpoolFull, rows, 0);
        for parcel in parcels {
            let lost = self.shared.with(|spool| spool.push(parcel));
            self.sender.tallies.add(Cause::SpoolFull, 0, lost.rows);
            for line in lost.losses {
                tell_later(&mut self.untold, line);
            }
        }
        self.shared.filled.notify_one();
    }
}

/// Keeps a line for the next batch; lines of one window, stage and cause become one, so that their number stays small.
fn tell_later(untold: &mut Vec<LossRecord>, line: LossRecord) {
    let same = |known: &LossRecord| (known.window, known.stage, &known.cause) == (line.window, line.stage, &line.cause);
    // Beyond the limit the last line stands for all that follow.
    let full = untold.len() >= UNTOLD_MAX;
    match untold.iter().position(same).or_else(|| full.then(|| untold.len() - 1)) {
        Some(at) => {
            untold[at].seen += line.seen;
            untold[at].lost += line.lost;
        }
        None => untold.push(line),
    }
}

#[cfg(test)]
mod tests {
    use flow::{LossStage, Timestamp};

    use super::*;

    #[test]
    fn lines_of_lost_batches_are_kept_and_their_sum_too() {
        let mut untold = Vec::new();
        for n in 0..2 * i64::try_from(UNTOLD_MAX).unwrap() {
            let (window, stage, cause) = (Timestamp(n / 2), LossStage::Ship, "spool_full".to_owned());
            tell_later(&mut untold, LossRecord { window, stage, cause, seen: 2, lost: 1 });
        }
        let window = Timestamp(i64::MAX);
        let line = LossRecord { window, stage: LossStage::Ring, cause: "x".to_owned(), seen: 2, lost: 1 };
        tell_later(&mut untold, line);
        assert_eq!(untold.len(), UNTOLD_MAX);
        let total = 2 * UNTOLD_MAX as u64 + 1;
        assert_eq!(untold.iter().map(|line| line.lost).sum::<u64>(), total);
        assert_eq!(untold.iter().map(|line| line.seen).sum::<u64>(), 2 * total);
    }
}
