//! Flows of the past.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use flow::view::{FlowRow, FlowsAnswer, Problem};
use relay_index::{Hit, Order, Search, Snapshot};

use super::panicked;
use super::params::Params;
use super::problem::Refusal;
use crate::api::question::Question;
use crate::metrics::Outcome;
use crate::relay::Relay;

/// Flows of an answer to a request that names neither a count nor a range.
const LAST_DEFAULT: usize = 100;

/// Flows that match, the oldest first.
///
/// The newest ones are given: as many as `last` says, else 100, or with `since` as many as fit. With `first` the oldest.
#[utoipa::path(
    get,
    path = "/api/v1/flows",
    params(
        ("since" = Option<String>, Query, description = "Begin: RFC 3339, or a duration back from now such as `15m`"),
        ("until" = Option<String>, Query, description = "End: RFC 3339, or a duration back from now"),
        ("last" = Option<usize>, Query, description = "The newest so many"),
        ("first" = Option<usize>, Query, description = "The oldest so many"),
    ),
    responses((status = 200, body = FlowsAnswer), (status = 400, body = Problem)),
)]
pub(super) async fn flows(State(relay): State<Arc<Relay>>, params: Params) -> Result<Json<FlowsAnswer>, Refusal> {
    params.only(&["since", "until", "last", "first"])?;
    let max = relay.config.http.answer_flows_max;
    let search = params.search(relay.now())?;
    let (since, until) = (search.since, search.until);
    let (count, order) = match (params.count("last", max)?, params.count("first", max)?) {
        (Some(_), Some(_)) => return Err(Refusal::bad("last and first contradict each other", "give one of them")),
        (_, Some(first)) => (first, Order::OldestFirst),
        (Some(last), _) => (last, Order::NewestFirst),
        (None, None) if since.is_some() => (max, Order::NewestFirst),
        (None, None) => (LAST_DEFAULT.min(max), Order::NewestFirst),
    };
    let question = Question::begin(&relay, "http_flows", Outcome::Cancelled);
    let (mark, snapshot) = (relay.index.read_mark(), relay.index.snapshot());
    let reading = relay.search(move |asker| rows(&snapshot, Search { asker, ..search }, count, order));
    let rows = question.ended(reading.await.map_err(|error| panicked("reading flows", &error)))?;
    Ok(Json(FlowsAnswer { flows: rows, completeness: relay.completeness(mark, since, until) }))
}

/// Finds flows and writes them as rows, the oldest first.
pub(super) fn rows(snapshot: &Arc<Snapshot>, search: Search, count: usize, order: Order) -> Vec<FlowRow> {
    let mut hits: Vec<Hit> = snapshot.scan(search, order).take(count).collect();
    if order == Order::NewestFirst {
        hits.reverse();
    }
    hits.iter().map(row).collect()
}

/// One flow as a row.
pub(super) fn row(hit: &Hit) -> FlowRow {
    FlowRow::from(&hit.flow())
}
