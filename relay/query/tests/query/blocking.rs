//! Files that cannot be read for a while hold up only the queries that read them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures::StreamExt;
use relay_query::{Answer, Engine, Limits, QueryError};

use crate::rollups::{reopened, rows};

const SOON: Duration = Duration::from_secs(20);

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// Puts a pipe in the place of each file, so that whoever opens one waits until it is let go.
fn hold(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let held = files_below(folder);
    let held: Vec<_> = held.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    for (path, _) in &held {
        std::fs::remove_file(path).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    held
}

/// Lets all go who wait, and puts the files back.
fn let_go(held: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in held {
        // Opened to read and to write, a pipe does not wait, and whoever waits for a writer goes on. It may then set the
        // pipe aside as a damaged file, so it is not there for sure any more.
        drop(File::options().read(true).write(true).open(path).unwrap());
        let whole = path.with_extension("whole");
        std::fs::write(&whole, bytes).unwrap();
        std::fs::rename(&whole, path).unwrap();
    }
}

async fn last_word(mut answer: Answer) -> Option<QueryError> {
    while let Some(batch) = answer.next().await {
        if let Err(error) = batch {
            return Some(error);
        }
    }
    None
}

#[tokio::test]
async fn a_file_that_does_not_answer_holds_up_no_other_query_and_a_query_can_be_stopped() {
    for (table, part) in
        [("SELECT sum(flows) AS n FROM edges_1m", "rollups"), ("SELECT count(bytes) AS n FROM flows", "flows")]
    {
        let folder = tempfile::tempdir().unwrap();
        let index = reopened(folder.path());
        let limits = Limits { concurrent: 2, wait: Duration::from_secs(5), ..Limits::default() };
        let engine = Engine::new(Limits { deadline: Duration::from_secs(60), ..limits.clone() }).unwrap();
        let held = hold(&folder.path().join(part));
        let waiting = engine.query(&index, table).await.unwrap();
        let other = tokio::time::timeout(SOON, rows(&engine, &index, "SELECT 41 + 1 AS n")).await;
        assert!(other.expect("it waits for no file").contains("42"));
        drop(waiting);
        // What was dropped has made room: as many run as may.
        let again = engine.query(&index, table).await.unwrap();
        let other = tokio::time::timeout(SOON, rows(&engine, &index, "SELECT 41 + 1 AS n")).await;
        assert!(other.expect("it has its turn").contains("42"));
        drop(again);
        let hasty = Engine::new(Limits { deadline: Duration::from_millis(300), ..limits }).unwrap();
        let late = async {
            // On a busy machine the time may be over while it is planned.
            match hasty.query(&index, table).await {
                Ok(answer) => last_word(answer).await,
                Err(error) => Some(error),
            }
        };
        let late = tokio::time::timeout(SOON, late).await.expect("the deadline holds");
        assert_eq!(late, Some(QueryError::TimedOut { limit_ms: 300 }));
        let_go(&held);
        if part == "rollups" {
            assert!(rows(&engine, &index, table).await.contains("40000"));
        }
    }
}

#[tokio::test]
async fn counts_that_are_read_take_of_the_memory_of_queries() {
    let folder = tempfile::tempdir().unwrap();
    let index = reopened(folder.path());
    let sql = "SELECT sum(flows) AS n FROM edges_1m";
    let small = Engine::new(Limits { memory_bytes: 1 << 20, ..Limits::default() }).unwrap();
    let error = last_word(small.query(&index, sql).await.unwrap()).await;
    assert!(matches!(error, Some(QueryError::TooLarge { .. })), "{error:?}");
    let enough = Engine::new(Limits { memory_bytes: 64 << 20, ..Limits::default() }).unwrap();
    assert!(rows(&enough, &index, sql).await.contains("40000"));
}
