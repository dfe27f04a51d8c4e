//! The HTTP port: JSON API, live streams, SQL and the web UI.

mod flows;
mod guard;
mod live;
mod map;
mod openapi;
mod params;
mod problem;
mod sql;
mod state;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use relay_index::Asker;
use tokio::task::JoinError;
use tower_http::compression::CompressionLayer;
use tracing::error;

use self::problem::Refusal;
use crate::assets::Assets;
use crate::relay::Relay;

/// Name of what is no route of the API, in metrics.
const UI_ROUTE: &str = "ui";

/// Every route of the API. The document of the API lists the same ones; a test compares them.
fn routes() -> Vec<(&'static str, MethodRouter<Arc<Relay>>)> {
    vec![
        ("/healthz", get(state::healthz)),
        ("/readyz", get(state::readyz)),
        ("/api/openapi.json", get(openapi::document)),
        ("/api/v1/status", get(state::status)),
        ("/api/v1/nodes", get(state::nodes)),
        ("/api/v1/flows", get(flows::flows)),
        ("/api/v1/flows/stream", get(live::stream)),
        ("/api/v1/map", get(map::map)),
        ("/api/v1/drops", get(map::drops)),
        ("/api/v1/sql", post(sql::sql)),
    ]
}

/// Does the work of an answer on a thread that may block, while its client is there; `doing` says in the log what it
/// was, should it panic.
async fn work<T: Send + 'static>(
    relay: &Relay,
    doing: &'static str,
    work: impl FnOnce(Asker) -> T + Send + 'static,
) -> Result<T, Refusal> {
    relay.search(work).await.map_err(|error| panicked(doing, &error))
}

fn panicked(doing: &'static str, error: &JoinError) -> Refusal {
    error!(doing, %error, "the work of an answer panicked");
    Refusal::failed()
}

/// Answers everything on the HTTP port.
pub(crate) fn router(relay: &Arc<Relay>) -> Router {
    let assets = relay.config.http.ui_dir.clone().map_or(Assets::BuiltIn, Assets::Folder);
    let mut router = Router::new();
    for (path, methods) in routes() {
        router = router.route(path, methods);
    }
    router
        .fallback(ui)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(Arc::new(assets)))
        .layer(DefaultBodyLimit::max(relay.config.http.request_bytes_max))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(Arc::clone(relay), guard::guard))
        .with_state(Arc::clone(relay))
}

/// Whatever is no route is a page or file of the web UI.
async fn ui(
    State(relay): State<Arc<Relay>>,
    Extension(assets): Extension<Arc<Assets>>,
    request: Request,
) -> Result<Response, Refusal> {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        let error = format!("there is no {path}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, error, "see /api/openapi.json for what there is"));
    }
    if path == "/metrics" {
        let at = relay.config.metrics.listen.map_or("switched off".to_owned(), |at| format!("on port {}", at.port()));
        return Err(Refusal::new(StatusCode::NOT_FOUND, "metrics are not served here", &format!("they are {at}")));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = wrong_method(request.method().clone()).await;
        return Ok(([(header::ALLOW, "GET, HEAD")], refusal).into_response());
    }
    Ok(assets.answer(path, request.headers()).await)
}

async fn wrong_method(method: Method) -> Refusal {
    let error = format!("this address does not take {method}");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error, "see /api/openapi.json for what it takes")
}
