//! `weir-demo`: opens the shop, and is every program in it that is not a server off the shelf.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use demo::{api, shop::Shop, topology::Topology, traffic};
use tokio::signal::unix::{SignalKind, signal};

/// How often the supervisor looks whether a part of the shop has ended.
const WATCH: Duration = Duration::from_secs(1);
/// Pause between two rounds of a client: some ten requests a second in all.
const ROUND: Duration = Duration::from_millis(400);

#[derive(Parser)]
#[command(about = "A small shop in network namespaces that makes real traffic", version)]
struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Open the shop and keep it open until SIGINT or SIGTERM; needs root.
    Shop,
    /// Remove what a killed shop left behind.
    Clean,
    /// Serve the shop's API.
    Api {
        /// Address to serve on.
        #[arg(long)]
        listen: SocketAddr,
        /// URL of Redis.
        #[arg(long)]
        redis: String,
        /// Connection string of PostgreSQL.
        #[arg(long)]
        postgres: String,
    },
    /// Be one of the shop's clients: shopper, intruder or typo.
    Client {
        /// Which client.
        kind: String,
        /// What it talks to.
        target: String,
    },
    /// Send exactly this many requests.
    Http {
        /// URL to get.
        url: String,
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Use one connection for all.
        #[arg(long)]
        keep_alive: bool,
        /// POST a body of this many bytes over one connection, instead of GET.
        #[arg(long, default_value_t = 0)]
        body_bytes: usize,
    },
    /// Answer HTTP requests with the number of bytes of their bodies.
    HttpCount {
        /// Address to serve on.
        listen: SocketAddr,
    },
    /// Open exactly this many TCP connections.
    Connect {
        /// Address and port.
        address: SocketAddr,
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Longest wait for each, in milliseconds.
        #[arg(long, default_value_t = 500)]
        timeout_ms: u64,
    },
    /// Send exactly this many datagrams and wait for the echo of each.
    Udp {
        /// Address and port.
        address: SocketAddr,
        /// How many.
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Payload bytes of each.
        #[arg(long, default_value_t = 100)]
        bytes: usize,
    },
    /// Send this many bytes over one TCP connection.
    Send {
        /// Address and port.
        address: SocketAddr,
        /// How many bytes.
        #[arg(long)]
        bytes: usize,
    },
    /// Echo datagrams.
    UdpEcho {
        /// Address to serve on.
        listen: SocketAddr,
    },
    /// Accept TCP connections and read them to their end.
    TcpSink {
        /// Address to serve on.
        listen: SocketAddr,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Args::parse().role {
        Role::Shop => open_shop().await,
        Role::Clean => {
            Topology::clean(demo::shop::PREFIX);
            Ok(())
        }
        Role::Api { listen, redis, postgres } => api::serve(listen, &redis, &postgres).await,
        Role::Client { kind, target } => client(&kind, &target).await,
        Role::Http { url, count, keep_alive, body_bytes: 0 } => report(traffic::http_get(&url, count, keep_alive)?),
        Role::Http { url, count, body_bytes, .. } => report(traffic::http_post(&url, count, body_bytes)?),
        Role::HttpCount { listen } => api::serve_count(listen).await,
        Role::Connect { address, count, timeout_ms } => {
            report(traffic::tcp_connect(address, count, Duration::from_millis(timeout_ms))?)
        }
        Role::Udp { address, count, bytes } => report(traffic::udp_echo(address, count, bytes)?),
        Role::Send { address, bytes } => report(traffic::tcp_send(address, bytes)?),
        Role::UdpEcho { listen } => traffic::serve_udp_echo(listen),
        Role::TcpSink { listen } => traffic::serve_tcp_sink(listen),
    }
}

async fn open_shop() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut shop = Shop::open()?;
    say("the shop is open: shopper, web, api, cache, db, dns; intruder is denied, typo asks for wrong names");
    let mut watch = tokio::time::interval(WATCH);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = watch.tick() => {
                if let Some(name) = shop.ended() {
                    bail!("{name} has ended by itself; its log is in {}", std::env::temp_dir().join("weir-demo").display());
                }
            }
        }
    }
    drop(shop);
    say("the shop is closed and cleaned up");
    Ok(())
}

async fn client(kind: &str, target: &str) -> Result<()> {
    let mut pace = tokio::time::interval(ROUND);
    for round in 0u64.. {
        pace.tick().await;
        match kind {
            "shopper" => {
                traffic::http_get(&format!("{target}/"), 1, false)?;
                traffic::http_get(&format!("{target}/api/items/{}", round % 50 + 1), 1, false)?;
                if round.is_multiple_of(3) {
                    order(&format!("{target}/api/orders"));
                }
                if round.is_multiple_of(10) {
                    traffic::http_get(&format!("{target}/api/items/999"), 1, false)?;
                }
            }
            "intruder" if round.is_multiple_of(5) => {
                let address = target.to_socket_addrs().context("the intruder cannot resolve its target")?.next();
                let address = address.context("the intruder's target has no address")?;
                traffic::tcp_connect(address, 1, Duration::from_millis(1500))?;
            }
            // The answer is that there is no such name; asking is the point.
            "typo" if round.is_multiple_of(4) => drop((target, 443).to_socket_addrs()),
            "intruder" | "typo" => {}
            other => bail!("there is no client {other:?}: choose shopper, intruder or typo"),
        }
    }
    Ok(())
}

/// Places an order; a failed payment is part of the play.
fn order(url: &str) {
    drop(ureq::post(url).send_empty());
}

fn report(tally: traffic::Tally) -> Result<()> {
    say(&format!("sent={} answered={} failed={}", tally.sent, tally.answered, tally.failed));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a program for people to read")]
fn say(text: &str) {
    println!("{text}");
}
