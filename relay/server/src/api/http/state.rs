//! State of the relay and of its nodes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use flow::view::{NodeRow, Problem, Status};

use super::problem::Refusal;
use crate::memory;
use crate::nodes::Node;
use crate::relay::{NODE_STATES, Relay, VERSION};

/// Whether the process is alive.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the relay takes flows and answers.
#[utoipa::path(
    get,
    path = "/readyz",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 503, body = Problem)),
)]
pub(super) async fn readyz(State(relay): State<Arc<Relay>>) -> Result<&'static str, Refusal> {
    if relay.stages.sources.stop.is_cancelled() {
        return Err(Refusal::busy("the relay is stopping", "ask another one"));
    }
    Ok("ready\n")
}

/// What the relay holds, how fast it fills, and what was lost.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Status)))]
pub(super) async fn status(State(relay): State<Arc<Relay>>) -> Json<Status> {
    Json(status_of(&relay))
}

/// The nodes that flows come from.
#[utoipa::path(get, path = "/api/v1/nodes", responses((status = 200, body = Vec<NodeRow>)))]
pub(super) async fn nodes(State(relay): State<Arc<Relay>>) -> Json<Vec<NodeRow>> {
    Json(node_rows(&relay))
}

/// The state as the API tells it.
pub(super) fn status_of(relay: &Relay) -> Status {
    let stats = relay.index.stats();
    Status {
        version: VERSION.to_owned(),
        uptime_seconds: relay.now().since(relay.started).as_secs(),
        flows: stats.rows,
        flows_max: relay.config.index.flows_max as u64,
        flows_seen: stats.rows_seen,
        flows_per_second: relay.flows_per_second(),
        index_bytes: stats.bytes,
        memory_bytes: memory::resident().map(|bytes| bytes as u64),
        memory_bytes_max: relay.budget.total as u64,
        nodes: node_rows(relay),
        losses: relay.index.completeness(None, None).losses,
    }
}

fn node_rows(relay: &Relay) -> Vec<NodeRow> {
    let now = relay.now();
    let row = |node: Node| NodeRow {
        name: node.name,
        state: NODE_STATES.iter().find(|(state, _)| *state == node.state).map_or("error", |(_, name)| name).to_owned(),
        version: node.version,
        address: node.address,
        flows_seen: node.flows_seen,
        lost: node.lost,
        idle_seconds: node.last_batch.map(|last| now.since(last).as_secs_f64()),
    };
    relay.nodes().into_iter().map(row).collect()
}
