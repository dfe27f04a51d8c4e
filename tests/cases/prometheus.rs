//! A real Prometheus scrapes both programs, and `promtool` finds nothing to say.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use demo::topology::{Running, output, wait_until};
use serde_json::Value;
use weir_tests::{Place, Weir, fixture, installed, own_address};

/// Prometheus starts slowly on a busy machine, and scrapes only then.
const SCRAPED: Duration = Duration::from_secs(60);

fn start() -> Result<Weir> {
    let replay = fixture("hubble-flows-real.jsonl");
    let weir = Weir::start(&Place::Here, &["--replay", &replay.display().to_string()])?;
    wait_until("flows are in the index", weir_tests::SOON, || {
        (weir.count("SELECT count(*) FROM flows").ok()? > 0).then_some(())
    })?;
    Ok(weir)
}

#[test]
fn promtool_is_content() -> Result<()> {
    if !installed("prometheus", "promtool") {
        return Ok(());
    }
    let weir = start()?;
    for door in ["collector-metrics", "relay-metrics"] {
        let metrics = weir.metrics(door)?;
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        std::io::Write::write_all(
            &mut promtool.stdin.take().context("promtool has no standard input")?,
            metrics.as_bytes(),
        )?;
        let told = promtool.wait_with_output()?;
        let said = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        if !told.status.success() || !said.trim().is_empty() {
            bail!("promtool on {door}:\n{said}");
        }
    }
    Ok(())
}

#[test]
fn prometheus_scrapes_both() -> Result<()> {
    if !installed("prometheus", "prometheus") {
        return Ok(());
    }
    let weir = start()?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("prometheus.yml");
    let targets = [weir.address("collector-metrics"), weir.address("relay-metrics")];
    std::fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: weir, static_configs: [{{targets: ['{}', '{}']}}]}}]\n",
            targets[0], targets[1]
        ),
    )?;
    let address = own_address()?;
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg(format!("--web.listen-address={address}")).stdout(Stdio::null()).stderr(Stdio::null());
    let _prometheus = Running::start("prometheus", &mut command)?;
    let query = |text: &str| -> Option<Value> {
        let out = output(
            Command::new("curl")
                .args(["-sS", "-G", "--data-urlencode", &format!("query={text}")])
                .arg(format!("http://{address}/api/v1/query")),
        )
        .ok()?;
        serde_json::from_str::<Value>(&out).ok().map(|mut v| v["data"]["result"].take())
    };
    wait_until("prometheus has scraped both programs", SCRAPED, || {
        (query("sum(up)")?[0]["value"][1] == "2").then_some(())
    })?;
    let flows = wait_until("the flows are in prometheus", SCRAPED, || {
        query("sum(hubble_flows_processed_total)")?[0]["value"][1].as_str()?.parse::<f64>().ok().filter(|n| *n > 0.0)
    })?;
    assert!(flows > 0.0);
    Ok(())
}
