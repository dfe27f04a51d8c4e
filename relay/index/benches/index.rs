//! How fast the index takes flows, finds them and adds them up. Prints one line a measurement.
//!
//! Takes the number of flows as argument; without one it runs with 1 and with 10 million.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use flow::{FlowFilter, Timestamp};
use relay_index::{BatchOrigin, Config, Fsync, Incoming, Index, MapBy, Search, StoreConfig};
use table::{BatchFilter, FlowBatchBuilder};
use traffic::Traffic;
use traffic::measure::memory_of;

const BATCH_ROWS: usize = 1_000;
const ROUNDS: usize = 5;
/// Batches appended by one call, as when several collectors push.
const GROUP: usize = 16;

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    for flows in if asked.is_empty() { vec![1_000_000, 10_000_000] } else { asked } {
        println!("{flows} flows:");
        measure(flows);
    }
}

fn measure(flows: usize) {
    let mut traffic = Traffic::seeded(1);
    let config = Config { rows_max: flows, bytes_max: 8 << 30, ..Config::default() };
    let index = Index::new(config).expect("the limits are valid");
    let mut builder = FlowBatchBuilder::new();
    let origin = BatchOrigin { node: "node-1".to_owned(), ..BatchOrigin::default() };
    let mut appending = Duration::ZERO;
    let mut slowest = Duration::ZERO;
    for _ in 0..flows / BATCH_ROWS {
        let batch = batch(&mut traffic, &mut builder);
        let start = Instant::now();
        index.append(&origin, &batch).expect("the batch is ours");
        let took = start.elapsed();
        appending += took;
        slowest = slowest.max(took);
    }
    let per_row = appending.as_secs_f64() * 1e9 / as_f64(flows);
    println!(
        "  append batches of {BATCH_ROWS}: {per_row:.0} ns a flow, {:.2} M flows/s, slowest batch {:.1} ms",
        1_000.0 / per_row,
        millis(slowest)
    );
    let stats = index.stats();
    let bytes = as_f64(usize::try_from(stats.bytes).expect("it fits"));
    println!(
        "  memory: {:.1} bytes a flow, {} segments; {} MiB of the process",
        bytes / as_f64(flows),
        stats.segments,
        resident_mib()
    );
    count(&index, flows);
    search(&index, &traffic);
    aggregate(&index);
    drop(index);
    store(flows);
}

/// The same with a store: what the log and the files cost, and searches in files.
fn store(flows: usize) {
    let folder = tempfile::tempdir().expect("a folder for the store");
    for (name, fsync) in [("without fsync", Fsync::Off), ("with fsync", Fsync::Batch)] {
        let folder = folder.path().join(name);
        let mut traffic = Traffic::seeded(1);
        let config = Config { rows_max: 2 * flows, bytes_max: 8 << 30, ..Config::default() };
        let store = StoreConfig { fsync, ..StoreConfig::new(folder) };
        let (index, _) = Index::open(config, store).expect("the store is new");
        let took = log(&index, &mut traffic, flows.min(2_000_000));
        let rows = as_f64(flows.min(2_000_000));
        let written = as_f64(usize::try_from(index.store_stats().log.bytes_written).expect("it fits"));
        let (ns, bytes) = (took.as_secs_f64() * 1e9 / rows, written / rows);
        println!("  append {name}, 16 batches of {BATCH_ROWS} a call: {ns:.0} ns and {bytes:.1} bytes of log a flow");
    }
    files(flows, &folder.path().join("files"));
}

/// Appends batches with the log, sixteen a call; gives the time it took.
fn log(index: &Index, traffic: &mut Traffic, flows: usize) -> Duration {
    let mut builder = FlowBatchBuilder::new();
    let mut appending = Duration::ZERO;
    for _ in 0..flows / BATCH_ROWS / GROUP {
        let origin = BatchOrigin { node: "node-1".to_owned(), ..BatchOrigin::default() };
        let incoming: Vec<Incoming> = (0..GROUP)
            .map(|_| Incoming { origin: origin.clone(), batch: batch(traffic, &mut builder), losses: Vec::new() })
            .collect();
        let start = Instant::now();
        let taken = index.append_all(&incoming);
        appending += start.elapsed();
        assert!(taken.iter().all(Result::is_ok), "the disk has room");
    }
    appending
}

fn files(flows: usize, folder: &Path) {
    let mut traffic = Traffic::seeded(1);
    let config = Config { rows_max: 2_000_000, bytes_max: 8 << 30, ..Config::default() };
    let store = StoreConfig { fsync: Fsync::Off, compact: false, ..StoreConfig::new(folder.to_owned()) };
    let (index, _) = Index::open(config.clone(), store.clone()).expect("the store is new");
    let mut sealing = Duration::ZERO;
    let now = Timestamp(1_790_000_000_000_000_000);
    let mut left = flows;
    while left > 0 {
        log(&index, &mut traffic, left.min(500_000));
        left -= left.min(500_000);
        let start = Instant::now();
        index.seal_all(now).expect("the disk has room");
        sealing += start.elapsed();
    }
    let stats = index.store_stats();
    let (bytes, rows) = (stats.file_bytes, stats.file_rows);
    let [bytes, rows] = [bytes, rows].map(|n| as_f64(usize::try_from(n).expect("it fits")));
    println!(
        "  files: {:.1} bytes a flow, {} files, written at {:.0} k flows/s",
        bytes / rows,
        stats.files,
        rows / sealing.as_secs_f64() / 1e3
    );
    drop(index);
    let start = Instant::now();
    let (index, recovery) = Index::open(config, store).expect("the store is there");
    println!("  open: {:.0} ms, {} flows in files", millis(start.elapsed()), recovery.file_rows);
    println!("  in files:");
    search(&index, &traffic);
}

fn count(index: &Index, flows: usize) {
    let start = Instant::now();
    index.rollups().catch_up(&index.snapshot());
    let per_row = start.elapsed().as_secs_f64() * 1e9 / as_f64(flows);
    let stats = index.rollups().stats();
    let [rows, bytes] = [stats.rows, stats.bytes].map(|n| as_f64(usize::try_from(n).expect("it fits")));
    println!(
        "  rollups: {per_row:.0} ns a flow, {:.1} flows a sealed row, {:.1} bytes a flow",
        as_f64(flows) / rows.max(1.0),
        bytes / as_f64(flows)
    );
    let mut map = flow::view::ServiceMap::default();
    let time = best(|| map = index.service_map(&Search::default(), MapBy::Workload));
    println!("  service map of all from {}: {:.1} ms ({} edges)", map.source, millis(time), map.edges.len());
}

fn batch(traffic: &mut Traffic, builder: &mut FlowBatchBuilder) -> RecordBatch {
    for _ in 0..BATCH_ROWS {
        builder.push(&traffic.flow()).expect("the batch has room");
    }
    builder.finish()
}

fn search(index: &Index, traffic: &Traffic) {
    let snapshot = index.snapshot();
    let [hot, some, rare] = traffic.pods_by_traffic();
    for (name, pod) in [("hot", hot), ("middling", some), ("rare", rare), ("missing", "shop/none".to_owned())] {
        let search = either_side(&pod);
        let mut found = 0;
        let time = best(|| found = snapshot.last(20, search.clone()).len());
        println!("  last 20 of a {name} pod: {:.3} ms ({found} found)", millis(time));
    }
    let time = best(|| {
        black_box(snapshot.last(20, Search::default()));
    });
    println!("  last 20 of all: {:.3} ms", millis(time));
    let time = best(|| {
        black_box(snapshot.first(1_000, Search::default()));
    });
    println!("  first 1000 of all: {:.3} ms", millis(time));
}

fn either_side(pod: &str) -> Search {
    let pod = vec![pod.to_owned()];
    let sides = [
        FlowFilter { source_pod: pod.clone(), ..FlowFilter::default() },
        FlowFilter { destination_pod: pod, ..FlowFilter::default() },
    ];
    let filter = BatchFilter::compile(&sides, &[]).expect("the filter is valid");
    Search { filter: Arc::new(filter), ..Search::default() }
}

fn aggregate(index: &Index) {
    let snapshot = index.snapshot();
    let minute = snapshot.newest().map(|newest| newest.before(Duration::from_secs(60)));
    let searches: [(&str, Option<Timestamp>); 2] = [("all", None), ("the last minute", minute)];
    for (name, since) in searches {
        let search = Search { since, ..Search::default() };
        let mut edges = 0;
        let time = best(|| edges = snapshot.service_map(&search, MapBy::Workload).edges.len());
        println!("  service map of {name}: {:.1} ms ({edges} edges)", millis(time));
        let mut total = 0;
        let time = best(|| total = snapshot.drop_summary(&search, 100).total);
        println!("  drop summary of {name}: {:.1} ms ({total} packets)", millis(time));
    }
}

/// The best of some rounds, which is the one with the least noise.
fn best(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().expect("there are rounds")
}

/// Resident memory of this process in mebibytes.
fn resident_mib() -> u64 {
    memory_of(std::process::id(), "VmRSS").expect("every Linux tells") >> 20
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn as_f64(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
