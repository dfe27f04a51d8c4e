//! Batches in, flows out.

use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::{GetFlowsRequest, GetNodesRequest, ServerStatusRequest};
use proto::weir::Loss;

use crate::collector::TestCollector;
use crate::relay::{TestRelay, channel, flow, flows, get_flows, now, numbers, wait_until, within};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_can_be_read_back() {
    let relay = TestRelay::start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    let base = now();
    for sequence in 1..=3 {
        let ack = collector.push(&flows(base, (sequence - 1) * 10..sequence * 10)).await;
        assert_eq!((ack.boot_id, ack.sequence, ack.repeated_batch), (7, u64::from(sequence), false));
    }
    let responses = get_flows(&relay, GetFlowsRequest::default()).await;
    assert_eq!(numbers(&responses), (0..30).collect::<Vec<_>>());
    let Some(ResponseTypes::Flow(wire)) = responses.last().unwrap().response_types.clone() else { panic!() };
    let mut expected = flow(base, 29);
    expected.details = None;
    assert_eq!(proto::convert::flow_from_wire(wire), expected);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_are_dropped_per_node_and_boot() {
    let relay = TestRelay::start().await;
    let base = now();
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    collector.push(&flows(base, 0..10)).await;
    collector.push(&flows(base, 10..20)).await;

    // The connection broke before the acknowledgments arrived: the collector sends both again, then goes on.
    let mut again = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    again.rewind(1);
    let ack = again.push(&flows(base, 0..10)).await;
    assert!(ack.repeated_batch);
    assert_eq!(ack.sequence, 2, "everything up to 2 is owned, so the collector may drop both");
    assert!(again.push(&flows(base, 10..20)).await.repeated_batch);
    assert!(!again.push(&flows(base, 20..30)).await.repeated_batch);

    // A collector that restarted counts from 1 again, under another boot id; another node has its own numbers.
    let mut restarted = TestCollector::connect(relay.grpc(), "node-1", 8).await;
    assert!(!restarted.push(&flows(base, 30..40)).await.repeated_batch);
    let mut other = TestCollector::connect(relay.grpc(), "node-2", 7).await;
    assert!(!other.push(&flows(base, 40..50)).await.repeated_batch);

    let responses = get_flows(&relay, GetFlowsRequest::default()).await;
    assert_eq!(numbers(&responses), (0..50).collect::<Vec<_>>());
    assert_eq!(relay.metric("weir_relay_repeated_batches_total").await, 2);
    assert_eq!(relay.metric(r#"weir_relay_rows_total{from="push"}"#).await, 50);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_and_go() {
    let relay = TestRelay::start().await;
    let mut client = relay.observer().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    collector.push(&flows(now(), 0..10)).await;
    let nodes = client.get_nodes(GetNodesRequest {}).await.unwrap().into_inner().nodes;
    assert_eq!(nodes.len(), 1);
    assert_eq!((nodes[0].name.as_str(), nodes[0].version.as_str(), nodes[0].seen_flows), ("node-1", "test 1", 10));
    assert_eq!(nodes[0].state(), proto::relay::NodeState::NodeConnected);
    let status = client.server_status(ServerStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.num_flows, status.seen_flows, status.num_connected_nodes), (10, 10, Some(1)));

    drop(collector);
    wait_until("the node is unavailable", async || {
        let status = client.server_status(ServerStatusRequest {}).await.unwrap().into_inner();
        status.num_unavailable_nodes == Some(1) && status.unavailable_nodes == ["node-1"]
    })
    .await;
    let responses = get_flows(&relay, GetFlowsRequest { number: 1, ..Default::default() }).await;
    let Some(ResponseTypes::NodeStatus(event)) = &responses[0].response_types else { panic!("{responses:?}") };
    assert_eq!(event.state_change(), proto::relay::NodeState::NodeUnavailable);
    assert_eq!(event.node_names, ["node-1"]);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_reach_followers_answers_and_metrics() {
    let relay = TestRelay::start().await;
    let mut client = relay.observer().await;
    let request = GetFlowsRequest { follow: true, ..Default::default() };
    let mut stream = client.get_flows(request).await.unwrap().into_inner();
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    let window = Some(proto::convert::time_to_wire(now()));
    let loss = Loss { window, stage: "kernel".to_owned(), cause: "ring_full".to_owned(), seen: 100, lost: 40 };
    collector.push_losses(&flows(now(), 0..1), vec![loss.clone()]).await;
    let told = loop {
        let response = within(stream.message()).await.unwrap().unwrap();
        if let Some(ResponseTypes::LostEvents(lost)) = response.response_types {
            break (response.node_name, lost.source(), lost.num_events_lost);
        }
    };
    assert_eq!(told, ("node-1".to_owned(), proto::flow::LostEventSource::PerfEventRingBuffer, 40));

    let responses = get_flows(&relay, GetFlowsRequest { number: 20, ..Default::default() }).await;
    let lost = responses.iter().find_map(|r| match &r.response_types {
        Some(ResponseTypes::LostEvents(lost)) => Some(lost.num_events_lost),
        _ => None,
    });
    assert_eq!(lost, Some(40), "{responses:?}");
    let answer = crate::http::get(relay.http(), "/api/v1/flows?last=5").await.json();
    assert_eq!(answer["completeness"]["lost"], 40);
    assert_eq!(answer["completeness"]["losses"][0]["cause"], "ring_full");
    assert_eq!(relay.metric(r#"weir_relay_lost_flows_total{stage="kernel"}"#).await, 40);

    // The same batch again changes nothing.
    collector.rewind(1);
    collector.push_losses(&flows(now(), 0..1), vec![loss]).await;
    assert_eq!(relay.metric(r#"weir_relay_lost_flows_total{stage="kernel"}"#).await, 40);
    drop(stream);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn collectors_beyond_the_limit_are_refused() {
    let relay = TestRelay::start_with(|config| config.ingest.collectors_max = 1).await;
    let mut first = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    first.push(&flows(now(), 0..1)).await;
    let mut client = arrow_flight::flight_service_client::FlightServiceClient::new(
        channel(format!("http://{}", relay.grpc())).await,
    );
    let error = client.do_put(tokio_stream::pending()).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::ResourceExhausted);
    assert!(error.message().contains("relay.ingest.collectors_max"), "{error}");
    drop(first);
    wait_until("there is room again", async || relay.metric("weir_relay_pushing_collectors").await == 0).await;
    TestCollector::connect(relay.grpc(), "node-2", 7).await.push(&flows(now(), 1..2)).await;
    relay.stop().await.unwrap();
}

/// Flows come faster than files are written, and more of them than memory has room for: the relay takes its time, and
/// takes them all.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_memory_makes_collectors_wait() {
    const BATCHES: u32 = 120;
    const ROWS: u32 = 500;
    let folder = tempfile::tempdir().unwrap();
    let relay = TestRelay::start_with(|config| {
        config.store.place = folder.path().display().to_string();
        // Fewer than make a run of files.
        config.index.flows_max = 8_000;
    })
    .await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let base = now();
    for batch in 0..BATCHES {
        assert!(!collector.push(&flows(base, batch * ROWS..(batch + 1) * ROWS)).await.repeated_batch);
    }
    let rows = u64::from(BATCHES * ROWS);
    assert_eq!(relay.metric(r#"weir_relay_rows_total{from="push"}"#).await, rows);
    let responses = get_flows(&relay, GetFlowsRequest { number: u64::from(ROWS), ..Default::default() }).await;
    assert_eq!(numbers(&responses), ((BATCHES - 1) * ROWS..BATCHES * ROWS).collect::<Vec<_>>());
    assert_eq!(relay.metric(r#"weir_relay_refused_batches_total{cause="store"}"#).await, 0);
    relay.stop().await.unwrap();
}
