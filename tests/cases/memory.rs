//! A relay keeps within its memory budget however much comes, and neither loses nor refuses any of it.

use std::process::Command;

use anyhow::{Context, Result};
use weir_tests::{Relay, binary};

/// Half of it may be flows; those pushed would take three times all of it.
const BUDGET: u64 = 256 << 20;
const FLOWS: u64 = 4_000_000;
/// What writing a file takes. The guard looks ten times a second, on a busy machine not quite as often, and what is begun
/// between two looks is finished.
const ROOM: u64 = 32 << 20;

#[test]
fn an_hour_of_flows_goes_through_a_small_budget() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = [
        format!("relay.store={}", folder.path().join("store").display()),
        format!("relay.memory_bytes_max={BUDGET}"),
        "log.filter=info".to_owned(),
    ];
    let mut relay = Relay::start(folder.path(), &settings)?;
    assert_eq!(relay.metric("weir_relay_memory_limit_bytes")?, BUDGET);
    assert_eq!(relay.metric("weir_relay_index_limit_bytes")?, BUDGET / 2);
    let out = Command::new(binary("weir")?)
        .args(["bench", "generate", "--flows", &FLOWS.to_string(), "--rate", &(FLOWS / 3_600).to_string()])
        .args(["--start", "2026-01-15T00:00:00Z", "--streams", "1", "--push", &format!("http://{}", relay.grpc())])
        .output()?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("all acknowledged"), "{said}\n{}", relay.log());
    let peak = relay.memory_peak()?;
    assert!(peak <= BUDGET + ROOM, "{} MiB of {} MiB\n{}", peak >> 20, BUDGET >> 20, relay.log());
    assert!(relay.metric("weir_relay_index_bytes")? < BUDGET / 2);
    let refused = relay.metric("weir_relay_refused_batches_total{cause=\"store\"}")?;
    assert_eq!(refused, 0, "{said}\n{}", relay.log());
    let count = |query: &str| -> Result<u64> {
        let rows = relay.sql(query)?;
        rows.first().and_then(|row| row.first()?.as_u64()).with_context(|| format!("{query}: {rows:?}"))
    };
    assert_eq!(count("SELECT count(*) FROM flows")?, FLOWS);
    assert_eq!(count("SELECT sum(flows) FROM edges_1h")?, FLOWS);
    relay.stop()
}
