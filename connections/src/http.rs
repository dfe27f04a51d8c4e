//! Serving a router over HTTP/1 and HTTP/2 with limits that slow or idle clients cannot stretch.

use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::middleware::map_request;
use axum::{BoxError, Router};
use futures::stream::unfold;
use futures::{Stream, StreamExt as _};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::{Connection, Connections, PING_EVERY};

/// Time a client has to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Time the body of a request may stand still.
const BODY_SILENCE: Duration = Duration::from_secs(10);
/// Time the whole body of a request may take.
const BODY_TIME: Duration = Duration::from_secs(60);
/// Time a client may take nothing of an answer that has more to give.
const WRITE_TIME: Duration = Duration::from_secs(60);
/// Bytes the head of a request may have.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Streams one HTTP/2 connection may have open.
const STREAMS_PER_CONNECTION_MAX: u32 = 100;

/// Serves `router` on `listener`, which is for this purpose and has at most so many connections at a time, until `stop`;
/// then closes the port and waits for the answers under way.
///
/// # Cancel safety
/// Dropping the future closes the port and cuts all connections.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    (purpose, connections_max): (&'static str, usize),
    stop: CancellationToken,
) {
    let router = router.layer(map_request(async |request: Request| request.map(in_time)));
    let mut open = JoinSet::new();
    {
        let mut accepted = pin!(Connections::new(listener, connections_max, purpose).into_stream());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(Ok(connection)) = accepted.next() => {
                    open.spawn(serve_connection(connection, router.clone(), stop.clone()));
                }
                Some(ended) = open.join_next() => report(ended),
            }
        }
    }
    while let Some(ended) = open.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(%error, "the task of an HTTP connection failed");
    }
}

async fn serve_connection(connection: Connection<TcpStream>, router: Router, stop: CancellationToken) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .keep_alive_interval(PING_EVERY)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).expect("a small constant"));
    let service = TowerToHyperService::new(router);
    let connection = TokioIo::new(Connection::prompt(connection).with_write_time(WRITE_TIME));
    let mut serving = pin!(builder.serve_connection(connection, service));
    let mut stopping = false;
    loop {
        tokio::select! {
            outcome = serving.as_mut() => {
                if let Err(error) = outcome {
                    debug!(%error, "HTTP connection ended early");
                }
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The body of a request did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("it did not come in time: at most {BODY_SILENCE:?} of silence, {BODY_TIME:?} in all")]
struct SlowBody;

/// A body that breaks off where it comes too slowly.
fn in_time(body: Body) -> Body {
    if body.is_end_stream() { body } else { Body::from_stream(chunks_in_time(body)) }
}

fn chunks_in_time(body: Body) -> impl Stream<Item = Result<Bytes, BoxError>> {
    let end = Instant::now() + BODY_TIME;
    unfold(Some(body.into_data_stream()), move |chunks| async move {
        let mut chunks = chunks?;
        match timeout_at(end.min(Instant::now() + BODY_SILENCE), chunks.next()).await {
            Ok(chunk) => Some((chunk?.map_err(Into::into), Some(chunks))),
            Err(_) => Some((Err(SlowBody.into()), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Connections of the server under test.
    const CONNECTIONS_MAX: usize = 4;

    async fn started() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new().route("/", get(async || "hello"));
        let served = tokio::spawn(serve(listener, router, ("test", CONNECTIONS_MAX), stop.clone()));
        (address, stop, served)
    }

    async fn say(to: SocketAddr, words: &str) -> TcpStream {
        let mut client = TcpStream::connect(to).await.unwrap();
        client.write_all(words.as_bytes()).await.unwrap();
        client
    }

    async fn rest(mut client: TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn nobody_keeps_others_out() {
        let (address, stop, served) = started().await;
        for words in ["", "GET / HTTP/1.1\r\nHos", REQUEST] {
            let mut silent = Vec::new();
            for _ in 0..CONNECTIONS_MAX {
                silent.push(say(address, words).await);
            }
            // There is no place for this one until one of those has ended.
            let begun = Instant::now();
            let answer = rest(say(address, &REQUEST.replace("Host", "Connection: close\r\nHost")).await).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
            assert!(begun.elapsed() <= 2 * HEAD_TIME, "{words:?}: {:?}", begun.elapsed());
            for client in silent {
                let answer = rest(client).await;
                assert_eq!(answer.ends_with("hello"), words == REQUEST, "{answer}");
            }
        }
        stop.cancel();
        served.await.unwrap();
    }

    #[tokio::test]
    async fn answers_under_way_are_given_at_the_end() {
        let (address, stop, served) = started().await;
        let mut client = say(address, REQUEST).await;
        let mut byte = [0];
        client.read_exact(&mut byte).await.unwrap();
        stop.cancel();
        assert!(rest(client).await.ends_with("hello"));
        served.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
    }
}
