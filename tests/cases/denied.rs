//! A denied client shows everywhere: as DROPPED with the kernel's reason, its process and its cgroup; on the map; in
//! the metrics; on the drops page's data.

use anyhow::{Context, Result};
use demo::topology::{Topology, output};
use serde_json::Value;
use weir_tests::{DENY_POSTGRES, Place, SOON, Weir, binary, root};

#[test]
fn a_denied_client_shows_everywhere() -> Result<()> {
    if !root("denied") {
        return Ok(());
    }
    let mut topology = Topology::with_node("wdn", 92)?;
    let (client, server) = (topology.add("intruder", 2)?, topology.add("db", 3)?);
    server.nft(DENY_POSTGRES)?;
    let weir = Weir::start(&Place::Node(&topology), &[])?;
    let mut connect = client.command(binary("weir-demo")?);
    let target = format!("{}:5432", server.ip4);
    output(connect.args(["connect", &target, "--count", "2", "--timeout-ms", "300"]))?;

    // A process may be known a moment later than its drop.
    let dropped = "FROM flows WHERE verdict = 'DROPPED' AND dst_port = 5432 AND src_comm <> '' AND src_cgroup <> ''";
    demo::topology::wait_until("the drop is told", SOON, || {
        (weir.count(&format!("SELECT count(*) {dropped}")).ok()? > 0).then_some(())
    })?;
    let rows = weir.sql(&format!(
        "SELECT drop_reason, kernel_drop_reason, src_comm, src_cgroup, src_netns, kernel_drop_netns {dropped} LIMIT 1"
    ))?;
    let row: Vec<&str> = rows[0].iter().map(|v| v.as_str().unwrap_or("")).collect();
    assert_eq!(&row[..3], ["POLICY_DENIED", "NETFILTER_DROP", "weir-demo"], "{row:?}");
    assert!(row[3].ends_with("wdn.slice/intruder"), "cgroup {row:?}");
    assert_eq!(row[4..], ["wdn-intruder", "wdn-db"], "{row:?}");

    // The kernel tells of drops of the whole machine.
    let observe = ["observe", "--verdict", "DROPPED", "--port", "5432", "--last", "1"];
    let line = weir.flowctl(&[&observe[..], &["-o", "json"]].concat())?;
    assert!(line.contains("\"verdict\":\"DROPPED\"") && line.contains("POLICY_DENIED"), "{line}");
    let compact = weir.flowctl(&observe)?;
    assert!(compact.contains("Policy denied DROPPED (TCP Flags: SYN; NETFILTER_DROP)"), "{compact}");

    let map = weir.get("/api/v1/map")?;
    let edges = map["edges"].as_array().context("the map has no edges")?;
    let red = edges.iter().find(|e| e["port"] == 5432).context("the map has no edge to the database")?;
    assert!(red["dropped"].as_u64().unwrap_or(0) > 0 && red["drop_reason"] == "NETFILTER_DROP", "{red}");

    let drops = weir.get("/api/v1/drops")?;
    let groups = drops["groups"].as_array().context("there are no groups of drops")?;
    let client = |group: &Value| group["source"]["process"].as_str().is_some_and(|p| p.starts_with("weir-demo ("));
    let group = groups.iter().find(|group| group["port"] == 5432 && client(group));
    let group = group.with_context(|| format!("no group has the database's port and the client: {drops}"))?;
    assert_eq!(group["reason"], "NETFILTER_DROP", "{drops}");
    assert!(!matches!(&group["explanation"], Value::String(s) if s.is_empty()), "{group}");

    let metrics = weir.metrics("collector-metrics")?;
    assert!(
        metrics
            .lines()
            .any(|l| l.starts_with("hubble_drop_total{") && l.contains("POLICY_DENIED") && l.contains("TCP")),
        "no drop in the metrics"
    );
    Ok(())
}
