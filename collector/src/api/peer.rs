//! `peer.Peer`: tells a relay which observers exist. A node knows of itself.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use proto::peer::peer_server::Peer;
use proto::peer::{ChangeNotification, ChangeNotificationType, NotifyRequest};
use tonic::{Request, Response, Status};

use super::Node;

/// The Peer service of a node.
pub(crate) struct NodePeer {
    node: Arc<Node>,
}

impl NodePeer {
    /// The service of `node`.
    pub(crate) const fn new(node: Arc<Node>) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl Peer for NodePeer {
    type NotifyStream = Pin<Box<dyn Stream<Item = Result<ChangeNotification, Status>> + Send + 'static>>;

    async fn notify(&self, _request: Request<NotifyRequest>) -> Result<Response<Self::NotifyStream>, Status> {
        let myself = ChangeNotification {
            name: self.node.name.clone(),
            address: self.node.advertise.clone(),
            r#type: ChangeNotificationType::PeerAdded.into(),
            // Absent: the node serves without TLS.
            tls: None,
        };
        // The set never changes, so the stream stays open in silence until the node stops.
        let stopped = self.node.stop.clone().cancelled_owned();
        let silence = futures::stream::once(stopped).filter_map(|()| std::future::ready(None));
        Ok(Response::new(futures::stream::iter([Ok(myself)]).chain(silence).boxed()))
    }
}
