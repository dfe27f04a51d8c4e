//! Extensions of flows: messages of any type that the stock client knows, in the forms of their own that some have.

use super::random::Random;

/// An object that stands in the field `extensions`; `oddity` is how often it is a damaged one, of a hundred.
pub(super) fn extension(random: &mut Random, oddity: u64) -> String {
    let prefix = random.pick(&["type.googleapis.com/", "type.googleapis.com/", "", "a/b/"]);
    let fields = if random.percent(oddity) { random.pick(&DAMAGED) } else { random.pick(&GOOD) };
    format!("{{\"@type\":\"{prefix}{fields}}}")
}

const GOOD: [&str; 31] = [
    r#"flow.Service","name":"n","namespace":"<b>""#,
    r#"flow.Flow","uuid":"x","extensions":{"@type":"/flow.UDP","source_port":1}"#,
    r#"flow.Endpoint","labels":["a"],"ID":7"#,
    r#"relay.NodeStatusEvent","node_names":["k1"]"#,
    r#"google.protobuf.StringValue","value":"<a> \u2028""#,
    r#"google.protobuf.StringValue","value":"""#,
    r#"google.protobuf.BoolValue","value":false"#,
    r#"google.protobuf.Int32Value","value":-3.0"#,
    r#"google.protobuf.Int64Value","value":"-9223372036854775808""#,
    r#"google.protobuf.UInt32Value","value":"5""#,
    r#"google.protobuf.UInt64Value","value":18446744073709551615"#,
    r#"google.protobuf.DoubleValue","value":1e21"#,
    r#"google.protobuf.DoubleValue","value":"-Infinity""#,
    r#"google.protobuf.DoubleValue","value":-0.0"#,
    r#"google.protobuf.FloatValue","value":0.1"#,
    r#"google.protobuf.FloatValue","value":1.2e-7"#,
    r#"google.protobuf.BytesValue","value":"_-8""#,
    r#"google.protobuf.Timestamp","value":"2026-01-15T11:11:12.1+01:00""#,
    r#"google.protobuf.Duration","value":"-1.5s""#,
    r#"google.protobuf.Duration","value":"+.000001s""#,
    r#"google.protobuf.FieldMask","value":"a.bC, d""#,
    r#"google.protobuf.FieldMask","value":"source.podName""#,
    r#"google.protobuf.Struct","value":{"b":[1,null,{"x":"y"}],"a":{},"\u00e9":-1.50}"#,
    r#"google.protobuf.ListValue","value":[true,"x",[],1e-7]"#,
    r#"google.protobuf.Value","value":null"#,
    r#"google.protobuf.Value","value":{"a":[[]]}"#,
    r#"google.protobuf.Empty""#,
    r#"google.protobuf.Empty","value":{}"#,
    r#"google.protobuf.Any","value":{"@type":"/google.protobuf.Any","value":{}}"#,
    r#"google.protobuf.Any","value":{"value":1,"@type":"/google.protobuf.Int32Value"}"#,
    r#"flow.Layer4","TCP":{"flags":{"SYN":true}}"#,
];

const DAMAGED: [&str; 21] = [
    r#"no.Such","a":1"#,
    r#"flow.Service","name":1"#,
    r#"flow.Service","value":{"name":"n"}"#,
    r#"flow.Service","@type":"/flow.UDP""#,
    r#"google.protobuf.StringValue""#,
    r#"google.protobuf.StringValue","value":null"#,
    r#"google.protobuf.StringValue","value":"a","value":"b""#,
    r#"google.protobuf.StringValue","value":"a","other":[1]"#,
    r#"google.protobuf.Int32Value","value":2147483648"#,
    r#"google.protobuf.FloatValue","value":1e39"#,
    r#"google.protobuf.DoubleValue","value":1e309"#,
    r#"google.protobuf.BytesValue","value":"A""#,
    r#"google.protobuf.Timestamp","value":"10000-01-01T00:00:00Z""#,
    r#"google.protobuf.Duration","value":"1h""#,
    r#"google.protobuf.Duration","value":"315576000001s""#,
    r#"google.protobuf.FieldMask","value":"a_b""#,
    r#"google.protobuf.Struct","value":{"a":1,"a":2}"#,
    r#"google.protobuf.Struct","value":[]"#,
    r#"google.protobuf.ListValue","value":[1,]"#,
    r#"google.protobuf.Empty","value":{"new":[1]}"#,
    r#"google.protobuf.Any","value":{"a":1}"#,
];

/// A line whose unknown field holds so many objects or lists inside of each other.
pub(super) fn nested(random: &mut Random) -> String {
    let depth = random.pick(&[&50usize, &9_998, &9_999, &10_000]);
    let (open, close) = random.pick(&[&("[", "]"), &("{\"a\":", "}")]);
    let inner = if *open == "[" { "" } else { "1" };
    format!("{{\"new\":{}{inner}{},\"flow\":{{}}}}", open.repeat(*depth), close.repeat(*depth))
}
