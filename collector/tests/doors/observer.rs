//! `GetFlows` of a node, case by case: where an answer begins and ends, what passes, what fails.

use crate::bed::{Bed, at, lines, lost, scrape};
use prost_types::Timestamp;
use proto::flow::FlowFilter;
use proto::flow::flow_filter::Experimental;
use proto::observer::{GetAgentEventsRequest, GetDebugEventsRequest, GetFlowsRequest};
use tonic::{Code, Status};

/// Flows 1 to 20, and a loss of three events between 10 and 11.
async fn bed() -> Bed {
    Bed::start(&format!("{}{}{}", lines(1..=10), lost(3), lines(11..=20)), 20, |_| {}).await
}

/// The same, and so many others after them that they are kept as rows.
async fn bed_with_rows() -> Bed {
    const OTHERS: u64 = 6_000;
    let other = lines(1..=1).replace("T10:", "T11:").replace("odd-1", "other");
    let others = other.repeat(usize::try_from(OTHERS).unwrap());
    let lines = format!("{}{}{}{others}", lines(1..=10), lost(3), lines(11..=20));
    let bed = Bed::start(&lines, OTHERS + 20, |_| {}).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let is_packed = |line: &str| line.starts_with("weir_collector_ring_packed_flows ") && !line.ends_with(" 0");
    while !scrape(bed.running.metrics.unwrap()).await.lines().any(is_packed) {
        assert!(std::time::Instant::now() < deadline, "no flow became a row");
        tokio::task::yield_now().await;
    }
    bed
}

fn pods(prefix: &str) -> Vec<FlowFilter> {
    vec![FlowFilter { source_pod: vec![format!("shop/{prefix}")], ..FlowFilter::default() }]
}

fn cel(expression: &str) -> FlowFilter {
    let experimental = Experimental { cel_expression: vec![expression.to_owned()] };
    FlowFilter { experimental: Some(experimental), ..FlowFilter::default() }
}

fn everything() -> Vec<FlowFilter> {
    vec![FlowFilter::default()]
}

const ALL: &str = "1 2 3 4 5 6 7 8 9 10 L3 11 12 13 14 15 16 17 18 19 20";

#[tokio::test]
async fn rows_answer_as_objects_do() {
    let mut bed = bed_with_rows().await;
    let ask = || GetFlowsRequest { blacklist: pods("other"), ..GetFlowsRequest::default() };
    for (request, expected) in [
        (ask(), ALL),
        (GetFlowsRequest { number: 500, ..ask() }, ALL),
        (GetFlowsRequest { number: 3, ..ask() }, "18 19 20"),
        (GetFlowsRequest { number: 11, ..ask() }, "10 L3 11 12 13 14 15 16 17 18 19 20"),
        (GetFlowsRequest { number: 11, first: true, ..ask() }, "1 2 3 4 5 6 7 8 9 10 L3 11"),
        (GetFlowsRequest { whitelist: pods("even"), ..ask() }, "2 4 6 8 10 L3 12 14 16 18 20"),
        (GetFlowsRequest { whitelist: pods("even"), number: 2, ..ask() }, "18 20"),
        (GetFlowsRequest { whitelist: vec![cel("_flow.l4.TCP.source_port == 7u")], ..ask() }, "7 L3"),
        (GetFlowsRequest { since: at(9), until: at(10), ..ask() }, "10 L3 11"),
        (GetFlowsRequest { until: at(2), ..ask() }, "1 2 3"),
        (GetFlowsRequest { first: true, number: 3, ..GetFlowsRequest::default() }, "1 2 3"),
    ] {
        let told = bed.ask(request.clone(), 99).await.unwrap();
        assert_eq!(told, expected, "{request:?}");
    }
    bed.stop().await;
}

#[tokio::test]
async fn answers_that_end() {
    let mut bed = bed().await;
    let ask = GetFlowsRequest::default;
    for (request, expected) in [
        (ask(), ALL),
        (GetFlowsRequest { number: 500, ..ask() }, ALL),
        (GetFlowsRequest { number: 3, ..ask() }, "18 19 20"),
        // A loss is told and not counted.
        (GetFlowsRequest { number: 11, ..ask() }, "10 L3 11 12 13 14 15 16 17 18 19 20"),
        (GetFlowsRequest { first: true, ..ask() }, ALL),
        (GetFlowsRequest { number: 3, first: true, ..ask() }, "1 2 3"),
        (GetFlowsRequest { number: 11, first: true, ..ask() }, "1 2 3 4 5 6 7 8 9 10 L3 11"),
        (GetFlowsRequest { since: at(17), ..ask() }, "18 19 20"),
        // `since` positions: `number` and `first` only end the answer.
        (GetFlowsRequest { since: at(4), number: 2, ..ask() }, "5 6"),
        (GetFlowsRequest { since: at(4), number: 2, first: true, ..ask() }, "5 6"),
        (GetFlowsRequest { since: at(3600), ..ask() }, ""),
        (GetFlowsRequest { since: at(-3600), ..ask() }, ALL),
        (GetFlowsRequest { until: at(2), ..ask() }, "1 2 3"),
        (GetFlowsRequest { since: at(4), until: at(6), ..ask() }, "5 6 7"),
        (GetFlowsRequest { since: at(6), until: at(4), ..ask() }, ""),
        // The newest three are all beyond `until`, and it ends the answer: Hubble's order of things.
        (GetFlowsRequest { until: at(2), number: 3, ..ask() }, ""),
        // A loss keeps to no range: it is noticed later than it happens.
        (GetFlowsRequest { since: at(10), ..ask() }, "L3 11 12 13 14 15 16 17 18 19 20"),
        (GetFlowsRequest { since: at(9), until: at(10), ..ask() }, "10 L3 11"),
    ] {
        let told = bed.ask(request.clone(), 99).await.unwrap();
        assert_eq!(told, expected, "{request:?}");
    }
    bed.stop().await;
}

#[tokio::test]
async fn filters() {
    let mut bed = bed().await;
    let ask = GetFlowsRequest::default;
    for (request, expected) in [
        // Matching flows are counted, not those looked at.
        (GetFlowsRequest { whitelist: pods("even"), number: 3, ..ask() }, "16 18 20"),
        (GetFlowsRequest { whitelist: vec![cel("_flow.l4.TCP.source_port > 18u")], ..ask() }, "L3 19 20"),
        (GetFlowsRequest { blacklist: vec![cel("_flow.l4.TCP.source_port > 2u")], ..ask() }, "1 2 L3"),
        (GetFlowsRequest { blacklist: pods("even"), first: true, number: 2, ..ask() }, "1 3"),
        (GetFlowsRequest { whitelist: pods("even"), since: at(15), number: 2, ..ask() }, "16 18"),
        (GetFlowsRequest { whitelist: everything(), number: 2, ..ask() }, "19 20"),
        (GetFlowsRequest { whitelist: [pods("even"), everything()].concat(), number: 2, ..ask() }, "19 20"),
        // `{}` matches every flow, and no filter holds back a loss.
        (GetFlowsRequest { blacklist: everything(), ..ask() }, "L3"),
        (GetFlowsRequest { whitelist: pods("none"), ..ask() }, "L3"),
        // The walk back to `since` ends at a matching flow that is older, so a loss before may come along.
        (GetFlowsRequest { whitelist: pods("even"), since: at(12), ..ask() }, "L3 14 16 18 20"),
        (GetFlowsRequest { whitelist: pods("odd"), since: at(12), ..ask() }, "13 15 17 19"),
    ] {
        let told = bed.ask(request.clone(), 99).await.unwrap();
        assert_eq!(told, expected, "{request:?}");
    }
    bed.stop().await;
}

#[tokio::test]
async fn following() {
    let mut bed = bed().await;
    let ask = || GetFlowsRequest { follow: true, ..GetFlowsRequest::default() };
    for (request, expected) in [
        (GetFlowsRequest { number: 2, ..ask() }, "19 20"),
        // `number` says how far back to begin, and ends nothing.
        (GetFlowsRequest { since: at(16), number: 1, ..ask() }, "17 18 19 20"),
        (GetFlowsRequest { whitelist: pods("even"), number: 2, ..ask() }, "18 20"),
    ] {
        let flows = expected.split(' ').count();
        assert_eq!(bed.ask(request.clone(), flows).await.unwrap(), expected, "{request:?}");
    }
    // `until` ends it.
    let until = GetFlowsRequest { number: 20, until: at(3), ..ask() };
    assert_eq!(bed.ask(until, 99).await.unwrap(), "1 2 3 4");
    bed.stop().await;
}

/// Time of a request that cannot be.
const NO_TIME: Option<Timestamp> = Some(Timestamp { seconds: 1, nanos: -1 });

#[tokio::test]
async fn what_fails_fails_at_once() {
    let mut bed = bed().await;
    let ask = GetFlowsRequest::default;
    let filter = |filter: FlowFilter| GetFlowsRequest { whitelist: vec![filter], ..ask() };
    let texts = |text: &str| vec![text.to_owned()];
    let first_follow = GetFlowsRequest { first: true, follow: true, ..ask() };
    let l7 = FlowFilter {
        http_status_code: texts("200"),
        event_type: vec![proto::flow::EventTypeFilter { r#type: 1, ..Default::default() }],
        ..FlowFilter::default()
    };
    for (request, code, message) in [
        (first_follow.clone(), Code::InvalidArgument, "first cannot be specified with follow"),
        (
            GetFlowsRequest { since: NO_TIME, ..first_follow },
            Code::InvalidArgument,
            "first cannot be specified with follow",
        ),
        (
            GetFlowsRequest { since: NO_TIME, ..ask() },
            Code::Unknown,
            "proto: timestamp (seconds:1 nanos:-1) has out-of-range nanos",
        ),
        (
            GetFlowsRequest { until: NO_TIME, ..ask() },
            Code::Unknown,
            "proto: timestamp (seconds:1 nanos:-1) has out-of-range nanos",
        ),
        (
            filter(FlowFilter { source_ip: texts("10.0.0.999"), ..FlowFilter::default() }),
            Code::Unknown,
            "invalid IP address \"10.0.0.999\" in filter: unable to parse IP",
        ),
        (
            GetFlowsRequest {
                blacklist: vec![FlowFilter { destination_port: texts("http"), ..FlowFilter::default() }],
                ..ask()
            },
            Code::Unknown,
            "invalid destination port filter: invalid port \"http\"",
        ),
        (
            filter(l7),
            Code::Unknown,
            "filtering by http status code requires the event type filter to only match 'l7' events",
        ),
    ] {
        let error = bed.ask(request.clone(), 1).await.unwrap_err();
        let told = error.message();
        assert!(error.code() == code && told.starts_with(message), "{request:?}: {error:?}");
    }
    let regex = filter(FlowFilter { dns_query: texts("("), ..FlowFilter::default() });
    let error = bed.ask(regex, 1).await.unwrap_err();
    assert_eq!(error.code(), Code::Unknown);
    assert!(error.message().starts_with("invalid DNS query filter: failed to compile regexp"), "{error:?}");
    bed.stop().await;
}

#[tokio::test]
async fn agent_and_debug_events() {
    let mut bed = bed().await;
    let code = |error: Status| error.code();
    let both = GetAgentEventsRequest { first: true, follow: true, ..Default::default() };
    assert_eq!(code(bed.client.get_agent_events(both).await.unwrap_err()), Code::InvalidArgument);
    let both = GetDebugEventsRequest { first: true, follow: true, ..Default::default() };
    assert_eq!(code(bed.client.get_debug_events(both).await.unwrap_err()), Code::InvalidArgument);
    let bad = GetDebugEventsRequest { since: NO_TIME, ..Default::default() };
    assert_eq!(code(bed.client.get_debug_events(bad).await.unwrap_err()), Code::Unknown);
    for request in [
        GetAgentEventsRequest::default(),
        GetAgentEventsRequest { number: 5, ..Default::default() },
        GetAgentEventsRequest { first: true, number: 1, ..Default::default() },
        GetAgentEventsRequest { since: at(0), ..Default::default() },
    ] {
        let mut stream = bed.client.get_agent_events(request).await.unwrap().into_inner();
        let event = stream.message().await.unwrap().unwrap();
        assert_eq!((event.node_name.as_str(), event.agent_event.unwrap().r#type), ("node-1", 2));
        assert!(stream.message().await.unwrap().is_none());
    }
    bed.stop().await;
}

/// What may come late is waited for, but not for ever: flow 20 is too new, and nothing comes after it.
#[tokio::test]
async fn who_follows_up_to_a_time_is_let_go_once_it_has_passed() {
    let mut bed = bed().await;
    let request = GetFlowsRequest { follow: true, since: at(15), until: at(18), ..GetFlowsRequest::default() };
    let asked = tokio::time::timeout(std::time::Duration::from_secs(30), bed.ask(request, usize::MAX));
    assert_eq!(asked.await.expect("the answer ends").unwrap(), "16 17 18 19");
    bed.stop().await;
}

/// Expressions are worked out by those who serve all clients: one that takes long lets others have their turn.
#[tokio::test]
async fn a_costly_question_keeps_nobody_waiting() {
    let flow = lines(1..=1);
    let bed = Bed::start(&flow.repeat(2000), 2000, |_| {}).await;
    let list = vec!["1"; 60].join(",");
    let costly = cel(&format!("[{list}].all(a, [{list}].all(b, a + b == 2)) && false"));
    let mut client = bed.client.clone();
    let request = GetFlowsRequest { number: 1, whitelist: vec![costly], ..GetFlowsRequest::default() };
    let begun = std::time::Instant::now();
    let asked = tokio::spawn(async move {
        let mut answers = client.get_flows(request).await.unwrap().into_inner();
        assert!(answers.message().await.unwrap().is_none());
        begun.elapsed()
    });
    let mut others = Vec::new();
    while !asked.is_finished() {
        let asked_at = std::time::Instant::now();
        bed.client.clone().server_status(proto::observer::ServerStatusRequest {}).await.unwrap();
        others.push(asked_at.elapsed());
    }
    let (took, longest) = (asked.await.unwrap(), others.iter().max().copied().unwrap_or_default());
    assert!(others.len() > 10 && longest < took / 2, "{} answers, {longest:?} of {took:?}", others.len());
    bed.stop().await;
}

#[tokio::test]
async fn what_is_unknown_is_named_and_long_reasons_are_cut() {
    let mut bed = bed().await;
    let mut unknown = tonic::client::Grpc::new(bed.channel.clone());
    unknown.ready().await.unwrap();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static("/observer.Observer/Nothing");
    let request = tonic::Request::new(bytes::Bytes::new());
    let refused = unknown.unary(request, path, proto::raw::RawCodec).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(refused.message(), "unknown method Nothing for service observer.Observer");
    let long = FlowFilter { source_label: vec!["!".repeat(100_000)], ..FlowFilter::default() };
    let request = GetFlowsRequest { whitelist: vec![long], ..GetFlowsRequest::default() };
    let refused = bed.ask(request, 1).await.unwrap_err();
    assert!(refused.code() == Code::Unknown && refused.message().len() < 3000, "{refused}");
    bed.stop().await;
}
