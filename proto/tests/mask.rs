//! Field masks on a flow that has every field.

use proto::convert::flow_response;
use proto::flow::Flow;
use proto::json::{from_json, to_json};
use proto::mask::FieldMask;

const FLOW: &str = r#"{"time":"2026-01-15T10:11:12Z","uuid":"u","verdict":"DROPPED","IP":{"source":"10.0.0.1","destination":"10.0.0.2","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":1,"destination_port":2,"flags":{"SYN":true,"ACK":true}}},"source":{"ID":7,"identity":5,"namespace":"shop","labels":["a=b"],"pod_name":"web"},"destination":{},"Type":"L3_L4","node_name":"n","l7":{"type":"RESPONSE","latency_ns":"3","http":{"code":200,"method":"GET"}},"is_reply":false,"Summary":"s","extensions":{"@type":"x/y","value":"AA=="}}"#;

#[track_caller]
fn check(paths: &[&str], expected: &str) {
    let mut flow: Flow = from_json(FLOW).expect("the case is well-formed");
    FieldMask::new(paths).apply(&mut flow);
    assert_eq!(to_json(&flow), expected);
}

#[test]
fn named_fields_are_kept() {
    check(
        &["verdict", "IP", "Type", "Summary"],
        r#"{"verdict":"DROPPED","IP":{"source":"10.0.0.1","destination":"10.0.0.2","ipVersion":"IPv4"},"Type":"L3_L4","Summary":"s"}"#,
    );
    check(
        &["source.pod_name", "source.identity", "destination.pod_name"],
        r#"{"source":{"identity":5,"pod_name":"web"},"destination":{}}"#,
    );
    check(&["l4.TCP.flags.SYN"], r#"{"l4":{"TCP":{"flags":{"SYN":true}}}}"#);
    check(&["l7.http.code", "l7.latency_ns"], r#"{"l7":{"latency_ns":"3","http":{"code":200}}}"#);
    check(&["is_reply", "extensions"], r#"{"is_reply":false,"extensions":{"@type":"x/y","value":"AA=="}}"#);
}

#[test]
fn another_protocol_than_the_one_named_is_cleared() {
    check(&["l4.UDP"], r#"{"l4":{}}"#);
    check(&["l7.dns"], r#"{"l7":{}}"#);
}

/// As with Hubble: whether a flow had the message or not cannot be told, and both count as one kind when counted together.
#[test]
fn a_message_is_there_where_a_part_of_it_is_asked_for() {
    check(&["tunnel.IP.source", "interface.name"], r#"{"tunnel":{"IP":{}},"interface":{}}"#);
    check(&["ethernet"], "{}");
}

#[test]
fn the_larger_of_two_paths_wins() {
    let whole = r#"{"source":{"ID":7,"identity":5,"namespace":"shop","labels":["a=b"],"pod_name":"web"}}"#;
    check(&["source", "source.ID"], whole);
    check(&["source.ID", "source"], whole);
}

#[test]
fn lists_times_and_wrappers_are_kept_whole() {
    check(&["time.seconds", "is_reply.value"], r#"{"time":"2026-01-15T10:11:12Z","is_reply":false}"#);
    check(&["source.labels.x"], r#"{"source":{"labels":["a=b"]}}"#);
}

#[test]
fn unknown_paths_are_ignored() {
    check(&["no_such_field", "uuid", "source.nothing", "", ".", "l4.TCP.", "ip"], r#"{"uuid":"u"}"#);
    check(&["no_such_field"], "{}");
}

#[test]
fn no_path_keeps_everything() {
    check(&[], FLOW);
    assert!(FieldMask::new::<&str>(&[]).keeps_everything() && FieldMask::default().keeps_everything());
    assert!(!FieldMask::new(&["time"]).keeps_everything());
}

/// A stock client asks with these; every one of them must be known.
#[test]
fn each_field_of_the_flow_can_be_named() {
    let shape: prost_types::FileDescriptorSet = prost::Message::decode(proto::DESCRIPTORS).unwrap();
    let flow = shape.file.iter().flat_map(|f| &f.message_type).find(|m| m.name() == "Flow").unwrap();
    let names: Vec<&str> = flow.field.iter().map(prost_types::FieldDescriptorProto::name).collect();
    let whole: Flow = from_json(FLOW).unwrap();
    let mut masked = whole.clone();
    FieldMask::new(&names).apply(&mut masked);
    assert_eq!(masked, whole);
    // One name alone keeps that field, so that together they cover each other's absence.
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(FLOW).unwrap();
    for (name, value) in object {
        let mut masked = whole.clone();
        FieldMask::new(&[name.as_str()]).apply(&mut masked);
        let kept: serde_json::Value = serde_json::from_str(&to_json(&masked)).unwrap();
        assert_eq!(kept, serde_json::json!({ name: value }));
    }
}

#[test]
fn the_answer_has_the_node_and_time_of_the_masked_flow() {
    let mut flow: Flow = from_json(FLOW).unwrap();
    assert_eq!(flow_response(flow.clone()).node_name, "n");
    FieldMask::new(&["uuid"]).apply(&mut flow);
    let response = flow_response(flow);
    assert_eq!((response.node_name.as_str(), response.time), ("", None));
}
