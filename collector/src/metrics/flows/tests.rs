use std::net::IpAddr;
use std::sync::Arc;

use flow::{
    Dns, Endpoint, EventType, Flow, Http, Identity, Ip, Kafka, L4, L7, L7FlowType, L7Record, TcpFlags,
    TrafficDirection, Verdict, event_type,
};
use prometheus_client::registry::Registry;

use super::*;
use crate::config::{FlowsToWorld, HttpMetrics, MetricsConfig};

/// Counts the flows, each once, and compares the series whose names begin with `of`, in any order.
fn check(config: &MetricsConfig, flows: &[Flow], of: &str, expected: &[&str]) {
    let mut registry = Registry::default();
    let mut metrics = FlowMetrics::new(&mut registry, config);
    for flow in flows {
        metrics.count(flow);
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let mut found: Vec<&str> = text.lines().filter(|line| line.starts_with(of)).collect();
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{of}");
}

fn v1() -> MetricsConfig {
    MetricsConfig::default()
}

fn tcp(flags: TcpFlags) -> Flow {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    Flow {
        verdict: Verdict::FORWARDED,
        is_reply: Some(false),
        ip: Some(Ip::new(address("10.0.0.1"), address("192.0.2.1"))),
        l4: Some(L4::Tcp { source_port: 40_000, destination_port: 443, flags: Some(flags) }),
        event_type: Some(EventType { kind: event_type::TRACE, sub_kind: 4 }),
        ..Flow::default()
    }
}

fn to_world(flow: Flow) -> Flow {
    let world = Endpoint { labels: vec!["reserved:world".to_owned()], ..Endpoint::default() };
    Flow { destination: Some(Arc::new(world)), ..flow }
}

fn l7(kind: L7FlowType, direction: TrafficDirection, record: L7Record) -> Flow {
    Flow {
        traffic_direction: direction,
        event_type: Some(EventType { kind: event_type::L7, sub_kind: 0 }),
        l7: Some(Box::new(L7 { kind, latency_ns: 20_000_000, record })),
        is_reply: Some(kind == L7FlowType::RESPONSE),
        ..tcp(TcpFlags(0))
    }
}

fn http(kind: L7FlowType, direction: TrafficDirection, code: u32) -> Flow {
    let http = Http { code, method: "GET".to_owned(), protocol: "HTTP/1.1".to_owned(), ..Http::default() };
    l7(kind, direction, L7Record::Http(http))
}

#[test]
fn http_by_the_side_that_reports() {
    const REQUEST: L7FlowType = L7FlowType::REQUEST;
    const RESPONSE: L7FlowType = L7FlowType::RESPONSE;
    const EGRESS: TrafficDirection = TrafficDirection::EGRESS;
    const INGRESS: TrafficDirection = TrafficDirection::INGRESS;
    let flows = [
        http(REQUEST, EGRESS, 0),
        http(RESPONSE, EGRESS, 200),
        http(REQUEST, INGRESS, 0),
        http(RESPONSE, INGRESS, 500),
        http(REQUEST, TrafficDirection::default(), 0),
    ];
    let request = |by| format!(r#"hubble_http_requests_total{{method="GET",protocol="HTTP/1.1",reporter="{by}"}} 1"#);
    let requests = ["client", "server", "unknown"].map(request);
    check(&v1(), &flows, "hubble_http_requests_total", &requests.each_ref().map(String::as_str));
    let with_status = |name, status, by| {
        format!(r#"hubble_http_{name}_total{{method="GET",protocol="HTTP/1.1",status="{status}",reporter="{by}"}} 1"#)
    };
    for (config, name) in [(v1(), "responses"), (MetricsConfig { http: HttpMetrics::V2, ..v1() }, "requests")] {
        let expected = [with_status(name, 200, "client"), with_status(name, 500, "server")];
        check(&config, &flows, &format!("hubble_http_{name}_total"), &expected.each_ref().map(String::as_str));
        let took = |by, le, count| {
            format!(r#"hubble_http_request_duration_seconds_bucket{{le="{le}",method="GET",reporter="{by}"}} {count}"#)
        };
        let expected = [took("client", "0.025", 1), took("server", "0.025", 1)];
        check(
            &config,
            &flows,
            r#"hubble_http_request_duration_seconds_bucket{le="0.025""#,
            &expected.each_ref().map(String::as_str),
        );
    }
    let v2 = MetricsConfig { http: HttpMetrics::V2, ..v1() };
    check(&v2, &flows, "hubble_http_responses_total", &[]);
}

/// A client may send any method and ask for any type.
#[test]
fn what_clients_make_up_is_one_series() {
    let named = |kind, method: &str| {
        let http = Http { code: 200, method: method.to_owned(), protocol: "HTTP/1.1".to_owned(), ..Http::default() };
        l7(kind, TrafficDirection::EGRESS, L7Record::Http(http))
    };
    let methods = (0..3_000).map(|n| format!("M{n}")).chain(["GET".to_owned(), String::new()]);
    let kinds = [L7FlowType::REQUEST, L7FlowType::RESPONSE];
    let flows: Vec<Flow> = methods.flat_map(|method| kinds.map(|kind| named(kind, &method))).collect();
    for (name, more) in [
        ("requests_total", r#",protocol="HTTP/1.1""#),
        ("responses_total", r#",protocol="HTTP/1.1",status="200""#),
        ("request_duration_seconds_count", ""),
    ] {
        let line =
            |method, count| format!(r#"hubble_http_{name}{{method="{method}"{more},reporter="client"}} {count}"#);
        let expected = [line("Unknown", 3_000), line("GET", 1), line("", 1)];
        check(&v1(), &flows, &format!("hubble_http_{name}"), &expected.each_ref().map(String::as_str));
    }
    let types = (0..3_000).map(|n| format!("TYPE{n}")).chain(["AAAA".to_owned()]);
    let flows = types.flat_map(|name| {
        let dns = Dns { rcode: 23, qtypes: vec![name.clone()], rrtypes: vec![name], ..Dns::default() };
        kinds.map(|kind| l7(kind, TrafficDirection::EGRESS, L7Record::Dns(dns.clone())))
    });
    let flows: Vec<Flow> = flows.collect();
    let expected = [("Unknown", 3_000), ("AAAA", 1)].map(|(name, count)| {
        let cookie = "Bad/missing Server Cookie";
        [
            format!(r#"hubble_dns_queries_total{{rcode="",qtypes="{name}",ips_returned="0"}} {count}"#),
            format!(r#"hubble_dns_responses_total{{rcode="{cookie}",qtypes="{name}",ips_returned="0"}} {count}"#),
            format!(r#"hubble_dns_response_types_total{{type="{name}",qtypes="{name}"}} {count}"#),
        ]
    });
    let expected: Vec<&str> = expected.as_flattened().iter().map(String::as_str).collect();
    check(&v1(), &flows, "hubble_dns", &expected);
}

#[test]
fn kafka_requests_with_their_error_and_time() {
    let kafka = Kafka { error_code: 3, api_key: "produce".to_owned(), topic: "orders".to_owned(), ..Kafka::default() };
    let flow = |kind| l7(kind, TrafficDirection::INGRESS, L7Record::Kafka(kafka.clone()));
    let flows = [flow(L7FlowType::REQUEST), flow(L7FlowType::RESPONSE)];
    let requests =
        r#"hubble_kafka_requests_total{topic="orders",api_key="produce",error_code="3",reporter="server"} 1"#;
    check(&v1(), &flows, "hubble_kafka_requests_total", &[requests]);
    let took = r#"hubble_kafka_request_duration_seconds_count{topic="orders",api_key="produce",reporter="server"} 1"#;
    check(&v1(), &flows, "hubble_kafka_request_duration_seconds_count", &[took]);
    check(&v1(), &[tcp(TcpFlags::SYN)], "hubble_kafka", &[]);
}

#[test]
fn flows_to_the_world_by_hubbles_rules() {
    let reply = Flow { is_reply: Some(true), ..tcp(TcpFlags::ACK) };
    let drop = |reason| Flow { verdict: Verdict::DROPPED, drop_reason: reason, ..tcp(TcpFlags::SYN) };
    let flows = [
        tcp(TcpFlags::SYN), // not to the world
        to_world(tcp(TcpFlags::SYN)),
        to_world(tcp(TcpFlags::ACK)),
        to_world(reply),
        to_world(drop(DropReason::POLICY_DENIED)),
        to_world(drop(DropReason::CT_MAP_INSERTION_FAILED)),
        to_world(Flow { event_type: None, ..tcp(TcpFlags::SYN) }),
    ];
    let line = |verdict, port: &str, count| {
        format!(r#"hubble_flows_to_world_total{{protocol="TCP",verdict="{verdict}"{port}}} {count}"#)
    };
    let port = r#",port="443""#;
    let rules = FlowsToWorld::default();
    for (rules, port, forwarded, dropped) in [
        (rules.clone(), "", 2, 1),
        (FlowsToWorld { any_drop: true, ..rules.clone() }, "", 2, 2),
        (FlowsToWorld { port: true, syn_only: true, ..rules }, port, 1, 1),
    ] {
        let config = MetricsConfig { flows_to_world: rules, ..v1() };
        let expected = [line("FORWARDED", port, forwarded), line("DROPPED", port, dropped)];
        check(&config, &flows, "hubble_flows_to_world_total", &expected.each_ref().map(String::as_str));
    }
}

#[test]
fn policy_verdicts_by_direction_and_match() {
    let verdict = |policy_match_type, verdict, from| Flow {
        policy_match_type,
        verdict,
        traffic_direction: TrafficDirection::INGRESS,
        source: Some(Arc::new(Endpoint { identity: from, ..Endpoint::default() })),
        event_type: Some(EventType { kind: event_type::POLICY_VERDICT, sub_kind: 0 }),
        ..tcp(TcpFlags::SYN)
    };
    let dns = Dns { query: "a.".to_owned(), ..Dns::default() };
    let flows = [
        verdict(1, Verdict::FORWARDED, Identity(300)),
        verdict(0, Verdict::DROPPED, Identity(300)),
        verdict(2, Verdict::FORWARDED, Identity::HOST),
        http(L7FlowType::REQUEST, TrafficDirection::EGRESS, 0),
        l7(L7FlowType::REQUEST, TrafficDirection::EGRESS, L7Record::Dns(dns)),
        tcp(TcpFlags::SYN),
    ];
    let line = |direction, matched, action| {
        format!(r#"hubble_policy_verdicts_total{{direction="{direction}",match="{matched}",action="{action}"}} 1"#)
    };
    let expected = [
        line("ingress", "l3-only", "forwarded"),
        line("ingress", "none", "dropped"),
        line("egress", "l7/http", "forwarded"),
        line("egress", "l7/dns", "forwarded"),
    ];
    check(&v1(), &flows, "hubble_policy_verdicts_total", &expected.each_ref().map(String::as_str));
}

#[test]
fn ports_flags_and_icmp() {
    let echo = |ip: [&str; 2], l4, summary: &str| Flow {
        ip: Some(Ip::new(ip[0].parse().unwrap(), ip[1].parse().unwrap())),
        l4: Some(l4),
        summary: summary.to_owned(),
        ..tcp(TcpFlags(0))
    };
    let v4 = echo(["10.0.0.1", "10.0.0.2"], L4::Icmpv4 { kind: 8, code: 0 }, "ICMPv4 EchoRequest");
    let v6 = echo(["fd00::1", "fd00::2"], L4::Icmpv6 { kind: 129, code: 0 }, "ICMPv6 EchoReply");
    let flows = [
        tcp(TcpFlags::SYN),
        Flow { is_reply: Some(true), ..tcp(TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0)) },
        Flow { is_reply: None, ..tcp(TcpFlags::RST) },
        Flow { verdict: Verdict::DROPPED, ..tcp(TcpFlags::SYN) },
        v4,
        v6,
    ];
    let ports = [
        r#"hubble_port_distribution_total{protocol="TCP",port="443"} 1"#,
        r#"hubble_port_distribution_total{protocol="ICMPv4",port="0"} 1"#,
        r#"hubble_port_distribution_total{protocol="ICMPv6",port="0"} 1"#,
    ];
    check(&v1(), &flows, "hubble_port_distribution_total", &ports);
    let flags = ["SYN", "SYN-ACK", "RST"].map(|f| format!(r#"hubble_tcp_flags_total{{flag="{f}",family="IPv4"}} 1"#));
    check(&v1(), &flows, "hubble_tcp_flags_total", &flags.each_ref().map(String::as_str));
    let icmp = [
        r#"hubble_icmp_total{family="IPv4",type="EchoRequest"} 1"#,
        r#"hubble_icmp_total{family="IPv6",type="EchoReply"} 1"#,
    ];
    check(&v1(), &flows, "hubble_icmp_total", &icmp);
}

#[test]
fn label_values_are_bounded() {
    let flows: Vec<Flow> = (1..=10)
        .map(|port| {
            let l4 = L4::Tcp { source_port: 9, destination_port: port, flags: None };
            Flow { l4: Some(l4), ..tcp(TcpFlags(0)) }
        })
        .collect();
    let config = MetricsConfig { series_max: 2, ..v1() };
    let ports = [
        r#"hubble_port_distribution_total{protocol="TCP",port="1"} 1"#,
        r#"hubble_port_distribution_total{protocol="TCP",port="2"} 1"#,
        r#"hubble_port_distribution_total{protocol="overflow",port="overflow"} 8"#,
    ];
    check(&config, &flows, "hubble_port_distribution_total", &ports);
}
