//! What docs/sql.md says is so.

use std::path::Path;
use std::time::Duration;

use flow::{Clock as _, LossRecord, LossStage, NodeState, SystemClock};
use futures::StreamExt;
use relay_index::{BatchOrigin, Config, Index};
use relay_query::{Engine, Limits};
use table::FlowBatchBuilder;
use traffic::{Settings, Traffic};

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    std::fs::read_to_string(path).unwrap()
}

/// A cluster's last ninety minutes.
fn cluster() -> Index {
    let index = Index::new(Config::default()).unwrap();
    let now = SystemClock.now();
    let (flows, span) = (60_000_u32, Duration::from_secs(90 * 60));
    let interval_ns = i64::try_from((span / flows).as_nanos()).unwrap();
    let mut traffic = Traffic::new(Settings { seed: 1, start: now.before(span), interval_ns });
    let mut builder = FlowBatchBuilder::new();
    for sequence in 1..=flows / 10_000 {
        for _ in 0..10_000 {
            builder.push(&traffic.flow()).unwrap();
        }
        let origin = BatchOrigin {
            node: "node-1".to_owned(),
            received: now,
            sequence: sequence.into(),
            boot_id: 1,
            ..BatchOrigin::default()
        };
        index.append(&origin, &builder.finish()).unwrap();
    }
    let loss = LossRecord { window: now, stage: LossStage::Ship, cause: "full".to_owned(), seen: 90, lost: 4 };
    index.record_losses("node-1", &[loss]);
    index.set_node_states([("node-2", NodeState::NODE_UNAVAILABLE)], now);
    index
}

#[tokio::test]
async fn every_question_has_an_answer() {
    let (engine, index, document) = (Engine::new(Limits::default()).unwrap(), cluster(), document());
    let mut asked = 0;
    for block in document.split("```sql\n").skip(1) {
        let block = block.split("```").next().unwrap();
        for sql in block.split(';').filter(|sql| !sql.trim().is_empty()) {
            let mut answer = engine.query(&index, sql).await.unwrap_or_else(|error| panic!("{sql}\n{error}"));
            let mut rows = 0;
            while let Some(batch) = answer.next().await {
                rows += batch.unwrap_or_else(|error| panic!("{sql}\n{error}")).num_rows();
            }
            assert!(rows > 0 || sql.contains("EXCEPT"), "no rows:\n{sql}");
            asked += 1;
        }
    }
    assert!(asked >= 14, "{asked} questions");
}

#[tokio::test]
async fn every_table_and_column_is_described() {
    let (engine, document) = (Engine::new(Limits::default()).unwrap(), document());
    for table in engine.tables().await.unwrap() {
        assert!(document.contains(&format!("`{}`", table.name)), "{} is not described", table.name);
        for field in table.schema.fields() {
            assert!(
                document.contains(&format!("`{}`", field.name())) || table.is_view,
                "{}.{}",
                table.name,
                field.name()
            );
        }
    }
}
