//! Our relay over Hubble's own server: the observer, ring, filters and peer service of a Cilium agent.

use std::collections::HashSet;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use demo::topology::{output, wait_until};
use weir_tests::{SOON, StockAgent, hubble, relay, stock_tool};

/// The ring of an agent shows an event once the next one has come, so each feed is one flow ahead of what is expected.
const AHEAD: u32 = 1;

/// After a break the relay waits up to a minute between two attempts.
const AGAIN: Duration = Duration::from_secs(150);

/// Feeds a node's flows up to `to`, from where the feed before ended.
fn feed(agent: &mut StockAgent, node: &str, from: u32, to: u32) -> Result<()> {
    let from = if from == 0 { 0 } else { from + AHEAD };
    agent.feed(&text(&lines(node, from..to + AHEAD)))
}

/// Flows of a node, numbered by their source ports; of three in a row one has no id, as old agents send them, one has
/// any text and one a UUID, as new agents send them.
fn lines(node: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    let line = |n: u32| {
        let time = format!("2026-01-15T10:{:02}:{:02}.{:03}Z", n / 600, n / 10 % 60, n % 10 * 100 + 1);
        let number: u32 = node.bytes().map(u32::from).sum();
        let uuid = match n % 3 {
            0 => String::new(),
            1 => format!("\"uuid\":\"{node}-{n}\","),
            _ => format!("\"uuid\":\"{number:08x}-0000-4000-8000-{n:012x}\","),
        };
        format!(
            "{{\"flow\":{{\"time\":\"{time}\",{uuid}\"verdict\":\"FORWARDED\",\"IP\":{{\"source\":\"10.0.0.1\",\
             \"destination\":\"10.0.0.2\",\"ipVersion\":\"IPv4\"}},\"l4\":{{\"TCP\":{{\"source_port\":{n},\
             \"destination_port\":80}}}},\"source\":{{\"namespace\":\"shop\",\"pod_name\":\"web-{n}\"}},\"Type\":\
             \"L3_L4\",\"node_name\":\"{node}\",\"event_type\":{{\"type\":4}},\"traffic_direction\":\"EGRESS\",\
             \"is_reply\":false}},\"node_name\":\"{node}\",\"time\":\"{time}\"}}"
        )
    };
    numbers.map(|n| line(n + 1)).collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Asks our relay by the stock client.
fn ask(hubble: &Path, server: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new(hubble);
    output(command.args(args).args(["--server", server]).env_remove("HUBBLE_SERVER"))
}

/// Waits until the relay has exactly these flows.
fn await_flows(hubble: &Path, server: &str, expected: &[Vec<String>]) -> Result<()> {
    await_flows_within(SOON, hubble, server, expected)
}

fn await_flows_within(deadline: Duration, hubble: &Path, server: &str, expected: &[Vec<String>]) -> Result<()> {
    let mut expected = expected.concat();
    expected.sort();
    let mut told = Vec::new();
    let waited = wait_until("the relay has the flows of all agents", deadline, || {
        told = ask(hubble, server, &["observe", "--all", "-o", "jsonpb"]).ok()?.lines().map(str::to_owned).collect();
        told.sort();
        (told.len() >= expected.len()).then_some(())
    });
    waited.with_context(|| format!("{} of {} flows came", told.len(), expected.len()))?;
    let unique: HashSet<&String> = told.iter().collect();
    ensure!(unique.len() == told.len(), "a flow came twice");
    let different = told.iter().zip(&expected).find(|(told, expected)| told != expected);
    ensure!(different.is_none() && told.len() == expected.len(), "what came is not what was sent: {different:?}");
    Ok(())
}

/// A way to a server that can be cut.
struct Cable {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cut: bool,
    open: Vec<TcpStream>,
}

impl Cable {
    fn to(server: SocketAddr, listen: &str) -> Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let (address, state) = (listener.local_addr()?, Arc::new(Mutex::new(State::default())));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mut state = shared.lock().expect("nothing panics while it is held");
                let Ok(server) = TcpStream::connect(server) else { continue };
                if state.cut {
                    continue;
                }
                let pairs = [(client.try_clone(), server.try_clone()), (server.try_clone(), client.try_clone())];
                for (from, to) in pairs {
                    if let (Ok(from), Ok(to)) = (from, to) {
                        std::thread::spawn(move || copy(from, to));
                    }
                }
                state.open.extend([client, server]);
            }
        });
        Ok(Self { address, state })
    }

    fn set_cut(&self, cut: bool) {
        let mut state = self.state.lock().expect("nothing panics while it is held");
        state.cut = cut;
        for stream in state.open.drain(..) {
            // The other side may be gone already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(&buffer[..count])?;
    }
}

#[test]
fn peers_come_by_notification_and_a_break_leaves_neither_gap_nor_repeat() -> Result<()> {
    let (Some(hubble), Some(program)) = (hubble("stock_agent"), stock_tool("stock_agent", "hubble-agent")) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("hubble.sock");
    let mut a = StockAgent::start(&program, "a", "127.0.0.1:0", Some(&socket))?;
    let port = a.address.rsplit_once(':').context("an address has a port")?.1.to_owned();
    let mut b = StockAgent::start(&program, "b", "127.0.0.1:0", None)?;
    // The peer service gives all nodes one port, so b is told of at another address of this machine.
    let cable = Cable::to(b.address.parse()?, &format!("127.0.0.2:{port}"))?;
    ensure!(cable.address.ip().is_loopback(), "a cable stays on this machine");
    a.feed("{\"node\":{\"op\":\"add\",\"name\":\"b\",\"ip\":\"127.0.0.2\"}}\n")?;
    feed(&mut a, "a", 0, 100)?;
    feed(&mut b, "b", 0, 100)?;

    let config = format!("relay: {{peer_services: [{{address: 'unix://{}'}}]}}\n", socket.display());
    let (relay, server) = relay(&config, folder.path())?;
    await_flows(&hubble, &server, &[lines("a", 0..100), lines("b", 0..100)])?;
    let nodes = ask(&hubble, &server, &["list", "nodes"])?;
    ensure!(nodes.matches("Connected").count() == 2, "{nodes}");

    // What b sees while it cannot be reached is fetched afterwards, and nothing else.
    cable.set_cut(true);
    wait_until("the break is noticed", SOON, || {
        ask(&hubble, &server, &["list", "nodes"]).ok().filter(|nodes| nodes.contains("Unavailable"))
    })?;
    feed(&mut b, "b", 100, 250)?;
    feed(&mut a, "a", 100, 150)?;
    await_flows(&hubble, &server, &[lines("a", 0..150), lines("b", 0..100)])?;
    cable.set_cut(false);
    await_flows_within(AGAIN, &hubble, &server, &[lines("a", 0..150), lines("b", 0..250)])
        .with_context(|| relay.log())?;
    feed(&mut b, "b", 250, 260)?;
    await_flows(&hubble, &server, &[lines("a", 0..150), lines("b", 0..260)])?;

    // A node that leaves the cluster is no longer asked, and its flows stay.
    a.feed("{\"node\":{\"op\":\"delete\",\"name\":\"b\",\"ip\":\"127.0.0.2\"}}\n")?;
    wait_until("b is gone", SOON, || {
        ask(&hubble, &server, &["list", "nodes"]).ok().filter(|nodes| nodes.matches("Connected").count() == 1)
    })?;
    await_flows(&hubble, &server, &[lines("a", 0..150), lines("b", 0..260)])
}

#[test]
fn losses_of_an_agent_reach_the_client() -> Result<()> {
    let (Some(hubble), Some(program)) = (hubble("stock_agent"), stock_tool("stock_agent", "hubble-agent")) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut agent = StockAgent::start(&program, "a", "127.0.0.1:0", None)?;
    // Before anybody asks: a reader of an empty ring of an agent gets nothing at all.
    feed(&mut agent, "a", 0, 5)?;
    let config = format!("relay: {{peers: [{{name: a, address: '{}'}}]}}\n", agent.address);
    let (_relay, server) = relay(&config, folder.path())?;
    await_flows(&hubble, &server, &[lines("a", 0..5)])?;
    agent.feed(
        "{\"lost_events\":{\"source\":\"PERF_EVENT_RING_BUFFER\",\"num_events_lost\":\"17\",\"cpu\":0},\"node_name\":\
         \"a\",\"time\":\"2026-01-15T10:00:01Z\"}\n",
    )?;
    feed(&mut agent, "a", 5, 6)?;
    wait_until("the loss is told", SOON, || {
        let told = ask(&hubble, &server, &["observe", "--all"]).ok()?;
        told.contains("EVENTS LOST: PERF_EVENT_RING_BUFFER").then_some(())
    })
}
