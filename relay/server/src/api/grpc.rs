//! The gRPC port: Hubble's Observer, Arrow Flight for collectors, health and reflection.

mod observer;

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue};
use connections::{Connection, Connections, PING_EVERY, PING_TIMEOUT};
use futures::TryStreamExt as _;
use proto::raw::ObserverDoor;
use proto::unknown::NameUnknownLayer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tower_http::set_header::SetResponseHeaderLayer;

use self::observer::RelayObserver;
use crate::ingest::{FlightDoor, FlightIngest};
use crate::relay::{HUBBLE_API_VERSION, Relay};

/// Services of Hubble that a relay has, apart from reflection.
const SERVICES: [&str; 2] = ["grpc.health.v1.Health", "observer.Observer"];
/// Streams one connection may have open.
const STREAMS_PER_CONNECTION_MAX: u32 = 1000;
/// Bytes that one stream may send ahead, so that batches from far away do not wait for acknowledgments of packets.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Bytes that all streams of one connection may send ahead.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Header by which a stock client learns the version of a relay's API.
const RELAY_VERSION_HEADER: HeaderName = HeaderName::from_static("hubble-relay-version");
/// Header by which a stock client learns the version of an observer's API.
const SERVER_VERSION_HEADER: HeaderName = HeaderName::from_static("hubble-server-version");

/// Serves the gRPC port until `stop`, then waits for the calls under way.
///
/// # Errors
/// The server could not go on.
pub(crate) async fn serve(
    relay: Arc<Relay>,
    (listener, acceptor): (TcpListener, Option<Arc<tls::Acceptor>>),
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let version = HeaderValue::from_static(HUBBLE_API_VERSION);
    let incoming = Connections::new(listener, relay.config.grpc.connections_max, "gRPC").into_stream();
    let incoming = tls::secured(incoming, acceptor).map_ok(Connection::prompt);
    let message_bytes_max = relay.config.ingest.message_bytes_max;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status(proto::HEALTH_SERVICE, tonic_health::ServingStatus::Serving).await;
    let (reflection, reflection_alpha) = proto::reflection::doors(&SERVICES, &[tonic_health::pb::FILE_DESCRIPTOR_SET]);
    Server::builder()
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(Some(STREAMS_PER_CONNECTION_MAX))
        .layer(NameUnknownLayer)
        .layer(SetResponseHeaderLayer::overriding(RELAY_VERSION_HEADER, version.clone()))
        .layer(SetResponseHeaderLayer::overriding(SERVER_VERSION_HEADER, version))
        .initial_stream_window_size(Some(STREAM_WINDOW_BYTES))
        .initial_connection_window_size(Some(CONNECTION_WINDOW_BYTES))
        .add_service(health)
        .add_service(reflection)
        .add_service(reflection_alpha)
        .add_service(ObserverDoor::new(RelayObserver::new(Arc::clone(&relay))))
        .add_service(FlightDoor::new(FlightIngest::new(relay), message_bytes_max))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
}
