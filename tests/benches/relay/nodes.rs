//! The nodes of a cluster, whose collectors hold flows of every kind.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use demo::topology::wait_until;
use tokio::runtime::Runtime;
use weir_tests::{Collector, StockAgent, fixture};

use crate::process::memory;
use crate::{DEADLINE, client};

/// Time in which programs give back what they do not need: Go's runtime and our collectors do so by themselves.
const CALM: Duration = Duration::from_secs(4);

/// Starts collectors of `nodes` nodes that hold `flows` flows each and push them to a relay. The first tells of all.
pub(crate) fn start(nodes: usize, flows: usize, relay_address: &str, folder: &Path) -> Result<Vec<Collector>> {
    let ring = format!("collector.ring.flows_max={}", flows * 2);
    let set = [ring, format!("collector.relay.address=http://{relay_address}")];
    let mut others = Vec::new();
    let mut peers = String::new();
    for node in 1..nodes {
        let collector = Collector::replay(&name(node), &lines(node, flows)?, folder, &set)?;
        writeln!(peers, "- {{name: {}, address: '{}'}}", name(node), collector.address)?;
        others.push(collector);
    }
    let file = folder.join("peers.yaml");
    std::fs::write(&file, if peers.is_empty() { "[]".to_owned() } else { peers })?;
    let file = format!("collector.observer.peers_file={}", file.display());
    let first = Collector::replay(&name(0), &lines(0, flows)?, folder, &[&set[..], &[file]].concat())?;
    others.insert(0, first);
    Ok(others)
}

/// Anonymous memory that flows cost Hubble's own agents, in MiB of all of them: what they have with `flows` each beyond
/// what they had with none. One holds 65,535 at most; for more it is reckoned.
pub(crate) fn agents(runtime: &Runtime, program: &Path, nodes: usize, flows: usize) -> Result<f64> {
    const HELD_MAX: usize = 65_535;
    let held = flows.min(HELD_MAX);
    // A ring of Hubble's has a size of this form.
    let capacity = (held + 1).next_power_of_two() - 1;
    let start = |node| StockAgent::with_capacity(program, &name(node), capacity);
    let mut agents: Vec<StockAgent> = (0..nodes).map(start).collect::<Result<_>>()?;
    let before = anonymous(runtime, &agents)?;
    for (node, agent) in agents.iter_mut().enumerate() {
        agent.feed(&lines(node, held)?)?;
        wait_until("an agent of Hubble's holds all flows", DEADLINE, || {
            (runtime.block_on(client::held(&agent.address)).ok()? >= held as u64).then_some(())
        })?;
    }
    let grown = anonymous(runtime, &agents)? - before;
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
    let reckoned = flows as f64 / held as f64;
    Ok(grown * reckoned)
}

/// Anonymous memory of all agents in MiB, once they are calm.
fn anonymous(runtime: &Runtime, agents: &[StockAgent]) -> Result<f64> {
    calm(runtime);
    agents.iter().map(|agent| Ok(memory(agent.pid())?.anonymous_mib)).sum()
}

/// The same of these collectors, with all they have to send flows on.
pub(crate) fn collectors(runtime: &Runtime, collectors: &[Collector], folder: &Path) -> Result<f64> {
    let folder = folder.join("empty");
    std::fs::create_dir(&folder)?;
    let empty = Collector::replay("empty", &lines(0, 1)?, &folder, &[])?;
    calm(runtime);
    let before = memory(empty.program.pid())?.anonymous_mib;
    let mut grown = 0.0;
    for collector in collectors {
        grown += memory(collector.program.pid())?.anonymous_mib - before;
    }
    Ok(grown)
}

fn calm(runtime: &Runtime) {
    runtime.block_on(async { tokio::time::sleep(CALM).await });
}

fn name(node: usize) -> String {
    format!("node-{node}")
}

/// Flows of every kind, each with a time and an id of its own.
fn lines(node: usize, flows: usize) -> Result<String> {
    let text = std::fs::read_to_string(fixture("stock-flows.jsonl"))?;
    let kinds: Vec<serde_json::Value> =
        text.lines().filter(|l| l.starts_with("{\"flow\":")).map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut lines = String::new();
    for n in 0..flows {
        let mut line = kinds[n % kinds.len()].clone();
        let time = format!("2026-01-15T10:{:02}:{:02}.{:06}Z", n / 60_000 % 60, n / 1000 % 60, n % 1000 * 1000);
        for place in ["/flow/time", "/time"] {
            *line.pointer_mut(place).context("a line has times")? = time.clone().into();
        }
        line["flow"]["uuid"] = format!("{node:08x}-0000-4000-8000-{n:012x}").into();
        line["flow"]["node_name"] = name(node).into();
        line["node_name"] = name(node).into();
        writeln!(lines, "{line}")?;
    }
    Ok(lines)
}
