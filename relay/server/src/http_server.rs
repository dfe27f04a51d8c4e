//! Serving a router over HTTP/1 and HTTP/2 with limits that slow or idle clients cannot stretch.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use futures::StreamExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::connections::{Connection, connections};

/// Time a client has to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Bytes the head of a request may have.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Streams one HTTP/2 connection may have open.
const STREAMS_PER_CONNECTION_MAX: u32 = 100;
/// Silence after which an HTTP/2 peer is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Serves `router` on `listener` until `stop`, then closes the port and waits for the answers under way.
///
/// # Cancel safety
/// Dropping the future closes the port and cuts all connections.
pub(crate) async fn serve(listener: TcpListener, router: Router, connections_max: usize, stop: CancellationToken) {
    let mut open = JoinSet::new();
    {
        let mut accepted = pin!(connections(listener, connections_max));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(connection) = accepted.next() => {
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

async fn serve_connection(connection: Connection, router: Router, stop: CancellationToken) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .keep_alive_interval(PING_EVERY)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).expect("a small constant"));
    let service = TowerToHyperService::new(router);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(connection), service));
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
