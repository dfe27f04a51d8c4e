//! The JSON form of the wire: that of Hubble, byte for byte.

use proto::json::{from_json, from_line, to_json, to_line};
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

const REAL: &str = include_str!("../../tests/fixtures/hubble-flows-real.jsonl");

/// Lines that stock tools printed, besides the recorded ones.
const PRINTED: [&str; 4] = [
    r#"{"flow":{"time":"2026-01-15T10:11:12.005000015Z","uuid":"uuid-5","verdict":"FORWARDED","IP":{"source":"10.0.0.54","source_xlated":"192.168.1.7","destination":"10.244.1.5","ipVersion":"IPv4","encrypted":true},"l4":{"TCP":{"source_port":51001,"destination_port":8080,"flags":{"PSH":true,"ACK":true}}},"source":{"identity":1,"labels":["reserved:host"]},"destination":{"ID":311,"identity":23456,"cluster_name":"default","namespace":"default","labels":["k8s:app=deathstar","k8s:class=deathstar"],"pod_name":"deathstar-7848d6c4d5-th9v2","workloads":[{"name":"deathstar","kind":"Deployment"}]},"Type":"L3_L4","node_name":"kind-kind/kind-worker","event_type":{"type":4,"sub_type":4},"ip_trace_id":{"trace_id":"12345","ip_option_type":136},"is_reply":false,"Summary":"TCP Flags: ACK, PSH"},"node_name":"kind-kind/kind-worker","time":"2026-01-15T10:11:12.005000015Z"}"#,
    r#"{"lost_events":{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"3","cpu":2},"node_name":"kind-kind/kind-worker","time":"2026-01-15T10:11:13.600Z"}"#,
    r#"{"lost_events":{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"3","cpu":0}}"#,
    r#"{"node_status":{"state_change":"NODE_UNAVAILABLE","node_names":["k1","k2"]},"node_name":"hubble-relay-abc","time":"2026-01-15T10:11:13.800Z"}"#,
];

/// Reads and writes, and expects the same text.
#[track_caller]
fn check_same(line: &str) {
    let response = from_line(line).expect("the line is well-formed");
    assert_eq!(to_line(&response), line);
}

#[test]
fn recorded_lines_come_back_byte_for_byte() {
    assert_eq!(REAL.lines().count(), 7);
    REAL.lines().for_each(check_same);
}

#[test]
fn printed_lines_come_back_byte_for_byte() {
    PRINTED.into_iter().for_each(check_same);
}

#[test]
fn a_bare_flow_is_wrapped() {
    let wrapped = from_line(PRINTED[0]).unwrap();
    let Some(ResponseTypes::Flow(flow)) = &wrapped.response_types else { panic!("the line holds a flow") };
    assert_eq!(from_line(&to_json(flow)).unwrap(), wrapped);
    // Also in the camelCase form other tools write.
    let camel =
        from_line(r#"{"time":"2026-01-15T10:11:12Z","nodeName":"n","dropReasonDesc":"POLICY_DENIED"}"#).unwrap();
    let Some(ResponseTypes::Flow(flow)) = camel.response_types else { panic!("the line holds a flow") };
    assert_eq!((flow.drop_reason_desc, camel.node_name.as_str()), (133, "n"));
}

#[test]
fn lines_of_flow_logs_are_read() {
    let flow = from_line(r#"{"flow":{"verdict":"DROPPED"},"node_name":"n"}"#).unwrap();
    assert!(matches!(flow.response_types, Some(ResponseTypes::Flow(f)) if f.verdict == 2));
    let agent =
        r#"{"agent_event":{"type":"AGENT_STARTED","agent_start":{"time":"2026-01-15T10:11:12Z"}},"node_name":"n"}"#;
    assert_eq!(from_line(agent).unwrap(), GetFlowsResponse { node_name: "n".into(), ..Default::default() });
    let event: proto::observer::ExportEvent = from_json(agent).unwrap();
    assert_eq!(to_json(&event), agent);
}

#[test]
fn what_a_newer_peer_sends_is_left_out_or_kept_by_number() {
    let line = r#"{"flow":{"verdict":"SOMETHING_NEW","Type":"L7","brand_new":{"a":[1,2]}},"later":null,"time":null}"#;
    assert_eq!(to_line(&from_line(line).unwrap()), r#"{"flow":{"Type":"L7"}}"#);
    check_same(r#"{"flow":{"verdict":99}}"#);
}

#[test]
fn numbers_may_be_strings_and_strings_of_numbers_stay_exact() {
    let line = r#"{"flow":{"socket_cookie":18446744073709551615,"cgroup_id":"7","proxy_port":"8080","policy_match_type":3.0}}"#;
    let expected =
        r#"{"flow":{"policy_match_type":3,"proxy_port":8080,"socket_cookie":"18446744073709551615","cgroup_id":"7"}}"#;
    assert_eq!(to_line(&from_line(line).unwrap()), expected);
}

#[test]
fn text_is_escaped_as_go_does() {
    check_same(r#"{"flow":{"Summary":"\"\\ \u003ca\u0026b\u003e \b\f\n\r\t\u0001 \u2028 é 😀 "}}"#);
}

#[test]
fn our_details_lie_open_and_foreign_extensions_as_they_came() {
    check_same(
        r#"{"flow":{"extensions":{"@type":"type.googleapis.com/weir.v1.FlowDetails","phase":"PHASE_NEW","bytes":"1500","conversation":"7","source_process":{"pid":4,"comm":"curl"}}}}"#,
    );
    check_same(r#"{"flow":{"extensions":{"@type":"type.googleapis.com/weir.v1.FlowDetails"}}}"#);
    check_same(r#"{"flow":{"extensions":{"@type":"example.org/Other","value":"AAEC/w=="}}}"#);
    // Bytes that are not what the type says are shown as they came, too.
    check_same(r#"{"flow":{"extensions":{"@type":"x/weir.v1.FlowDetails","value":"/////w=="}}}"#);
}

#[test]
fn extensions_of_protobuf_itself_have_forms_of_their_own() {
    let line = |fields: &str| format!(r#"{{"flow":{{"extensions":{{"@type":"x/google.protobuf.{fields}}}}}}}"#);
    for fields in [
        r#"StringValue","value":"a\u003c""#,
        r#"BoolValue","value":false"#,
        r#"Int64Value","value":"-5""#,
        r#"UInt32Value","value":7"#,
        r#"FloatValue","value":0.1"#,
        r#"DoubleValue","value":1e+21"#,
        r#"BytesValue","value":"AAE=""#,
        r#"Timestamp","value":"2026-01-15T10:11:12.500Z""#,
        r#"Duration","value":"-1.500s""#,
        r#"FieldMask","value":"a.bC,d""#,
        r#"Struct","value":{"a":[1,null,{"b":"c"}],"d":true}"#,
        r#"ListValue","value":[1.5,[]]"#,
        r#"Value","value":null"#,
        r#"Empty","value":{}"#,
        r#"Any","value":{"@type":"flow.UDP","source_port":1}"#,
    ] {
        let line = line(fields);
        check_same(&line);
        assert!(proto::json::line_from_bytes(line.as_bytes()).unwrap().unknown.is_none(), "{line}");
    }
    for fields in [
        r#"StringValue""#,
        r#"StringValue","value":null"#,
        r#"StringValue","value":"a","value":"b""#,
        r#"FloatValue","value":1e39"#,
        r#"Duration","value":"1h""#,
        r#"FieldMask","value":"a_b""#,
        r#"Struct","value":{"a":1,"a":2}"#,
        r#"NoSuchValue","value":1"#,
    ] {
        assert!(proto::json::line_from_bytes(line(fields).as_bytes()).is_err(), "{fields}");
    }
    let newer = proto::json::line_from_bytes(line(r#"StringValue","new":1,"value":"a""#).as_bytes()).unwrap();
    assert_eq!(newer.unknown.as_deref(), Some("new"));
    // As deep as this goes it is read; deeper it is refused, and nothing overflows.
    for (depth, is_read) in [(30, true), (200, false), (20_000, false)] {
        let deep = line(&format!(r#"Value","value":{}{}"#, "[".repeat(depth), "]".repeat(depth)));
        assert_eq!(proto::json::line_from_bytes(deep.as_bytes()).is_ok(), is_read, "{depth}");
        let chain = r#"{"@type":"google.protobuf.Any","value":"#.repeat(depth);
        let deep = format!(r#"{{"flow":{{"extensions":{chain}{{}}{}}}}}"#, "}".repeat(depth));
        assert_eq!(proto::json::line_from_bytes(deep.as_bytes()).is_ok(), is_read, "{depth}");
    }
}

#[test]
fn what_is_passed_over_may_be_as_deep_as_for_go() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for (depth, is_read) in [(9_999, true), (10_000, false)] {
            let inner = if open == "[" { "" } else { "1" };
            let line = format!(r#"{{"new":{}{inner}{}}}"#, open.repeat(depth), close.repeat(depth));
            assert_eq!(proto::json::line_from_bytes(line.as_bytes()).is_ok(), is_read, "{depth} of {open}");
        }
    }
}

#[test]
fn an_any_inside_of_many_others_is_not_opened() {
    use prost::{Message, Name};
    let mut flow = proto::flow::Flow::default();
    for _ in 0..10_000 {
        let value = flow.encode_to_vec();
        let any = prost_types::Any { type_url: proto::flow::Flow::type_url(), value };
        flow = proto::flow::Flow { extensions: Some(any), ..Default::default() };
    }
    let line = to_json(&flow);
    assert_eq!(line.matches("@type").count(), 17);
    assert_eq!(from_json::<proto::flow::Flow>(&line).unwrap(), flow);
}

#[test]
fn every_kind_of_field_has_its_form() {
    let status =
        r#"{"num_flows":"1","uptime_ns":"5","num_connected_nodes":0,"unavailable_nodes":["a"],"flows_rate":55.87}"#;
    assert_eq!(to_json(&from_json::<proto::observer::ServerStatusResponse>(status).unwrap()), status);
    let filter = r#"{"source_pod":["a/","b"],"verdict":["DROPPED","ERROR"],"event_type":[{"type":4,"match_sub_type":true},{"type":1}],"reply":[true,false],"source_identity":[0,7],"tcp_flags":[{"SYN":true,"ACK":true},{"FIN":true}],"ip_trace_id":["9"],"experimental":{"cel_expression":["E"]}}"#;
    assert_eq!(to_json(&from_json::<proto::flow::FlowFilter>(filter).unwrap()), filter);
    let policy = r#"{"labels":["a"],"revision":"3","rule_count":"-4"}"#;
    assert_eq!(to_json(&from_json::<proto::flow::PolicyUpdateNotification>(policy).unwrap()), policy);
    let kafka = r#"{"error_code":-1,"api_key":"produce"}"#;
    assert_eq!(to_json(&from_json::<proto::flow::Kafka>(kafka).unwrap()), kafka);
}

#[test]
fn refusals_name_the_place() {
    let check = |line: &str, expected: &str| assert_eq!(from_line(line).unwrap_err().to_string(), expected);
    check(r#"{"flow":{"IP":{"source":7}}}"#, "flow.IP.source: expected a string");
    check(r#"{"flow":{"source":{"labels":["a",1]}}}"#, "flow.source.labels.1: expected a string");
    check(r#"{"flow":{"time":"yesterday"}}"#, "flow.time: expected an RFC 3339 time");
    check(r#"{"flow":{"proxy_port":-1}}"#, "flow.proxy_port: expected an unsigned 32-bit integer");
    check(r#"{"flow":{"proxy_port":4294967296}}"#, "flow.proxy_port: expected an unsigned 32-bit integer");
    check(r#"{"flow":{"event_type":{"type":1.5}}}"#, "flow.event_type.type: expected a 32-bit integer");
    check(r#"{"flow":{"source":[]}}"#, "flow.source: expected an object");
    check(r#"{"flow":{"node_labels":"a"}}"#, "flow.node_labels: expected a list");
    check(r#"{"flow":{"is_reply":"yes"}}"#, "flow.is_reply: expected true or false");
    check(r#"{"flow":{"verdict":[]}}"#, "flow.verdict: expected a name or number");
    check("[]", "expected an object");
    check("{", "not a JSON object: no name of a field at byte 1");
    check("", "expected an object");
}

#[test]
fn a_filter_with_anything_unknown_is_refused() {
    for (text, place) in [
        (r#"{"sourcepod":["a"]}"#, "sourcepod: expected a field"),
        (r#"{"verdict":["FORWARDED","NONSENSE"]}"#, "verdict.1: expected a name"),
        (r#"{"tcp_flags":[{"SYN":true,"XYZ":true}]}"#, "tcp_flags.0.XYZ: expected a field"),
        (r#"{} {"uuid":"a"}"#, "uuid: expected a list"),
        ("{", "not a JSON object"),
    ] {
        let error = proto::json::filters_from_text(text).unwrap_err().to_string();
        assert!(error.starts_with(place), "{text}: {error}");
    }
    let filters = proto::json::filters_from_text(r#"{"sourcePod":["a"]} {"verdict":["DROPPED",1]}"#).unwrap();
    assert_eq!(filters[0].source_pod, ["a"]);
    assert_eq!(filters[1].verdict, [2, 1]);
}

/// Whether the line is told to be as it is written, with the proof where it is.
#[track_caller]
fn is_as_written(line: &str) -> bool {
    let read = proto::json::line_from_bytes(line.as_bytes()).expect("the line is well-formed");
    let same = to_line(&read.response) == line;
    assert!(same || !read.is_as_written, "{line} is written otherwise");
    read.is_as_written
}

#[test]
fn lines_as_they_are_written_are_known() {
    for line in REAL.lines().chain(PRINTED) {
        assert!(is_as_written(line), "{line}");
    }
    for line in [
        r#"{}"#,
        r#"{"flow":{}}"#,
        r#"{"flow":{"source":{},"is_reply":false,"Summary":"\"\\ \u003ca\u0026b\u003e \b\f\n\r\t\u0001 \u2028 é 😀 â"}}"#,
        r#"{"flow":{"extensions":{"@type":"type.googleapis.com/weir.v1.FlowDetails","phase":"PHASE_NEW","bytes":"1500"}}}"#,
        r#"{"flow":{"time":"2026-01-15T10:11:12Z","l4":{"ICMPv4":{}},"policy_match_type":7}}"#,
    ] {
        assert!(is_as_written(line), "{line}");
    }
}

#[test]
fn lines_that_are_written_otherwise_are_known() {
    for line in [
        r#"{"flow":{"verdict":"FORWARDED"} }"#,
        r#" {"flow":{}}"#,
        r#"{"flow":{}} "#,
        r#"{"flow":{"uuid":"a","time":"2026-01-15T10:11:12Z"}}"#,
        r#"{"node_name":"n","flow":{}}"#,
        r#"{"flow":{"nodeName":"n"}}"#,
        r#"{"flow":{"uuid":""}}"#,
        r#"{"flow":{"verdict":1}}"#,
        r#"{"flow":{"verdict":"VERDICT_UNKNOWN"}}"#,
        r#"{"flow":{"verdict":"NEWER"}}"#,
        r#"{"flow":{"newer":1}}"#,
        r#"{"flow":{"proxy_port":"80"}}"#,
        r#"{"flow":{"proxy_port":0}}"#,
        r#"{"flow":{"proxy_port":8.0e1}}"#,
        r#"{"flow":{"socket_cookie":7}}"#,
        r#"{"flow":{"source":{"labels":[]}}}"#,
        r#"{"flow":{"source":null}}"#,
        r#"{"flow":{"Summary":"<"}}"#,
        r#"{"flow":{"Summary":"&"}}"#,
        r#"{"flow":{"Summary":"\u003E"}}"#,
        r#"{"flow":{"Summary":"\u0041"}}"#,
        r#"{"flow":{"Summary":"\/"}}"#,
        "{\"flow\":{\"Summary\":\"\u{2028}\"}}",
        r#"{"time":"2026-01-15T11:11:12+01:00"}"#,
        r#"{"time":"2026-01-15T10:11:12.5Z"}"#,
        r#"{"time":"2026-01-15T10:11:12.500000Z"}"#,
        r#"{"time":"2026-01-15T9:11:12Z"}"#,
    ] {
        assert_ne!(to_line(&from_line(line).expect("the line is well-formed")), line);
        assert!(!is_as_written(line), "{line}");
    }
}

#[test]
fn fields_that_nobody_looks_at_are_checked_and_left_out() {
    use proto::json::{FlowFields, line_with_fields};
    let fields = FlowFields::of(["verdict", "source.pod_name", "l4"]);
    let line = PRINTED[0].replace(r#""source":{"#, r#""source":{"pod_name":"p","#);
    let read = line_with_fields(line.as_bytes(), &fields).unwrap();
    let expected = r#"{"flow":{"verdict":"FORWARDED","l4":{"TCP":{"source_port":51001,"destination_port":8080,"flags":{"PSH":true,"ACK":true}}},"source":{"pod_name":"p"}},"node_name":"kind-kind/kind-worker","time":"2026-01-15T10:11:12.005000015Z"}"#;
    assert_eq!(to_line(&read.response), expected);
    for damaged in [
        r#"{"flow":{"IP":{"source":7}}}"#,
        r#"{"flow":{"source":{"labels":["a",1]}}}"#,
        r#"{"flow":{"uuid":"a","uuid":"b"}}"#,
        r#"{"flow":{"node_labels":["a"}}"#,
    ] {
        let whole = proto::json::line_from_bytes(damaged.as_bytes()).unwrap_err().to_string();
        let part = line_with_fields(damaged.as_bytes(), &fields).unwrap_err().to_string();
        assert_eq!(part, whole, "{damaged}");
    }
}
