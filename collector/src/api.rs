//! What this node serves: Hubble's Observer and Peer, health and reflection, on TCP and on a Unix socket.

mod observer;
mod peer;
mod peers;
mod places;
mod span;

use std::sync::Arc;

use connections::{PING_EVERY, PING_TIMEOUT};
use flow::{Clock, Timestamp};
use futures::Stream;
use proto::peer::peer_server::PeerServer;
use proto::raw::ObserverDoor;
use proto::unknown::NameUnknownLayer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::ring::{AgentEvent, Event, Ring};
use crate::status::Status;

pub(crate) use observer::{NodeObserver, agent_event_to_wire};
pub(crate) use peer::NodePeer;
pub use peers::{PeerEntry, PeersError};
pub(crate) use peers::{Peers, Source as PeerSource};

/// Version of Hubble's API this node speaks, told to stock clients in a header.
const HUBBLE_API_VERSION: &str = "1.19.4";
/// Header a stock client reads it from.
const SERVER_VERSION_HEADER: http::HeaderName = http::HeaderName::from_static("hubble-server-version");
/// Services of this node, apart from reflection.
const SERVICES: [&str; 3] = ["grpc.health.v1.Health", "observer.Observer", "peer.Peer"];

/// What the services read.
pub(crate) struct Node {
    /// Name as flows carry it, `cluster/node` outside the default cluster.
    pub(crate) name: String,
    /// Cluster of this node.
    pub(crate) cluster: String,
    /// Observers that relays are told of, this one among them.
    pub(crate) peers: Peers,
    /// History of flows.
    pub(crate) flows: Ring<Event>,
    /// History of what happened to the collector.
    pub(crate) agent_events: Ring<AgentEvent>,
    /// When the collector started.
    pub(crate) started: Timestamp,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// Streams that may be open at once.
    pub(crate) streams_max: usize,
    /// Where losses are counted.
    pub(crate) status: Arc<Status>,
    /// Ends every open stream.
    pub(crate) stop: CancellationToken,
}

/// Serves the node's API over `incoming` until its `stop`, then waits for the calls under way.
///
/// # Errors
/// The server could not go on.
pub(crate) async fn serve<I, C>(node: Arc<Node>, incoming: I) -> Result<(), tonic::transport::Error>
where
    I: Stream<Item = std::io::Result<C>> + Send + 'static,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status(proto::HEALTH_SERVICE, tonic_health::ServingStatus::Serving).await;
    let (reflection, reflection_alpha) = proto::reflection::doors(&SERVICES, &[tonic_health::pb::FILE_DESCRIPTOR_SET]);
    let stop = node.stop.clone();
    Server::builder()
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .layer(NameUnknownLayer)
        .layer(SetResponseHeaderLayer::overriding(
            SERVER_VERSION_HEADER,
            http::HeaderValue::from_static(HUBBLE_API_VERSION),
        ))
        .add_service(health)
        .add_service(reflection)
        .add_service(reflection_alpha)
        .add_service(ObserverDoor::new(NodeObserver::new(Arc::clone(&node))))
        .add_service(PeerServer::new(NodePeer::new(node)))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
}
