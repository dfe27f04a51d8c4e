//! Running the parts until a signal asks them to stop, and stopping them in order.

use std::path::PathBuf;

use anyhow::{Context, Result};
use collector::config::SourceKind;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::cli::Part;
use crate::join::{Way, reachable};
use crate::settings::Settings;

/// Runs `part` until SIGINT or SIGTERM, or until it fails.
///
/// # Errors
/// A part could not start, failed, or did not stop in time.
pub(crate) async fn run(part: Part, settings: Settings) -> Result<()> {
    let shutdown = CancellationToken::new();
    let signals = tokio::spawn(cancel_on_signal(shutdown.clone()));
    let ended = match part {
        Part::Collector => run_collector(settings.collector, shutdown).await,
        Part::Relay => run_relay(settings.relay, shutdown).await,
        Part::Both => run_both(settings, shutdown).await,
    };
    signals.abort();
    ended
}

async fn run_collector(config: collector::Config, shutdown: CancellationToken) -> Result<()> {
    let running = collector::start(config, shutdown).await?;
    Ok(running.wait().await?)
}

async fn run_relay(config: relay_server::Config, shutdown: CancellationToken) -> Result<()> {
    let running = relay_server::start(config, shutdown).await?;
    Ok(running.wait().await?)
}

/// The relay starts first and stops last, so that the collector's last flows still find it.
async fn run_both(mut settings: Settings, shutdown: CancellationToken) -> Result<()> {
    let way = Way::of(&settings)?;
    way.rehearse(&settings).await?;
    let clients = Clients::of(&settings);
    let relay_shutdown = CancellationToken::new();
    let relay = relay_server::start(settings.relay, relay_shutdown.clone()).await?;
    let (grpc, http, metrics) = (relay.grpc_addr(), relay.http_addr(), relay.metrics_addr());
    let flight_sql = relay.flight_sql_addr();
    if let Some(address) = way.address(grpc) {
        settings.collector.relay.address = Some(address);
    }
    let source = settings.collector.source.kind;
    let collector = match collector::start(settings.collector, shutdown.clone()).await {
        Ok(collector) => collector,
        Err(error) => {
            relay_shutdown.cancel();
            relay.wait().await?;
            return Err(offer_files(error, source));
        }
    };
    greet(&Greeting {
        ui: reachable(http),
        grpc: reachable(grpc),
        observer: collector.observer.map(reachable),
        flight_sql: flight_sql.map(reachable),
        metrics: [collector.metrics.map(reachable), metrics.map(reachable)],
        clients,
    });

    // A relay that fails takes the collector with it; a collector that ends lets the relay finish what it has.
    let mut relay = tokio::spawn(relay.wait());
    let mut collector = tokio::spawn(collector.wait());
    let collected = tokio::select! {
        ended = &mut collector => ended,
        ended = &mut relay => {
            shutdown.cancel();
            let collected = collector.await;
            ended.context("the relay ended by a panic, which is a bug")??;
            return Ok(collected.context("the collector ended by a panic, which is a bug")??);
        }
    };
    relay_shutdown.cancel();
    let relayed = relay.await;
    collected.context("the collector ended by a panic, which is a bug")??;
    relayed.context("the relay ended by a panic, which is a bug")??;
    info!("stopped");
    Ok(())
}

/// Where the kernel cannot be observed, files still can.
fn offer_files(error: collector::StartError, source: SourceKind) -> anyhow::Error {
    let is_refused = matches!(error, collector::StartError::Source(_) | collector::StartError::Names(_));
    let error = anyhow::Error::new(error);
    if is_refused && source == SourceKind::Kernel {
        error.context(
            "the collector could not start; without privileges try `weir up --replay FILE` (Hubble JSON lines, - for \
             standard input) or `weir up --pcap FILE`, and `weir doctor` to see what is missing",
        )
    } else {
        error
    }
}

struct Greeting {
    ui: std::net::SocketAddr,
    grpc: std::net::SocketAddr,
    observer: Option<std::net::SocketAddr>,
    flight_sql: Option<std::net::SocketAddr>,
    metrics: [Option<std::net::SocketAddr>; 2],
    clients: Clients,
}

/// What clients of the relay need to know of its TLS.
struct Clients {
    /// Flags of `flowctl` that say whom to trust; `None` where the gRPC port has no TLS.
    grpc_flags: Option<String>,
    flight_sql_scheme: &'static str,
}

impl Clients {
    fn of(settings: &Settings) -> Self {
        let trusted = settings.collector.relay.tls.clone().unwrap_or_default();
        let file = |flag: &'static str| move |file: &PathBuf| format!(" --tls-{flag} {}", file.display());
        let files = trusted.ca_files.iter().map(file("ca-cert-files"));
        let shown = trusted.cert_file.iter().map(file("client-cert-file"));
        let key = trusted.key_file.iter().map(file("client-key-file"));
        let name = trusted.server_name.iter().map(|name| format!(" --tls-server-name {name}"));
        Self {
            grpc_flags: settings.relay.grpc.tls.as_ref().map(|_| files.chain(shown).chain(key).chain(name).collect()),
            flight_sql_scheme: if settings.relay.flight_sql.tls.is_some() { "grpc+tls" } else { "grpc" },
        }
    }
}

#[expect(clippy::print_stdout, reason = "what a person who typed `weir up` wants to know")]
fn greet(at: &Greeting) {
    let port = at.ui.port();
    let http = if port == 12000 { String::new() } else { format!(" --http-server http://{}", at.ui) };
    let server = match &at.clients.grpc_flags {
        Some(flags) => format!(" --server tls://{}{flags}", at.grpc),
        None if at.grpc.port() == 4245 => String::new(),
        None => format!(" --server {}", at.grpc),
    };
    println!("\n  Weir is up.\n");
    println!("  Web UI              http://{}", at.ui);
    println!("  Hubble API (relay)  {}", at.grpc);
    if let Some(observer) = at.observer {
        println!("  Hubble API (node)   {observer}");
    }
    if let Some(flight_sql) = at.flight_sql {
        println!("  Flight SQL          {}://{flight_sql}", at.clients.flight_sql_scheme);
    }
    for (name, address) in ["collector", "relay"].iter().zip(at.metrics) {
        if let Some(address) = address {
            println!("  Metrics             http://{address}/metrics ({name})");
        }
    }
    println!("\n  Try:");
    println!("    flowctl observe --follow{server}");
    println!("    flowctl observe --verdict DROPPED --last 20 -o wide{server}");
    println!(
        "    flowctl sql \"SELECT src_workload, dst_workload, count(*) AS flows FROM flows GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10\"{http}\n"
    );
}

async fn cancel_on_signal(shutdown: CancellationToken) -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => info!("SIGINT: stopping"),
        _ = terminate.recv() => info!("SIGTERM: stopping"),
    }
    shutdown.cancel();
    Ok(())
}
