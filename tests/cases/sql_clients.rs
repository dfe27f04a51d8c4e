//! Programs that know nothing of Weir ask it: ADBC over Flight SQL, DuckDB over its Parquet files.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use weir_tests::{Place, Weir, binary, fixture, python};

/// Flows pushed into the relay, and flows written into files.
const FLOWS: i64 = 20_000;

#[test]
fn adbc_and_duckdb_read_flows() -> Result<()> {
    let Some(python) = python("sql_clients") else { return Ok(()) };
    let replay = fixture("hubble-flows-real.jsonl");
    let replayed = std::fs::read_to_string(&replay)?.lines().filter(|line| !line.trim().is_empty()).count();
    let weir = Weir::start(&Place::Here, &["--replay", &replay.display().to_string()])?;
    let folder = tempfile::tempdir()?;
    let flows = FLOWS.to_string();
    let relay = format!("http://{}", weir.address("relay"));
    bench(&["--flows", &flows, "--push", &relay])?;
    bench(&["--flows", &flows, "--out", &folder.path().display().to_string()])?;
    // The replay goes on while flows are pushed.
    let all = FLOWS + i64::try_from(replayed)?;
    weir.await_count(all, "SELECT count(*) FROM flows")?;
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

#[test]
fn others_read_a_store_as_they_read_files_of_parquets_own_writer() -> Result<()> {
    let Some(python) = python("sql_clients") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let [made, store] = ["made", "store"].map(|name| folder.path().join(name).display().to_string());
    let flows = FLOWS.to_string();
    bench(&["--flows", &flows, "--out", &made])?;
    let place = format!("relay.store.place={store}");
    let of_store = |args: &[&str]| run(Command::new(binary("weir")?).arg("store").args(args).args(["--set", &place]));
    let files: Vec<_> =
        std::fs::read_dir(&made)?.map(|file| Ok(file?.path().display().to_string())).collect::<Result<_>>()?;
    let files: Vec<&str> = std::iter::once("import").chain(files.iter().map(String::as_str)).collect();
    of_store(&files)?;
    for compacted in [false, true] {
        let listed: serde_json::Value = serde_json::from_str(&of_store(&["ls", "--json"])?)?;
        let files = listed["files"].as_array().context("a list")?;
        assert!(!files.is_empty() && files.iter().all(|file| file["compacted"] == compacted), "{listed}");
        let paths = files.iter().map(|file| format!("{store}/{}", file["path"].as_str().unwrap_or_default()));
        run(Command::new(&python).arg(fixture("parquet_readers.py")).args([&made, &flows]).args(paths))?;
        of_store(&["compact"])?;
    }
    Ok(())
}

/// Runs a program that must end well; gives what it printed.
fn run(command: &mut Command) -> Result<String> {
    let out = command.output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(out.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&out.stderr));
    Ok(text)
}
