//! Flows and events of a server.

use std::pin::pin;

use anyhow::Result;
use futures::FutureExt as _;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetAgentEventsRequest, GetDebugEventsRequest, GetFlowsRequest, GetFlowsResponse};
use tonic::{Status, Streaming};

use super::EventKind;
use super::losses::Losses;
use super::query::{Query, Selectors};
use crate::connect::Connection;
use crate::print::Printer;
use crate::settings::Settings;
use crate::stop;

/// How often a stream that never pauses looks whether it shall stop, in messages.
const STOP_CHECK: u32 = 1024;

/// Prints the flows of a server until it ends the stream or the user stops it.
///
/// # Errors
/// The server cannot be reached, refuses, or breaks off; or printing failed.
pub(super) fn flows(settings: &Settings, query: Query, printer: &mut Printer<'_>, losses: &mut Losses) -> Result<()> {
    let server = settings.server()?;
    crate::runtime()?.block_on(async {
        let connection = Connection::open(&server).await?;
        let opened = open(&connection, query);
        follow(&connection, opened, printer, |response, printer| {
            losses.count(&response);
            Ok(printer.print(&response)?)
        })
        .await
    })
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
        match kind {
            EventKind::Agent => {
                let opened =
                    async { Ok(client.get_agent_events(GetAgentEventsRequest::from(selectors)).await?.into_inner()) };
                follow(&connection, opened, printer, |event, printer| Ok(printer.print_agent_event(&event)?)).await
            }
            EventKind::Debug => {
                let opened =
                    async { Ok(client.get_debug_events(GetDebugEventsRequest::from(selectors)).await?.into_inner()) };
                follow(&connection, opened, printer, |event, printer| Ok(printer.print_debug_event(&event)?)).await
            }
        }
    })
}

/// Shows what a stream brings until it ends or the user stops it.
async fn follow<T>(
    connection: &Connection,
    opened: impl Future<Output = Result<Streaming<T>, Status>>,
    printer: &mut Printer<'_>,
    mut show: impl FnMut(T, &mut Printer<'_>) -> Result<()>,
) -> Result<()> {
    let mut stop = pin!(stop::requested());
    let answer = async {
        let mut stream = opened.await?;
        let first = stream.message().await;
        Ok::<_, Status>((stream, first))
    };
    let (stream, first) = tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        answer = answer => answer.map_err(|status| connection.explain(&status))?,
    };
    let mut arrivals = Arrivals { stream, next: Some(first) };
    let mut until_check = STOP_CHECK;
    loop {
        until_check -= 1;
        if until_check == 0 {
            until_check = STOP_CHECK;
            if (&mut stop).now_or_never().is_some() {
                return Ok(());
            }
        }
        let message = match arrivals.next().now_or_never() {
            Some(message) => message,
            None => {
                printer.flush()?;
                tokio::select! {
                    biased;
                    () = &mut stop => return Ok(()),
                    message = arrivals.next() => message,
                }
            }
        };
        match message {
            Ok(Some(message)) => show(message, printer)?,
            Ok(None) => return Ok(()),
            Err(status) if status.code() == tonic::Code::Cancelled => return Ok(()),
            Err(status) => return Err(connection.explain(&status)),
        }
    }
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
async fn open(connection: &Connection, mut query: Query) -> Result<Streaming<GetFlowsResponse>, Status> {
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
