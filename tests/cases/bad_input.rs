//! Bad input gets a clear error that names the cause and the remedy, or a counted drop; nothing stays behind.

use std::process::Command;

use anyhow::{Context, Result};
use demo::topology::{Running, Topology, output, wait_until};
use weir_tests::{Place, SOON, Weir, binary, fixture, root};

/// Runs `weir` with these arguments to its end and returns its standard error.
fn refusal(args: &[&str]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let socket = format!("collector.observer.socket={}", folder.path().join("s").display());
    let out = Command::new("timeout").arg("20").arg(binary("weir")?).args(args).args(["--set", &socket]).output()?;
    assert!(!out.status.success(), "weir {args:?} did not refuse");
    Ok(String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn unknown_keys_and_bad_values_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("weir.yaml");
    std::fs::write(&file, "collector: {rings: {}}\n")?;
    let error = refusal(&["up", "--config", &file.display().to_string()])?;
    assert!(error.contains("rings") && error.contains("configuration file"), "{error}");
    let error = refusal(&["up", "--set", "relay.sql.rows_max=many"])?;
    assert!(error.contains("relay.sql.rows_max") || error.contains("many"), "{error}");
    let error = refusal(&["up", "--config", "/nowhere.yaml"])?;
    assert!(error.contains("/nowhere.yaml"), "{error}");
    Ok(())
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for key in ["relay.grpc.listen", "relay.http.listen"] {
        let error = refusal(&["relay", "--set", &format!("{key}={address}")])?;
        assert!(error.contains(&address) && error.contains(key), "{error}");
    }
    let replay = fixture("hubble-flows-real.jsonl").display().to_string();
    let error = refusal(&[
        "collector",
        "--replay",
        &replay,
        "--observer",
        &address,
        "--set",
        "collector.metrics.listen=127.0.0.1:0",
    ])?;
    assert!(error.contains(&address), "{error}");
    Ok(())
}

#[test]
fn without_privilege_weir_says_what_is_missing_and_offers_files() -> Result<()> {
    if !root("bad_input") {
        return Ok(());
    }
    let folder = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir()?;
    let program = folder.path().join("weir");
    std::fs::copy(binary("weir")?, &program)?;
    let out = Command::new("setpriv")
        .args(["--reuid=nobody", "--clear-groups", "--", "timeout", "20"])
        .arg(&program)
        .args(["up", "--set", "relay.grpc.listen=127.0.0.1:0", "--set", "relay.http.listen=127.0.0.1:0"])
        .args(["--set", "relay.flight_sql.listen=127.0.0.1:0"])
        .args(["--set", "relay.metrics.listen=127.0.0.1:0", "--set", "collector.observer.listen=127.0.0.1:0"])
        .args(["--set", "collector.metrics.listen=127.0.0.1:0", "--set", "collector.observer.socket=null"])
        .output()?;
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && error.contains("--replay") && error.contains("--pcap"), "{error}");
    assert!(error.contains("root") || error.contains("CAP_BPF"), "{error}");
    Ok(())
}

#[test]
fn a_damaged_replay_file_loses_its_damaged_lines_only() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("flows.jsonl");
    let good = std::fs::read_to_string(fixture("hubble-flows-real.jsonl"))?;
    let good: Vec<&str> = good.lines().filter(|l| !l.trim().is_empty()).collect();
    let half = good[0].get(..good[0].len() / 2).context("the fixture has a short line")?;
    std::fs::write(&file, format!("{half}\n{}\n\u{0}\u{1}\n[]\n", good.join("\n")))?;
    let weir = Weir::start(&Place::Here, &["--replay", &file.display().to_string()])?;
    weir.await_count(i64::try_from(good.len())?, "SELECT count(*) FROM flows")?;
    weir.await_count(3, "SELECT CAST(sum(lost) AS BIGINT) FROM losses")
}

/// Ids of the programs the kernel holds.
fn loaded() -> Result<Vec<u64>> {
    let listed = output(Command::new("bpftool").args(["prog", "show", "--json"]))?;
    let programs: Vec<serde_json::Value> = serde_json::from_str(&listed)?;
    Ok(programs.iter().filter_map(|program| program["id"].as_u64()).collect())
}

#[test]
fn sigterm_drains_and_kill_leaves_no_program_behind() -> Result<()> {
    if !root("bad_input") {
        return Ok(());
    }
    let mut topology = Topology::with_node("wbi", 93)?;
    let (a, b) = (topology.add("a", 2)?, topology.add("b", 3)?);
    let mut echo = b.command(binary("weir-demo")?);
    let _echo = Running::start("udp echo", echo.args(["udp-echo", "[::]:9000"]))?;
    for ordered in [true, false] {
        let before = loaded()?;
        let mut weir = Weir::start(&Place::Node(&topology), &[])?;
        let mut udp = a.command(binary("weir-demo")?);
        output(udp.args(["udp", &format!("{}:9000", b.ip4), "--count", "5"]))?;
        weir.await_count(5, "SELECT CAST(sum(packets) AS BIGINT) FROM flows WHERE dst_port = 9000 AND trace_point = 'TO_ENDPOINT' AND event_type = 4")?;
        let mut programs = loaded()?;
        programs.retain(|id| !before.contains(id));
        assert!(!programs.is_empty(), "no program is loaded while weir runs");
        if ordered {
            weir.stop()?;
        } else {
            weir.kill()?;
        }
        wait_until("all programs are gone", SOON, || {
            let left = loaded().ok()?;
            programs.iter().all(|id| !left.contains(id)).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn flowctl_names_the_address_it_cannot_reach() -> Result<()> {
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let out = Command::new(binary("flowctl")?).args(["observe", "--last", "1", "--server", &free]).output()?;
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && error.contains(&free), "{error}");
    Ok(())
}
