//! The live stream of the web UI: server-sent events, a batch of flows at a time.
//!
//! The stream holds no queue. A browser that reads slowly is asked again later; what its stream lags behind too far is
//! told as lost.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use flow::view::{FlowRow, Problem};
use flow::{LossStage, LostEventSource};
use relay_index::{Followed, Follower, Order, Search};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::error;

use super::flows::{row, rows};
use super::params::Params;
use super::problem::Refusal;
use super::state::status_of;
use crate::losses::LossWatch;
use crate::metrics::{Counted, StageLabels};
use crate::relay::Relay;

/// Rows that are looked through on the spot; more go to a thread that may block.
const INLINE_ROWS_MAX: u64 = 64;
/// Header by which a browser that was cut off says what it has seen.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Header that keeps a proxy of the kind of nginx from holding events back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Body of a `lost` event.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Lost {
    /// Queue that overflowed, by its Hubble name; `HUBBLE_RING_BUFFER` without node is this stream itself.
    source: String,
    /// Node that lost them, empty for the relay.
    node: String,
    /// How many.
    count: u64,
}

/// Flows as they arrive, as server-sent events.
///
/// Event `flows`: a JSON array of flows, every 100 ms where there are any. Event `status`: state of the relay, at the
/// beginning and as heartbeat. The id of both continues the stream after a break (`Last-Event-ID`). Event `lost`: flows that
/// were not told, and where they were lost; those of this stream itself were not looked at, and may be of other filters.
#[utoipa::path(
    get,
    path = "/api/v1/flows/stream",
    params(("last" = Option<usize>, Query, description = "Flows of the past to begin with; default none")),
    responses(
        (status = 200, body = Vec<FlowRow>, content_type = "text/event-stream"),
        (status = 400, body = Problem),
        (status = 503, body = Problem),
    ),
)]
pub(super) async fn stream(
    State(relay): State<Arc<Relay>>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    params.only(&["last"])?;
    let search = params.search(relay.now())?;
    let last = params.count("last", relay.config.http.answer_flows_max)?;
    let place = Arc::clone(&relay.live_places).try_acquire_owned().map_err(|_| {
        let error = format!("{} live streams are open already", relay.config.live.streams_max);
        Refusal::busy(error, "close other pages, or raise relay.live.streams_max")
    })?;
    let resume = headers.get(LAST_EVENT_ID).and_then(|id| Cursor::read(id.to_str().ok()?, &relay));
    let live = Live::open(relay, search, last.unwrap_or(0), resume, place).await?;
    let events = futures::stream::unfold(live, |mut live| async {
        let event = live.next().await?;
        Some((Ok::<_, Infallible>(event), live))
    });
    let mut response = Sse::new(events).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

/// A place in the order of arrival of one run of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    seq: u64,
}

impl Cursor {
    /// Reads an id; `None` where it is none, or one of an earlier run, whose order of arrival is gone.
    fn read(id: &str, relay: &Relay) -> Option<Self> {
        let (run, seq) = id.split_once('-')?;
        (i64::from_str_radix(run, 16) == Ok(relay.started.0)).then(|| seq.parse().ok().map(|seq| Self { seq }))?
    }

    fn write(self, relay: &Relay) -> String {
        format!("{:x}-{}", relay.started.0, self.seq)
    }
}

/// One open stream.
struct Live {
    relay: Arc<Relay>,
    search: Search,
    follower: Follower,
    /// What was looked at up to here.
    end: Cursor,
    losses: LossWatch,
    ready: VecDeque<Event>,
    tick: Instant,
    heartbeat: Instant,
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Live {
    async fn open(
        relay: Arc<Relay>,
        search: Search,
        last: usize,
        resume: Option<Cursor>,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, Refusal> {
        let snapshot = relay.index.snapshot();
        let end = Cursor { seq: snapshot.end_seq() };
        let start = resume.unwrap_or(end);
        let follower = relay.index.follow(start.seq).lag_max(relay.config.live.lag_flows_max);
        let now = Instant::now();
        let mut live = Self {
            search: search.clone(),
            follower,
            end: start,
            losses: relay.losses.watch(),
            ready: VecDeque::new(),
            tick: now,
            heartbeat: now,
            _place: place,
            _counted: Counted::new(&relay.metrics.live),
            relay: Arc::clone(&relay),
        };
        if last > 0 && resume.is_none() {
            let past =
                relay.search(move |asker| rows(&snapshot, Search { asker, ..search }, last, Order::NewestFirst)).await;
            live.push_flows(&past.map_err(|_| Refusal::failed())?);
        }
        Ok(live)
    }

    /// The next event; `None` when the relay stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let stop = self.relay.stages.streams.stop.clone();
            stop.run_until_cancelled(tokio::time::sleep_until(self.tick)).await?;
            self.tick = Instant::now() + Duration::from_millis(self.relay.config.live.batch_ms);
            self.gather().await?;
        }
    }

    /// Makes events of what happened since the last batch; `None` after a bug.
    async fn gather(&mut self) -> Option<()> {
        if let Some(followed) = self.follower.try_next() {
            self.gather_flows(followed).await?;
        }
        for loss in self.losses.take() {
            self.push_lost(loss.event.source, &loss.node, loss.event.count);
        }
        if Instant::now() >= self.heartbeat {
            self.heartbeat = Instant::now() + Duration::from_millis(self.relay.config.live.heartbeat_ms);
            let status = status_of(&self.relay);
            self.push("status", Some(self.end.write(&self.relay)), &status);
        }
        Some(())
    }

    async fn gather_flows(&mut self, followed: Followed) -> Option<()> {
        let (missed, rows, end) = (followed.missed, followed.rows(), Cursor { seq: followed.end_seq });
        let (search, batch_max) = (self.search.clone(), self.relay.config.live.batch_flows);
        let select = move || {
            let hits = followed.matching(&search.filter);
            let in_time = |time| search.until.is_none_or(|until| time <= until);
            let surplus = hits.len().saturating_sub(batch_max);
            let newest: Vec<FlowRow> = hits[surplus..].iter().filter(|hit| in_time(hit.time())).map(row).collect();
            (surplus as u64, newest)
        };
        let selected = if rows <= INLINE_ROWS_MAX { Ok(select()) } else { self.relay.work(select).await };
        let (surplus, newest) = selected.map_err(|error| error!(%error, "reading live flows panicked")).ok()?;
        let lost = missed + surplus;
        if lost > 0 {
            let stage = StageLabels { stage: LossStage::Serve.name() };
            self.relay.metrics.lost.get_or_create(&stage).inc_by(lost);
            self.push_lost(LostEventSource::HUBBLE_RING_BUFFER, "", lost);
        }
        self.end = end;
        self.push_flows(&newest);
        Some(())
    }

    fn push_flows(&mut self, rows: &[FlowRow]) {
        if !rows.is_empty() {
            let id = self.end.write(&self.relay);
            self.push("flows", Some(id), &rows);
        }
    }

    fn push_lost(&mut self, source: LostEventSource, node: &str, count: u64) {
        let lost = Lost { source: source.to_string(), node: node.to_owned(), count };
        self.push("lost", None, &lost);
    }

    fn push(&mut self, name: &str, id: Option<String>, body: &impl Serialize) {
        match serde_json::to_string(body) {
            Ok(json) => {
                let event = Event::default().event(name).data(json);
                self.ready.push_back(match id {
                    Some(id) => event.id(id),
                    None => event,
                });
            }
            Err(error) => error!(%error, name, "an event cannot be written as JSON"),
        }
    }
}
