//! Counts by the minute answer as the flows do.

use std::time::Duration;

use arrow::util::pretty::pretty_format_batches;
use flow::Flow;
use futures::StreamExt;
use relay_index::{Config, Index, StoreConfig};
use relay_query::{Engine, Limits, QueryError};
use traffic::{Settings, Traffic};

use crate::shop::{append, index};

/// Twenty minutes of a cluster.
fn cluster() -> Index {
    let index = index();
    let mut traffic = Traffic::new(Settings { seed: 11, interval_ns: 30_000_000, ..Settings::default() });
    let flows: Vec<Flow> = (0..40_000).map(|_| traffic.flow()).collect();
    for flows in flows.chunks(10_000) {
        append(&index, flows);
    }
    index
}

pub(crate) async fn rows(engine: &Engine, index: &Index, sql: &str) -> String {
    asked(engine, index, sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"))
}

async fn asked(engine: &Engine, index: &Index, sql: &str) -> Result<String, QueryError> {
    let mut answer = engine.query(index, sql).await?;
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await {
        batches.push(batch?);
    }
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

/// Sums over the rollups and the same over the flows.
const SAME: [(&str, &str); 6] = [
    (
        "SELECT time, client_namespace, client_workload, server_namespace, server_workload, server_port, l4_protocol,
           l7_protocol, sum(flows) AS flows, sum(bytes_sent) AS sent, sum(bytes_received) AS received,
           sum(latency_sum_ns) AS latency
         FROM edges_1m WHERE drops = 0 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8",
        "SELECT time_bucket(INTERVAL '1 minute', time) AS time, client_namespace, client_workload, server_namespace,
           server_workload, server_port, l4_protocol, l7_protocol, count(*) AS flows, sum(bytes_sent) AS sent,
           sum(bytes_received) AS received, sum(l7_latency_ns) AS latency
         FROM edges WHERE verdict <> 'DROPPED' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8",
    ),
    (
        "SELECT sum(flows) AS flows, sum(requests) AS requests, sum(errors_4xx) AS client, sum(errors_5xx) AS server
         FROM edges_1h",
        "SELECT count(*) AS flows, sum(CASE WHEN l7_type = 'REQUEST' THEN 1 ELSE 0 END) AS requests,
           sum(CASE WHEN http_code BETWEEN 400 AND 499 THEN 1 ELSE 0 END) AS client,
           sum(CASE WHEN http_code >= 500 THEN 1 ELSE 0 END) AS server FROM flows",
    ),
    (
        "SELECT sum(flows) AS flows FROM edges_1m WHERE CAST(time AS DATE) = TIMESTAMP '2026-01-15 00:00:00'",
        "SELECT count(*) AS flows FROM flows WHERE CAST(time AS DATE) = TIMESTAMP '2026-01-15 00:00:00'",
    ),
    (
        "SELECT reason, function, src_namespace, src_workload, dst_workload, sum(drops) AS n, sum(packets) AS packets
         FROM drops_1m GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
        "SELECT reason, function, src_namespace, src_workload, dst_workload, count(*) AS n, sum(packets) AS packets
         FROM drops GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5",
    ),
    (
        "SELECT name, rcode, sum(queries) AS queries, sum(responses) AS responses FROM dns_1m
         GROUP BY 1, 2 ORDER BY 1, 2",
        "SELECT dns_query AS name, CAST(dns_rcode AS INT) AS rcode,
           sum(CASE WHEN l7_type = 'REQUEST' THEN 1 ELSE 0 END) AS queries,
           sum(CASE WHEN l7_type = 'RESPONSE' THEN 1 ELSE 0 END) AS responses
         FROM flows WHERE l7_protocol = 'DNS' GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    (
        "SELECT max(latency_max_ns) AS longest, sum(latency_count) AS n FROM edges_1m WHERE l7_protocol = 'HTTP'",
        "SELECT max(l7_latency_ns) AS longest, sum(CASE WHEN l7_latency_ns > 0 THEN 1 ELSE 0 END) AS n
         FROM flows WHERE l7_protocol = 'HTTP'",
    ),
];

#[tokio::test]
async fn sums_are_those_of_the_flows() {
    let (engine, index) = (Engine::new(Limits::default()).unwrap(), cluster());
    for (rollup, flows) in SAME {
        let (rollup, flows) = (rows(&engine, &index, rollup).await, rows(&engine, &index, flows).await);
        assert!(rollup == flows, "rollup:\n{rollup}\nflows:\n{flows}");
    }
}

/// The same flows in files of a store that was opened again.
pub(crate) fn reopened(folder: &std::path::Path) -> Index {
    let store = StoreConfig { file_rows: 10_000, ..StoreConfig::new(folder.to_owned()) };
    let (index, _) = Index::open(Config::default(), store.clone()).unwrap();
    let mut traffic = Traffic::new(Settings { seed: 11, interval_ns: 30_000_000, ..Settings::default() });
    let flows: Vec<Flow> = (0..40_000).map(|_| traffic.flow()).collect();
    for flows in flows.chunks(10_000) {
        append(&index, flows);
        index.seal_all(flows[0].time).unwrap();
    }
    drop(index);
    Index::open(Config::default(), store).unwrap().0
}

#[tokio::test]
async fn sums_over_history_are_those_of_the_flows_and_read_none() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, index, memory) = (Engine::new(Limits::default()).unwrap(), reopened(folder.path()), cluster());
    for (rollup, flows) in SAME {
        let (kept, flows) = (rows(&engine, &index, rollup).await, rows(&engine, &memory, flows).await);
        assert!(kept == flows, "kept:\n{kept}\nflows:\n{flows}");
    }
    assert_eq!(index.store_stats().groups_read, 0);
    let all = rows(&engine, &index, "EXPLAIN SELECT sum(flows) FROM edges_1h").await;
    assert!(all.contains("edges_1h, slices=0 of 0, files=4 of 4"), "{all}");
    let early = "EXPLAIN SELECT sum(flows) FROM edges_1m WHERE time < '2026-01-15T10:15:00Z'";
    let plan = rows(&engine, &index, early).await;
    assert!(plan.contains("edges_1m, slices=0 of 0, files=1 of 4"), "{plan}");
    let sum = "SELECT sum(flows) AS n FROM edges_1m WHERE time = '2026-01-15T10:15:00Z'";
    assert_eq!(rows(&engine, &index, sum).await, rows(&engine, &memory, sum).await);
    let some = rows(&engine, &index, "SELECT count(*) AS n FROM (SELECT time FROM edges_1m LIMIT 7)").await;
    assert!(some.contains("| 7 |"), "{some}");
}

#[tokio::test]
async fn percentiles_of_sketches_are_near_those_of_the_flows() {
    let (engine, index) = (Engine::new(Limits::default()).unwrap(), cluster());
    let sql = "WITH exact AS (
        SELECT l7_latency_ns AS ns, row_number() OVER (ORDER BY l7_latency_ns) AS place, count(*) OVER () AS n
        FROM flows WHERE l7_protocol = 'HTTP' AND l7_latency_ns > 0)
      SELECT abs((SELECT sketch_percentile(latency, 0.99) FROM edges_1m WHERE l7_protocol = 'HTTP')
        / (SELECT CAST(min(ns) AS DOUBLE) FROM exact WHERE place >= 0.99 * n) - 1) < 0.02 AS near";
    assert!(rows(&engine, &index, sql).await.contains("true"));
    let bad = engine.query(&index, "SELECT sketch_percentile(latency, 2.0) FROM edges_1m").await;
    let mut bad = bad.unwrap();
    let error = loop {
        match bad.next().await.expect("it fails") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, QueryError::Bad { message, .. } if message.contains("a share from 0 to 1")), "{error:?}");
}

#[tokio::test]
async fn a_plan_tells_the_table_and_reads_only_the_slices_of_its_range() {
    let (engine, index) = (Engine::new(Limits::default()).unwrap(), cluster());
    let all = rows(&engine, &index, "EXPLAIN SELECT sum(flows) FROM edges_1m").await;
    assert!(all.contains("edges_1m, slices=21 of 21") || all.contains("edges_1m, slices=20 of 20"), "{all}");
    let two = "EXPLAIN SELECT sum(flows) FROM edges_1m
      WHERE time BETWEEN '2026-01-15T10:15:00Z' AND '2026-01-15T10:16:00Z'";
    let plan = rows(&engine, &index, two).await;
    assert!(plan.contains("edges_1m, slices=2 of 2"), "{plan}");
    let since = "EXPLAIN SELECT sum(drops) FROM drops_1m WHERE '2026-01-15T10:30:00Z' < time AND reason <> ''";
    let plan = rows(&engine, &index, since).await;
    assert!(plan.contains("drops_1m, slices=2 of 2"), "{plan}");
}

#[tokio::test]
async fn parameters_are_bound() {
    let (engine, index) = (Engine::new(Limits::default()).unwrap(), cluster());
    let sql = "SELECT count(*) AS n FROM flows WHERE verdict = ? AND dst_port > ?";
    let prepared = engine.prepare(&index, sql).await.unwrap();
    assert_eq!(prepared.schema.field(0).name(), "n");
    let names: Vec<&str> = prepared.parameters.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["$1", "$2"]);
    let verdict = std::sync::Arc::new(arrow::array::StringArray::from(vec!["DROPPED"])) as arrow::array::ArrayRef;
    let port = std::sync::Arc::new(arrow::array::Int64Array::from(vec![0])) as arrow::array::ArrayRef;
    let row = arrow::record_batch::RecordBatch::try_from_iter([("1", verdict), ("2", port)]).unwrap();
    let mut answer = engine.query_with(&index, sql, Some(&row)).await.unwrap();
    let batch = answer.next().await.unwrap().unwrap();
    let bound = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.column(0)).value(0);
    let literal = rows(&engine, &index, "SELECT count(*) AS n FROM flows WHERE verdict = 'DROPPED'").await;
    assert!(bound > 500 && literal.contains(&bound.to_string()), "{bound} {literal}");

    let none = engine.query_with(&index, sql, Some(&row.slice(0, 0))).await.unwrap_err();
    assert!(none.to_string().contains("bind one row"), "{none}");
    let few = engine.query_with(&index, sql, Some(&row.project(&[0]).unwrap())).await;
    assert!(matches!(few, Err(QueryError::Bad { .. })), "{few:?}");
}

/// What takes longer never ends.
const SOON: Duration = Duration::from_secs(60);

/// Queries that a careless or hostile person may send: each is refused or stopped, and the next one runs.
#[tokio::test]
async fn queries_without_end_end() {
    let index = cluster();
    let limits = Limits { deadline: Duration::from_secs(4), memory_bytes: 64 << 20, ..Limits::default() };
    let engine = Engine::new(limits).unwrap();
    let deep = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let too_long = format!("SELECT 1 WHERE {}", vec!["1 = 1"; 20_000].join(" AND "));
    let sums = format!("SELECT {}", vec!["bytes"; 900].join(" + ")) + " FROM flows WHERE false";
    let unions = vec!["SELECT 1"; 900].join(" UNION ");
    let queries = [
        deep.as_str(),
        too_long.as_str(),
        sums.as_str(),
        unions.as_str(),
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "SELECT count(*) FROM flows a, flows b, flows c, flows d WHERE a.bytes + b.bytes > c.bytes + d.bytes",
        "SELECT a.summary || b.summary AS s, count(*) FROM flows a, flows b GROUP BY 1 ORDER BY 2",
    ];
    for sql in queries {
        let ended = tokio::time::timeout(SOON, asked(&engine, &index, sql)).await;
        let short: String = sql.chars().take(80).collect();
        let ended = ended.unwrap_or_else(|_| panic!("it never ends: {short}"));
        // Long sums and unions may be answered; all else must be refused or stopped.
        assert!(ended.is_err() || sql == sums || sql == unions, "{short}");
        // The planning of a query that was stopped goes on to its next wait, and holds a thread until then.
        let next = async {
            loop {
                match asked(&engine, &index, "SELECT count(*) AS n FROM flows").await {
                    Err(QueryError::TimedOut { .. }) => {}
                    told => break told.unwrap(),
                }
            }
        };
        let told = tokio::time::timeout(SOON, next).await.unwrap_or_else(|_| panic!("none runs after {short}"));
        assert!(told.contains("40000"), "{told}");
    }
}
