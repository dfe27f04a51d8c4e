//! What it costs to make files of flows and to read them again, beside what parquet's own writer and reader take for the
//! same rows. Prints one line a measurement: processor time of this thread, the best of some rounds.
//!
//! Takes the number of flows as argument; without one it runs with 524,288, the flows of one run of files.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::Duration;

use arrow::record_batch::RecordBatch;
use flow::Timestamp;
use relay_index::{BatchOrigin, Config, Fsync, Incoming, Index, StoreConfig};
use table::FlowBatchBuilder;
use traffic::Traffic;

const BATCH_ROWS: usize = 1_000;
const ROUNDS: usize = 3;

fn main() {
    let flows = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(524_288);
    seal(flows);
}

fn seal(flows: usize) {
    let mut best = Duration::MAX;
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder for the store");
        let config = Config { rows_max: 2_000_000, bytes_max: 8 << 30, ..Config::default() };
        let store = StoreConfig { fsync: Fsync::Off, compact: false, ..StoreConfig::new(folder.path().to_owned()) };
        let (index, _) = Index::open(config, store).expect("the store is new");
        fill(&index, flows);
        let start = processor_time();
        index.seal_all(Timestamp(1_790_000_000_000_000_000)).expect("the disk has room");
        best = best.min(processor_time() - start);
        bytes = index.store_stats().file_bytes;
    }
    println!("sealed: {} a flow, {:.1} bytes a flow", nanos(best, flows), as_f64(bytes) / as_f64(flows as u64));
}

fn fill(index: &Index, flows: usize) {
    let mut traffic = Traffic::seeded(1);
    let mut builder = FlowBatchBuilder::new();
    for _ in 0..flows / BATCH_ROWS {
        let origin = BatchOrigin { node: "node-1".to_owned(), ..BatchOrigin::default() };
        let incoming = Incoming { origin, batch: batch(&mut traffic, &mut builder), losses: Vec::new() };
        let taken = index.append_all(&[incoming]);
        assert!(taken.iter().all(Result::is_ok), "the disk has room");
    }
}

fn batch(traffic: &mut Traffic, builder: &mut FlowBatchBuilder) -> RecordBatch {
    for _ in 0..BATCH_ROWS {
        builder.push(&traffic.flow()).expect("the batch has room");
    }
    builder.finish()
}

/// Time this thread had a processor.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("every Linux has this file");
    let nanos = text.split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanos.expect("the first number is the time on a processor"))
}

fn nanos(time: Duration, flows: usize) -> String {
    format!("{:.0} ns", time.as_secs_f64() * 1e9 / as_f64(flows as u64))
}

fn as_f64(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
