//! The pages in a real Chromium, over a real Weir that watches real traffic.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use demo::topology::{Running, Topology, output, wait_until};
use weir_tests::{Place, SOON, Weir, binary, installed, root};

const DENY: &str = "
table inet deny {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport 5432 drop
  }
}
";

#[test]
fn pages_show_real_traffic() -> Result<()> {
    if !root("browser") || !installed("browser", "chromium") || !installed("browser", "npm") {
        return Ok(());
    }
    let mut topology = Topology::with_node("wbr", 94)?;
    let (client, server) = (topology.add("client", 2)?, topology.add("server", 3)?);
    server.nft(DENY)?;
    let weir = Weir::start(&Place::Node(&topology), &[])?;
    let mut echo = server.command(binary("weir-demo")?);
    let _echo = Running::start("udp echo", echo.args(["udp-echo", "[::]:9000"]))?;
    // Traffic goes on while the pages are looked at, which takes minutes on a busy machine.
    let script = format!(
        "for i in $(seq 5000); do {demo} udp {ip}:9000 --count 5 >/dev/null; {demo} connect {ip}:5432 --timeout-ms 200 >/dev/null; done",
        demo = binary("weir-demo")?.display(),
        ip = server.ip4
    );
    let mut traffic = client.command("sh");
    let _traffic = Running::start("traffic", traffic.args(["-c", &script]))?;
    wait_until("a drop is told", SOON, || {
        (weir.count("SELECT count(*) FROM flows WHERE verdict = 'DROPPED'").ok()? > 0).then_some(())
    })?;

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    if !folder.join("node_modules").exists() {
        output(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    }
    let shots = tempfile::tempdir()?;
    let mut node = weir.command(Path::new("node"));
    node.arg(folder.join("check.mjs")).arg(format!("http://{}", weir.address("ui")));
    node.args(["--services", "wbr-client,wbr-server", "--shots"]).arg(shots.path());
    let told = node.output()?;
    if !told.status.success() {
        bail!("{}\n{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    }
    Ok(())
}
