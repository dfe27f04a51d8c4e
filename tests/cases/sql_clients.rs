//! Programs that know nothing of Weir ask it: ADBC over Flight SQL, DuckDB over its Parquet files.

use std::process::Command;

use anyhow::{Result, bail};
use demo::topology::wait_until;
use weir_tests::{Place, Weir, binary, fixture, python};

/// Flows pushed into the relay, and flows written into files.
const FLOWS: i64 = 20_000;

#[test]
fn adbc_and_duckdb_read_flows() -> Result<()> {
    let Some(python) = python("sql_clients") else { return Ok(()) };
    let replay = fixture("hubble-flows-real.jsonl");
    let weir = Weir::start(&Place::Here, &["--replay", &replay.display().to_string()])?;
    let replayed = wait_until("flows are in the index", weir_tests::SOON, || {
        Some(weir.count("SELECT count(*) FROM flows").ok()?).filter(|count| *count > 0)
    })?;
    let folder = tempfile::tempdir()?;
    let flows = FLOWS.to_string();
    let relay = format!("http://{}", weir.address("relay"));
    bench(&["--flows", &flows, "--push", &relay])?;
    bench(&["--flows", &flows, "--out", &folder.path().display().to_string()])?;
    // The replay goes on while flows are pushed: count once it is quiet.
    let mut before = replayed;
    let all = wait_until("the replay has ended", weir_tests::SOON, || {
        let now = weir.count("SELECT count(*) FROM flows").ok()?;
        let quiet = now == before && now >= FLOWS;
        before = now;
        quiet.then_some(now)
    })?;
    let out = Command::new(python)
        .arg(fixture("sql_clients.py"))
        .args([weir.address("flight-sql"), &all.to_string()])
        .arg(folder.path())
        .arg(&flows)
        .output()?;
    if !out.status.success() {
        bail!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}

/// Runs `weir bench generate`, which itself fails where not all flows were acknowledged or counted.
fn bench(args: &[&str]) -> Result<()> {
    let out = Command::new(binary("weir")?).args(["bench", "generate"]).args(args).output()?;
    if !out.status.success() {
        bail!("weir bench generate {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}
