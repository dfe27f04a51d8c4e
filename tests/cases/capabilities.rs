//! The collector without root: the three capabilities that the README names.

use anyhow::{Context, Result};
use demo::topology::{Topology, output, wait_until};
use weir_tests::{DENY_POSTGRES, Place, SOON, Weir, binary, root};

/// What the README asks for where the collector is not root.
const THREE: [&str; 4] = ["setpriv", "--bounding-set=-all,+bpf,+perfmon,+net_admin", "--inh-caps=-all", "--"];

#[test]
fn three_capabilities_are_enough_to_see_traffic_and_drops() -> Result<()> {
    if !root("capabilities") {
        return Ok(());
    }
    let mut topology = Topology::with_node("wdc", 93)?;
    let (client, server) = (topology.add("client", 2)?, topology.add("db", 3)?);
    server.nft(DENY_POSTGRES)?;
    let weir = Weir::start_under(&Place::Node(&topology), &THREE, &[])?;
    let held = std::fs::read_to_string(format!("/proc/{}/status", weir.pid()))?;
    let held = held.lines().find_map(|line| line.strip_prefix("CapEff:")).context("there are no capabilities")?;
    // CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF by their numbers.
    assert_eq!(u64::from_str_radix(held.trim(), 16)?, 1 << 12 | 1 << 38 | 1 << 39);
    for port in [5432, 5433] {
        let target = format!("{}:{port}", server.ip4);
        let mut connect = client.command(binary("weir-demo")?);
        output(connect.args(["connect", &target, "--count", "2", "--timeout-ms", "300"]))?;
    }
    let seen = |what: &str| {
        let query = format!("SELECT count(*) FROM flows WHERE {what} AND ip_src = '{}'", client.ip4);
        wait_until(what, SOON, || (weir.count(&query).ok()? > 0).then_some(())).with_context(|| weir.log())
    };
    seen("verdict = 'DROPPED' AND dst_port = 5432 AND kernel_drop_reason = 'NETFILTER_DROP'")?;
    seen("verdict = 'FORWARDED' AND dst_port = 5433")
}
