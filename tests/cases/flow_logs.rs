//! Flow logs that a collector writes, read by the stock client and by a tool that makes policies of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use demo::topology::{output, wait_until};
use weir_tests::{Collector, SOON, compare_golden, fixture, hubble, stock_tool, without_deprecated};

/// Flows of a fixture, as the stock client printed them.
fn recorded(name: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(fixture(name))?;
    Ok(text.lines().filter(|line| line.starts_with("{\"flow\":")).map(str::to_owned).collect())
}

/// A flow log of a collector that observed these flows, whole.
fn write_log(folder: &Path, recorded: &[String]) -> Result<PathBuf> {
    let log = folder.join("flows.log");
    let set = [format!("collector.export.file_path={}", log.display())];
    let _collector = Collector::replay("node-a", &(recorded.join("\n") + "\n"), folder, &set)?;
    wait_until("all lines are written", SOON, || {
        let lines = std::fs::read_to_string(&log).ok()?.lines().count();
        // The first line tells that the collector began.
        (lines > recorded.len()).then_some(())
    })?;
    Ok(log)
}

#[test]
fn the_stock_client_prints_what_was_observed() -> Result<()> {
    let Some(hubble) = hubble("flow_logs") else { return Ok(()) };
    let (folder, recorded) = (tempfile::tempdir()?, recorded("stock-flows.jsonl")?);
    let log = write_log(folder.path(), &recorded)?;
    let mut command = Command::new(&hubble);
    let told = output(command.args(["observe", "--input-file"]).arg(&log).args(["--all", "-o", "jsonpb"]))?;
    let flows = told.lines().filter(|line| line.starts_with("{\"flow\":")).map(without_deprecated);
    assert_eq!(flows.collect::<Vec<_>>(), recorded, "the very bytes that were recorded");
    Ok(())
}

#[test]
fn policies_are_made_of_real_flows() -> Result<()> {
    let Some(audit) = stock_tool("flow_logs", "hubble-audit2policy") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let log = write_log(folder.path(), &recorded("hubble-flows-real.jsonl")?)?;
    let policies = output(Command::new(&audit).arg(&log).args(["--dry-run", "--no-enrich"]))?;
    let direct =
        output(Command::new(&audit).arg(fixture("hubble-flows-real.jsonl")).args(["--dry-run", "--no-enrich"]))?;
    assert_eq!(policies, direct, "our log says what the agents' own says");
    compare_golden("audit2policy.txt", &policies)
}
