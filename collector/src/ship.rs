//! Shipping: flows become record batches, batches wait in a bounded spool, and the relay acknowledges each.
//!
//! The shipper is one more reader of the history, so it never holds up the pipeline: when it is overtaken, or the spool
//! is full, what is lost is counted and told to the relay with the next batch. A batch leaves the spool only once the
//! relay has acknowledged it; after a broken connection everything unacknowledged is sent again and the relay drops
//! what it had already.

mod disk;
mod link;
mod packer;
mod parcel;
mod spool;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flow::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::RelayConfig;
use crate::ledger::{Cause, Tallies};
use crate::ring::{Event, Reader};

use disk::Disk;
use link::Link;
use packer::Packer;
use spool::Spool;

/// Who ships and what it counts in.
#[derive(Clone)]
pub(crate) struct Sender {
    /// Name of this node.
    pub(crate) node: String,
    /// Number drawn when the collector started.
    pub(crate) boot_id: u64,
    /// Where losses are counted.
    pub(crate) tallies: Arc<Tallies>,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
}

/// What the shipper did since its start.
#[derive(Debug, Default)]
pub(crate) struct ShipStats {
    /// Batches acknowledged.
    pub(crate) batches_acknowledged: AtomicU64,
    /// Flows acknowledged.
    pub(crate) rows_acknowledged: AtomicU64,
    /// Batches that the relay had already when they were sent again.
    pub(crate) batches_repeated: AtomicU64,
    /// Connections made.
    pub(crate) connections: AtomicU64,
    /// Attempts to connect that failed, and connections that broke.
    pub(crate) failures: AtomicU64,
    /// Bytes of the spool in memory now.
    pub(crate) spool_bytes: AtomicU64,
    /// Bytes of the spool on the disk now.
    pub(crate) spool_disk_bytes: AtomicU64,
    /// Batches in the spool now.
    pub(crate) spool_batches: AtomicU64,
    /// Batches in the folder of the spool that only a later version can read.
    pub(crate) spool_later_batches: AtomicU64,
    /// Whether a relay is connected now.
    pub(crate) connected: AtomicBool,
}

/// The spool as its two users share it.
pub(crate) struct Shared {
    spool: std::sync::Mutex<Spool>,
    /// Something was put in.
    filled: Notify,
    /// Something was acknowledged.
    emptied: Notify,
    stats: Arc<ShipStats>,
    tallies: Arc<Tallies>,
}

impl Shared {
    fn new(spool: Spool, stats: Arc<ShipStats>, tallies: Arc<Tallies>) -> Self {
        let spool = std::sync::Mutex::new(spool);
        Self { spool, filled: Notify::new(), emptied: Notify::new(), stats, tallies }
    }

    /// Works on the spool and shows its size afterwards.
    fn with<R>(&self, work: impl FnOnce(&mut Spool) -> R) -> R {
        let mut spool = self.spool.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let result = work(&mut spool);
        let damaged = spool.take_damaged();
        if damaged > 0 {
            self.tallies.add(Cause::NotSent, 0, damaged);
        }
        self.stats.spool_disk_bytes.store(spool.disk_bytes(), Ordering::Relaxed);
        self.stats.spool_later_batches.store(spool.later(), Ordering::Relaxed);
        self.stats.spool_bytes.store(spool.bytes() as u64, Ordering::Relaxed);
        self.stats.spool_batches.store(spool.len() as u64, Ordering::Relaxed);
        result
    }
}

/// Ships what `reader` reads until the history ends; then waits for the last acknowledgments, until `leave`.
///
/// What is not acknowledged by then stays in the spool on the disk for the next start; without one it is lost, and counted.
pub(crate) async fn ship(
    config: RelayConfig,
    sender: Sender,
    reader: Reader<Event>,
    stats: Arc<ShipStats>,
    leave: CancellationToken,
) {
    let Some(address) = config.address.clone() else { return };
    let spool = Spool::new(sender.boot_id, config.spool_bytes_max, open_disk(&config));
    let shared = Arc::new(Shared::new(spool, stats, Arc::clone(&sender.tallies)));
    shared.with(|_| ());
    let stop = CancellationToken::new();
    let link = Link::new(address, &config, sender.clone(), Arc::clone(&shared));
    let linked = tokio::spawn(link.run(stop.clone()));
    Packer::new(&config, sender, Arc::clone(&shared)).run(reader).await;
    let drained = leave.run_until_cancelled(drained(&shared)).await;
    stop.cancel();
    if linked.await.is_err() {
        tracing::error!("the connection to the relay ended by a panic, which is a bug");
    }
    let (batches, rows) = shared.with(|spool| (spool.len(), spool.rows()));
    if drained.is_none() && rows > 0 {
        let lost = shared.with(Spool::leave);
        if lost < rows {
            tracing::warn!(batches, rows = rows - lost, "the relay was not reached in time: flows wait on the disk");
        }
        if lost > 0 {
            shared.tallies.add(Cause::NotSent, 0, lost);
            tracing::error!(rows = lost, "the relay was not reached in time: these flows are lost");
        }
    }
}

/// The spool on the disk, where there is one; a folder that cannot be used is said and done without.
fn open_disk(config: &RelayConfig) -> Option<Disk> {
    let folder = config.spool_dir.as_ref()?;
    match Disk::open(folder, config.spool_disk_bytes_max) {
        Ok(disk) => {
            if disk.len() > 0 {
                tracing::info!(batches = disk.len(), rows = disk.rows(), "flows of the last run wait for the relay");
            }
            if disk.later() > 0 {
                let (folder, batches) = (folder.display(), disk.later());
                tracing::warn!(
                    %folder,
                    batches,
                    "a later version left batches that this one cannot read: start that version again to send them, \
                     or delete them"
                );
            }
            Some(disk)
        }
        Err(error) => {
            let folder = folder.display();
            tracing::error!(%folder, %error, "the spool on the disk cannot be used: flows wait in memory only");
            None
        }
    }
}

async fn drained(shared: &Shared) {
    loop {
        let emptied = shared.emptied.notified();
        if shared.with(|spool| spool.len() == 0) {
            return;
        }
        emptied.await;
    }
}

#[cfg(test)]
mod tests;
