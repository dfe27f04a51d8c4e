//! The Flight SQL port: SQL for ADBC, JDBC, ODBC and whatever else speaks Arrow Flight SQL.
//!
//! Statements, prepared statements with parameters, and what there is to ask: catalogs, schemas, tables, their columns,
//! types of tables and facts about the server. Nothing can be written, and there are no transactions.

mod catalog;
mod prepared;
mod service;

use std::sync::Arc;

use arrow_flight::flight_service_server::FlightServiceServer;
use connections::{Connection, Connections, PING_EVERY, PING_TIMEOUT};
use futures::TryStreamExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use self::service::FlightSql;
use crate::relay::Relay;

/// Serves the Flight SQL port until `stop`, then waits for the calls under way.
///
/// # Errors
/// The server could not go on.
pub(crate) async fn serve(
    relay: Arc<Relay>,
    (listener, acceptor): (TcpListener, Option<Arc<tls::Acceptor>>),
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let incoming = Connections::new(listener, relay.config.flight_sql.connections_max, "Flight SQL").into_stream();
    let incoming = tls::secured(incoming, acceptor).map_ok(Connection::prompt);
    let message_bytes_max = relay.config.http.request_bytes_max;
    Server::builder()
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .add_service(FlightServiceServer::new(FlightSql::new(relay)).max_decoding_message_size(message_bytes_max))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
}
