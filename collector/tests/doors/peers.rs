//! `peer.Peer` and TLS of a node's doors.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bed::{Bed, lines, write};
use collector::config::PeerEntry;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetFlowsRequest, ServerStatusRequest};
use proto::peer::peer_client::PeerClient;
use proto::peer::{ChangeNotification, NotifyRequest};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

const DEADLINE: Duration = Duration::from_secs(30);

async fn notify(channel: Channel) -> Streaming<ChangeNotification> {
    PeerClient::new(channel).notify(NotifyRequest {}).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<ChangeNotification>) -> String {
    let change = tokio::time::timeout(DEADLINE, stream.message()).await.expect("a change is told").unwrap().unwrap();
    let tls = change.tls.as_ref().map_or("-", |tls| tls.server_name.as_str());
    format!("{:?} {} {} {tls}", change.r#type(), change.name, change.address)
}

#[tokio::test]
async fn all_peers_are_added_and_changes_follow() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("peers.yaml");
    write(&file, "- {name: node-2, address: 10.0.0.2}\n");
    let bed = Bed::start("", 0, |config| {
        let peer = PeerEntry { name: "node-3".to_owned(), address: "10.0.0.3:4244".to_owned(), tls_server_name: None };
        config.observer.peers = vec![peer];
        config.observer.peers_file = Some(file.clone());
    })
    .await;
    let own = format!("PeerAdded node-1 {} -", bed.running.observer.unwrap());
    let mut stream = notify(bed.channel.clone()).await;
    for expected in [own.as_str(), "PeerAdded node-2 10.0.0.2 -", "PeerAdded node-3 10.0.0.3:4244 -"] {
        assert_eq!(next(&mut stream).await, expected);
    }
    write(&file, "- {name: node-4, address: 10.0.0.4}\n- {name: node-2, address: 10.0.0.9}\n");
    for expected in ["PeerUpdated node-2 10.0.0.9 -", "PeerAdded node-4 10.0.0.4 -"] {
        assert_eq!(next(&mut stream).await, expected);
    }
    write(&file, "");
    for expected in ["PeerDeleted node-2 10.0.0.9 -", "PeerDeleted node-4 10.0.0.4 -"] {
        assert_eq!(next(&mut stream).await, expected);
    }
    // Who comes later is told of what is true now.
    let mut late = notify(bed.channel.clone()).await;
    assert_eq!(next(&mut late).await, own);
    assert_eq!(next(&mut late).await, "PeerAdded node-3 10.0.0.3:4244 -");
    drop((stream, late));
    bed.stop().await;
}

#[tokio::test]
async fn more_streams_than_there_are_places_for_are_refused_until_one_ends() {
    let bed = Bed::start("", 0, |config| config.observer.streams_max = 2).await;
    let (mut observer, mut peer) = (ObserverClient::new(bed.channel.clone()), PeerClient::new(bed.channel.clone()));
    let follow = GetFlowsRequest { follow: true, ..GetFlowsRequest::default() };
    let flows = [observer.get_flows(follow.clone()).await.unwrap(), observer.get_flows(follow.clone()).await.unwrap()];
    let changes = [peer.notify(NotifyRequest {}).await.unwrap(), peer.notify(NotifyRequest {}).await.unwrap()];
    let expected = "2 streams are open already; close some or raise collector.observer.streams_max";
    for refused in [
        observer.get_flows(follow.clone()).await.map(drop).unwrap_err(),
        peer.notify(NotifyRequest {}).await.map(drop).unwrap_err(),
    ] {
        assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, expected));
    }
    drop((flows, changes));
    let both_are_free = async {
        while observer.get_flows(follow.clone()).await.is_err() || peer.notify(NotifyRequest {}).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, both_are_free).await.expect("places become free");
    bed.stop().await;
}

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tls/tests/certificates").join(name)
}

#[tokio::test]
async fn mutual_tls_lets_in_who_has_a_certificate_and_peers_are_told_their_names() {
    let bed = Bed::start(&lines(1..=3), 0, |config| {
        config.observer.tls = Some(tls::ServerTls {
            cert_file: certificate("server.pem"),
            key_file: certificate("server-key.pem"),
            client_ca_files: vec![certificate("ca.pem")],
        });
    })
    .await;
    let address = bed.running.observer.unwrap();
    let connect = async |with_certificate: bool| {
        let shown = |name| with_certificate.then(|| certificate(name));
        let settings = tls::ClientTls {
            ca_files: vec![certificate("ca.pem")],
            cert_file: shown("client.pem"),
            key_file: shown("client-key.pem"),
            server_name: None,
        };
        let server_name = Some("node-1.default.hubble-grpc.cilium.io".to_owned());
        let dial = tls::Dial { host: address.ip().to_string(), port: address.port(), server_name };
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = tls::connect(endpoint, dial, &settings).await.map_err(|e| e.to_string())?;
        let status = ObserverClient::new(channel.clone()).server_status(ServerStatusRequest {}).await;
        status.map(|_| channel).map_err(|e| e.to_string())
    };
    let channel = connect(true).await.unwrap();
    let mut stream = notify(channel).await;
    assert_eq!(next(&mut stream).await, format!("PeerAdded node-1 {address} node-1.default.hubble-grpc.cilium.io"));
    assert!(connect(false).await.is_err(), "no certificate, no answer");
    let plain = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    assert!(ObserverClient::new(plain).server_status(ServerStatusRequest {}).await.is_err(), "no TLS, no answer");
    drop(stream);
    bed.stop().await;
}
