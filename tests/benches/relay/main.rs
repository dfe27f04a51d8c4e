//! Our relay beside Hubble's: the same flows from the same collectors, asked by the same client on the same machine.
//!
//! `./dev bench relay` runs it. It prints, for each relay and for clusters of several sizes that hold the same number of
//! flows, flows a second to one client that asks for all flows and to several that ask at once, the relay's processor
//! time a flow, its largest memory meanwhile, and what the nodes hold for their flows; for ours also the time to take a flow in, pushed by collectors in
//! batches and pulled from them as from Hubble's agents, which Hubble's relay does not do because it keeps none.
//! Arguments: numbers of nodes, or `intake` to print only the time to take a flow in.
#![expect(clippy::print_stdout, reason = "what was asked for")]

mod client;
mod nodes;
mod process;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use demo::topology::wait_until;
use tokio::runtime::Runtime;
use weir_tests::{Collector, Program, relay, stock_relay};

use client::{read_at_once, seen};
use process::{Memory, Peak, cpu, memory};

/// Flows of all nodes together.
const FLOWS: usize = 200_000;
/// Nodes of the clusters, where nothing else is asked for.
const NODES: [usize; 3] = [2, 16, 64];
/// Clients that ask at once: one, then as many as a few people with a user interface and a few exporters are.
const CLIENTS: [usize; 2] = [1, 8];
/// Rounds; the best counts, for other programs only ever slow one down.
const ROUNDS: usize = 3;
/// Time in which a round must end.
const DEADLINE: Duration = Duration::from_secs(300);
/// How often memory is looked at while a relay answers.
const SAMPLE: Duration = Duration::from_millis(5);

fn main() -> Result<()> {
    let tools = std::env::var_os("HUBBLE_BIN").map(PathBuf::from).context("HUBBLE_BIN names no hubble: ./dev bench")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| argument == "intake") {
        let folder = tempfile::tempdir()?;
        return Cluster::start(&runtime, NODES[0], folder.path())?.tell_intake(&runtime, folder.path());
    }
    let size =
        |nodes: &str| nodes.parse().with_context(|| format!("WEIR_BENCH_NODES: {nodes:?} is no number of nodes"));
    let words = arguments.iter().flat_map(|argument| argument.split([',', ' '])).filter(|word| !word.is_empty());
    let mut sizes: Vec<usize> = words.map(size).collect::<Result<_>>()?;
    if sizes.is_empty() {
        sizes = NODES.to_vec();
    }
    for nodes in sizes {
        let folder = tempfile::tempdir()?;
        let cluster = Cluster::start(&runtime, nodes, folder.path())?;
        println!("\n{} flows of {nodes} nodes, best of {ROUNDS} rounds", cluster.flows);
        cluster.tell_intake(&runtime, folder.path())?;
        cluster.compare(&runtime, &tools.with_file_name("hubble-relay"), folder.path())?;
    }
    Ok(())
}

/// Collectors, and our relay that has taken in what they hold.
struct Cluster {
    relay: Program,
    address: String,
    collectors: Vec<Collector>,
    /// Flows of all nodes.
    flows: usize,
    /// Memory of the relay before the first flow.
    empty: Memory,
    /// Processor time of the relay to take a flow in.
    taken_in: Duration,
}

impl Cluster {
    fn start(runtime: &Runtime, nodes: usize, folder: &Path) -> Result<Self> {
        let (relay, address) = relay("", folder)?;
        let (started, empty) = (cpu(relay.pid())?, memory(relay.pid())?);
        let collectors = nodes::start(nodes, FLOWS / nodes, &address, folder)?;
        let flows = FLOWS / nodes * nodes;
        wait_for_flows(runtime, "our relay", &address, flows)?;
        let taken_in = (cpu(relay.pid())? - started) / u32::try_from(flows)?;
        Ok(Self { relay, address, collectors, flows, empty, taken_in })
    }

    /// Tells what our relay uses to take a flow in, pushed as it was, and pulled from the nodes as from Hubble's agents by
    /// another one.
    fn tell_intake(&self, runtime: &Runtime, folder: &Path) -> Result<()> {
        let folder = folder.join("pulling");
        std::fs::create_dir(&folder)?;
        let peers = self.collectors.iter().enumerate();
        let peers: Vec<_> = peers.map(|(n, node)| format!("{{name: node-{n}, address: '{}'}}", node.address)).collect();
        let flows = self.flows;
        let (relay, address) = relay(
            &format!("relay: {{ingest: {{peer_history_flows: {flows}}}, peers: [{}]}}", peers.join(", ")),
            &folder,
        )?;
        let started = cpu(relay.pid())?;
        wait_for_flows(runtime, "a relay that pulls", &address, flows)?;
        let pulled = (cpu(relay.pid())? - started) / u32::try_from(flows)?;
        let [pushed, pulled] = [self.taken_in, pulled].map(|time| time.as_secs_f64() * 1e6);
        println!("to take a flow in, weir relay: {pushed:.2} µs pushed, {pulled:.2} µs pulled");
        let holding = (memory(self.relay.pid())?, memory(relay.pid())?);
        println!("weir relay, empty: {}; with all flows: {} pushed, {} pulled", self.empty, holding.0, holding.1);
        Ok(())
    }

    /// Asks Hubble's relay in front of the same nodes, and ours.
    fn compare(&self, runtime: &Runtime, hubble_relay: &Path, folder: &Path) -> Result<()> {
        let plain = ["--disable-client-tls", "--disable-server-tls"].map(str::to_owned);
        let service = format!("unix://{}", self.collectors[0].socket.display());
        let (stock, stock_address) = stock_relay(hubble_relay, &service, folder, &plain)?;
        wait_for_flows(runtime, "Hubble's relay", &stock_address, self.flows)?;
        println!("hubble-relay, connected to all nodes: {}", memory(stock.pid())?);
        let nodes = self.collectors.len();
        let agents = nodes::agents(runtime, &hubble_relay.with_file_name("hubble-agent"), nodes, self.flows / nodes)?;
        let collectors = nodes::collectors(runtime, &self.collectors, folder)?;
        println!("for their flows Hubble's agents hold {agents:.0} MiB, weir collectors {collectors:.0}");
        for clients in CLIENTS {
            let theirs = measure(runtime, &stock, &stock_address, self.flows, clients)?;
            let ours = measure(runtime, &self.relay, &self.address, self.flows, clients)?;
            let once = self.taken_in / u32::try_from(clients)?;
            let (all_of_theirs, all_of_ours) = (theirs.memory.whole_mib + agents, ours.memory.whole_mib + collectors);
            println!("to {clients} clients at once");
            println!("  hubble-relay  {theirs}");
            println!("  weir relay    {ours}");
            println!(
                "  ratios        flows a second {:.1}, processor time a flow {:.1}, with taking in {:.1}, memory {:.2}, \
                 anonymous {:.2}",
                ours.per_second / theirs.per_second,
                theirs.cpu_per_flow.as_secs_f64() / ours.cpu_per_flow.as_secs_f64(),
                theirs.cpu_per_flow.as_secs_f64() / (ours.cpu_per_flow + once).as_secs_f64(),
                theirs.memory.whole_mib / ours.memory.whole_mib,
                theirs.memory.anonymous_mib / ours.memory.anonymous_mib,
            );
            println!(
                "  with flows    {all_of_theirs:.0} MiB of the relay and for the flows of its nodes, {all_of_ours:.0}, \
                 ratio {:.1}",
                all_of_theirs / all_of_ours,
            );
        }
        Ok(())
    }
}

fn wait_for_flows(runtime: &Runtime, who: &str, address: &str, flows: usize) -> Result<()> {
    wait_until(&format!("{who} has or reaches all flows"), DEADLINE, || {
        (runtime.block_on(seen(address)).ok()? >= flows as u64).then_some(())
    })
}

/// What a relay did.
struct Measured {
    per_second: f64,
    cpu_per_flow: Duration,
    memory: Memory,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cpu = self.cpu_per_flow.as_secs_f64() * 1e6;
        write!(f, "{:>9.0} flows/s, {cpu:.2} µs of processor a flow, {}", self.per_second, self.memory)
    }
}

fn measure(runtime: &Runtime, relay: &Program, address: &str, flows: usize, clients: usize) -> Result<Measured> {
    let mut best: Option<(f64, Duration)> = None;
    let mut peak = Peak::begin(relay.pid())?;
    for _ in 0..ROUNDS {
        let (before, begun) = (cpu(relay.pid())?, Instant::now());
        let reading = runtime.spawn(read_to_end(address.to_owned(), clients));
        while !reading.is_finished() {
            peak.sample()?;
            runtime.block_on(async { tokio::time::sleep(SAMPLE).await });
        }
        let (got, ended) = runtime.block_on(reading)??;
        let used = cpu(relay.pid())? - before;
        ensure!(got == flows * clients, "{got} of {flows} flows came to {clients} clients from {address}");
        #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
        let per_second = got as f64 / ended.duration_since(begun).as_secs_f64();
        if best.is_none_or(|(fastest, _)| per_second > fastest) {
            best = Some((per_second, used / u32::try_from(got)?));
        }
    }
    let (per_second, cpu_per_flow) = best.context("there is at least one round")?;
    Ok(Measured { per_second, cpu_per_flow, memory: peak.end()? })
}

/// Gives how many flows came, and when the last did.
async fn read_to_end(address: String, clients: usize) -> Result<(usize, Instant)> {
    let flows = tokio::time::timeout(DEADLINE, read_at_once(&address, clients)).await??;
    Ok((flows, Instant::now()))
}
