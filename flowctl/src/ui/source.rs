//! Follows a server, and begins again where it broke off.

use std::time::Duration;

use anyhow::{Result, anyhow};
use futures::{FutureExt as _, Stream, StreamExt as _};
use prost_types::Timestamp;
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::observer_client::ObserverClient;
use tokio::sync::mpsc;
use tonic::Status;

use crate::connect::{Connection, Failure};
use crate::moments::order;
use crate::observe::Request;
use crate::settings::ServerSettings;

/// What a server brings.
#[derive(Debug)]
pub(super) enum News {
    /// It answers.
    Connected,
    /// Flows, losses and news about nodes, in order.
    Messages(Vec<GetFlowsResponse>),
    /// It does not answer any more, or not at all; it is asked again after that time.
    Broken { problem: String, again_in: Duration },
}

/// Flows of the past that the screen begins with.
const HISTORY: u64 = 500;
/// Flows of the past that are looked through for some that match.
const HISTORY_MAX: u64 = 10_000;
/// Messages handed on together at most.
const BATCH: usize = 256;
/// Waiting time after the first failure; it doubles up to the longest.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(15);

/// Hands on what the server brings until nobody listens any more.
pub(super) async fn follow(server: ServerSettings, request: Request, to: mpsc::Sender<News>) {
    let mut newest: Option<Timestamp> = None;
    let mut wait = RETRY_MIN;
    loop {
        let mut heard = false;
        let ended = follow_once(&server, &request, &mut newest, &mut heard, &to).await;
        if heard {
            wait = RETRY_MIN;
        }
        let problem = match ended {
            Ok(()) => "the server ended the stream".to_owned(),
            Err(error) => match error.downcast::<Failure>() {
                Ok(failure) => failure.words,
                Err(error) => format!("{error:#}"),
            },
        };
        if to.send(News::Broken { problem, again_in: wait }).await.is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}

async fn follow_once(
    server: &ServerSettings,
    request: &Request,
    newest: &mut Option<Timestamp>,
    heard: &mut bool,
    to: &mpsc::Sender<News>,
) -> Result<()> {
    let gone = || anyhow!("nobody listens");
    let connection = Connection::open(server).await?;
    let mut client = ObserverClient::new(connection.channel.clone());
    let question = match newest {
        // After a break from where it was; the model leaves out what it has already.
        Some(since) => request.to_wire(0, Some(*since)),
        // Where the server cannot judge all of the filter, few of what it sends may match.
        None => request.to_wire(if request.is_exact() { HISTORY } else { HISTORY_MAX }, None),
    };
    let explain = |status: Status| connection.explain(&status);
    let mut stream = client.get_flows(question).await.map_err(explain)?.into_inner();
    to.send(News::Connected).await.map_err(|_| gone())?;
    *heard = true;
    loop {
        let (batch, ended) = gather(&mut stream, |message| request.passes(message), newest).await;
        // Also before a failure: they are not asked for again.
        if !batch.is_empty() {
            to.send(News::Messages(batch)).await.map_err(|_| gone())?;
        }
        if let Some(ended) = ended {
            return ended.map_err(explain);
        }
    }
}

/// Waits for a message and takes those with it that are there already; tells how the stream ended, if it did.
async fn gather(
    stream: &mut (impl Stream<Item = Result<GetFlowsResponse, Status>> + Unpin),
    passes: impl Fn(&GetFlowsResponse) -> bool,
    newest: &mut Option<Timestamp>,
) -> (Vec<GetFlowsResponse>, Option<Result<(), Status>>) {
    let mut batch = Vec::new();
    let mut next = Some(stream.next().await);
    while let Some(message) = next {
        match message {
            Some(Ok(message)) => {
                see(&message, newest);
                if passes(&message) {
                    batch.push(message);
                }
            }
            Some(Err(status)) => return (batch, Some(Err(status))),
            None => return (batch, Some(Ok(()))),
        }
        next = if batch.len() < BATCH { stream.next().now_or_never() } else { None };
    }
    (batch, None)
}

/// Remembers how far it came.
fn see(message: &GetFlowsResponse, newest: &mut Option<Timestamp>) {
    let (Some(ResponseTypes::Flow(_)), Some(time)) = (&message.response_types, message.time) else { return };
    if newest.is_none_or(|newest| order(time, newest).is_gt()) {
        *newest = Some(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seconds: i64) -> GetFlowsResponse {
        let flow = proto::flow::Flow::default();
        let time = Some(Timestamp { seconds, nanos: 0 });
        GetFlowsResponse { time, response_types: Some(ResponseTypes::Flow(flow)), ..GetFlowsResponse::default() }
    }

    async fn gathered(
        messages: Vec<Result<GetFlowsResponse, Status>>,
        newest: &mut Option<Timestamp>,
    ) -> (usize, Option<Result<(), Status>>) {
        let (batch, ended) = gather(&mut futures::stream::iter(messages), |_| true, newest).await;
        (batch.len(), ended)
    }

    #[tokio::test]
    async fn what_came_before_a_break_is_handed_on() {
        let mut newest = None;
        let broken = vec![Ok(message(1)), Ok(message(2)), Err(Status::unavailable("gone"))];
        let (count, ended) = gathered(broken, &mut newest).await;
        assert_eq!((count, newest.map(|time| time.seconds)), (2, Some(2)));
        assert_eq!(ended.unwrap().unwrap_err().message(), "gone");

        let (count, ended) = gathered(vec![Ok(message(3))], &mut newest).await;
        assert!(count == 1 && matches!(ended, Some(Ok(()))));
        let (count, ended) = gathered((0..=300).map(|second| Ok(message(second))).collect(), &mut newest).await;
        assert!(count == BATCH && ended.is_none());
    }
}
