//! Our relay beside Hubble's: the same flows from the same collectors, asked by the same client on the same machine.
//!
//! `./dev bench relay` runs it. It prints, for each relay, flows a second to one client that asks for all flows and to
//! several that ask at once, the relay's processor time a flow, and its largest memory; for ours also the time to take a
//! flow in, pushed by collectors in batches and pulled from them as from Hubble's agents, which Hubble's relay does not
//! do because it keeps none. With the argument `intake` it prints that only.
#![expect(clippy::print_stdout, reason = "what was asked for")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use demo::topology::wait_until;
use prost::Message as _;
use proto::observer::GetFlowsRequest;
use proto::observer::observer_client::ObserverClient;
use proto::raw::{GET_FLOWS, RawCodec};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;
use weir_tests::{Collector, Program, fixture, relay, stock_relay};

/// Flows of each of the two nodes.
const FLOWS_PER_NODE: usize = 100_000;
/// Clients that ask at once: one, then as many as a few people with a user interface and a few exporters are.
const CLIENTS: [usize; 2] = [1, 8];
/// Rounds; the best counts, for other programs only ever slow one down.
const ROUNDS: usize = 3;
/// Time in which a round must end.
const DEADLINE: Duration = Duration::from_secs(300);
/// Ticks a second of the kernel's accounts (`getconf CLK_TCK`), the same on all Linux machines.
const TICKS_PER_SECOND: u32 = 100;

fn main() -> Result<()> {
    let tools = std::env::var_os("HUBBLE_BIN").map(PathBuf::from).context("HUBBLE_BIN names no hubble: ./dev bench")?;
    let folder = tempfile::tempdir()?;
    let (ours, ours_address) = relay("", folder.path())?;
    let started = cpu(ours.pid())?;
    let ring = format!("collector.ring.flows_max={}", FLOWS_PER_NODE * 2);
    let set = [ring, format!("collector.relay.address=http://{ours_address}")];
    let second = Collector::replay("node-b", &flows("node-b")?, folder.path(), &set)?;
    let peers = folder.path().join("peers.yaml");
    std::fs::write(&peers, format!("- {{name: node-b, address: '{}'}}\n", second.address))?;
    let file = format!("collector.observer.peers_file={}", peers.display());
    let first = Collector::replay("node-a", &flows("node-a")?, folder.path(), &[&set[..], &[file]].concat())?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let all = FLOWS_PER_NODE * 2;
    wait_until("our relay has all flows", DEADLINE, || {
        let seen = runtime.block_on(seen(&ours_address)).ok()?;
        (seen == all as u64).then_some(())
    })?;
    let taken_in = (cpu(ours.pid())? - started) / u32::try_from(all)?;
    let pulled = pull(&runtime, [&first.address, &second.address], all, folder.path())?;

    let [taken_in_us, pulled_us] = [taken_in, pulled].map(|time| time.as_secs_f64() * 1e6);
    println!("to take a flow in, weir relay: {taken_in_us:.2} µs pushed, {pulled_us:.2} µs pulled");
    if std::env::args().any(|argument| argument == "intake") {
        return Ok(());
    }

    let plain = ["--disable-client-tls", "--disable-server-tls"].map(str::to_owned);
    let service = format!("unix://{}", first.socket.display());
    let (stock, stock_address) = stock_relay(&tools.with_file_name("hubble-relay"), &service, folder.path(), &plain)?;
    wait_until("Hubble's relay reaches both nodes", DEADLINE, || {
        let seen = runtime.block_on(seen(&stock_address)).ok()?;
        (seen == all as u64).then_some(())
    })?;

    for clients in CLIENTS {
        let theirs = measure(&runtime, &stock, &stock_address, all, clients)?;
        let ours = measure(&runtime, &ours, &ours_address, all, clients)?;
        let once = taken_in / u32::try_from(clients)?;
        println!("{all} flows of two nodes to {clients} clients at once, best of {ROUNDS}");
        println!("hubble-relay  {theirs}");
        println!("weir relay    {ours}");
        println!(
            "ratios        flows a second {:.1}, processor time a flow {:.1}, with taking in {:.1}, memory {:.1}",
            ours.per_second / theirs.per_second,
            theirs.cpu_per_flow.as_secs_f64() / ours.cpu_per_flow.as_secs_f64(),
            theirs.cpu_per_flow.as_secs_f64() / (ours.cpu_per_flow + once).as_secs_f64(),
            theirs.memory_mib / ours.memory_mib
        );
    }
    Ok(())
}

/// Processor time of a relay of ours to take in a flow that it pulls from the nodes as from Hubble's agents.
fn pull(runtime: &Runtime, nodes: [&String; 2], all: usize, folder: &Path) -> Result<Duration> {
    let folder = folder.join("pulling");
    std::fs::create_dir(&folder)?;
    let [first, second] = nodes;
    let config = format!(
        "relay: {{ingest: {{peer_history_flows: {all}}}, \
         peers: [{{name: node-a, address: '{first}'}}, {{name: node-b, address: '{second}'}}]}}"
    );
    let (relay, address) = relay(&config, &folder)?;
    let started = cpu(relay.pid())?;
    wait_until("a relay has pulled all flows", DEADLINE, || {
        (runtime.block_on(seen(&address)).ok()? >= all as u64).then_some(())
    })?;
    Ok((cpu(relay.pid())? - started) / u32::try_from(all)?)
}

/// What a relay did.
struct Measured {
    per_second: f64,
    cpu_per_flow: Duration,
    memory_mib: f64,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cpu = self.cpu_per_flow.as_secs_f64() * 1e6;
        write!(f, "{:>9.0} flows/s, {cpu:.2} µs of processor a flow, {:.0} MiB", self.per_second, self.memory_mib)
    }
}

fn measure(runtime: &Runtime, relay: &Program, address: &str, flows: usize, clients: usize) -> Result<Measured> {
    let mut best: Option<(f64, Duration)> = None;
    for _ in 0..ROUNDS {
        let (before, begun) = (cpu(relay.pid())?, Instant::now());
        let got =
            runtime.block_on(async { tokio::time::timeout(DEADLINE, read_at_once(address, clients)).await })??;
        let (took, used) = (begun.elapsed().as_secs_f64(), cpu(relay.pid())? - before);
        ensure!(got == flows * clients, "{got} of {flows} flows came to {clients} clients from {address}");
        #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
        let per_second = got as f64 / took;
        if best.is_none_or(|(fastest, _)| per_second > fastest) {
            best = Some((per_second, used / u32::try_from(got)?));
        }
    }
    let (per_second, cpu_per_flow) = best.context("there is at least one round")?;
    Ok(Measured { per_second, cpu_per_flow, memory_mib: memory_mib(relay.pid())? })
}

async fn seen(address: &str) -> Result<u64> {
    let mut client = ObserverClient::connect(format!("http://{address}")).await?;
    Ok(client.server_status(proto::observer::ServerStatusRequest {}).await?.into_inner().seen_flows)
}

/// Reads all flows as several clients, each over a connection of its own.
async fn read_at_once(address: &str, clients: usize) -> Result<usize> {
    let mut reading = JoinSet::new();
    for _ in 0..clients {
        let address = address.to_owned();
        reading.spawn(async move { read_all(&address).await });
    }
    let mut flows = 0;
    while let Some(read) = reading.join_next().await {
        flows += read??;
    }
    Ok(flows)
}

/// Reads all flows without decoding them, so that the client costs as little as it can.
async fn read_all(address: &str) -> Result<usize> {
    const WINDOW_BYTES: u32 = 8 << 20;
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    let mut client = tonic::client::Grpc::new(endpoint.connect().await?);
    client.ready().await?;
    let request = GetFlowsRequest { first: true, ..GetFlowsRequest::default() };
    let request = tonic::Request::new(request.encode_to_vec().into());
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(GET_FLOWS);
    let mut stream = client.server_streaming(request, path, RawCodec).await?.into_inner();
    let mut flows = 0;
    while let Some(message) = stream.message().await? {
        flows += usize::from(is_flow(message)?);
    }
    Ok(flows)
}

/// Whether a response holds a flow, which is its field 1, and not the state of the nodes, which comes first.
fn is_flow(mut response: bytes::Bytes) -> Result<bool> {
    const FLOW: u32 = 1;
    while !response.is_empty() {
        let (number, kind) = prost::encoding::decode_key(&mut response)?;
        if number == FLOW {
            return Ok(true);
        }
        prost::encoding::skip_field(kind, number, &mut response, prost::encoding::DecodeContext::default())?;
    }
    Ok(false)
}

/// Flows of every kind, each with a time and an id of its own.
fn flows(node: &str) -> Result<String> {
    let text = std::fs::read_to_string(fixture("stock-flows.jsonl"))?;
    let kinds: Vec<serde_json::Value> =
        text.lines().filter(|l| l.starts_with("{\"flow\":")).map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut lines = String::new();
    for n in 0..FLOWS_PER_NODE {
        let mut line = kinds[n % kinds.len()].clone();
        let time = format!("2026-01-15T10:{:02}:{:02}.{:06}Z", n / 60_000 % 60, n / 1000 % 60, n % 1000 * 1000);
        for place in ["/flow/time", "/time"] {
            *line.pointer_mut(place).context("a line has times")? = time.clone().into();
        }
        line["flow"]["uuid"] =
            format!("{:08x}-0000-4000-8000-{:012x}", node.len() + usize::from(node.as_bytes()[5]), n).into();
        line["flow"]["node_name"] = node.into();
        line["node_name"] = node.into();
        writeln!(lines, "{line}")?;
    }
    Ok(lines)
}

/// Processor time of a process so far, its own and the kernel's for it.
fn cpu(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')').context("a name is in parentheses")?.1.split_whitespace().collect();
    let ticks: u32 = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
    Ok(Duration::from_secs(1) * ticks / TICKS_PER_SECOND)
}

/// Largest memory that a process has had resident, in MiB.
fn memory_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a process has memory")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}
