//! `observer.Observer`: where answers begin and end, what they hold, how following goes.

use std::time::Duration;

use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::{GetAgentEventsRequest, GetFlowsRequest, GetFlowsResponse, GetNamespacesRequest};
use tonic::{Code, Streaming};

use crate::collector::TestCollector;
use crate::relay::{TestRelay, flow, flows, get_flows, now, number, numbers, wait_until, within};

fn wire_time(base: flow::Timestamp, number: u32) -> Option<prost_types::Timestamp> {
    Some(proto::convert::time_to_wire(flow(base, number).time))
}

#[tokio::test(flavor = "multi_thread")]
async fn number_counts_over_all_nodes_in_order_of_time() {
    let relay = TestRelay::start().await;
    let base = now();
    let mut one = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let mut two = TestCollector::connect(relay.grpc(), "node-2", 2).await;
    // Two nodes that take turns; the second one's batches arrive first.
    let (even, odd): (Vec<_>, Vec<_>) = (0..1000).map(|n| flow(base, n)).partition(|f| f.time.0 / 1000 % 2 == 0);
    for (even, odd) in even.chunks(100).zip(odd.chunks(100)) {
        two.push(odd).await;
        one.push(even).await;
    }
    let ask = async |request: GetFlowsRequest| numbers(&get_flows(&relay, request).await);
    let all: Vec<u32> = (0..1000).collect();
    let some = |range: std::ops::Range<u32>| range.collect::<Vec<u32>>();
    let request = GetFlowsRequest::default;
    assert_eq!(ask(request()).await, all);
    assert_eq!(ask(GetFlowsRequest { number: 20, ..request() }).await, some(980..1000));
    assert_eq!(ask(GetFlowsRequest { number: 20, first: true, ..request() }).await, some(0..20));
    assert_eq!(ask(GetFlowsRequest { number: 5000, ..request() }).await, all);
    let since = wire_time(base, 100);
    assert_eq!(ask(GetFlowsRequest { since, ..request() }).await, some(100..1000));
    assert_eq!(ask(GetFlowsRequest { since, number: 7, ..request() }).await, some(100..107));
    let until = wire_time(base, 110);
    assert_eq!(ask(GetFlowsRequest { since, until, ..request() }).await, some(100..111));
    assert_eq!(ask(GetFlowsRequest { until, number: 3, ..request() }).await, some(108..111));
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_count_before_number() {
    let relay = TestRelay::start().await;
    let base = now();
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let mut all = flows(base, 0..100);
    for (i, flow) in all.iter_mut().enumerate() {
        if i % 10 == 0 {
            flow.verdict = flow::Verdict::DROPPED;
        }
    }
    collector.push(&all).await;
    let dropped = proto::flow::FlowFilter { verdict: vec![flow::Verdict::DROPPED.0], ..Default::default() };
    let request = GetFlowsRequest { number: 3, whitelist: vec![dropped.clone()], ..Default::default() };
    assert_eq!(numbers(&get_flows(&relay, request).await), [70, 80, 90]);
    let request = GetFlowsRequest { number: 3, blacklist: vec![dropped], ..Default::default() };
    assert_eq!(numbers(&get_flows(&relay, request).await), [97, 98, 99]);
    let everything = proto::flow::FlowFilter::default();
    let request = GetFlowsRequest { blacklist: vec![everything], ..Default::default() };
    assert!(numbers(&get_flows(&relay, request).await).is_empty());
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn masks_and_details() {
    let relay = TestRelay::start().await;
    TestCollector::connect(relay.grpc(), "node-1", 1).await.push(&flows(now(), 0..1)).await;
    let ask = async |request: GetFlowsRequest| {
        let responses = get_flows(&relay, request).await;
        let last: GetFlowsResponse = responses.into_iter().last().unwrap();
        let Some(ResponseTypes::Flow(flow)) = last.response_types.clone() else { panic!("{last:?}") };
        (last, *Box::new(flow))
    };
    let (wrapper, flow) = ask(GetFlowsRequest::default()).await;
    assert_eq!((wrapper.node_name.as_str(), wrapper.time), ("node-1", flow.time));
    assert!(flow.extensions.is_none(), "stock clients cannot print details");

    let options = proto::weir::GetFlowsOptions { details: true };
    let extensions = Some(prost_types::Any::from_msg(&options).unwrap());
    let (_, flow) = ask(GetFlowsRequest { extensions, ..Default::default() }).await;
    let details = flow.extensions.unwrap().to_msg::<proto::weir::FlowDetails>().unwrap();
    assert_eq!((details.bytes, details.packets), (100, 2));

    let mask = |paths: &[&str]| {
        let paths = paths.iter().map(|p| (*p).to_owned()).collect();
        GetFlowsRequest { field_mask: Some(prost_types::FieldMask { paths }), ..Default::default() }
    };
    let (wrapper, flow) = ask(mask(&["source.pod_name", "verdict", "no_such_field"])).await;
    assert_eq!(flow.source.unwrap().pod_name, "web");
    assert!(flow.destination.is_none() && flow.uuid.is_empty());
    assert_eq!((wrapper.node_name.as_str(), wrapper.time), ("", None), "the wrapper has what the mask left");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_fail_at_once() {
    let relay = TestRelay::start().await;
    let mut client = relay.observer().await;
    let both = GetFlowsRequest { first: true, follow: true, ..Default::default() };
    assert_eq!(client.get_flows(both).await.unwrap_err().code(), Code::InvalidArgument);
    let filter = proto::flow::FlowFilter { dns_query: vec!["(".to_owned()], ..Default::default() };
    let error = client.get_flows(GetFlowsRequest { whitelist: vec![filter], ..Default::default() }).await;
    assert_eq!(error.unwrap_err().code(), Code::Unknown);
    let events = client.get_agent_events(GetAgentEventsRequest::default()).await;
    assert_eq!(events.unwrap_err().code(), Code::Unimplemented);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_fails_in_hubbles_words() {
    let relay = TestRelay::start().await;
    let mut client = relay.observer().await;
    let no_time = Some(prost_types::Timestamp { seconds: 1, nanos: -1 });
    let ask = GetFlowsRequest::default;
    let filter = proto::flow::FlowFilter { source_ip: vec!["10.0.0.999".to_owned()], ..Default::default() };
    for (request, code, message) in [
        (
            GetFlowsRequest { first: true, follow: true, ..ask() },
            Code::InvalidArgument,
            "first cannot be specified with follow",
        ),
        (
            GetFlowsRequest { until: no_time, ..ask() },
            Code::Unknown,
            "proto: timestamp (seconds:1 nanos:-1) has out-of-range nanos",
        ),
        (
            GetFlowsRequest { blacklist: vec![filter], ..ask() },
            Code::Unknown,
            "invalid IP address \"10.0.0.999\" in filter: unable to parse IP",
        ),
    ] {
        let error = client.get_flows(request).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (code, message));
    }
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_version_is_in_the_headers() {
    let relay = TestRelay::start().await;
    let answer = relay.observer().await.get_namespaces(GetNamespacesRequest {}).await.unwrap();
    assert_eq!(answer.metadata().get("hubble-relay-version").unwrap(), "1.19.4");
    assert_eq!(answer.metadata().get("hubble-server-version").unwrap(), "1.19.4");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_of_the_last_hour() {
    let relay = TestRelay::start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let mut old = flow(now().before(Duration::from_secs(7200)), 0);
    old.source = Some(std::sync::Arc::new(flow::Endpoint { namespace: "gone".to_owned(), ..Default::default() }));
    collector.push(&[old, flow(now(), 1)]).await;
    let answer = relay.observer().await.get_namespaces(GetNamespacesRequest {}).await.unwrap().into_inner();
    let names: Vec<_> = answer.namespaces.iter().map(|n| (n.cluster.as_str(), n.namespace.as_str())).collect();
    assert_eq!(names, [("default", "bank"), ("default", "shop")]);
    relay.stop().await.unwrap();
}

async fn follow(relay: &TestRelay, request: GetFlowsRequest) -> Streaming<GetFlowsResponse> {
    let request = GetFlowsRequest { follow: true, ..request };
    relay.observer().await.get_flows(request).await.unwrap().into_inner()
}

/// Reads flows until there are `count` and gives their numbers and how many were told as lost.
async fn read(stream: &mut Streaming<GetFlowsResponse>, count: usize) -> (Vec<u32>, u64) {
    let (mut numbers, mut lost) = (Vec::new(), 0);
    while numbers.len() as u64 + lost < count as u64 {
        let response = within(stream.message()).await.unwrap().expect("it never ends");
        numbers.extend(number(&response));
        if let Some(ResponseTypes::LostEvents(event)) = response.response_types {
            lost += event.num_events_lost;
        }
    }
    (numbers, lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn following_begins_where_it_was_asked_to() {
    let relay = TestRelay::start().await;
    let base = now();
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    collector.push(&flows(base, 0..50)).await;
    let mut from_tip = follow(&relay, GetFlowsRequest::default()).await;
    let mut last_five = follow(&relay, GetFlowsRequest { number: 5, ..Default::default() }).await;
    let mut since = follow(&relay, GetFlowsRequest { since: wire_time(base, 40), ..Default::default() }).await;
    wait_until("all follow", async || relay.metric("weir_relay_streams").await == 3).await;
    // A stream from the tip begins with the state of the nodes; after that it has its place.
    assert!(number(&within(from_tip.message()).await.unwrap().unwrap()).is_none());
    assert_eq!(read(&mut last_five, 5).await.0, (45..50).collect::<Vec<_>>());
    assert_eq!(read(&mut since, 10).await.0, (40..50).collect::<Vec<_>>());
    collector.push(&flows(base, 50..60)).await;
    let expected = (50..60).collect::<Vec<_>>();
    assert_eq!(read(&mut from_tip, 10).await.0, expected);
    assert_eq!(read(&mut last_five, 10).await.0, expected);
    assert_eq!(read(&mut since, 10).await.0, expected);
    drop((from_tip, last_five, since));
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn following_ends_at_until() {
    let relay = TestRelay::start().await;
    let base = now();
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    collector.push(&flows(base, 0..5)).await;
    let request = GetFlowsRequest { number: 2, until: wire_time(base, 7), ..Default::default() };
    let mut stream = follow(&relay, request).await;
    assert_eq!(read(&mut stream, 2).await.0, [3, 4]);
    collector.push(&flows(base, 5..20)).await;
    assert_eq!(read(&mut stream, 3).await.0, [5, 6, 7]);
    assert!(within(stream.message()).await.unwrap().is_none());
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_followers_miss_nothing_and_see_nothing_twice() {
    const FOLLOWERS: usize = 100;
    const FLOWS: u32 = 3000;
    let relay = TestRelay::start().await;
    let base = now();
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    collector.push(&flows(base, 0..100)).await;
    let channel = relay.observer().await;
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..FOLLOWERS {
        let mut client = channel.clone();
        readers.spawn(async move {
            let request = GetFlowsRequest { follow: true, number: 100, ..Default::default() };
            let mut stream = client.get_flows(request).await.unwrap().into_inner();
            let mut numbers = Vec::new();
            while numbers.last() != Some(&(FLOWS - 1)) {
                numbers.extend(number(&within(stream.message()).await.unwrap().expect("it never ends")));
            }
            numbers
        });
    }
    // Batches arrive while followers join: the seam between past and news is where gaps and repeats would be.
    for begin in (100..FLOWS).step_by(100) {
        collector.push(&flows(base, begin..begin + 100)).await;
    }
    while let Some(numbers) = readers.join_next().await {
        let numbers = numbers.unwrap();
        assert!(numbers.iter().copied().eq(numbers[0]..FLOWS), "in order, no gap, no repeat: {numbers:?}");
    }
    relay.stop().await.unwrap();
}

/// A thousand clients follow at once, and one of them stops reading: nobody else is kept waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_followers_and_one_that_stops_reading() {
    const FOLLOWERS: usize = 1_000;
    const CONNECTIONS: usize = 10;
    const FLOWS: u32 = 801;
    let relay = TestRelay::start_with(|config| {
        config.grpc.streams_max = FOLLOWERS + 1;
        config.grpc.lag_flows_max = 100_000;
        config.grpc.stream_buffer_flows = 16;
        // On a busy machine one of the thousand may not read for seconds either.
        config.grpc.stall_ms = 120_000;
    })
    .await;
    let base = now();
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    collector.push(&flows(base, 0..1)).await;
    let mut stuck = follow(&relay, GetFlowsRequest { number: 1, ..Default::default() }).await;
    assert_eq!(read(&mut stuck, 1).await.0, [0]);
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(relay.observer().await);
    }
    let mut readers = tokio::task::JoinSet::new();
    for follower in 0..FOLLOWERS {
        let mut client = connections[follower % CONNECTIONS].clone();
        readers.spawn(async move {
            let request = GetFlowsRequest { follow: true, number: 1, ..Default::default() };
            let mut stream = client.get_flows(request).await.unwrap().into_inner();
            let mut numbers = Vec::new();
            let mut lost = 0;
            while numbers.last() != Some(&(FLOWS - 1)) {
                let (news, missed) = read(&mut stream, 1).await;
                numbers.extend(news);
                lost += missed;
            }
            (numbers, lost)
        });
    }
    wait_until("all follow", async || relay.metric("weir_relay_streams").await > FOLLOWERS as u64).await;
    for begin in (1..FLOWS).step_by(200) {
        collector.push(&flows(base, begin..begin + 200)).await;
    }
    while let Some(read) = readers.join_next().await {
        let (numbers, lost) = read.unwrap();
        assert_eq!(lost, 0);
        assert!(numbers.iter().copied().eq(0..FLOWS), "in order, no gap, no repeat: {numbers:?}");
    }
    assert_eq!(relay.metric(LOST).await, 0);
    drop(stuck);
    relay.stop().await.unwrap();
}

const LOST: &str = r#"weir_relay_lost_flows_total{stage="serve"}"#;

/// One that follows and reads nothing while so many flows come by; windows and buffers hold a part of them.
async fn slow_follower(
    lag_flows_max: u64,
    stall_ms: u64,
    count: u32,
) -> (TestRelay, TestCollector, Streaming<GetFlowsResponse>) {
    let relay = TestRelay::start_with(|config| {
        config.grpc.lag_flows_max = lag_flows_max;
        config.grpc.stream_buffer_flows = 16;
        config.grpc.stall_ms = stall_ms;
    })
    .await;
    let base = now();
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    collector.push(&flows(base, 0..1)).await;
    let mut stream = follow(&relay, GetFlowsRequest { number: 1, ..Default::default() }).await;
    assert_eq!(read(&mut stream, 1).await.0, [0]);
    for begin in (1..count).step_by(500) {
        collector.push(&flows(base, begin..(begin + 500).min(count))).await;
    }
    (relay, collector, stream)
}

/// It reads on, and is told exactly what it lost.
async fn is_told_what_it_lost(relay: TestRelay, mut stream: Streaming<GetFlowsResponse>, count: u32) {
    let (numbers, lost) = read(&mut stream, count as usize - 1).await;
    assert!(lost > 0, "more was pushed than all buffers hold");
    assert_eq!(numbers.len() as u64 + lost, u64::from(count) - 1, "seen = delivered + lost");
    assert!(numbers.is_sorted());
    assert_eq!(relay.metric(LOST).await, lost);
    drop(stream);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stops_reading_is_given_up_and_told_what_it_lost() {
    // Far less than it may lag behind.
    let (relay, _collector, stuck) = slow_follower(100_000, 500, 40_001).await;
    wait_until("it is given up", async || relay.metric(LOST).await > 0).await;
    is_told_what_it_lost(relay, stuck, 40_001).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_follower_is_told_exactly_what_it_lost() {
    let (relay, _collector, stream) = slow_follower(1000, 50, 40_000).await;
    is_told_what_it_lost(relay, stream, 40_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_nobody_reads_is_let_go() {
    let relay = TestRelay::start_with(|config| {
        config.grpc.stream_buffer_flows = 4;
        config.grpc.stall_ms = 50;
    })
    .await;
    let base = now();
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    for begin in (0..60_000).step_by(5000) {
        collector.push(&flows(base, begin..begin + 5000)).await;
    }
    let mut stream = relay.observer().await.get_flows(GetFlowsRequest::default()).await.unwrap().into_inner();
    let series = r#"weir_relay_queries_total{kind="flows",outcome="stalled"}"#;
    wait_until("the stall is noticed", async || relay.metric(series).await == 1).await;
    let error = loop {
        match within(stream.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a part looked like the whole"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_the_limit_are_refused() {
    let relay = TestRelay::start_with(|config| config.grpc.streams_max = 1).await;
    let first = follow(&relay, GetFlowsRequest::default()).await;
    let error = relay.observer().await.get_flows(GetFlowsRequest::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    drop(first);
    wait_until("there is room again", async || relay.metric("weir_relay_streams").await == 0).await;
    assert!(relay.observer().await.get_flows(GetFlowsRequest::default()).await.is_ok());
    relay.stop().await.unwrap();
}
