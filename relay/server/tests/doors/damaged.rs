//! A file of the store that is damaged: every door tells that its flows are missing.

use std::path::{Path, PathBuf};

use flow::NodeState;
use proto::observer::GetFlowsRequest;
use proto::observer::get_flows_response::ResponseTypes;

use crate::collector::TestCollector;
use crate::relay::{TestRelay, flows, get_flows, now, numbers, wait_until};
use crate::sql::query;

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

/// A relay whose store is in this folder, with files of so many flows.
async fn start(folder: &Path, file_flows: usize) -> TestRelay {
    let place = folder.to_str().unwrap().to_owned();
    TestRelay::start_with(|config| {
        config.store.place = place;
        config.store.file_age_ms = 100;
        config.store.file_flows = file_flows;
    })
    .await
}

/// Flips a bit of the columns of every file; gives the files.
fn damage_files(folder: &Path) -> Vec<PathBuf> {
    let files = parquet_files(&folder.join("flows"));
    for file in &files {
        let mut bytes = std::fs::read(file).unwrap();
        let at = bytes.len() / 4;
        bytes[at] ^= 1;
        std::fs::write(file, &bytes).unwrap();
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_tells_of_files_that_are_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start(folder.path(), 1_000).await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    collector.push(&flows(now(), 0..50)).await;
    wait_until("a file of the store", async || !parquet_files(&folder.path().join("flows")).is_empty()).await;
    relay.stop().await.unwrap();
    let files = damage_files(folder.path());

    let relay = start(folder.path(), 1_000).await;
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

    let count = "SELECT count(*) FROM flows";
    let answer = query(&relay, "json", count).await.json();
    assert_eq!(answer["damaged"].as_array().unwrap().len(), files.len(), "{answer}");
    let answer = query(&relay, "csv", count).await;
    assert_eq!(answer.header("weir-damaged-files"), files.len().to_string());
    relay.stop().await.unwrap();
}

/// A stream of rows that meets damage after its first rows breaks off; one that knew of it says so ahead.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_rows_end_well_only_if_they_told_of_damage() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start(folder.path(), 2_000).await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    for n in 0..10 {
        collector.push(&flows(now(), n * 1_000..(n + 1) * 1_000)).await;
    }
    wait_until("all is in files", async || relay.metric("weir_relay_store_file_rows").await == 10_000).await;
    relay.stop().await.unwrap();
    damage_files(folder.path());
    let relay = start(folder.path(), 2_000).await;
    let all = "SELECT * FROM flows";
    let answer = query(&relay, "csv", all).await;
    let told = answer.header("weir-damaged-files").parse().unwrap_or(0);
    let count = query(&relay, "json", "SELECT count(*) FROM flows").await.json();
    let known = count["damaged"].as_array().unwrap().len();
    assert!(known > 0 && (told == known || !answer.is_whole), "{told} of {known} were told");
    let answer = query(&relay, "csv", all).await;
    assert!(answer.is_whole && answer.header("weir-damaged-files") == known.to_string());
    relay.stop().await.unwrap();
}
