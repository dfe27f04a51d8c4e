//! Pulling from Hubble observers: another relay plays the peer.

use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::{GetFlowsRequest, GetFlowsResponse};
use proto::relay::NodeState;
use proto::weir::Loss;
use relay_server::PeerConfig;

use crate::collector::TestCollector;
use crate::relay::{TestRelay, flows, get_flows, now, numbers, wait_until, within};

async fn relay_that_pulls(address: String) -> TestRelay {
    let peer = PeerConfig { name: "peer-1".to_owned(), address, ..PeerConfig::default() };
    TestRelay::start_with(|config| {
        config.ingest.peer_batch_ms = 10;
        config.peers = vec![peer];
    })
    .await
}

async fn all_numbers(relay: &TestRelay) -> Vec<u32> {
    numbers(&get_flows(relay, GetFlowsRequest::default()).await)
}

fn nodes_in(responses: &[GetFlowsResponse], state: NodeState) -> Vec<String> {
    let mut names = Vec::new();
    for response in responses {
        if let Some(ResponseTypes::NodeStatus(event)) = &response.response_types
            && event.state_change() == state
        {
            names.extend(event.node_names.clone());
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_details_and_losses_of_a_peer() {
    let peer = TestRelay::start().await;
    let base = now();
    let mut collector = TestCollector::connect(peer.grpc(), "node-1", 1).await;
    collector.push(&flows(base, 0..100)).await;
    let relay = relay_that_pulls(peer.grpc().to_string()).await;
    wait_until("the past was pulled", async || all_numbers(&relay).await.len() == 100).await;
    let window = Some(proto::convert::time_to_wire(now()));
    let loss = Loss { window, stage: "kernel".to_owned(), cause: "ring_full".to_owned(), seen: 9, lost: 4 };
    collector.push_losses(&flows(base, 100..200), vec![loss]).await;
    wait_until("news were pulled", async || all_numbers(&relay).await.len() == 200).await;
    assert_eq!(all_numbers(&relay).await, (0..200).collect::<Vec<_>>());
    let lost = r#"weir_relay_lost_flows_total{stage="kernel"}"#;
    wait_until("losses were pulled", async || relay.metric(lost).await == 4).await;
    let row = &crate::http::get(relay.http(), "/api/v1/flows?last=1").await.json()["flows"][0];
    assert_eq!((row["bytes"].as_u64(), row["node"].as_str()), (Some(100), Some("node-1")));
    let responses = get_flows(&relay, GetFlowsRequest { number: 1, ..Default::default() }).await;
    assert_eq!(nodes_in(&responses, NodeState::NodeConnected), ["peer-1"]);
    relay.stop().await.unwrap();
    peer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_comes_back_is_continued() {
    // An address of its own, at which no other test comes to listen meanwhile.
    let peer = TestRelay::start_with(|config| config.grpc.listen = ([127, 0, 76, 1], 0).into()).await;
    let address = peer.grpc();
    let base = now();
    TestCollector::connect(address, "node-1", 1).await.push(&flows(base, 0..50)).await;
    let relay = relay_that_pulls(address.to_string()).await;
    wait_until("the past was pulled", async || all_numbers(&relay).await.len() == 50).await;
    peer.stop().await.unwrap();
    wait_until("it is noticed", async || {
        let responses = get_flows(&relay, GetFlowsRequest { number: 1, ..Default::default() }).await;
        nodes_in(&responses, NodeState::NodeUnavailable) == ["peer-1"]
    })
    .await;

    // It comes back at the same address with a part of what it had, and more.
    let peer = TestRelay::start_with(|config| config.grpc.listen = address).await;
    let mut collector = TestCollector::connect(address, "node-1", 2).await;
    collector.push(&flows(base, 30..80)).await;
    wait_until("it was continued", async || all_numbers(&relay).await.len() >= 80).await;
    assert_eq!(all_numbers(&relay).await, (0..80).collect::<Vec<_>>(), "what overlaps is taken once");
    relay.stop().await.unwrap();
    peer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_from_the_future_keeps_no_other_away() {
    // An address of its own, at which no other test comes to listen meanwhile.
    let peer = TestRelay::start_with(|config| config.grpc.listen = ([127, 0, 76, 2], 0).into()).await;
    let (address, base) = (peer.grpc(), now());
    let mut future = flows(base, 50..51);
    future[0].time = base.after(std::time::Duration::from_secs(2 * 86_400));
    let mut collector = TestCollector::connect(address, "node-1", 1).await;
    collector.push(&flows(base, 0..50)).await;
    collector.push(&future).await;
    let relay = relay_that_pulls(address.to_string()).await;
    wait_until("the past was pulled", async || all_numbers(&relay).await.len() == 51).await;
    peer.stop().await.unwrap();

    let peer = TestRelay::start_with(|config| config.grpc.listen = address).await;
    let mut collector = TestCollector::connect(address, "node-1", 2).await;
    collector.push(&flows(base, 40..50)).await;
    collector.push(&future).await;
    collector.push(&flows(base, 51..80)).await;
    wait_until("it was continued", async || all_numbers(&relay).await.len() >= 80).await;
    let mut pulled = all_numbers(&relay).await;
    pulled.sort_unstable();
    assert_eq!(pulled, (0..80).collect::<Vec<_>>(), "each once");
    relay.stop().await.unwrap();
    peer.stop().await.unwrap();
}

/// A relay with a store that pulls, and makes files of flows at once where `seals` says so.
async fn relay_with_store(place: &std::path::Path, address: std::net::SocketAddr, seals: bool) -> TestRelay {
    let peer = PeerConfig { name: "peer-1".to_owned(), address: address.to_string(), ..PeerConfig::default() };
    TestRelay::start_with(|config| {
        config.ingest.peer_batch_ms = 10;
        config.peers = vec![peer];
        config.store.place = place.display().to_string();
        config.store.file_age_ms = if seals { 1 } else { 3_600_000 };
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_comes_back_goes_on_where_it_was() {
    /// Fewer than a relay asks for when it meets a peer.
    const HISTORY: u32 = 4_000;
    for seals in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let peer = TestRelay::start().await;
        let base = now();
        let mut collector = TestCollector::connect(peer.grpc(), "node-1", 1).await;
        // Every third flow has no id, as those of old observers.
        let made = |numbers: std::ops::Range<u32>| {
            let mut made = flows(base, numbers);
            made.iter_mut().step_by(3).for_each(|flow| flow.id = flow::FlowId::None);
            made
        };
        collector.push(&made(0..HISTORY)).await;
        let mut end = HISTORY;
        for life in 0..4 {
            let relay = relay_with_store(folder.path(), peer.grpc(), seals).await;
            wait_until("it has what came meanwhile", async || all_numbers(&relay).await.len() as u32 >= end).await;
            // Some more while it is there.
            collector.push(&made(end..end + 100)).await;
            end += 100;
            wait_until("it has the news", async || all_numbers(&relay).await.len() as u32 >= end).await;
            if seals {
                let sealed = "weir_relay_store_log_bytes";
                wait_until("flows are in files", async || relay.metric("weir_relay_store_files").await > life).await;
                assert!(relay.metric(sealed).await > 0);
            }
            assert_eq!(all_numbers(&relay).await, (0..end).collect::<Vec<_>>(), "each once, in life {life}");
            assert_eq!(relay.metric(r#"weir_relay_lost_flows_total{stage="ring"}"#).await, 0);
            relay.stop().await.unwrap();
            collector.push(&made(end..end + 250)).await;
            end += 250;
        }
        peer.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_breaks_off_is_told_to_those_who_follow() {
    let peer = TestRelay::start().await;
    TestCollector::connect(peer.grpc(), "node-1", 1).await.push(&flows(now(), 0..5)).await;
    let relay = relay_that_pulls(peer.grpc().to_string()).await;
    wait_until("the past was pulled", async || all_numbers(&relay).await.len() == 5).await;
    let follow = GetFlowsRequest { follow: true, ..Default::default() };
    let mut stream = relay.observer().await.get_flows(follow).await.unwrap().into_inner();
    assert_eq!(nodes_in(&[within(stream.message()).await.unwrap().unwrap()], NodeState::NodeConnected), ["peer-1"]);
    peer.stop().await.unwrap();
    let told = within(stream.message()).await.unwrap().unwrap();
    assert_eq!(nodes_in(std::slice::from_ref(&told), NodeState::NodeError), ["peer-1"]);
    let Some(ResponseTypes::NodeStatus(event)) = told.response_types else { panic!() };
    let expected = "rpc error: code = Unavailable desc = the relay is stopping";
    assert!(event.message.ends_with(expected), "{}", event.message);
    drop(stream);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_have_their_counts() {
    let peer = TestRelay::start().await;
    TestCollector::connect(peer.grpc(), "node-1", 1).await.push(&flows(now(), 0..7)).await;
    let nodes = peer.observer().await.get_nodes(proto::observer::GetNodesRequest {}).await.unwrap().into_inner().nodes;
    let [node] = nodes.as_slice() else { panic!("{nodes:?}") };
    assert_eq!((node.name.as_str(), node.num_flows, node.seen_flows), ("node-1", 7, 7));
    assert!(node.max_flows > 0 && node.tls.as_ref().is_some_and(|tls| !tls.enabled));
    peer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_peer_is_listed_with_the_reason() {
    let relay = relay_that_pulls("127.0.0.1:1".to_owned()).await;
    wait_until("it is noticed", async || {
        let responses = get_flows(&relay, GetFlowsRequest { number: 1, ..Default::default() }).await;
        responses.iter().any(|r| match &r.response_types {
            Some(ResponseTypes::NodeStatus(event)) => event.message.contains("refused"),
            _ => false,
        })
    })
    .await;
    let nodes = relay.observer().await.get_nodes(proto::observer::GetNodesRequest {}).await.unwrap().into_inner().nodes;
    let [node] = nodes.as_slice() else { panic!("{nodes:?}") };
    assert_eq!((node.uptime_ns, node.max_flows), (0, 0), "clients say N/A");
    relay.stop().await.unwrap();
}
