//! `/metrics` of the collector: Hubble's metrics of flows, and what the collector says of itself.

mod exposition;
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
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::MetricsConfig;
pub(crate) use flows::FlowMetrics;
pub(crate) use own::OwnMetrics;

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

    /// Content type and text that a scraper with this `Accept` header gets.
    pub(crate) fn text(&self, accept: &str) -> (&'static str, String) {
        exposition::write(&self.registry, accept)
    }
}

/// Serves `/metrics` until `shutdown`.
///
/// # Errors
/// The listener failed.
pub(crate) async fn serve(listener: TcpListener, metrics: Metrics, shutdown: CancellationToken) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", get(scrape)).with_state(metrics);
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn scrape(State(metrics): State<Metrics>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (content_type, text) = metrics.text(accept);
    ([(CONTENT_TYPE, content_type)], text)
}
