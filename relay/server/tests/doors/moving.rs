//! Peers that are told of elsewhere while the relay's store takes nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;

use proto::observer::GetFlowsRequest;
use proto::peer::peer_server::{Peer, PeerServer};
use proto::peer::{ChangeNotification, ChangeNotificationType, NotifyRequest};
use relay_server::PeerConfig;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::collector::TestCollector;
use crate::relay::{TestRelay, flows, get_flows, now, numbers, wait_until};

/// A peer service that tells one relay of what the test sends.
struct Notifications(Mutex<Option<mpsc::Receiver<Result<ChangeNotification, Status>>>>);

#[tonic::async_trait]
impl Peer for Notifications {
    type NotifyStream = ReceiverStream<Result<ChangeNotification, Status>>;

    async fn notify(&self, _: Request<NotifyRequest>) -> Result<Response<Self::NotifyStream>, Status> {
        let told = self.0.lock().unwrap().take();
        told.map(|told| Response::new(ReceiverStream::new(told))).ok_or_else(|| Status::unavailable("told already"))
    }
}

/// Its address, and the way to tell of the address of `peer-1`.
async fn peer_service() -> (SocketAddr, mpsc::Sender<Result<ChangeNotification, Status>>) {
    let (changes, told) = mpsc::channel(4);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = PeerServer::new(Notifications(Mutex::new(Some(told))));
    tokio::spawn(Server::builder().add_service(door).serve_with_incoming(TcpListenerStream::new(listener)));
    (address, changes)
}

fn peer_is_at(address: SocketAddr) -> Result<ChangeNotification, Status> {
    Ok(ChangeNotification {
        name: "peer-1".to_owned(),
        address: address.to_string(),
        r#type: ChangeNotificationType::PeerUpdated.into(),
        tls: None,
    })
}

async fn has(relay: &TestRelay, expected: impl Iterator<Item = u32>) {
    let expected: Vec<_> = expected.collect();
    wait_until("it has all flows", async || numbers(&get_flows(relay, GetFlowsRequest::default()).await) == expected)
        .await;
}

async fn streams(relay: &TestRelay, expected: u64) {
    wait_until("the relay pulls here no more, or now", async || relay.metric("weir_relay_streams").await == expected)
        .await;
}

/// Pushes flows to a peer, and waits until the relay's store has refused them.
async fn push_in_vain(relay: &TestRelay, peer: &mut TestCollector, new: &[flow::Flow]) {
    let refused = r#"weir_relay_refused_batches_total{cause="store"}"#;
    let before = relay.metric(refused).await;
    peer.push(new).await;
    wait_until("the store refuses", async || relay.metric(refused).await > before).await;
}

async fn relay_with_store(place: &Path, service: SocketAddr) -> TestRelay {
    TestRelay::start_with(|config| {
        config.ingest.peer_batch_ms = 10;
        config.peer_services = vec![PeerConfig { address: service.to_string(), ..PeerConfig::default() }];
        config.store.place = place.display().to_string();
        // Every batch begins a file, so that a folder which is not there is noticed at once.
        config.store.log_file_bytes = 1;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pulled_is_kept_for_the_store_or_counted_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (log, away) = (folder.path().join("wal"), folder.path().join("away"));
    let (first, second) = (TestRelay::start().await, TestRelay::start().await);
    let base = now();
    let mut at_first = TestCollector::connect(first.grpc(), "node-1", 1).await;
    let mut at_second = TestCollector::connect(second.grpc(), "node-1", 2).await;
    at_first.push(&flows(base, 0..50)).await;
    let (service, changes) = peer_service().await;
    let relay = relay_with_store(folder.path(), service).await;
    changes.send(peer_is_at(first.grpc())).await.unwrap();
    has(&relay, 0..50).await;

    // The peer moves while a batch waits for the store, which then takes it.
    std::fs::rename(&log, &away).unwrap();
    push_in_vain(&relay, &mut at_first, &flows(base, 50..60)).await;
    at_second.push(&flows(base, 60..70)).await;
    changes.send(peer_is_at(second.grpc())).await.unwrap();
    streams(&first, 0).await;
    std::fs::rename(&away, &log).unwrap();
    has(&relay, 0..70).await;
    let lost = r#"weir_relay_lost_flows_total{stage="ingest"}"#;
    assert_eq!(relay.metric(lost).await, 0);

    // It moves again, and the store takes nothing for longer than others can wait for.
    std::fs::rename(&log, &away).unwrap();
    push_in_vain(&relay, &mut at_second, &flows(base, 70..80)).await;
    changes.send(peer_is_at(first.grpc())).await.unwrap();
    streams(&first, 1).await;
    wait_until("the batch is given up", async || relay.metric(lost).await == 10).await;
    std::fs::rename(&away, &log).unwrap();
    at_first.push(&flows(base, 80..90)).await;
    has(&relay, (0..70).chain(80..90)).await;
    assert_eq!(relay.metric(lost).await, 10);
    for relay in [relay, first, second] {
        relay.stop().await.unwrap();
    }
}
