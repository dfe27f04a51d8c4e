//! `peer.Peer`: tells a relay which observers exist, and of every change.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use proto::peer::peer_server::Peer;
use proto::peer::{ChangeNotification, ChangeNotificationType, NotifyRequest, Tls};
use tonic::{Request, Response, Status};

use super::Node;
use super::peers::{PeerEntry, PeerMap, Peers};
use super::places::{Place, Places};

/// The Peer service of a node.
pub(crate) struct NodePeer {
    node: Arc<Node>,
    places: Places,
}

impl NodePeer {
    /// The service of `node`.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let places = Places::new(node.streams_max);
        Self { node, places }
    }
}

#[tonic::async_trait]
impl Peer for NodePeer {
    type NotifyStream = Pin<Box<dyn Stream<Item = Result<ChangeNotification, Status>> + Send + 'static>>;

    async fn notify(&self, _request: Request<NotifyRequest>) -> Result<Response<Self::NotifyStream>, Status> {
        let told = Told { told: Arc::default(), peers: self.node.peers.clone(), _place: self.places.take()? };
        let changes = stream::unfold(told, Told::next).flat_map(stream::iter).map(Ok);
        Ok(Response::new(changes.take_until(self.node.stop.clone().cancelled_owned()).boxed()))
    }
}

/// What a relay was told. A relay that reads slowly is told the difference to what is true by then, so nothing queues.
struct Told {
    told: Arc<PeerMap>,
    peers: Peers,
    _place: Place,
}

impl Told {
    /// Waits for a change, at first for none.
    async fn next(mut self) -> Option<(Vec<ChangeNotification>, Self)> {
        loop {
            let peers = self.peers.borrow_and_update().clone();
            let changes = changes(&self.told, &peers);
            if !changes.is_empty() {
                self.told = peers;
                return Some((changes, self));
            }
            self.peers.changed().await.ok()?;
        }
    }
}

/// The way from one set of peers to another.
fn changes(old: &PeerMap, new: &PeerMap) -> Vec<ChangeNotification> {
    let deleted = old.values().filter(|peer| !new.contains_key(&peer.name));
    let deleted = deleted.map(|peer| notification(peer, ChangeNotificationType::PeerDeleted));
    let others = new.values().filter_map(|peer| match old.get(&peer.name) {
        None => Some(notification(peer, ChangeNotificationType::PeerAdded)),
        Some(told) if told != peer => Some(notification(peer, ChangeNotificationType::PeerUpdated)),
        Some(_) => None,
    });
    deleted.chain(others).collect()
}

fn notification(peer: &PeerEntry, kind: ChangeNotificationType) -> ChangeNotification {
    ChangeNotification {
        name: peer.name.clone(),
        address: peer.address.clone(),
        r#type: kind.into(),
        // Absent where the peer serves without TLS.
        tls: peer.tls_server_name.clone().map(|server_name| Tls { server_name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(list: &[(&str, &str, Option<&str>)]) -> PeerMap {
        let peer = |(name, address, tls): &(&str, &str, Option<&str>)| PeerEntry {
            name: (*name).to_owned(),
            address: (*address).to_owned(),
            tls_server_name: tls.map(str::to_owned),
        };
        list.iter().map(|p| (p.0.to_owned(), peer(p))).collect()
    }

    #[test]
    fn only_differences_are_told() {
        let none = PeerMap::new();
        let one = peers(&[("a", "10.0.0.1", None), ("b", "10.0.0.2", None)]);
        let told = |old: &PeerMap, new: &PeerMap| {
            let told = changes(old, new).into_iter();
            told.map(|c| format!("{:?} {} {}", c.r#type(), c.name, c.address)).collect::<Vec<_>>()
        };
        assert_eq!(told(&none, &one), ["PeerAdded a 10.0.0.1", "PeerAdded b 10.0.0.2"]);
        assert!(told(&one, &one).is_empty());
        let moved = peers(&[("a", "10.0.0.9", None), ("c", "10.0.0.2", None)]);
        assert_eq!(told(&one, &moved), ["PeerDeleted b 10.0.0.2", "PeerUpdated a 10.0.0.9", "PeerAdded c 10.0.0.2"]);
        let secured = peers(&[("a", "10.0.0.1", Some("x")), ("b", "10.0.0.2", None)]);
        assert_eq!(told(&one, &secured), ["PeerUpdated a 10.0.0.1"]);
    }
}
