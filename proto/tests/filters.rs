//! Filters as clients send them, on flows as observers send them.

#[path = "generators/any_flow.rs"]
mod any_flow;

mod filters {
    mod application;
    mod endpoints;
    mod expressions;
    mod hostile;
    mod packets;
}

use flow::filter::FilterSet;
use flow::{Flow, FlowFilter};
use proto::convert::{filter_from_wire, flow_from_wire};
use proto::json::from_json;

/// Recorded flows, numbered from 1.
const RECORDED: &str = include_str!("../../tests/fixtures/hubble-flows-real.jsonl");

/// Flows of kinds that the recording has none of, numbered from 1.
const MADE: &str = r#"
{"Type":"L7","event_type":{"type":129},"is_reply":false,"l7":{"type":"REQUEST","http":{"method":"GET","url":"http://shop:80/cart/17?x=/page","protocol":"HTTP/1.1","headers":[{"key":"X-A","value":"1"},{"key":"X-B","value":"2"}]}},"l4":{"TCP":{"source_port":40000,"destination_port":80}},"trace_context":{"parent":{"trace_id":"abc"}}}
{"Type":"L7","event_type":{"type":129},"is_reply":true,"l7":{"type":"RESPONSE","http":{"code":503,"method":"GET","url":"/cart/17","protocol":"HTTP/1.1"}},"l4":{"TCP":{"source_port":80,"destination_port":40000}}}
{"Type":"L7","event_type":{"type":129},"is_reply":true,"l7":{"type":"RESPONSE","http":{"code":404,"method":"post","url":"not a url"}}}
{"Type":"L7","event_type":{"type":129},"is_reply":false,"l7":{"type":"REQUEST","dns":{"query":"www.cilium.io.","qtypes":["A"]}},"l4":{"UDP":{"source_port":53000,"destination_port":53}},"destination_names":["www.cilium.io","cilium.io"]}
{"Type":"L7","event_type":{"type":129},"l7":{"kafka":{"topic":"t"}}}
{"Type":"L3_L4","event_type":{"type":4,"sub_type":3},"is_reply":false,"IP":{"source":"::1","destination":"fe80::1","ipVersion":"IPv6","encrypted":true},"l4":{"ICMPv6":{"type":128}},"source":{"identity":0},"ip_trace_id":{"trace_id":"9"}}
{"Type":"L3_L4","event_type":{"type":4},"is_reply":false,"IP":{"source":"10.0.0.1","destination":"10.0.0.2","source_xlated":"192.168.1.7","ipVersion":"IPv4"},"l4":{"ICMPv4":{"type":8}},"source_service":{"name":"kube-dns","namespace":"kube-system"}}
{"Type":"L3_L4","event_type":{"type":1,"sub_type":134},"verdict":"DROPPED","drop_reason_desc":"INVALID_PACKET_DROPPED","node_name":"k8s1","ethernet":{"source":"aa:bb:cc:dd:ee:ff","destination":"ff:ff:ff:ff:ff:ff"}}
{"Type":"SOCK","event_type":{"type":7},"verdict":"TRACED","l4":{"SCTP":{"source_port":1,"destination_port":2}},"interface":{"index":3,"name":"eth0"},"node_name":"prod/node-a.eu"}
{"verdict":"FORWARDED","drop_reason_desc":"POLICY_DENIED","l4":{"VRRP":{"type":1}},"node_labels":["kubernetes.io/arch=arm64","zone=3"]}
{"l4":{"IGMP":{"type":17,"group_address":"224.0.0.1"}},"source":{"labels":["k8s:app=web","k8s:tier=front","container:app=nginx","cidr:10.1.0.0/16","reserved:world"],"namespace":"kube-system","pod_name":"web-1","workloads":[{"name":"web","kind":"Deployment"},{"name":"web-7","kind":"ReplicaSet"}],"cluster_name":"prod"}}
"#;

fn flows(lines: &str) -> Vec<Flow> {
    let read = |line: &str| match proto::json::from_line(line).expect("the case is well-formed").response_types {
        Some(proto::observer::get_flows_response::ResponseTypes::Flow(flow)) => flow_from_wire(flow),
        other => panic!("not a flow: {other:?}"),
    };
    lines.lines().filter(|line| !line.is_empty()).map(read).collect()
}

fn filter(json: &str) -> FlowFilter {
    filter_from_wire(from_json(json).expect("the case is well-formed"))
}

#[track_caller]
fn check(lines: &str, json: &str, expected: &[usize]) {
    let set = FilterSet::compile(&[filter(json)], &[]).expect("the filter is well-formed");
    let excluding = FilterSet::compile(&[], &[filter(json)]).expect("the filter is well-formed");
    let flows = flows(lines);
    let numbers =
        |set: &FilterSet| -> Vec<usize> { (1..).zip(&flows).filter(|(_, f)| set.matches(f)).map(|(n, _)| n).collect() };
    assert_eq!(numbers(&set), expected, "{json}");
    let others: Vec<usize> = (1..=flows.len()).filter(|n| !expected.contains(n)).collect();
    assert_eq!(numbers(&excluding), others, "not {json}");
}

#[track_caller]
fn recorded(json: &str, expected: &[usize]) {
    check(RECORDED, json, expected);
}

#[track_caller]
fn made(json: &str, expected: &[usize]) {
    check(MADE, json, expected);
}

#[track_caller]
fn refused(json: &str, expected: &str) {
    let error = FilterSet::compile(&[], &[filter(json)]).expect_err(json);
    assert_eq!(error.to_string(), expected, "{json}");
}

#[test]
fn nothing_asked_is_everything() {
    recorded("{}", &[1, 2, 3, 4, 5, 6, 7]);
    let none = FilterSet::compile(&[], &[]).unwrap();
    assert!(none.passes_everything() && flows(RECORDED).iter().all(|f| none.matches(f)));
    assert!(FilterSet::compile(&[filter("{}"), filter(r#"{"uuid":["x"]}"#)], &[]).unwrap().passes_everything());
    assert!(!FilterSet::compile(&[], &[filter("{}")]).unwrap().passes_everything());
}

#[test]
fn filters_of_a_list_are_alternatives_and_the_blacklist_wins() {
    let set = FilterSet::compile(
        &[filter(r#"{"verdict":["DROPPED"]}"#), filter(r#"{"source_port":["58012"]}"#)],
        &[filter(r#"{"destination_pod":["corp-prod/"]}"#)],
    )
    .unwrap();
    let matches: Vec<bool> = flows(RECORDED).iter().map(|f| set.matches(f)).collect();
    assert_eq!(matches, [false, false, true, false, true, true, false]);
}

#[test]
fn fields_of_a_filter_are_all_required() {
    recorded(r#"{"verdict":["DROPPED"],"source_pod":["default/xwing"]}"#, &[6]);
    recorded(r#"{"verdict":["FORWARDED"],"source_pod":["default/xwing"]}"#, &[]);
}
