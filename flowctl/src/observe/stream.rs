//! Flows and events of a server.

use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::time::Duration;

use anyhow::Result;
use flow::Clock as _;
use futures::FutureExt as _;
use proto::mask::FieldMask;
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetAgentEventsRequest, GetDebugEventsRequest, GetFlowsRequest, GetFlowsResponse};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::EventKind;
use super::losses::Losses;
use super::newest::{self, Seen};
use super::query::{Query, Selectors};
use crate::connect::{Connection, explain_stream};
use crate::print::Printer;
use crate::settings::Settings;
use crate::stop;

/// How often a stream that never pauses looks whether it shall stop, in messages.
const STOP_CHECK: u32 = 1024;

/// Prints the flows of a server until it ends the stream or the user stops it.
///
/// # Errors
/// The server cannot be reached, refuses, or breaks off; or printing failed.
pub(super) fn flows(
    settings: &Settings,
    mut query: Query,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    let server = settings.server()?;
    crate::runtime()?.block_on(async {
        let connection = Connection::open(&server).await?;
        // One for all questions, so that it is heard between two of them too.
        let mut stop = pin!(stop::requested());
        let Some(rest) = query.rest.clone() else {
            let opened = open(&connection, query);
            return follow(&connection, stop, opened, printer, |response, printer| {
                losses.count(&response);
                printer.print(&response)?;
                Ok(ControlFlow::Continue(()))
            })
            .await
            .map(drop);
        };
        let (number, first) = (query.selectors.number, query.selectors.first);
        let seen = if number > 0 && number != u64::MAX && !first {
            newest::print(&connection, stop.as_mut(), &mut query, printer, losses).await?
        } else {
            Seen::default()
        };
        if seen.is_all {
            return Ok(());
        }
        // The server counts what its filters let pass, we what is left of that.
        query.selectors.number = if first { u64::MAX } else { query.selectors.number };
        let (most, mut passed) = (if first { number } else { u64::MAX }, 0);
        let mask = query.late_mask();
        let opened = open(&connection, query);
        follow(&connection, stop, opened, printer, |mut response, printer| {
            if seen.has(&response) || !rest.passes(&response) {
                return Ok(ControlFlow::Continue(()));
            }
            losses.count(&response);
            passed += u64::from(apply(&mask, &mut response));
            printer.print(&response)?;
            Ok(if passed < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })
        .await
        .map(drop)
    })
}

/// Takes from a flow what was not asked to be shown; false for what is no flow.
pub(super) fn apply(mask: &FieldMask, response: &mut GetFlowsResponse) -> bool {
    let Some(ResponseTypes::Flow(flow)) = &mut response.response_types else { return false };
    mask.apply(flow);
    true
}

/// Prints the events of a server until it ends the stream or the user stops it.
///
/// # Errors
/// The server cannot be reached, has no such events, or breaks off; or printing failed.
pub(super) fn events(
    kind: EventKind,
    settings: &Settings,
    selectors: Selectors,
    printer: &mut Printer<'_>,
) -> Result<()> {
    let server = settings.server()?;
    crate::runtime()?.block_on(async {
        let connection = Connection::open(&server).await?;
        let mut client = ObserverClient::new(connection.channel.clone());
        let stop = pin!(stop::requested());
        match kind {
            EventKind::Agent => {
                let opened =
                    async { Ok(client.get_agent_events(GetAgentEventsRequest::from(selectors)).await?.into_inner()) };
                follow(&connection, stop, opened, printer, |event, printer| {
                    printer.print_agent_event(&event)?;
                    Ok(ControlFlow::Continue(()))
                })
                .await
                .map(drop)
            }
            EventKind::Debug => {
                let opened =
                    async { Ok(client.get_debug_events(GetDebugEventsRequest::from(selectors)).await?.into_inner()) };
                follow(&connection, stop, opened, printer, |event, printer| {
                    printer.print_debug_event(&event)?;
                    Ok(ControlFlow::Continue(()))
                })
                .await
                .map(drop)
            }
        }
    })
}

/// Why no more of a stream is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// There is no more, or it was enough.
    Complete,
    /// By the user or the system.
    Stopped,
}

/// Shows what a stream brings until it ends, `show` has enough or the user stops it.
///
/// # Errors
/// The server refuses or breaks off, or `show` failed.
pub(super) async fn follow<T>(
    connection: &Connection,
    mut stop: Pin<&mut impl Future<Output = ()>>,
    opened: impl Future<Output = Result<Streaming<T>, Status>>,
    printer: &mut Printer<'_>,
    mut show: impl FnMut(T, &mut Printer<'_>) -> Result<ControlFlow<()>>,
) -> Result<Ended> {
    let answer = async {
        let mut stream = opened.await?;
        let first = stream.message().await;
        Ok::<_, Status>((stream, first))
    };
    let (stream, first) = tokio::select! {
        biased;
        () = &mut stop => return Ok(Ended::Stopped),
        answer = answer => answer.map_err(|status| explain_stream(connection, &status))?,
    };
    let mut arrivals = Arrivals { stream, next: Some(first) };
    let mut clock = Clock::start(printer.interval());
    let mut until_check = STOP_CHECK;
    loop {
        until_check -= 1;
        if until_check == 0 {
            until_check = STOP_CHECK;
            if (&mut stop).now_or_never().is_some() {
                return Ok(Ended::Stopped);
            }
            if let Some(elapsed) = clock.tick().now_or_never() {
                printer.tick(now(), elapsed)?;
            }
        }
        let message = match arrivals.next().now_or_never() {
            Some(message) => message,
            None => {
                printer.flush()?;
                tokio::select! {
                    biased;
                    () = &mut stop => return Ok(Ended::Stopped),
                    elapsed = clock.tick() => {
                        printer.tick(now(), elapsed)?;
                        continue;
                    }
                    message = arrivals.next() => message,
                }
            }
        };
        match message {
            Ok(Some(message)) => {
                if show(message, printer)?.is_break() {
                    return Ok(Ended::Complete);
                }
            }
            Ok(None) => return Ok(Ended::Complete),
            Err(status) if status.code() == tonic::Code::Cancelled => return Ok(Ended::Complete),
            Err(status) => return Err(explain_stream(connection, &status)),
        }
    }
}

/// Tells when an interval has passed, and how long it really took.
struct Clock {
    /// `None` where nobody wants to know.
    interval: Option<tokio::time::Interval>,
    last: Instant,
}

impl Clock {
    fn start(length: Option<Duration>) -> Self {
        let last = Instant::now();
        let interval = length.map(|length| {
            let mut interval = tokio::time::interval_at(last + length, length);
            // After a pause of the machine one late interval is enough.
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            interval
        });
        Self { interval, last }
    }

    /// Waits for the end of the interval.
    ///
    /// # Cancel safety
    /// Cancel safe: no end is missed when the future is dropped.
    async fn tick(&mut self) -> Duration {
        match &mut self.interval {
            Some(interval) => interval.tick().await,
            None => std::future::pending().await,
        };
        std::mem::replace(&mut self.last, Instant::now()).elapsed()
    }
}

fn now() -> prost_types::Timestamp {
    proto::convert::time_to_wire(flow::SystemClock.now())
}

/// The messages of a stream, of which the first has been received already.
struct Arrivals<T> {
    stream: Streaming<T>,
    next: Option<Result<Option<T>, Status>>,
}

impl<T> Arrivals<T> {
    /// The next message.
    ///
    /// # Cancel safety
    /// Cancel safe: no message is lost when the future is dropped.
    async fn next(&mut self) -> Result<Option<T>, Status> {
        match self.next.take() {
            Some(message) => message,
            None => self.stream.message().await,
        }
    }
}

/// Opens the stream; a server too old for our field mask is asked again without one.
pub(super) async fn open(connection: &Connection, mut query: Query) -> Result<Streaming<GetFlowsResponse>, Status> {
    let mut client = ObserverClient::new(connection.channel.clone());
    let mut ask = async |request: GetFlowsRequest| client.get_flows(request).await.map(tonic::Response::into_inner);
    match ask(query.to_request()).await {
        Err(status) if query.mask_is_ours && status.message().contains("invalid path") => {
            query.mask.clear();
            ask(query.to_request()).await
        }
        answer => answer,
    }
}
