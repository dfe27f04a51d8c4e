//! The text forms of flows, beside what Hubble's own programs wrote for the same flows.

use std::sync::Arc;

use flow::text::{self, Names, Side};
use flow::view::FlowRow;
use flow::{Flow, FlowDetails, KernelDrop, Process, Timestamp};
use proto::convert::flow_from_wire;
use proto::observer::get_flows_response::ResponseTypes;

/// Printed by the stock CLI 1.19.4 with `-o jsonpb`.
const FLOWS: &str = include_str!("../../tests/fixtures/stock-flows.jsonl");
/// Printed by the stock CLI 1.19.4 from the same flows with `--print-policy-names`.
const COMPACT: &str = include_str!("../../tests/fixtures/stock-flows.compact.txt");

fn flow(line: &str) -> Flow {
    match proto::json::from_line(line).expect("the fixture is well-formed").response_types {
        Some(ResponseTypes::Flow(flow)) => flow_from_wire(flow),
        other => panic!("not a flow: {other:?}"),
    }
}

/// A line of compact output, put together from the text forms.
fn compact(flow: &Flow) -> String {
    let side = |side| format!("{} ({})", text::name_of(flow, side, Names::Resolved), text::identity_of(flow, side));
    let (left, arrow, right) = match flow.is_reply {
        None => (Side::Source, "<>", Side::Destination),
        Some(false) => (Side::Source, "->", Side::Destination),
        Some(true) => (Side::Destination, "<-", Side::Source),
    };
    format!(
        "{}: {} {arrow} {} {} {}{} ({})",
        flow.time.stamp_milli(),
        side(left),
        side(right),
        text::kind(flow),
        text::verdict(flow),
        text::policy_names(flow),
        text::remarks(flow)
    )
}

#[test]
fn compact_lines_are_those_of_the_stock_client() {
    assert_eq!(FLOWS.lines().count(), COMPACT.lines().count());
    for (line, expected) in FLOWS.lines().zip(COMPACT.lines()) {
        assert_eq!(compact(&flow(line)), expected);
    }
}

#[test]
fn json_lines_are_those_of_the_stock_client() {
    for line in FLOWS.lines() {
        assert_eq!(proto::json::to_line(&proto::json::from_line(line).unwrap()), line);
    }
}

#[test]
fn summaries_are_those_the_stock_server_writes() {
    let recorded = include_str!("../../tests/fixtures/hubble-flows-real.jsonl");
    let written: Vec<Flow> =
        FLOWS.lines().chain(recorded.lines()).map(flow).filter(|f| !f.summary.is_empty()).collect();
    assert_eq!(written.len(), 35);
    for flow in written {
        assert_eq!(text::summary(&flow), flow.summary);
    }
}

/// Each line is what Hubble's parser (1.19.4) made of an event: of packets with each flag, type and code that has a name,
/// of sockets, and of records of HTTP, DNS and Kafka.
#[test]
fn summaries_are_those_of_the_parser_for_events_of_every_kind() {
    let parsed = include_str!("../../tests/fixtures/hubble-summaries.jsonl");
    assert_eq!(parsed.lines().count(), 357);
    for line in parsed.lines() {
        let flow = flow_from_wire(proto::json::from_json(line).unwrap());
        assert_eq!(text::summary(&flow), flow.summary, "{line}");
    }
}

#[test]
fn addresses_alone_where_names_are_not_wanted() {
    let flow = flow(FLOWS.lines().next().unwrap());
    assert_eq!(text::name_of(&flow, Side::Source, Names::Numeric).to_string(), "10.244.1.60:44916");
    assert_eq!(text::name_of(&flow, Side::Destination, Names::Numeric).to_string(), "10.244.1.5:80");
}

fn kernel_drop(line: &str) -> Flow {
    let drop = KernelDrop { reason: "TCP_OVERWINDOW".into(), function: "tcp_rcv".into(), netns: "web".into() };
    let process =
        Process { pid: 7, comm: "nginx".into(), cgroup: "/system.slice/nginx.service".into(), ..Default::default() };
    let details = FlowDetails {
        bytes: 1500,
        packets: 1,
        kernel_drop: Some(Arc::new(drop)),
        destination_process: Some(Arc::new(process)),
        ..FlowDetails::default()
    };
    Flow { details: Some(Box::new(details)), ..flow(line) }
}

#[test]
fn the_kernels_reason_is_told() {
    let mut flow = kernel_drop(COMPACT_DROP);
    assert_eq!(text::summary(&flow), "TCP Flags: SYN; TCP_OVERWINDOW");
    assert_eq!(text::kind(&flow), "Policy denied");
    // Where Hubble has no reason for it, its number 0 would read `Success`.
    flow.event_type = Some(flow::EventType { kind: flow::event_type::DROP, sub_kind: 0 });
    assert_eq!(text::kind(&flow), "TCP_OVERWINDOW");
}

const COMPACT_DROP: &str = r#"{"flow":{"time":"2026-01-15T10:11:12.006Z","uuid":"u","verdict":"DROPPED","IP":{"source":"10.244.1.60","destination":"10.244.1.5","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":40000,"destination_port":80,"flags":{"SYN":true}}},"source":{"identity":33333,"namespace":"shop","pod_name":"xwing","labels":["k8s:app=x"],"workloads":[{"name":"xwing","kind":"Deployment"}]},"destination":{"identity":2},"destination_names":["example.org"],"node_name":"n1","event_type":{"type":1,"sub_type":133},"traffic_direction":"EGRESS","drop_reason_desc":"POLICY_DENIED","interface":{"index":2,"name":"eth0"},"Summary":"TCP Flags: SYN"}}"#;

#[test]
fn a_row_says_all_that_is_known() {
    let row = FlowRow::from(&kernel_drop(COMPACT_DROP));
    let expected = serde_json::json!({
        "id": "u", "time": "2026-01-15T10:11:12.006Z", "node": "n1", "verdict": "DROPPED", "kind": "Policy denied",
        "direction": "egress", "is_reply": null,
        "source": {
            "name": "xwing", "namespace": "shop", "workload": "xwing", "ip": "10.244.1.60", "port": 40000,
            "identity": "33333", "labels": ["k8s:app=x"], "process": "", "cgroup": "",
        },
        "destination": {
            "name": "example.org", "namespace": "", "workload": "", "ip": "10.244.1.5", "port": 80,
            "identity": "world", "labels": [], "process": "nginx (7)", "cgroup": "/system.slice/nginx.service",
        },
        "protocol": "TCP", "summary": "TCP Flags: SYN", "drop_reason": "TCP_OVERWINDOW", "drop_function": "tcp_rcv",
        "interface": "eth0", "bytes": 1500, "packets": 1, "latency_us": null,
    });
    assert_eq!(serde_json::to_value(row).unwrap(), expected);
}

#[test]
fn rows_of_other_flows() {
    let plain_drop = FlowRow::from(&flow(COMPACT_DROP));
    assert_eq!((plain_drop.drop_reason.as_str(), plain_drop.drop_function.as_str()), ("POLICY_DENIED", ""));
    let lines: Vec<&str> = FLOWS.lines().collect();
    let response = FlowRow::from(&flow(lines[13]));
    assert_eq!((response.kind.as_str(), response.latency_us), ("http-response", Some(3999.999)));
    assert_eq!((response.drop_reason.as_str(), response.is_reply), ("", Some(true)));
    let arp = FlowRow::from(&flow(lines[6]));
    assert_eq!((arp.source.name.as_str(), arp.source.ip.as_str()), ("aa:bb:cc:dd:ee:ff", ""));
    let service = FlowRow::from(&flow(lines[22]));
    assert_eq!(
        (service.destination.name.as_str(), service.destination.namespace.as_str()),
        ("kube-dns", "kube-system")
    );
    let empty = FlowRow::from(&Flow::default());
    assert_eq!((empty.source.identity.as_str(), empty.time), ("unknown", Timestamp(0).to_string()));
}
