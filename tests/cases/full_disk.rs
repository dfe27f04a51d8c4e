//! A disk that is full or read-only stops nothing but taking in, loses nothing, and is told; it goes on by itself.

use std::sync::Arc;

use anyhow::{Context, Result};
use demo::topology::wait_until;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_tests::pusher::{Order, Pusher};
use weir_tests::{Relay, SOON, root};

const COUNT: &str = "SELECT count(*), count(DISTINCT socket_cookie) FROM flows";

/// A pusher at work.
struct Pushing {
    pusher: Arc<Pusher>,
    runtime: Runtime,
    orders: watch::Sender<Order>,
    running: JoinHandle<()>,
}

impl Pushing {
    fn to(relay: &Relay, seed: u64) -> Result<Self> {
        let pusher = Arc::new(Pusher::new("node-1", seed));
        let runtime = Runtime::new()?;
        let (orders, receiver) = watch::channel(Order::Go);
        let running = runtime.spawn(pusher.clone().run(relay.grpc().to_owned(), receiver));
        Ok(Self { pusher, runtime, orders, running })
    }

    /// While batches are refused, queries go on, and see what was acknowledged and no half batch.
    fn check_refused(&self, relay: &Relay) -> Result<()> {
        let acknowledged = self.pusher.acknowledged();
        let rows = relay.sql(COUNT)?;
        let held = rows[0][0].as_u64().context("a number")?;
        let is_whole = self.pusher.is_end_of_batch(held);
        assert!(held >= acknowledged && is_whole && held > 0, "{held}, {acknowledged} acknowledged");
        assert_eq!(rows[0][0], rows[0][1]);
        assert!(relay.metric("weir_relay_refused_batches_total{cause=\"store\"}")? > 0);
        Ok(())
    }

    /// Waits until batches are taken again.
    fn wait_until_taken(&self, relay: &Relay) -> Result<()> {
        let enough = self.pusher.acknowledged() + 1_000;
        let is_taken = || (self.pusher.acknowledged() > enough).then_some(());
        wait_until("batches are taken again", SOON, is_taken).with_context(|| relay.log())
    }

    /// Pushes the rest; then each flow is there once.
    fn finish(self, relay: &Relay) -> Result<()> {
        self.orders.send(Order::Finish)?;
        self.runtime.block_on(async { tokio::time::timeout(SOON, self.running).await })??;
        let last = self.pusher.last();
        let expected: Vec<serde_json::Value> = vec![last.into(), last.into()];
        assert_eq!(relay.sql(COUNT)?, [expected]);
        Ok(())
    }
}

#[test]
fn a_full_disk_refuses_batches_until_there_is_room() -> Result<()> {
    if !root("full_disk") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("store");
    let settings = [
        format!("relay.store={}", store.display()),
        // Nothing becomes a file meanwhile, so the log only grows.
        "relay.store.file_age_ms=3600000".to_owned(),
        "log.filter=warn".to_owned(),
    ];
    let relay = Relay::start_on_small_disk(folder.path(), &settings, &store)?;
    let pushing = Pushing::to(&relay, 77)?;
    wait_until("the disk is full", SOON, || {
        (relay.metric("weir_relay_store_log_failures_total").ok()? > 3).then_some(())
    })
    .with_context(|| format!("{}\n{}", pushing.pusher.trouble(), relay.log()))?;
    pushing.check_refused(&relay)?;
    relay.free_small_disk(&store)?;
    pushing.wait_until_taken(&relay)?;
    pushing.finish(&relay)
}

#[test]
fn a_disk_that_becomes_read_only_refuses_batches_until_it_can_be_written_again() -> Result<()> {
    if !root("full_disk") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("store");
    let settings = [
        format!("relay.store={}", store.display()),
        "relay.store.log_file_bytes=100000".to_owned(),
        "relay.store.file_age_ms=200".to_owned(),
        // The flows are of a time of their own.
        "relay.store.keep_hours=1000000".to_owned(),
        "log.filter=warn".to_owned(),
    ];
    let relay = Relay::start_on_own_disk(folder.path(), &settings, &store)?;
    let pushing = Pushing::to(&relay, 78)?;
    wait_until("flows are in files", SOON, || (relay.metric("weir_relay_store_files").ok()? > 1).then_some(()))
        .with_context(|| format!("{}\n{}", pushing.pusher.trouble(), relay.log()))?;
    relay.make_disk_read_only(&store)?;
    wait_until("neither log nor files can be written", SOON, || {
        let failures = |what| relay.metric(&format!("weir_relay_store_{what}_failures_total")).ok();
        (failures("log")? > 3 && failures("upkeep")? > 1).then_some(())
    })
    .with_context(|| relay.log())?;
    // The log ends a batch when it began a file, so nothing more is acknowledged now.
    pushing.check_refused(&relay)?;
    assert!(relay.log().contains("Read-only file system"), "{}", relay.log());
    relay.make_disk_writable(&store)?;
    pushing.wait_until_taken(&relay)?;
    pushing.finish(&relay)
}
