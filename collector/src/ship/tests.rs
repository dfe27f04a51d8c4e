//! The shipper against a relay of these tests, which answers batches as it is told.

use std::time::{Duration, Instant};

use flow::{Flow, LossStage, SystemClock};
use tonic::Status;

use super::*;
use crate::ring::{Writer, ring};
use relay::{Answer, TestRelay};

mod relay;

/// A shipper and what it reads.
struct Bed {
    writer: Writer<Event>,
    stats: Arc<ShipStats>,
    tallies: Arc<Tallies>,
    shipping: tokio::task::JoinHandle<()>,
    leave: CancellationToken,
}

impl Bed {
    fn start(config: RelayConfig) -> Self {
        let (writer, ring) = ring(1 << 16);
        let (stats, tallies) = (Arc::<ShipStats>::default(), Arc::<Tallies>::default());
        let clock = Arc::new(SystemClock);
        let sender = Sender { node: "node-1".to_owned(), boot_id: 7, tallies: Arc::clone(&tallies), clock };
        let (reader, leave) = (ring.reader_at_tip(), CancellationToken::new());
        let shipping = tokio::spawn(ship(config, sender, reader, Arc::clone(&stats), leave.clone()));
        Self { writer, stats, tallies, shipping, leave }
    }

    fn push(&mut self, flows: u64) {
        for n in 0..flows {
            self.writer.push(Event::Flow(Arc::new(Flow { socket_cookie: n, ..Flow::default() })));
        }
        self.writer.publish();
    }

    /// Ends the history and waits for the shipper.
    async fn end(self) {
        drop(self.writer);
        self.shipping.await.unwrap();
    }

    fn lost(&self, cause: Cause) -> u64 {
        self.tallies.get(cause).1
    }
}

fn config(relay: &TestRelay) -> RelayConfig {
    let address = Some(format!("http://{}", relay.address));
    RelayConfig { address, batch_rows_max: 10, batch_age_ms_max: 5, retry_ms_min: 1, ..RelayConfig::default() }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_batch_that_the_relay_refuses_does_not_hold_up_those_behind_it() {
    let relay = TestRelay::start(|header, _| match header.rows {
        0..=5 => Answer::Take,
        rows => Answer::End(Status::invalid_argument(format!("the batch has {rows} rows where 5 are allowed"))),
    })
    .await;
    let mut bed = Bed::start(config(&relay));
    bed.push(10);
    until("the first batch comes", || !relay.headers().is_empty()).await;
    bed.push(3);
    let stats = Arc::clone(&bed.stats);
    until("the second is taken", || stats.rows_acknowledged.load(Ordering::Relaxed) == 3).await;
    assert_eq!((bed.lost(Cause::Refused), bed.lost(Cause::NotSent)), (10, 0));
    bed.end().await;
    let headers = relay.headers();
    let taken: Vec<(u64, u64)> = headers.iter().map(|h| (h.sequence, h.rows)).filter(|(_, rows)| *rows < 6).collect();
    assert!(taken.starts_with(&[(1, 0), (2, 3)]), "{taken:?}");
    let told = |h: &proto::weir::BatchHeader| h.losses.iter().find(|l| l.cause == "refused").map(|l| l.lost);
    assert_eq!(headers.iter().find_map(told), Some(10), "the relay is told of it: {headers:?}");
}

#[tokio::test]
async fn a_relay_that_refuses_everything_costs_no_flow() {
    let relay = TestRelay::start(|_, nth| match nth {
        0..4 => Answer::End(Status::invalid_argument("column x is unknown")),
        4 => Answer::End(Status::resource_exhausted("too many collectors")),
        5 => Answer::End(Status::unavailable("stopping")),
        _ => Answer::Take,
    })
    .await;
    let mut bed = Bed::start(config(&relay));
    bed.push(7);
    let stats = Arc::clone(&bed.stats);
    until("the flows are taken", || stats.rows_acknowledged.load(Ordering::Relaxed) == 7).await;
    assert_eq!(relay.headers().iter().map(|h| h.rows).collect::<Vec<_>>(), [7, 0, 7, 0, 7, 7, 7]);
    assert_eq!(Cause::ALL.map(|cause| bed.lost(cause)).iter().sum::<u64>(), 0);
    bed.end().await;
}

/// A stream that ends while a batch is being sent: its answers are read to the last, which tells why.
#[tokio::test]
async fn a_refusal_in_the_middle_of_a_batch_is_heard() {
    let relay = TestRelay::start_checking_messages(512 << 10).await;
    let mut bed = Bed::start(RelayConfig { batch_rows_max: 4_096, ..config(&relay) });
    let long = |n: u64| Flow { summary: format!("{n} {}", "x".repeat(700)), ..Flow::default() };
    for n in 0..1_000 {
        bed.writer.push(Event::Flow(Arc::new(long(n))));
    }
    bed.writer.publish();
    let tallies = Arc::clone(&bed.tallies);
    until("the batch is given up", || tallies.get(Cause::Refused).1 == 1_000).await;
    bed.push(1);
    let stats = Arc::clone(&bed.stats);
    until("the next is taken", || stats.rows_acknowledged.load(Ordering::Relaxed) == 1).await;
    assert_eq!(LossStage::Ship, Cause::Refused.stage());
    bed.end().await;
}

/// Batches that keep coming must not put off the end of a relay that answers none.
#[tokio::test]
async fn a_relay_that_acknowledges_nothing_is_left_though_flows_keep_coming() {
    let relay = TestRelay::start(|_, _| Answer::Ignore).await;
    let mut bed = Bed::start(RelayConfig { ack_timeout_ms: 300, window_batches: 4_096, ..config(&relay) });
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    while bed.stats.failures.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < deadline, "after {} batches", relay.headers().len());
        bed.push(1);
        tick.tick().await;
    }
    bed.leave.cancel();
    bed.end().await;
}

#[tokio::test]
async fn batches_that_the_relay_had_are_counted() {
    let relay = TestRelay::start(|_, nth| match nth {
        // It owns the batch, but the connection breaks before it says so.
        0 => Answer::End(Status::unavailable("broken")),
        1 => Answer::Repeat,
        _ => Answer::Take,
    })
    .await;
    let mut bed = Bed::start(config(&relay));
    let stats = Arc::clone(&bed.stats);
    let counts = || (&stats.rows_acknowledged, &stats.batches_repeated);
    for taken in [4, 8] {
        bed.push(4);
        until("the flows are taken", || counts().0.load(Ordering::Relaxed) == taken).await;
        assert_eq!(counts().1.load(Ordering::Relaxed), 1, "it was one of two");
    }
    bed.end().await;
}

#[tokio::test]
async fn what_no_relay_takes_is_left_on_the_disk_and_else_counted() {
    let folder = tempfile::tempdir().unwrap();
    for spool_dir in [Some(folder.path().to_owned()), None] {
        let relay = TestRelay::start(|_, _| Answer::Ignore).await;
        let is_kept = spool_dir.is_some();
        let mut bed = Bed::start(RelayConfig { spool_dir, ..config(&relay) });
        bed.push(25);
        let tallies = Arc::clone(&bed.tallies);
        until("all is packed", || tallies.get(Cause::SpoolFull).0 == 25).await;
        bed.leave.cancel();
        bed.end().await;
        assert_eq!(tallies.get(Cause::NotSent).1, if is_kept { 0 } else { 25 });
    }
    let disk = Disk::open(folder.path(), 1 << 20).unwrap();
    assert_eq!(disk.rows(), 25);
}
