//! Packing flows of the history into batches.

use std::sync::Arc;
use std::time::Duration;

use flow::{Clock as _, LossRecord};
use table::FlowBatchBuilder;
use tokio::time::{Instant, sleep_until};

use super::parcel::Parcel;
use super::{Sender, Shared};
use crate::config::RelayConfig;
use crate::ledger::{Cause, Ledger};
use crate::ring::{Event, Read, Reader};

/// How often an idle shipper looks whether a window of the ledger has ended.
const LEDGER_EVERY: Duration = Duration::from_secs(1);

/// Reads the history and fills the spool.
pub(super) struct Packer {
    shared: Arc<Shared>,
    sender: Sender,
    ledger: Ledger,
    builder: FlowBatchBuilder,
    rows_max: usize,
    age_max: Duration,
    /// When the batch under construction has to go.
    due: Option<Instant>,
}

impl Packer {
    pub(super) fn new(config: &RelayConfig, sender: Sender, shared: Arc<Shared>) -> Self {
        Self {
            ledger: Ledger::new(sender.clock.now()),
            builder: FlowBatchBuilder::new(),
            rows_max: config.batch_rows_max.clamp(1, table::MAX_BATCH_ROWS),
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
                    if self.builder.len() >= self.rows_max {
                        self.pack();
                        tokio::task::yield_now().await;
                    }
                }
                Read::Value(Event::Lost(_)) => {}
                Read::Lost(count) => self.sender.tallies.add(Cause::ShipperOvertaken, 0, count),
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
    fn put(&mut self, losses: Vec<LossRecord>) {
        self.due = None;
        if self.builder.is_empty() && losses.is_empty() {
            return;
        }
        let batch = self.builder.finish();
        let rows = batch.num_rows() as u64;
        let parcel = match Parcel::encode(&batch, losses) {
            Ok(parcel) => parcel,
            Err(error) => {
                self.sender.tallies.add(Cause::NotSent, rows, rows);
                tracing::error!(rows, %error, "a batch could not be encoded: its flows are lost");
                return;
            }
        };
        let lost: u64 = self.shared.with(|spool| spool.push(parcel)).iter().map(Parcel::rows).sum();
        self.sender.tallies.add(Cause::SpoolFull, rows, lost);
        self.shared.filled.notify_one();
    }
}
