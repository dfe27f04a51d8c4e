//! The port Prometheus scrapes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use proto::Exposition;
use tracing::error;

use crate::relay::Relay;

/// Answers `/metrics`.
pub(crate) fn router(relay: &Arc<Relay>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(Arc::clone(relay))
}

async fn metrics(State(relay): State<Arc<Relay>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let form = Exposition::negotiate(accept);
    relay.refresh_gauges();
    match relay.metrics.write(form) {
        Ok(text) => ([(header::CONTENT_TYPE, form.content_type())], text).into_response(),
        Err(error) => {
            error!(%error, "cannot write metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
