//! A file of the store that is damaged: every door tells that its flows are missing.

use std::path::{Path, PathBuf};

use flow::NodeState;
use proto::observer::GetFlowsRequest;
use proto::observer::get_flows_response::ResponseTypes;

use crate::collector::TestCollector;
use crate::http;
use crate::relay::{TestRelay, flows, get_flows, now, numbers, wait_until};

fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(parquet_files(&path));
        } else if path.extension().is_some_and(|end| end == "parquet") {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_tells_of_files_that_are_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap().to_owned();
    let start = async || {
        TestRelay::start_with(|config| {
            config.store.place = place.clone();
            config.store.file_age_ms = 100;
        })
        .await
    };
    let relay = start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    collector.push(&flows(now(), 0..50)).await;
    let files = || parquet_files(&folder.path().join("flows"));
    wait_until("a file of the store", async || !files().is_empty()).await;
    relay.stop().await.unwrap();
    let files = files();
    for file in &files {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 4;
        bytes[middle] ^= 1;
        std::fs::write(file, &bytes).unwrap();
    }

    let relay = start().await;
    let responses = get_flows(&relay, GetFlowsRequest::default()).await;
    assert!(numbers(&responses).len() < 50, "the file was read though it is damaged");
    let told: Vec<_> = responses
        .iter()
        .filter_map(|response| match &response.response_types {
            Some(ResponseTypes::NodeStatus(status)) if status.state_change == NodeState::NODE_ERROR.0 => Some(status),
            _ => None,
        })
        .collect();
    let name = files[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(told.len(), 1, "{responses:?}");
    assert!(told[0].message.starts_with("flows of the store are missing: "), "{told:?}");
    assert!(told[0].message.contains(name) || files.len() > 1, "{told:?}");
    assert_eq!(told[0].node_names, ["weir-relay"]);

    let sql = |format: &str| {
        let body = format!(r#"{{"query":"SELECT count(*) FROM flows","format":"{format}"}}"#);
        http::request("POST", "/api/v1/sql", &[("content-type", "application/json")], &body)
    };
    let answer = http::ask(relay.http(), sql("json")).await.json();
    assert_eq!(answer["damaged"].as_array().unwrap().len(), files.len(), "{answer}");
    let answer = http::ask(relay.http(), sql("csv")).await;
    assert_eq!(answer.header("weir-damaged-files"), files.len().to_string());
    relay.stop().await.unwrap();
}

/// A stream of rows that meets damage after its first rows breaks off; one that knew of it says so ahead.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_rows_end_well_only_if_they_told_of_damage() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap().to_owned();
    let start = async || {
        TestRelay::start_with(|config| {
            config.store.place = place.clone();
            config.store.file_age_ms = 100;
            config.store.file_flows = 2_000;
        })
        .await
    };
    let relay = start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    for n in 0..10 {
        collector.push(&flows(now(), n * 1_000..(n + 1) * 1_000)).await;
    }
    let files = || parquet_files(&folder.path().join("flows"));
    wait_until("all is in files", async || relay.metric("weir_relay_store_file_rows").await == 10_000).await;
    relay.stop().await.unwrap();
    for file in files() {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 4;
        bytes[middle] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
    }
    let relay = start().await;
    let body = r#"{"query":"SELECT * FROM flows","format":"csv"}"#;
    let ask = || http::request("POST", "/api/v1/sql", &[("content-type", "application/json")], body);
    let known = async || {
        let json = body.replace("csv", "json").replace('*', "count(*)");
        let request = http::request("POST", "/api/v1/sql", &[("content-type", "application/json")], &json);
        http::ask(relay.http(), request).await.json()["damaged"].as_array().unwrap().len()
    };
    let answer = http::ask(relay.http(), ask()).await;
    let told = answer.header("weir-damaged-files").parse().unwrap_or(0);
    let known = known().await;
    assert!(known > 0 && (told == known || !answer.is_whole), "{told} of {known} were told");
    let answer = http::ask(relay.http(), ask()).await;
    assert!(answer.is_whole && answer.header("weir-damaged-files") == known.to_string());
    relay.stop().await.unwrap();
}
