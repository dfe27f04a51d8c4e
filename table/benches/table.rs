//! How fast flows become rows, rows become flows, and filters run. Prints one line a measurement.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::Duration;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use flow::{Flow, FlowFilter, Identity, TrafficDirection, Verdict};
use table::wire::{Unpacker, pack};
use table::{BatchFilter, FlowBatchBuilder, MAX_BATCH_ROWS, RowReader, conform, memory_bytes, merge, tidy};
use traffic::Traffic;
use traffic::measure::best;

const FLOWS: usize = 8 * MAX_BATCH_ROWS;
const ROUNDS: usize = 5;
/// Rows of a batch that a busy collector sends.
const ROWS_SENT: usize = 4_096;

fn main() {
    let mut traffic = Traffic::seeded(1);
    let flows: Vec<Flow> = (0..FLOWS).map(|_| traffic.flow()).collect();
    for rows in [1_000, 8_192, MAX_BATCH_ROWS] {
        let mut builder = FlowBatchBuilder::new();
        let time = best(ROUNDS, || {
            for flows in flows.chunks(rows) {
                black_box(fill(&mut builder, flows));
            }
        });
        per_row(&format!("build batches of {rows} rows"), time, FLOWS);
    }
    let mut builder = FlowBatchBuilder::new();
    let small: Vec<RecordBatch> = flows.chunks(1_000).map(|flows| fill(&mut builder, flows)).collect();
    let whole = MAX_BATCH_ROWS / 1_000;
    let time = best(ROUNDS, || {
        for batches in small.chunks(whole) {
            black_box(merge(batches).expect("they fit"));
        }
    });
    per_row("merge batches of 1000 rows", time, FLOWS);
    let merged: Vec<RecordBatch> = small.chunks(whole).map(|b| merge(b).expect("they fit")).collect();
    let bytes: usize = merged.iter().map(memory_bytes).sum();
    let rows: usize = merged.iter().map(RecordBatch::num_rows).sum();
    println!("memory of merged batches: {:.1} bytes a row", ratio(bytes, rows));
    let bytes: usize = small.iter().map(memory_bytes).sum();
    println!("memory of batches of 1000 rows: {:.1} bytes a row", ratio(bytes, rows));

    let time = best(ROUNDS, || {
        for batch in &merged {
            let reader = RowReader::new(batch).expect("it is ours");
            for row in 0..reader.len() {
                black_box(reader.flow(row));
            }
        }
    });
    per_row("read rows as flows", time, rows);
    let sent: Vec<RecordBatch> = flows.chunks(ROWS_SENT).map(|flows| fill(&mut builder, flows)).collect();
    on_the_wire("plain", &sent, Clone::clone, |came| came);
    let packed = |batch: &RecordBatch| pack(batch).expect("it is ours");
    on_the_wire("packed", &sent, packed, |came| {
        Unpacker::of(came.schema_ref()).expect("it is packed").unpack(&came).expect("it is ours")
    });
    filters(&merged, &traffic, rows);
}

/// Batches as collectors send them to a relay, and as it makes them ready for the index.
fn on_the_wire(
    form: &str,
    batches: &[RecordBatch],
    pack: impl Fn(&RecordBatch) -> RecordBatch,
    unpack: impl Fn(RecordBatch) -> RecordBatch,
) {
    let write = |batch: &RecordBatch| {
        let packed = pack(batch);
        let mut writer = StreamWriter::try_new(Vec::new(), packed.schema_ref()).expect("a vector takes all");
        writer.write(&packed).expect("a vector takes all");
        writer.into_inner().expect("a vector takes all")
    };
    let streams: Vec<Vec<u8>> = batches.iter().map(write).collect();
    let bytes = streams.iter().map(Vec::len).sum();
    println!("{form} batches of {ROWS_SENT} rows on the wire: {:.1} bytes a row", ratio(bytes, FLOWS));
    let time = best(ROUNDS, || {
        for batch in batches {
            black_box(write(batch));
        }
    });
    per_row(&format!("write {form} batches"), time, FLOWS);
    let time = best(ROUNDS, || {
        for stream in &streams {
            let mut reader = StreamReader::try_new(stream.as_slice(), None).expect("it was written");
            let came = unpack(reader.next().expect("a batch was written").expect("it was written"));
            black_box(tidy(&conform(&came).expect("it is ours")).expect("it is ours"));
        }
    });
    per_row(&format!("read {form} batches"), time, FLOWS);
}

fn filters(batches: &[RecordBatch], traffic: &Traffic, rows: usize) {
    let [hot, ..] = traffic.pods_by_traffic();
    let text = |value: &str| vec![value.to_owned()];
    let filter = FlowFilter::default;
    let cases: Vec<(&str, Vec<FlowFilter>)> = vec![
        (
            "pod, either side",
            vec![
                FlowFilter { source_pod: vec![hot.clone()], ..filter() },
                FlowFilter { destination_pod: vec![hot], ..filter() },
            ],
        ),
        ("label", vec![FlowFilter { source_label: text("tier=front"), ..filter() }]),
        ("verdict", vec![FlowFilter { verdict: vec![Verdict::DROPPED], ..filter() }]),
        ("direction", vec![FlowFilter { traffic_direction: vec![TrafficDirection::EGRESS], ..filter() }]),
        ("identity", vec![FlowFilter { source_identity: vec![Identity(10_007)], ..filter() }]),
        ("prefix", vec![FlowFilter { source_ip: text("10.1.3.0/24"), ..filter() }]),
        ("port", vec![FlowFilter { destination_port: text("443"), ..filter() }]),
        ("protocol", vec![FlowFilter { protocol: text("dns"), ..filter() }]),
        ("http status", vec![FlowFilter { http_status_code: text("5+"), ..filter() }]),
        ("http url", vec![FlowFilter { http_url: text("items/4[0-9]$"), ..filter() }]),
        ("dns query", vec![FlowFilter { dns_query: text("^search-"), ..filter() }]),
        ("node", vec![FlowFilter { node_name: text("node-4*"), ..filter() }]),
        ("reply", vec![FlowFilter { reply: vec![true], ..filter() }]),
        (
            "workload, verdict and port",
            vec![FlowFilter {
                source_workload: vec![flow::Workload { name: "search-api".to_owned(), kind: String::new() }],
                verdict: vec![Verdict::FORWARDED],
                destination_port: text("443"),
                ..filter()
            }],
        ),
    ];
    for (name, whitelist) in cases {
        let filter = BatchFilter::compile(&whitelist, &[]).expect("it is valid");
        let mut matched = 0;
        let time = best(ROUNDS, || {
            matched = batches.iter().map(|batch| filter.mask(batch).expect("it is ours").true_count()).sum();
        });
        println!("filter by {name}: {:.2} ns a row ({matched} of {rows} match)", nanos(time, rows));
    }
}

fn fill(builder: &mut FlowBatchBuilder, flows: &[Flow]) -> RecordBatch {
    for flow in flows {
        builder.push(flow).expect("the batch has room");
    }
    builder.finish()
}

fn per_row(what: &str, time: Duration, rows: usize) {
    println!("{what}: {:.0} ns a row, {:.2} M rows/s", nanos(time, rows), 1_000.0 / nanos(time, rows));
}

fn nanos(time: Duration, rows: usize) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(u32::try_from(rows).expect("small"))
}

fn ratio(a: usize, b: usize) -> f64 {
    f64::from(u32::try_from(a).expect("small")) / f64::from(u32::try_from(b).expect("small"))
}
