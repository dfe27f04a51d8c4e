//! Queries stay within their limits.

use std::time::Duration;

use flow::Flow;
use futures::StreamExt;
use relay_index::{Config, Index};
use relay_query::{Answer, Engine, Limits, LimitsError, QueryError};

use crate::shop::{append, second, tick};

fn filled(flows: u64) -> Index {
    let index = Index::new(Config::default()).unwrap();
    let flows: Vec<Flow> = (0..flows).map(|i| tick("n1", second(i64::try_from(i).unwrap()), i)).collect();
    for flows in flows.chunks(10_000) {
        append(&index, flows);
    }
    index
}

fn engine(change: impl FnOnce(&mut Limits)) -> Engine {
    let mut limits = Limits::default();
    change(&mut limits);
    Engine::new(limits).unwrap()
}

async fn rows(answer: &mut Answer) -> Result<usize, QueryError> {
    let mut rows = 0;
    while let Some(batch) = answer.next().await {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

/// Rows of a query that is asked and read to its end, wherever it fails.
async fn outcome(engine: &Engine, index: &Index, sql: &str) -> Result<usize, QueryError> {
    rows(&mut engine.query(index, sql).await?).await
}

/// A query that would run for hours.
const ENDLESS: &str =
    "SELECT count(*) FROM flows a, flows b, flows c WHERE a.socket_cookie + b.socket_cookie > c.bytes";

#[tokio::test]
async fn rows_beyond_the_limit_are_cut_off_and_the_answer_says_so() {
    let index = filled(500);
    let engine = engine(|limits| limits.rows_max = 120);
    for (sql, expected, cut) in [
        ("SELECT * FROM flows", 120, true),
        ("SELECT * FROM flows LIMIT 120", 120, false),
        ("SELECT * FROM flows LIMIT 7", 7, false),
        ("SELECT * FROM flows WHERE false", 0, false),
    ] {
        let mut answer = engine.query(&index, sql).await.unwrap();
        assert_eq!(rows(&mut answer).await.unwrap(), expected, "{sql}");
        assert_eq!(answer.truncated(), cut, "{sql}");
    }
}

#[tokio::test]
async fn a_query_past_its_deadline_is_stopped() {
    let index = filled(20_000);
    let engine = engine(|limits| limits.deadline = Duration::from_millis(200));
    // On a busy machine the time may be over while it is planned.
    assert_eq!(outcome(&engine, &index, ENDLESS).await, Err(QueryError::TimedOut { limit_ms: 200 }));
}

#[tokio::test]
async fn a_slow_reader_runs_into_the_deadline_too() {
    let index = filled(40_000);
    let engine = engine(|limits| {
        // Far more than planning takes and counting, of the second query.
        limits.deadline = Duration::from_secs(3);
        limits.concurrent = 1;
        limits.wait = Duration::from_secs(20);
    });
    let mut slow = engine.query(&index, "SELECT * FROM flows").await.unwrap();
    // Nobody reads the first answer, and still the second query gets its turn.
    let mut answer = engine.query(&index, "SELECT count(*) FROM flows").await.unwrap();
    assert_eq!(rows(&mut answer).await, Ok(1));
    assert_eq!(rows(&mut slow).await, Err(QueryError::TimedOut { limit_ms: 3_000 }));
}

#[tokio::test]
async fn only_so_many_queries_run_and_a_dropped_one_makes_room() {
    let index = filled(20_000);
    let engine = engine(|limits| {
        limits.concurrent = 1;
        limits.wait = Duration::from_millis(50);
    });
    let running = engine.query(&index, ENDLESS).await.unwrap();
    let busy = engine.query(&index, "SELECT 1").await.unwrap_err();
    assert_eq!(busy, QueryError::Busy { running: 1 });
    drop(running);
    let room = async {
        while engine.query(&index, "SELECT 1").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), room).await.unwrap();
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_is_refused() {
    let index = filled(100_000);
    let engine = engine(|limits| {
        limits.memory_bytes = 1 << 20;
        limits.spill_bytes = 0;
    });
    let sql = "SELECT a.socket_cookie, count(*) FROM flows a JOIN flows b ON a.socket_cookie = b.socket_cookie GROUP BY 1 ORDER BY 2";
    let mut answer = engine.query(&index, sql).await.unwrap();
    assert_eq!(rows(&mut answer).await, Err(QueryError::TooLarge { limit_bytes: 1 << 20 }));
    // The memory is free again.
    let mut answer = engine.query(&index, "SELECT max(socket_cookie) FROM flows").await.unwrap();
    assert_eq!(rows(&mut answer).await, Ok(1));
}

/// What functions make is not counted as memory of the query, and folding constants makes it before the query runs.
#[tokio::test]
async fn functions_that_make_too_much_are_refused() {
    let (index, engine) = (filled(5_000), engine(|_| {}));
    for expression in [
        "repeat('a', 2000000000)",
        "repeat(repeat('a', 10000), 10000)",
        "repeat(node_name, 10000000)",
        "lpad('a', 2000000000)",
        "rpad('a', 2000000000, 'b')",
        "array_repeat('a', 2000000000)",
        "list_repeat(1, 2000000000)",
        "range(0, 1000000000)",
        "generate_series(1, 10000000000, 2)",
        "range(5000000, socket_cookie)",
        "generate_series(timestamp '1900-01-01', timestamp '2200-01-01', interval '1 minute')",
    ] {
        let refused = outcome(&engine, &index, &format!("SELECT {expression} FROM flows")).await;
        let is_told =
            matches!(&refused, Err(QueryError::Bad { message, .. }) if message.contains("67108864 are allowed"));
        assert!(is_told, "{expression}: {refused:?}");
    }
    for (expression, rows) in [
        ("repeat('ab', 3) = 'ababab' AND lpad('7', 3, '0') = '007' AND rpad('a', 2) = 'a '", 1),
        ("array_length(range(0, 1000000)) = 1000000 AND array_length(array_repeat(1, 1000)) = 1000", 1),
        ("array_length(generate_series(date '2026-01-01', date '2026-12-31', interval '1 day')) = 365", 1),
        ("repeat(NULL, 3) IS NULL AND range(NULL, 3) IS NULL", 1),
        ("repeat('a', -1) = ''", 1),
    ] {
        let sql = format!("SELECT 1 WHERE {expression}");
        assert_eq!(outcome(&engine, &index, &sql).await, Ok(rows), "{expression}");
    }
    let unnested = "SELECT unnest(generate_series(timestamp '2026-01-01', timestamp '2026-01-02', interval '1 hour'))";
    assert_eq!(outcome(&engine, &index, unnested).await, Ok(25));
}

#[tokio::test]
async fn a_query_sees_the_flows_of_its_moment() {
    let index = filled(10);
    let engine = engine(|_| {});
    let mut answer = engine.query(&index, "SELECT * FROM flows").await.unwrap();
    append(&index, &[tick("n1", second(99), 99)]);
    assert_eq!(rows(&mut answer).await, Ok(10));
}

#[tokio::test]
async fn the_newest_rows_are_found_without_reading_old_segments() {
    let index = filled(400_000);
    let engine = engine(|_| {});
    let sql = "EXPLAIN ANALYZE SELECT time, socket_cookie FROM flows ORDER BY time DESC LIMIT 5";
    let plan = text(&mut engine.query(&index, sql).await.unwrap()).await;
    let pruned: usize = plan
        .split("segments_pruned=")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("{plan}"));
    assert!(pruned >= 5, "{plan}");
    // A range of time is read from its segments only.
    let sql = format!("EXPLAIN ANALYZE SELECT sum(socket_cookie) FROM flows WHERE time < '{}'", second(10));
    let plan = text(&mut engine.query(&index, &sql).await.unwrap()).await;
    assert!(plan.contains("segments_pruned=1"), "{plan}");
    assert!(!plan.contains("FilterExec"), "{plan}");
}

async fn text(answer: &mut Answer) -> String {
    let mut text = String::new();
    while let Some(batch) = answer.next().await {
        text += &format!("{:?}", batch.unwrap().columns());
    }
    text
}

#[tokio::test]
async fn an_engine_with_limits_that_make_no_sense_is_refused() {
    let error = Engine::new(Limits { concurrent: 0, ..Limits::default() }).unwrap_err();
    assert!(matches!(error, LimitsError::TooSmall { name: "concurrent", .. }));
}
