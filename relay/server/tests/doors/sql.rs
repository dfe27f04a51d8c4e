//! SQL over HTTP.

use arrow::ipc::reader::StreamReader;
use hyper::StatusCode;
use serde_json::json;

use crate::collector::TestCollector;
use crate::http::{Answer, ask, request};
use crate::relay::{TestRelay, flows, now};

const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) async fn query(relay: &TestRelay, format: &str, query: &str) -> Answer {
    let body = json!({ "query": query, "format": format }).to_string();
    ask(relay.http(), request("POST", "/api/v1/sql", &[JSON], &body)).await
}

async fn relay_with_flows(rows_max: usize, json_rows_max: usize) -> TestRelay {
    let relay = TestRelay::start_with(|config| {
        config.sql.rows_max = rows_max;
        config.sql.json_rows_max = json_rows_max;
    })
    .await;
    TestCollector::connect(relay.grpc(), "node-1", 1).await.push(&flows(now(), 0..100)).await;
    relay
}

#[tokio::test(flavor = "multi_thread")]
async fn json_rows_and_columns() {
    let relay = relay_with_flows(1000, 1000).await;
    let sql = "SELECT src_pod, count(*) AS n, sum(bytes) AS b, max(summary) AS s FROM flows GROUP BY src_pod";
    let answer = query(&relay, "json", sql).await.json();
    assert_eq!(answer["rows"], json!([["web", 100, 10_000, "number 99"]]));
    let names: Vec<_> = answer["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["src_pod", "n", "b", "s"]);
    assert_eq!((&answer["truncated"], answer["columns"][1]["type"].as_str()), (&json!(false), Some("Int64")));
    assert_eq!(relay.metric(r#"weir_relay_queries_total{kind="sql",outcome="ok"}"#).await, 1);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_says_so() {
    let relay = relay_with_flows(50, 10).await;
    let answer = query(&relay, "json", "SELECT summary FROM flows ORDER BY time").await.json();
    assert_eq!((answer["rows"].as_array().unwrap().len(), &answer["truncated"]), (10, &json!(true)));
    let answer = query(&relay, "json", "SELECT summary FROM flows LIMIT 10").await.json();
    assert_eq!((answer["rows"].as_array().unwrap().len(), &answer["truncated"]), (10, &json!(false)));
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_and_arrow() {
    let relay = relay_with_flows(1000, 10).await;
    let sql = "SELECT dst_port, summary FROM flows ORDER BY time LIMIT 2";
    let csv = query(&relay, "csv", sql).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(csv.text(), "dst_port,summary\n8080,number 0\n8080,number 1\n");
    let none = query(&relay, "csv", "SELECT dst_port FROM flows WHERE dst_port = 1").await;
    assert_eq!(none.text(), "dst_port\n");
    let arrow = query(&relay, "arrow", "SELECT summary FROM flows").await;
    assert_eq!(arrow.header("content-type"), "application/vnd.apache.arrow.stream");
    let batches = StreamReader::try_new(arrow.body.as_ref(), None).unwrap();
    assert_eq!(batches.map(|b| b.unwrap().num_rows()).sum::<usize>(), 100, "not limited as JSON is");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_statements_are_explained() {
    let relay = relay_with_flows(1000, 1000).await;
    for (sql, words) in [
        ("SELECT colour FROM flows", "colour"),
        ("SELEC 1", "SELEC"),
        ("DROP TABLE flows", "not allowed"),
        ("INSERT INTO flows VALUES (1)", "not allowed"),
        ("COPY flows TO '/tmp/flows.csv'", "not allowed"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "not allowed"),
        ("", ""),
    ] {
        for format in ["json", "csv", "arrow"] {
            let answer = query(&relay, format, sql).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{sql}: {}", answer.text());
            assert!(answer.error().contains(words), "{sql}: {}", answer.error());
        }
    }
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_none() {
    let relay = TestRelay::start_with(|config| config.http.request_bytes_max = 1000).await;
    let post = async |headers: &[(&str, &str)], body: &str| {
        ask(relay.http(), request("POST", "/api/v1/sql", headers, body)).await
    };
    let good = r#"{"query":"SELECT 1"}"#;
    assert_eq!(post(&[JSON], good).await.status, StatusCode::OK);
    assert_eq!(post(&[("content-type", "text/plain")], good).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post(&[], good).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post(&[JSON], "{").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&[JSON], r#"{"query":"SELECT 1","format":"xml"}"#).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&[JSON], r#"{"statement":"SELECT 1"}"#).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&[JSON], &"x".repeat(1001)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let foreign = [JSON, ("origin", "http://attacker.example")];
    assert_eq!(post(&foreign, good).await.status, StatusCode::FORBIDDEN);
    assert_eq!(post(&[JSON, ("origin", "http://localhost")], good).await.status, StatusCode::OK);
    assert_eq!(post(&[JSON, ("sec-fetch-site", "cross-site")], good).await.status, StatusCode::FORBIDDEN);
    relay.stop().await.unwrap();
}
