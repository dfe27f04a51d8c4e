//! Filters as clients send them, on flows as observers send them.

#[path = "generators/any_flow.rs"]
mod any_flow;

use flow::filter::{FilterError, FilterSet};
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

#[test]
fn addresses_are_compared_as_text_and_prefixes_by_content() {
    recorded(r#"{"source_ip":["10.0.1.13"]}"#, &[1, 2]);
    recorded(r#"{"source_ip":["10.0.1.0/25","fe80::/10"]}"#, &[1, 2, 5, 7]);
    recorded(r#"{"destination_ip":["10.0.0.0/8"]}"#, &[1, 2, 4, 6, 7]);
    recorded(r#"{"destination_ip":["0.0.0.0/0"]}"#, &[1, 2, 3, 4, 6, 7]);
    recorded(r#"{"destination_ip":["10.9.9.9/8"]}"#, &[1, 2, 4, 6, 7]);
    made(r#"{"source_ip":["::1"]}"#, &[6]);
    made(r#"{"source_ip":["0:0::1","fe80::1%eth0"]}"#, &[]);
    made(r#"{"source_ip_xlated":["192.168.0.0/16"]}"#, &[7]);
    refused(r#"{"source_ip":["10.0.0"]}"#, r#"invalid IP address "10.0.0" in filter: unable to parse IP"#);
    refused(r#"{"source_ip":[""]}"#, r#"invalid IP address "" in filter: unable to parse IP"#);
    refused(
        r#"{"source_ip":["10.0.0.1%eth0"]}"#,
        r#"invalid IP address "10.0.0.1%eth0" in filter: unable to parse IP"#,
    );
    refused(r#"{"destination_ip":["10.0.0.0/33"]}"#, r#"invalid IP prefix "10.0.0.0/33" in filter"#);
}

#[test]
fn pods_are_found_by_namespace_and_prefix() {
    recorded(r#"{"source_pod":["kapinger"]}"#, &[1, 2]);
    recorded(r#"{"source_pod":["kapinger-bad"]}"#, &[]);
    recorded(r#"{"source_pod":["/agent","xwing"]}"#, &[6, 7]);
    recorded(r#"{"destination_pod":["kube-system/"]}"#, &[4]);
    recorded(r#"{"destination_pod":["kube/"]}"#, &[]);
    recorded(r#"{"destination_pod":["Kube-system/"]}"#, &[]);
    // Any pod of any namespace, but there must be one.
    recorded(r#"{"destination_pod":["/"]}"#, &[1, 2, 4, 6, 7]);
    // What follows a second slash does not count.
    recorded(r#"{"destination_pod":["kube-system/csi/x"]}"#, &[4]);
    refused(r#"{"source_pod":["a",""]}"#, "invalid filter, name must not be empty");
}

#[test]
fn services_workloads_and_clusters() {
    made(r#"{"source_service":["kube-system/kube"]}"#, &[7]);
    made(r#"{"source_service":["kube"]}"#, &[]);
    made(r#"{"destination_service":["/"]}"#, &[]);
    refused(r#"{"destination_service":[""]}"#, "invalid filter, name must not be empty");
    made(r#"{"source_workload":[{"name":"web"}]}"#, &[11]);
    made(r#"{"source_workload":[{"kind":"ReplicaSet"}]}"#, &[11]);
    made(r#"{"source_workload":[{"name":"web","kind":"ReplicaSet"}]}"#, &[]);
    made(r#"{"source_workload":[{}]}"#, &[11]);
    recorded(r#"{"destination_workload":[{"name":"kapinger-bad"},{"name":"csi-cbs-controller"}]}"#, &[1, 2, 4]);
    made(r#"{"source_cluster_name":["prod"]}"#, &[11]);
    made(r#"{"source_cluster_name":["pro*"]}"#, &[]);
    refused(r#"{"source_cluster_name":[""]}"#, "invalid filter, name must not be empty");
}

#[test]
fn dns_names_are_globs() {
    made(r#"{"destination_fqdn":["cilium.io"]}"#, &[4]);
    made(r#"{"destination_fqdn":[" WWW.Cilium.IO. "]}"#, &[4]);
    made(r#"{"destination_fqdn":["*.io"]}"#, &[4]);
    made(r#"{"destination_fqdn":["*.cilium.io"]}"#, &[4]);
    made(r#"{"destination_fqdn":["cilium"]}"#, &[]);
    made(r#"{"source_fqdn":["*"]}"#, &[]);
    refused(r#"{"source_fqdn":["a b"]}"#, r#""a b": ' ': invalid rune in pattern"#);
    refused(r#"{"source_fqdn":["  "]}"#, r#""  ": empty pattern"#);
    refused(r#"{"source_fqdn":["a.."]}"#, r#""a..": multiple trailing dots in pattern"#);
}

#[test]
fn labels_follow_kubernetes() {
    recorded(r#"{"source_label":["app=kapinger"]}"#, &[1, 2]);
    recorded(r#"{"source_label":["k8s:app in (kapinger, agent-probe),!server"]}"#, &[7]);
    recorded(r#"{"source_label":["reserved:host"]}"#, &[3]);
    recorded(r#"{"destination_label":["io.kubernetes.pod.namespace=kube-system"]}"#, &[4]);
    recorded(r#"{"source_label":["app"]}"#, &[1, 2, 7]);
    recorded(r#"{"source_label":["!app"]}"#, &[3, 4, 5, 6]);
    recorded(r#"{"source_label":["app!=kapinger"]}"#, &[3, 4, 5, 6, 7]);
    recorded(r#"{"source_label":["app notin (kapinger,agent-probe)"]}"#, &[3, 4, 5, 6]);
    recorded(r#"{"source_label":["role=read-only-agent","server==good"]}"#, &[1, 2, 7]);
    recorded(r#"{"source_label":[""]}"#, &[1, 2, 3, 4, 5, 6, 7]);
    recorded(r#"{"node_labels":["topology.kubernetes.io/zone=160001"]}"#, &[3, 4]);
    recorded(r#"{"node_labels":["kubernetes.io/arch"]}"#, &[4]);
    made(r#"{"source_label":["app=nginx"]}"#, &[]);
    made(r#"{"source_label":["container:app=nginx"]}"#, &[11]);
    made(r#"{"source_label":["any:app=web,k8s:tier"]}"#, &[11]);
    made(r#"{"source_label":["cidr:10.1.0.0/16"]}"#, &[11]);
    made(r#"{"source_label":["cidr:10.0.0.0/8"]}"#, &[11]);
    made(r#"{"source_label":["cidr:10.1.2.0/24"]}"#, &[]);
    made(r#"{"node_labels":["zone>2"]}"#, &[10]);
    made(r#"{"node_labels":["zone<3"]}"#, &[]);
    refused(r#"{"source_label":["a b"]}"#, r#"invalid source label filter: unable to parse requirement "a b""#);
    refused(
        r#"{"destination_label":["a in b"]}"#,
        r#"invalid destination label filter: unable to parse requirement "a in b""#,
    );
    refused(r#"{"node_labels":["a-"]}"#, r#"invalid node label filter: unable to parse requirement "a-""#);
}

#[test]
fn identities_need_an_endpoint() {
    recorded(r#"{"source_identity":[1,60176]}"#, &[3, 7]);
    recorded(r#"{"source_identity":[0]}"#, &[5, 6]);
    made(r#"{"source_identity":[0]}"#, &[6, 11]);
    recorded(r#"{"destination_identity":[2]}"#, &[3]);
}

#[test]
fn ports_are_those_of_tcp_udp_and_sctp() {
    recorded(r#"{"destination_port":["80","9922"]}"#, &[3, 6]);
    recorded(r#"{"source_port":["08080"]}"#, &[1, 2]);
    made(r#"{"destination_port":["53","2"]}"#, &[4, 9]);
    made(r#"{"destination_port":["0"]}"#, &[]);
    refused(r#"{"source_port":["65536"]}"#, r#"invalid source port filter: invalid port "65536""#);
    refused(r#"{"destination_port":["+80"]}"#, r#"invalid destination port filter: invalid port "+80""#);
    refused(r#"{"destination_port":[""]}"#, r#"invalid destination port filter: invalid port """#);
}

#[test]
fn protocols_are_named_in_any_case() {
    recorded(r#"{"protocol":["TCP"]}"#, &[1, 2, 3, 4, 6, 7]);
    made(r#"{"protocol":["icmp"]}"#, &[6, 7]);
    made(r#"{"protocol":["ICMPv4"]}"#, &[7]);
    made(r#"{"protocol":["icmpv6","sctp"]}"#, &[6, 9]);
    made(r#"{"protocol":["vrrp","igmp","udp"]}"#, &[4, 10, 11]);
    made(r#"{"protocol":["http","kafka"]}"#, &[1, 2, 3, 5]);
    made(r#"{"protocol":["dns","tcp"]}"#, &[1, 2, 4]);
    refused(r#"{"protocol":["tcp","ftp"]}"#, r#"invalid protocol filter: unknown protocol: "ftp""#);
}

#[test]
fn verdicts_reasons_and_directions() {
    recorded(r#"{"verdict":["DROPPED"]}"#, &[5, 6, 7]);
    recorded(r#"{"drop_reason_desc":["POLICY_DENIED"]}"#, &[6, 7]);
    // A reason without a drop is none.
    made(r#"{"drop_reason_desc":["POLICY_DENIED","INVALID_PACKET_DROPPED"]}"#, &[8]);
    recorded(r#"{"traffic_direction":["EGRESS"]}"#, &[1, 2, 3, 4, 7]);
    recorded(r#"{"traffic_direction":["TRAFFIC_DIRECTION_UNKNOWN","INGRESS"]}"#, &[5, 6]);
}

#[test]
fn a_drop_of_unknown_direction_counts_as_a_request() {
    recorded(r#"{"reply":[true]}"#, &[1, 2, 4]);
    recorded(r#"{"reply":[false]}"#, &[3, 5, 6, 7]);
    made(r#"{"reply":[true,false]}"#, &[1, 2, 3, 4, 6, 7, 8]);
}

#[test]
fn event_types_and_sub_types() {
    recorded(r#"{"event_type":[{"type":4}]}"#, &[1, 2, 3, 4]);
    recorded(r#"{"event_type":[{"type":4,"match_sub_type":true}]}"#, &[1, 2, 4]);
    recorded(r#"{"event_type":[{"type":4,"sub_type":11}]}"#, &[1, 2, 3, 4]);
    recorded(r#"{"event_type":[{"match_sub_type":true,"sub_type":11}]}"#, &[3]);
    made(r#"{"event_type":[{"type":1},{"type":7}]}"#, &[8, 9]);
    made(r#"{"event_type":[{}]}"#, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn http_statuses_methods_and_headers() {
    made(r#"{"http_status_code":["5+"]}"#, &[2]);
    made(r#"{"http_status_code":["40+","503"]}"#, &[2, 3]);
    made(r#"{"http_status_code":["500"]}"#, &[]);
    made(r#"{"http_method":["get"]}"#, &[1, 2]);
    made(r#"{"http_method":["POST"]}"#, &[3]);
    made(r#"{"http_method":[""]}"#, &[]);
    made(r#"{"http_header":[{"key":"X-B","value":"2"}]}"#, &[1]);
    made(r#"{"http_header":[{"key":"X-B","value":"1"},{"key":"x-b","value":"2"}]}"#, &[]);
    for bad in ["", "+", "600", "0+", "404+", "4++", "4", "40", "4040", "x", "-40", "4+0"] {
        let error = FilterSet::compile(&[FlowFilter { http_status_code: vec![bad.into()], ..Default::default() }], &[]);
        assert!(matches!(error, Err(FilterError::StatusCode { text }) if text == bad), "{bad}");
    }
}

#[test]
fn http_paths_are_expressions_on_the_path_alone() {
    made(r#"{"http_path":["^/cart/\\d+$"]}"#, &[1, 2]);
    made(r#"{"http_path":["page"]}"#, &[]);
    made(r#"{"http_url":["page"]}"#, &[1]);
    made(r#"{"http_url":["."]}"#, &[1, 2, 3]);
    made(r#"{"http_path":["."]}"#, &[1, 2]);
    let error = FilterSet::compile(&[filter(r#"{"http_path":["("]}"#)], &[]).expect_err("half a group");
    assert!(error.to_string().starts_with("invalid http path filter: failed to compile regexp"), "{error}");
    let huge = filter(r#"{"http_url":["((a{100}){100}){100}"]}"#);
    assert!(matches!(FilterSet::compile(&[huge], &[]), Err(FilterError::Re2 { of: "http url", .. })));
}

#[test]
fn http_fields_want_the_event_type_of_http() {
    for (json, field) in [
        (r#"{"http_status_code":["200"],"event_type":[{"type":1}]}"#, "status code"),
        (r#"{"http_method":["GET"],"event_type":[{"type":1}]}"#, "method"),
        (r#"{"http_path":["/"],"event_type":[{"type":1}]}"#, "path"),
        (r#"{"http_url":["/"],"event_type":[{"type":1}]}"#, "url"),
        (r#"{"http_header":[{"key":"a"}],"event_type":[{"type":1}]}"#, "headers"),
    ] {
        let expected = format!("filtering by http {field} requires the event type filter to only match 'l7' events");
        refused(json, &expected);
    }
    made(r#"{"http_method":["GET"],"event_type":[{"type":1},{"type":129}]}"#, &[1, 2]);
}

#[test]
fn dns_queries_are_expressions() {
    made(r#"{"dns_query":["cilium\\.io\\.$"]}"#, &[4]);
    made(r#"{"dns_query":["^cilium"]}"#, &[]);
    made(r#"{"dns_query":["\\Qcilium.io\\E"]}"#, &[4]);
    let error = FilterSet::compile(&[filter(r#"{"dns_query":["*"]}"#)], &[]).expect_err("nothing to repeat");
    assert!(error.to_string().starts_with("invalid DNS query filter: failed to compile regexp"), "{error}");
}

#[test]
fn tcp_flags_may_be_accompanied_by_others() {
    recorded(r#"{"tcp_flags":[{"SYN":true}]}"#, &[3, 6, 7]);
    recorded(r#"{"tcp_flags":[{"PSH":true,"ACK":true}]}"#, &[1, 4]);
    recorded(r#"{"tcp_flags":[{"ACK":true}]}"#, &[1, 2, 4]);
    recorded(r#"{"tcp_flags":[{"SYN":true,"ACK":true},{"FIN":true}]}"#, &[2]);
    recorded(r#"{"tcp_flags":[{}]}"#, &[1, 2, 3, 4, 6, 7]);
    made(r#"{"tcp_flags":[{}]}"#, &[]);
}

#[test]
fn nodes_are_globs_with_a_cluster() {
    recorded(r#"{"node_name":["kind-worker"]}"#, &[5, 6]);
    recorded(r#"{"node_name":["kind-*/*"]}"#, &[5, 6]);
    recorded(r#"{"node_name":["default/10.10.*"]}"#, &[3, 4]);
    recorded(r#"{"node_name":["longtestnetworkflowcni/"]}"#, &[1, 2]);
    recorded(r#"{"node_name":["/"]}"#, &[1, 2, 3, 4, 5, 6, 7]);
    recorded(r#"{"node_name":["kind"]}"#, &[]);
    made(r#"{"node_name":["K8S1."]}"#, &[8]);
    made(r#"{"node_name":["prod/*.eu","default/x"]}"#, &[9]);
    refused(r#"{"node_name":["a/b/c"]}"#, r#""a/b/c": too many slashes in pattern"#);
    refused(r#"{"node_name":[""]}"#, r#""": empty pattern"#);
    refused(r#"{"node_name":["a/b..c.."]}"#, r#""a/b..c..": multiple trailing dots in pattern"#);
}

#[test]
fn what_else_can_be_asked() {
    recorded(r#"{"uuid":["d54c1e24-8985-4710-b275-b19b15aed350"]}"#, &[3]);
    recorded(r#"{"uuid":["D54C1E24-8985-4710-B275-B19B15AED350"]}"#, &[]);
    recorded(r#"{"uuid":[""]}"#, &[5, 6]);
    recorded(r#"{"ip_version":["IPv6"]}"#, &[5]);
    made(r#"{"ip_version":["IP_NOT_USED"]}"#, &[1, 2, 3, 4, 5, 8, 9, 10, 11]);
    made(r#"{"trace_id":["abc"]}"#, &[1]);
    made(r#"{"trace_id":["","x"]}"#, &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    made(r#"{"ip_trace_id":["9"]}"#, &[6]);
    made(r#"{"ip_trace_id":["0"]}"#, &[1, 2, 3, 4, 5, 7, 8, 9, 10, 11]);
    made(r#"{"encrypted":[true]}"#, &[6]);
    made(r#"{"encrypted":[false]}"#, &[1, 2, 3, 4, 5, 7, 8, 9, 10, 11]);
    recorded(r#"{"interface":[{"name":"eth0"}]}"#, &[3]);
    recorded(r#"{"interface":[{"index":6}]}"#, &[4]);
    recorded(r#"{"interface":[{"index":6,"name":"eth0"}]}"#, &[]);
    recorded(r#"{"interface":[{}]}"#, &[1, 2, 3, 4]);
}

#[test]
fn expressions_are_true_of_flows_or_refused() {
    let compile = |text: &str| {
        let filter = FlowFilter { cel_expression: vec![text.to_owned()], ..Default::default() };
        FilterSet::compile_with(&[filter], &[], proto::cel::compile_for_filter)
    };
    let flows: Vec<flow::Flow> = include_str!("../../tests/fixtures/hubble-flows-real.jsonl")
        .lines()
        .filter_map(|line| match proto::json::from_line(line).unwrap().response_types {
            Some(proto::observer::get_flows_response::ResponseTypes::Flow(flow)) => {
                Some(proto::convert::flow_from_wire(flow))
            }
            _ => None,
        })
        .collect();
    let count = |text: &str| {
        let set = compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        flows.iter().filter(|flow| set.matches(flow)).count()
    };
    let by_verdict = |verdict| flows.iter().filter(|flow| flow.verdict == verdict).count();
    assert_eq!(count("true"), flows.len());
    assert_eq!(count("_flow.verdict == Verdict.FORWARDED"), by_verdict(flow::Verdict::FORWARDED));
    assert_eq!(count("!(_flow.verdict in [Verdict.FORWARDED, flow.Verdict.DROPPED])"), {
        flows.len() - by_verdict(flow::Verdict::FORWARDED) - by_verdict(flow::Verdict::DROPPED)
    });
    assert_eq!(count("has(_flow.IP) || !has(_flow.IP)"), flows.len());
    assert_eq!(count("_flow.source.labels.exists(l, l.startsWith('k8s:')) && false"), 0);
    // What cannot be worked out is not true, unless the other side decides.
    assert_eq!(count("1 / 0 == 1"), 0);
    assert_eq!(count("1 / 0 == 1 || true"), flows.len());
    for text in [
        "",
        "(",
        "_flow",
        "_flow.verdict",
        "1",
        "_flow.nope == 1",
        "_flow.verdict == 'DROPPED'",
        "nope",
        "size(1) == 1",
    ] {
        let error = compile(text).expect_err(text).to_string();
        assert!(error.starts_with("error compiling CEL expression: "), "{text}: {error}");
    }
    let refused = FilterSet::compile(&[filter(r#"{"experimental":{"cel_expression":["true"]}}"#)], &[]);
    assert!(matches!(refused, Err(FilterError::Cel { .. })), "a crate without the language refuses expressions");
}

mod never_panics {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_is_asked_of_whatever_flow(filter in any_flow::filter(), flow in any_flow::flow()) {
            // The whole is mostly refused for one bad value; so each field is tried alone, too.
            let wire = proto::convert::filter_to_wire(&filter);
            let json: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&proto::json::to_json(&wire)).unwrap();
            for (name, value) in json {
                let one = super::filter(&serde_json::json!({ name: value }).to_string());
                if let Ok(set) = FilterSet::compile(&[one], &[]) {
                    let _matches = set.matches(&flow);
                }
            }
            let _whole = FilterSet::compile(&[filter], &[]);
        }

        #[test]
        fn whatever_is_read(text in "\\PC{0,40}") {
            let _line = proto::json::from_line(&text);
            let _filters = proto::json::filters_from_text(&text);
        }

        /// What is left out of a line is nothing that decides, and what is told of the line is true.
        #[test]
        fn a_part_of_a_line_is_enough_to_judge_it(
            filter in any_flow::filter(),
            flow in any_flow::flow(),
            at in any::<prop::sample::Index>(),
            put in prop::sample::select(vec!["", " ", "0", "\"", "null", ",", "\\u003c", "<", "\u{e9}"]),
        ) {
            use proto::filter::WireFilterSet;
            use proto::json::{FlowFields, line_from_bytes, line_with_fields};
            let wire = proto::convert::flow_to_wire(&flow, proto::convert::Details::Send);
            let mut line = proto::json::to_line(&proto::convert::flow_response(wire));
            let mut place = at.index(line.len());
            while !line.is_char_boundary(place) {
                place -= 1;
            }
            line.insert_str(place, put);
            let whole = line_from_bytes(line.as_bytes());
            if let Ok(whole) = &whole && whole.is_as_written {
                prop_assert_eq!(&proto::json::to_line(&whole.response), &line);
            }
            let asked = proto::convert::filter_to_wire(&filter);
            let json: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&proto::json::to_json(&asked)).unwrap();
            for (name, value) in json {
                let one = from_json(&serde_json::json!({ name: value }).to_string()).unwrap();
                let Ok(set) = WireFilterSet::compile(&[one], &[]) else { continue };
                let fields = set.fields().map_or(FlowFields::ALL, FlowFields::of);
                match (&whole, line_with_fields(line.as_bytes(), &fields)) {
                    (Ok(whole), Ok(part)) => {
                        prop_assert_eq!(set.matches(&whole.response), set.matches(&part.response), "{}", &line);
                        prop_assert_eq!(whole.is_as_written, part.is_as_written);
                    }
                    (Err(whole), Err(part)) => prop_assert_eq!(whole.to_string(), part.to_string()),
                    (whole, part) => prop_assert!(false, "{:?} and {:?}", whole, part),
                }
            }
        }

        #[test]
        fn whatever_json_is_read(text in json_text()) {
            if let Ok(read) = proto::json::line_from_bytes(text.as_bytes()) && read.is_as_written {
                prop_assert_eq!(proto::json::to_line(&read.response), text.as_str());
            }
            if let Ok(response) = proto::json::from_line(&text) {
                let line = proto::json::to_line(&response);
                prop_assert_eq!(proto::json::from_line(&line).unwrap(), response);
            }
        }
    }

    /// Each rule of the table above, whole and in part.
    #[test]
    fn the_fields_of_a_filter_are_those_it_looks_at() {
        use proto::filter::WireFilterSet;
        use proto::json::{FlowFields, line_from_bytes, line_with_fields};
        let filters = [
            r#"{"verdict":["DROPPED"]}"#,
            r#"{"drop_reason_desc":["INVALID_PACKET_DROPPED"]}"#,
            r#"{"reply":[false]}"#,
            r#"{"encrypted":[true]}"#,
            r#"{"protocol":["tcp"]}"#,
            r#"{"protocol":["dns"]}"#,
            r#"{"source_ip":["10.0.0.0/8"]}"#,
            r#"{"source_ip_xlated":["192.168.1.7"]}"#,
            r#"{"node_labels":["zone=3"]}"#,
            r#"{"tcp_flags":[{"PSH":true}]}"#,
            r#"{"node_name":["prod/"]}"#,
            r#"{"ip_version":["IPv6"]}"#,
            r#"{"trace_id":["abc"]}"#,
            r#"{"traffic_direction":["EGRESS"]}"#,
            r#"{"interface":[{"name":"eth0"}]}"#,
            r#"{"ip_trace_id":["9"]}"#,
            r#"{"source_service":["kube-system/"]}"#,
            r#"{"destination_fqdn":["*.cilium.io"]}"#,
            r#"{"destination_port":["80"]}"#,
            r#"{"source_label":["app=web"]}"#,
            r#"{"source_identity":[0,1]}"#,
            r#"{"source_pod":["kube-system/"]}"#,
            r#"{"source_workload":[{"name":"web"}]}"#,
            r#"{"source_cluster_name":["prod"]}"#,
            r#"{"event_type":[{"type":129}]}"#,
            r#"{"event_type":[{"type":129}],"http_status_code":["5+"]}"#,
            r#"{"event_type":[{"type":129}],"http_method":["GET"]}"#,
            r#"{"dns_query":["cilium"]}"#,
            r#"{"uuid":["60e8fedd-6d98-49d8-b7f6-cb84455757ab"]}"#,
        ];
        let lines = RECORDED.lines().map(str::to_owned);
        let made = MADE.lines().filter(|line| !line.is_empty()).map(|line| format!("{{\"flow\":{line}}}"));
        let lines: Vec<String> = lines.chain(made).collect();
        for text in filters {
            let set = WireFilterSet::compile(&[from_json(text).unwrap()], &[]).unwrap();
            let fields = FlowFields::of(set.fields().expect("a filter without expressions names its fields"));
            let mut passed = 0;
            for line in &lines {
                let whole = set.matches(&line_from_bytes(line.as_bytes()).unwrap().response);
                let part = set.matches(&line_with_fields(line.as_bytes(), &fields).unwrap().response);
                assert_eq!(part, whole, "{text} on {line}");
                passed += usize::from(whole);
            }
            assert!(passed > 0 && passed < lines.len(), "{text} tells no flow from another");
        }
    }

    /// JSON with the names of the API and values of any kind.
    fn json_text() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|b| b.to_string()),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| format!("{n:e}")),
            "\"[ -!#-\\[\\]-~]{0,8}\"",
            Just("\"2026-01-15T10:11:12Z\"".to_owned()),
        ];
        let name = prop::sample::select(vec![
            "flow",
            "time",
            "verdict",
            "IP",
            "source",
            "labels",
            "l4",
            "TCP",
            "flags",
            "SYN",
            "l7",
            "dns",
            "http",
            "headers",
            "extensions",
            "@type",
            "value",
            "lost_events",
            "cpu",
            "is_reply",
            "node_status",
            "node_names",
            "socket_cookie",
            "uuid",
            "Summary",
            "ttl",
            "file",
            "line",
            "type",
        ]);
        leaf.prop_recursive(5, 40, 5, move |inner| {
            let member = (name.clone(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
            prop_oneof![
                prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
                prop::collection::vec(inner, 0..3).prop_map(|values| format!("[{}]", values.join(","))),
            ]
        })
    }
}
