//! The HTTP port: JSON API, live streams, SQL and the web UI.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;

use crate::assets::Assets;
use crate::relay::Relay;

/// Answers everything on the HTTP port.
pub(crate) fn router(relay: &Arc<Relay>) -> Router {
    let assets = relay.config.http.ui_dir.clone().map_or(Assets::BuiltIn, Assets::Folder);
    Router::new().route("/healthz", get(|| async { "ok\n" })).fallback(ui).with_state(Arc::new(assets))
}

async fn ui(State(assets): State<Arc<Assets>>, request: Request) -> Response {
    assets.answer(request.uri().path(), request.headers()).await
}
