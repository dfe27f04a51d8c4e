//! Queries and their answers as text, in `cases/*.slt`.
//!
//! A case is `query` or `refused`, the SQL, a line of dashes and the answer: the columns and rows joined by ` | `, or
//! the kind of the refusal, its place and its text. `UPDATE_GOLDEN=1` rewrites the answers.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use flow::{Flow, LossRecord, LossStage, NodeState};
use futures::StreamExt;
use relay_index::{BatchOrigin, Config, Index, StoreConfig};
use relay_query::{Engine, Limits, QueryError};

use crate::shop::{Seen, Talk, batch, index, pod, second, world};

/// The flows all cases are about: a front end that calls an API, a denied client, some DNS.
fn flows() -> Vec<Flow> {
    let web_api = Talk::new(pod("web", 1), pod("api", 1));
    let web_db = Talk::new(pod("web", 1), pod("db", 1));
    let dns = Talk::new(pod("api", 1), pod("dns", 1));
    let out = Talk::new(pod("api", 1), world(7));
    let mut flows = vec![
        web_api.clone().bytes(100).flow(second(0)),
        web_api.clone().bytes(900).reply().flow(second(1)),
        web_api.clone().bytes(100).seen(Seen::AtServer).flow(second(0)),
        web_api.http_request(second(2)),
        web_api.http_response(second(3), 200, 3_000_000),
        web_api.http_response(second(64), 503, 9_000_000),
        web_db.drop(second(65), "NETFILTER_DROP"),
        web_db.drop(second(66), "NETFILTER_DROP"),
        web_db.drop(second(67), "NO_SOCKET"),
        dns.dns_response(second(70), 0),
        dns.dns_response(second(71), 3),
        out.bytes(5_000).flow(second(72)),
    ];
    for (flow, id) in flows.iter_mut().zip(1_u8..) {
        flow.id = flow::FlowId::Uuid([id; 16]);
        flow.socket_cookie = id.into();
        flow.summary = format!("flow {id}");
    }
    flows[11].destination_names = vec!["pay.example.com".to_owned()];
    flows[11].id = flow::FlowId::None;
    flows
}

fn filled() -> Index {
    let index = index();
    fill(&index);
    index
}

/// The same flows, in files only: there is no room for them in memory.
fn in_files(folder: &Path) -> Index {
    let config = Config { rows_max: 1, ..Config::default() };
    let (index, _) = Index::open(config, StoreConfig::new(folder.to_owned())).unwrap();
    fill(&index);
    assert_eq!((index.snapshot().rows(), index.snapshot().all_rows()), (0, 12));
    index
}

fn fill(index: &Index) {
    let origin = BatchOrigin { received: second(80), version: "0.1.0".to_owned(), ..BatchOrigin::default() };
    for (node, flows) in [("n1", &flows()[..7]), ("n2", &flows()[7..])] {
        index.append(&BatchOrigin { node: node.to_owned(), ..origin.clone() }, &batch(flows)).unwrap();
        index.seal_all(second(80)).unwrap();
    }
    let loss = LossRecord { window: second(3), stage: LossStage::Ship, cause: "full".to_owned(), seen: 90, lost: 4 };
    index.record_losses("n1", &[loss]);
    index.set_node_states([("n3", NodeState::NODE_UNAVAILABLE)], second(80));
}

#[tokio::test]
async fn answers_are_as_written() {
    check(&filled()).await;
}

#[tokio::test]
async fn answers_from_files_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    check(&in_files(folder.path())).await;
}

async fn check(index: &Index) {
    let engine = Engine::new(Limits::default()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/query/cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let answered = answer_all(&engine, index, &text).await;
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, answered).unwrap();
        } else {
            assert!(answered == text, "{} should be:\n{answered}", file.display());
        }
    }
}

/// The same text with the answers as they are.
async fn answer_all(engine: &Engine, index: &Index, text: &str) -> String {
    let mut answered = Vec::new();
    for case in text.split("\n\n") {
        let Some((kind, rest)) = case.split_once('\n').filter(|(kind, _)| ["query", "refused"].contains(kind)) else {
            answered.push(case.trim_end().to_owned());
            continue;
        };
        let sql = rest.split("\n----").next().unwrap();
        let answer = match answer(engine, index, sql).await {
            Ok(rows) => rows,
            Err(error) => refusal(&error),
        };
        let is_refusal = answer.starts_with('!');
        assert_eq!(is_refusal, kind == "refused", "{sql}\n{answer}");
        answered.push(format!("{kind}\n{sql}\n----\n{}", answer.trim_end()));
    }
    answered.join("\n\n") + "\n"
}

async fn answer(engine: &Engine, index: &Index, sql: &str) -> Result<String, QueryError> {
    let mut answer = engine.query(index, sql).await?;
    let schema = answer.schema();
    let mut text = schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(" | ") + "\n";
    while let Some(batch) = answer.next().await {
        write_rows(&mut text, &batch?);
    }
    Ok(text)
}

fn write_rows(text: &mut String, batch: &RecordBatch) {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    for row in 0..batch.num_rows() {
        let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
        // A line without anything would end the case.
        let row = values.join(" | ");
        writeln!(text, "{}", if row.is_empty() { "''" } else { row.trim_end() }).unwrap();
    }
}

fn refusal(error: &QueryError) -> String {
    let kind = match error {
        QueryError::Bad { position: Some(place), .. } => format!("bad at {}:{}", place.line, place.column),
        QueryError::Bad { position: None, .. } => "bad".to_owned(),
        QueryError::ReadOnly { .. } => "read only".to_owned(),
        other => format!("{other:?}"),
    };
    format!("! {kind}: {error}")
}
