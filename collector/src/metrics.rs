//! `/metrics` of the collector: Hubble's metrics of flows, and what the collector says of itself.

mod flows;
mod own;
mod series;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use proto::Exposition;
use tokio::net::TcpListener;
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
pub(crate) async fn serve(listener: TcpListener, metrics: Metrics, shutdown: CancellationToken) {
    let router = Router::new().route("/metrics", get(scrape)).with_state(metrics);
    connections::http::serve(listener, router, ("metrics page", CONNECTIONS_MAX), shutdown).await;
}

async fn scrape(State(metrics): State<Metrics>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = Exposition::negotiate(accept);
    ([(CONTENT_TYPE, form.content_type())], metrics.write(form))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::ring::ring;
    use crate::ship::ShipStats;
    use crate::status::Status;

    async fn say(to: std::net::SocketAddr, words: &str) -> TcpStream {
        let mut client = TcpStream::connect(to).await.unwrap();
        client.write_all(words.as_bytes()).await.unwrap();
        client
    }

    /// The clock is one that jumps ahead where all wait for it.
    #[tokio::test(start_paused = true)]
    async fn scrapes_go_on_beside_clients_that_stop_talking() {
        let own =
            OwnMetrics { status: Arc::new(Status::default()), ring: ring(8).1, ship: Arc::new(ShipStats::default()) };
        let (metrics, _) = Metrics::new(own, &MetricsConfig::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let served = tokio::spawn(serve(listener, metrics, shutdown.clone()));
        for words in ["GET /metrics HTTP", "GET /none HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let mut silent = Vec::new();
            for _ in 0..CONNECTIONS_MAX {
                silent.push(say(address, words).await);
            }
            let mut text = String::new();
            let mut scraper = say(address, "GET /metrics HTTP/1.0\r\n\r\n").await;
            scraper.read_to_string(&mut text).await.unwrap();
            assert!(text.contains("weir_collector_flows_total"), "{words:?}: {text}");
        }
        shutdown.cancel();
        served.await.unwrap();
    }
}
