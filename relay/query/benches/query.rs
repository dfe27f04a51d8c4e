//! How fast SQL answers over the hot index. Prints one line a query.
//!
//! Takes the number of flows as argument; without one it runs with 1 million.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use futures::StreamExt;
use relay_index::{BatchOrigin, Config, Index};
use relay_query::{Engine, Limits};
use table::FlowBatchBuilder;

use traffic::Traffic;

const BATCH_ROWS: usize = 8_192;
const ROUNDS: usize = 3;

const QUERIES: [(&str, &str); 9] = [
    ("count", "SELECT count(*) FROM flows"),
    (
        "verdicts a minute",
        "SELECT date_bin(INTERVAL '1 minute', time) AS minute, verdict, count(*) FROM flows GROUP BY 1, 2",
    ),
    (
        "newest 20 of a workload",
        "SELECT time, src_pod, dst_pod, summary FROM flows WHERE src_workload = 'search-api' ORDER BY time DESC LIMIT 20",
    ),
    ("newest 20, all columns", "SELECT * FROM flows ORDER BY time DESC LIMIT 20"),
    (
        "service map",
        "SELECT src_namespace, src_workload, dst_namespace, dst_workload, dst_port, count(*), sum(bytes) \
         FROM flows GROUP BY 1, 2, 3, 4, 5",
    ),
    (
        "drop reasons",
        "SELECT reason, src_workload, sum(packets) AS n FROM drops GROUP BY 1, 2 ORDER BY n DESC LIMIT 20",
    ),
    (
        "latency by workload",
        "SELECT dst_workload, approx_percentile_cont(l7_latency_ns, 0.99) FROM flows \
         WHERE l7_type = 'RESPONSE' GROUP BY 1 ORDER BY 2 DESC LIMIT 20",
    ),
    (
        "label and prefix",
        "SELECT count(*) FROM flows WHERE has_label(src_labels, 'tier=front') AND cidr_match(ip_dst, '10.1.3.0/24')",
    ),
    (
        "url pattern",
        "SELECT http_url, count(*) AS n FROM flows WHERE http_url ~ 'items/4[0-9]$' GROUP BY 1 ORDER BY n DESC LIMIT 10",
    ),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    for flows in if asked.is_empty() { vec![1_000_000] } else { asked } {
        println!("{flows} flows:");
        let index = filled(flows);
        let limits = Limits { deadline: Duration::from_secs(600), ..Limits::default() };
        let engine = Engine::new(limits).expect("the limits are valid");
        for (name, sql) in QUERIES {
            let mut times = Vec::new();
            let mut rows = 0;
            for _ in 0..ROUNDS {
                let start = Instant::now();
                rows = run(&engine, &index, sql).await;
                times.push(start.elapsed());
            }
            let time = times.iter().min().expect("there are rounds").as_secs_f64() * 1e3;
            println!("  {name}: {time:.1} ms ({rows} rows)");
        }
    }
}

async fn run(engine: &Engine, index: &Index, sql: &str) -> usize {
    let mut answer = engine.query(index, sql).await.expect("the query is valid");
    let mut rows = 0;
    while let Some(batch) = answer.next().await {
        rows += batch.expect("the query runs").num_rows();
    }
    rows
}

fn filled(flows: usize) -> Index {
    let index = Index::new(Config { bytes_max: 8 << 30, ..Config::default() }).expect("the limits are valid");
    let mut traffic = Traffic::seeded(1);
    let mut builder = FlowBatchBuilder::new();
    let origin = BatchOrigin { node: "node-1".to_owned(), ..BatchOrigin::default() };
    for _ in 0..flows.div_ceil(BATCH_ROWS) {
        for _ in 0..BATCH_ROWS {
            builder.push(&traffic.flow()).expect("the batch has room");
        }
        index.append(&origin, &builder.finish()).expect("the batch is ours");
    }
    index
}
