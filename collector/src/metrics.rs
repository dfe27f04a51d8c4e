//! `/metrics` of the collector: Hubble's metrics of flows, and what the collector says of itself.

mod flows;
mod own;
mod series;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::Listener;
use connections::{Connection, Connections};
use prometheus_client::registry::Registry;
use proto::Exposition;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::config::MetricsConfig;
pub(crate) use flows::FlowMetrics;
pub(crate) use own::OwnMetrics;

/// Connections open at a time; a Prometheus has one.
const CONNECTIONS_MAX: usize = 64;

/// All metrics of a collector, to be served.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// Registers everything; the counters of flows go to the pipeline.
    pub(crate) fn new(own: OwnMetrics, config: &MetricsConfig) -> (Self, FlowMetrics) {
        let mut registry = Registry::default();
        let flows = FlowMetrics::new(&mut registry, config);
        registry.register_collector(Box::new(own));
        (Self { registry: Arc::new(registry) }, flows)
    }

    /// All metrics in this form.
    pub(crate) fn write(&self, form: Exposition) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("a String takes any text");
        form.of_open_metrics(text)
    }
}

/// Serves `/metrics` until `shutdown`.
///
/// # Errors
/// The listener failed.
pub(crate) async fn serve(listener: TcpListener, metrics: Metrics, shutdown: CancellationToken) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", get(scrape)).with_state(metrics);
    let page = Page(Connections::new(listener, CONNECTIONS_MAX, "metrics page"));
    axum::serve(page, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// The connections of scrapers.
struct Page(Connections<TcpListener>);

impl Listener for Page {
    type Io = Connection<Connection<TcpStream>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let connection = self.0.next().await;
            // A client that is gone again has no address.
            if let Ok(peer) = connection.stream().peer_addr() {
                return (Connection::prompt(connection), peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.door().local_addr()
    }
}

async fn scrape(State(metrics): State<Metrics>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = Exposition::negotiate(accept);
    ([(CONTENT_TYPE, form.content_type())], metrics.write(form))
}
