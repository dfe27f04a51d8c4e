//! Who talks to whom, and what is dropped.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use flow::view::{DropSummary, Problem, ServiceMap};
use relay_index::{MapBy, MapShape, Search};

use super::params::Params;
use super::problem::Refusal;
use super::work;
use crate::api::question::Question;
use crate::metrics::Outcome;
use crate::relay::Relay;

/// Groups of drops that are listed.
const DROP_GROUPS_MAX: usize = 1000;

/// Edges of a map: more than can be drawn, and some megabytes; and what may be asked for.
const EDGES_DEFAULT: usize = 10_000;
const EDGES_MAX: usize = 1_000_000;

/// Who talks to whom, with what volume, errors and drops.
///
/// Counted from the rollups where they give the exact answer with less work; `source` tells what it was counted from.
#[utoipa::path(
    get,
    path = "/api/v1/map",
    params(
        ("since" = Option<String>, Query, description = "Begin: RFC 3339, or a duration back from now such as `15m`; default all that is held"),
        ("until" = Option<String>, Query, description = "End: RFC 3339, or a duration back from now; default `now`"),
        ("by" = Option<String>, Query, description = "What the nodes are: `workload` (default), `namespace` or `pod`"),
        ("edges" = Option<usize>, Query, description = "Edges at most, default 10000; of more, those with drops and errors stay, then those with the most flows"),
    ),
    responses((status = 200, body = ServiceMap), (status = 400, body = Problem)),
)]
pub(super) async fn map(State(relay): State<Arc<Relay>>, params: Params) -> Result<Json<ServiceMap>, Refusal> {
    params.only(&["since", "until", "by", "edges"])?;
    let by = match params.own("by") {
        None => MapBy::default(),
        Some(name) => MapBy::from_name(name)
            .ok_or_else(|| Refusal::bad(format!("by is {name:?}"), "give workload, namespace or pod"))?,
    };
    let edges_max = params.count("edges", EDGES_MAX)?.unwrap_or(EDGES_DEFAULT);
    let now = relay.now();
    let search = params.search(now)?;
    let question = Question::begin(&relay, "map", Outcome::Cancelled);
    let (since, until) = (search.since, search.until);
    let (mark, asked) = (relay.index.read_mark(), Arc::clone(&relay));
    let shape = MapShape { by, edges_max };
    let drawing =
        work(&relay, "drawing the map", move |asker| asked.index.service_map(&Search { asker, ..search }, shape));
    let mut map = question.ended(drawing.await)?;
    if map.since.is_empty() {
        map.since = now.to_string();
    }
    map.until = until.unwrap_or(now).to_string();
    map.completeness = relay.completeness(mark, since, until);
    Ok(Json(map))
}

/// What is dropped, between whom and why.
#[utoipa::path(
    get,
    path = "/api/v1/drops",
    params(
        ("since" = Option<String>, Query, description = "Begin: RFC 3339, or a duration back from now such as `15m`; default all that is held"),
        ("until" = Option<String>, Query, description = "End: RFC 3339, or a duration back from now; default `now`"),
    ),
    responses((status = 200, body = DropSummary), (status = 400, body = Problem)),
)]
pub(super) async fn drops(State(relay): State<Arc<Relay>>, params: Params) -> Result<Json<DropSummary>, Refusal> {
    params.only(&["since", "until"])?;
    let search = params.search(relay.now())?;
    let question = Question::begin(&relay, "drops", Outcome::Cancelled);
    let (since, until) = (search.since, search.until);
    let (mark, snapshot) = (relay.index.read_mark(), relay.index.snapshot());
    let sum = move |asker| snapshot.drop_summary(&Search { asker, ..search }, DROP_GROUPS_MAX);
    let summing = work(&relay, "summing up drops", sum);
    let mut drops = question.ended(summing.await)?;
    drops.completeness = relay.completeness(mark, since, until);
    Ok(Json(drops))
}
