//! Lines of flows in every shape that JSON and the API allow, and in some that they do not.
//!
//! Messages are made from the descriptors, so that every field of every message comes up.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use super::extensions;
use super::random::Random;
use super::values::{self, text};

#[derive(Default)]
struct Api {
    messages: HashMap<String, DescriptorProto>,
    enums: HashMap<String, EnumDescriptorProto>,
}

static API: LazyLock<Api> = LazyLock::new(|| {
    let mut api = Api::default();
    for file in FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap().file {
        let package = file.package().to_owned();
        for message in file.message_type {
            api.add(&package, message);
        }
        api.enums.extend(file.enum_type.into_iter().map(|e| (format!("{package}.{}", e.name()), e)));
    }
    api
});

impl Api {
    fn add(&mut self, scope: &str, message: DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in message.nested_type.clone() {
            self.add(&name, nested);
        }
        self.enums.extend(message.enum_type.iter().map(|e| (format!("{name}.{}", e.name()), e.clone())));
        self.messages.insert(name, message);
    }
}

/// A file of lines.
pub(crate) fn file(random: &mut Random) -> Vec<u8> {
    // Some files are well-formed throughout, so that nothing hides what is in them.
    let oddity = random.pick(&[&0, &2, &10, &30]);
    let lines = 5 + random.below(60);
    let mut out = Vec::new();
    for _ in 0..lines {
        line(random, *oddity, &mut out);
        out.extend_from_slice(if random.percent(*oddity / 4) { b"\r\n" } else { b"\n" });
    }
    if random.percent(10) {
        out.pop();
    }
    out
}

fn line(random: &mut Random, oddity: u64, out: &mut Vec<u8>) {
    if random.percent(oddity / 15) {
        out.extend_from_slice(extensions::nested(random).as_bytes());
        return;
    }
    if random.percent(oddity / 2) {
        out.extend_from_slice(damaged(random).as_bytes());
        return;
    }
    let mut writer = Writer { random, oddity, out: String::new() };
    match writer.random.below(100) {
        0..82 => writer.response(&["flow"]),
        82..88 => writer.response(&["lost_events"]),
        88..93 => writer.response(&["node_status"]),
        93 => writer.response(&[]),
        94..96 => writer.export("agent_event", "flow.AgentEvent"),
        96 => writer.export("debug_event", "flow.DebugEvent"),
        _ => writer.message("flow.Flow", 0),
    }
    let text = writer.out;
    if random.percent(oddity / 15) {
        // As long as a line may be, and a little longer; it stands in a field that is passed over or shown.
        let length = random.pick(&[&65_000usize, &65_533, &65_534, &65_535, &65_536, &66_000]);
        let pad = length.saturating_sub(text.len());
        out.extend_from_slice(text.as_bytes());
        out.extend(std::iter::repeat_n(b' ', pad));
        return;
    }
    out.extend_from_slice(text.as_bytes());
    if random.percent(oddity / 10) {
        out.extend_from_slice(b"\xff");
    }
}

fn damaged(random: &mut Random) -> String {
    random
        .pick(&[
            "",
            " ",
            "{",
            "{}",
            "[]",
            "null",
            "not json",
            "{\"flow\":null}",
            "{\"flow\":[]}",
            "{\"flow\":{}}",
            "{\"flow\":{\"verdict\":\"NONSENSE\"}}",
            "{\"flow\":{\"verdict\":true}}",
            "{\"flow\":{\"verdict\":2.0,\"Summary\":\"two\"}}",
            "{\"flow\":{\"time\":\"yesterday\"}}",
            "{\"flow\":{\"time\":12}}",
            "{\"flow\":{\"IP\":{\"source\":1}}}",
            "{\"flow\":{\"l4\":{\"TCP\":{\"source_port\":-1}}}}",
            "{\"flow\":{\"l4\":{\"TCP\":{\"source_port\":\"80 \"}}}}",
            "{\"flow\":{\"l4\":{\"TCP\":{},\"UDP\":{}}}}",
            "{\"flow\":{\"l4\":{\"TCP\":null,\"UDP\":{\"destination_port\":53}},\"IP\":{}}}",
            "{\"flow\":{\"Summary\":\"a\",\"Summary\":\"b\"}}",
            "{\"flow\":{\"node_name\":\"a\",\"nodeName\":\"b\"}}",
            "{\"flow\":{\"source\":{\"labels\":[\"a\",null]}}}",
            "{\"flow\":{\"source\":{\"labels\":\"a\"}}}",
            "{\"flow\":{\"Summary\":\"\\ud800\"}}",
            "{\"flow\":{\"Summary\":\"\\x\"}}",
            "{\"flow\":{\"Summary\":\"trailing\"},}",
            "{\"flow\":{\"Summary\":\"two\"}} {\"flow\":{}}",
            "{\"flow\":{\"Summary\":\"ok\"}}}",
            "{\"flow\":{\"new_field\":{\"a\":[1,2,{\"b\":null}]},\"Summary\":\"newer\"}}",
            "{\"flow\":{\"new_field\":{\"a\":[1,2,]},\"Summary\":\"newer\"}}",
            "{\"flow\":{\"extensions\":{\"@type\":\"type.googleapis.com/no.Such\"},\"Summary\":\"x\"}}",
            "{\"flow\":{\"extensions\":{\"@type\":\"type.googleapis.com/flow.Service\",\"name\":\"n\"},\"Summary\":\"x\"}}",
            "{\"flow\":{\"extensions\":{},\"Summary\":\"x\"}}",
            "{\"flow\":{\"extensions\":{\"name\":1},\"Summary\":\"x\"}}",
            "{\"flow\":{\"uuid\":\"uuid-5\"},\"lost_events\":{}}",
            "{\"time\":\"2026-01-15T10:11:12Z\",\"node_name\":\"k1\"}",
            "{\"flow\":{\"is_reply\":\"true\"}}",
            "{\"flow\":{\"drop_reason\":1e2,\"Summary\":\"hundred\"}}",
            "{\"flow\":{\"drop_reason\":1.5}}",
            "{\"flow\":{\"socket_cookie\":\"18446744073709551616\"}}",
            "{\"flow\":{\"verdict\":99999999999}}",
        ])
        .to_owned()
}

struct Writer<'a> {
    random: &'a mut Random,
    /// How often values are odd, of a hundred.
    oddity: u64,
    out: String,
}

impl Writer<'_> {
    /// A response with these fields, and most of those that all have.
    fn response(&mut self, kinds: &[&str]) {
        self.out.push('{');
        for kind in kinds {
            let name = match *kind {
                "flow" => "flow.Flow",
                "lost_events" => "flow.LostEvent",
                _ => "relay.NodeStatusEvent",
            };
            write!(self.out, "\"{kind}\":").unwrap();
            self.message(name, 0);
        }
        self.envelope(kinds.is_empty());
    }

    fn export(&mut self, kind: &str, name: &str) {
        write!(self.out, "{{\"{kind}\":").unwrap();
        self.message(name, 0);
        self.envelope(false);
    }

    fn envelope(&mut self, mut first: bool) {
        if self.random.percent(80) {
            let node = self.random.pick(&values::NODES);
            self.out.push_str(if first { "" } else { "," });
            self.out.push_str("\"node_name\":");
            self.string(node);
            first = false;
        }
        if self.random.percent(90) {
            let time = self.time();
            write!(self.out, "{}\"time\":\"{time}\"", if first { "" } else { "," }).unwrap();
        }
        if self.random.percent(self.oddity / 10) {
            write!(self.out, "{}\"from_the_future\":[1]", if self.out.ends_with('{') { "" } else { "," }).unwrap();
        }
        self.out.push('}');
    }

    fn time(&mut self) -> &'static str {
        let most = if self.random.percent(self.oddity) { values::TIMES.len() } else { 6 };
        values::TIMES[self.random.below(most)]
    }

    fn message(&mut self, name: &str, depth: u32) {
        let message = &API.messages[name];
        // A flow has most of its fields left out, as real ones have; what it holds is fuller.
        let chance = if depth == 0 { 35 } else { 65 };
        let mut alternatives: HashMap<i32, usize> = HashMap::new();
        for index in 0..message.oneof_decl.len() {
            let index = i32::try_from(index).unwrap();
            let fields: Vec<usize> =
                (0..message.field.len()).filter(|at| message.field[*at].oneof_index == Some(index)).collect();
            alternatives.insert(index, fields[self.random.below(fields.len())]);
        }
        self.out.push('{');
        let mut first = true;
        for (at, field) in message.field.iter().enumerate() {
            let chosen = field.oneof_index.is_none_or(|index| alternatives[&index] == at);
            let chance = if always(field.name()) { 92 } else { chance };
            if !chosen || !self.random.percent(chance) || (depth > 3 && field.r#type() == Type::Message) {
                continue;
            }
            let extends = field.name() == "extensions";
            if extends && self.random.percent(60) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.out.push(',');
                if self.random.percent(self.oddity / 4) {
                    self.out.push(' ');
                }
            }
            let key = if self.random.percent(self.oddity / 2) { field.json_name() } else { field.name() };
            write!(self.out, "\"{key}\":").unwrap();
            if self.random.percent(self.oddity / 6) {
                self.out.push_str("null");
            } else if extends {
                let extension = extensions::extension(self.random, self.oddity);
                self.out.push_str(&extension);
            } else {
                self.field(field, depth);
            }
        }
        if self.random.percent(self.oddity / 30) {
            write!(self.out, "{}\"unheard_of\":{{\"deep\":[true,\"x\"]}}", if first { "" } else { "," }).unwrap();
        }
        self.out.push('}');
    }

    fn field(&mut self, field: &FieldDescriptorProto, depth: u32) {
        if field.label() != Label::Repeated {
            self.value(field, depth);
            return;
        }
        self.out.push('[');
        for at in 0..self.random.below(4) {
            self.out.push_str(if at == 0 { "" } else { "," });
            self.value(field, depth);
        }
        self.out.push(']');
    }

    fn value(&mut self, field: &FieldDescriptorProto, depth: u32) {
        let type_name = field.type_name().trim_start_matches('.');
        match field.r#type() {
            Type::Bool => {
                let value = self.random.percent(50);
                write!(self.out, "{value}").unwrap();
            }
            Type::String => {
                let text = self.string_for(field.name());
                self.string(&text);
            }
            Type::Enum => self.enumeration(type_name),
            Type::Message => match type_name {
                "google.protobuf.Timestamp" => {
                    let time = self.time();
                    write!(self.out, "\"{time}\"").unwrap();
                }
                "google.protobuf.BoolValue" => {
                    let value = self.random.percent(50);
                    write!(self.out, "{value}").unwrap();
                }
                "google.protobuf.Int32Value" | "google.protobuf.UInt32Value" => self.number(field.name(), false),
                name => self.message(name, depth + 1),
            },
            Type::Int64 | Type::Uint64 | Type::Fixed64 => self.number(field.name(), true),
            Type::Bytes => self.out.push_str("\"AAEC\""),
            Type::Double => self.out.push_str("1.5"),
            _ => self.number(field.name(), false),
        }
    }

    fn enumeration(&mut self, name: &str) {
        let values = &API.enums[name].value;
        let value = &values[self.random.below(values.len())];
        let number = value.number();
        if self.random.percent(self.oddity / 2) {
            let odd = self.random.pick(&[&number, &77, &-1, &4_000]);
            write!(self.out, "{odd}").unwrap();
        } else if self.random.percent(self.oddity / 20) {
            self.out.push_str("\"FROM_THE_FUTURE\"");
        } else {
            write!(self.out, "\"{}\"", value.name()).unwrap();
        }
    }

    fn number(&mut self, name: &str, wide: bool) {
        let known: &[&u64] = match name {
            "source_port" | "destination_port" => &[&0, &53, &80, &443, &8080, &44_916, &65_535],
            "identity" => &[&0, &1, &2, &6, &7, &11, &100, &12_345, &23_456, &16_777_217],
            "type" | "policy_match_type" => &[&0, &1, &2, &3, &4, &5, &6, &7, &8, &129, &130],
            "sub_type" => &[&0, &1, &2, &3, &4, &5, &10, &13, &14, &101, &130, &133, &181, &205, &206, &255],
            "code" => &[&0, &200, &204, &301, &404, &500, &503, &99, &1000],
            "trace_id" => &[&0, &1, &12_345, &18_446_744_073_709_551_615],
            "index" => &[&0, &1, &2],
            "cpu" => &[&0, &2, &128],
            _ => &[&0, &1, &2, &3, &17, &255, &4_000, &2_147_483_647],
        };
        let mut number = self.random.pick(known).to_string();
        if self.random.percent(self.oddity / 4) {
            number =
                self.random.pick(&["1.0", "1e1", "70000", "4294967295", "0.0", "-0", "256", "0e+", "0e5"]).to_owned();
            if self.random.percent(10) {
                number =
                    self.random.pick(&["\"7 8\"", "\"7,\"", "\"7\u{e9}\"", "\"7_\"", "\"7\u{a0}\"", "\"\""]).to_owned();
                self.out.push_str(&number);
                return;
            }
        }
        let quoted = if wide { self.random.percent(90) } else { self.random.percent(self.oddity / 4) };
        let quote = if quoted { "\"" } else { "" };
        write!(self.out, "{quote}{number}{quote}").unwrap();
    }

    fn string_for(&mut self, name: &str) -> String {
        if self.random.percent(self.oddity / 3) {
            return text(self.random);
        }
        let (random, odd) = (&mut *self.random, self.oddity);
        // The last of the addresses and names are odd ones.
        let usual = |list: &[&str]| if odd < 10 { list.len() - 2 } else { list.len() };
        match name {
            "source_xlated" if random.percent(60) => String::new(),
            "source" | "destination" | "source_xlated" | "ip" | "host_ip" | "ips" => {
                values::ADDRESSES[random.below(usual(&values::ADDRESSES))].to_owned()
            }
            "namespace" => random.pick(&values::NAMESPACES).to_owned(),
            "pod_name" => random.pick(&values::PODS).to_owned(),
            "labels" | "node_labels" => random.pick(&values::LABELS).to_owned(),
            "source_names" | "destination_names" | "query" | "cnames" => random.pick(&values::DNS_NAMES).to_owned(),
            "name" => random
                .pick(&[&values::SERVICES[..], &values::WORKLOADS, &values::DEVICES])
                .get(random.below(4))
                .map_or_else(String::new, |name| (*name).to_owned()),
            "kind" => random.pick(&values::KINDS).to_owned(),
            "cluster_name" => random.pick(&values::CLUSTERS).to_owned(),
            "node_name" | "node_names" => random.pick(&values::NODES).to_owned(),
            "url" => random.pick(&values::URLS).to_owned(),
            "method" => random.pick(&values::METHODS).to_owned(),
            "key" => values::HEADERS[random.below(5)].0.to_owned(),
            "value" => values::HEADERS[random.below(5)].1.to_owned(),
            "trace_id" => random.pick(&values::TRACES).to_owned(),
            "uuid" => random.pick(&values::UUIDS).to_owned(),
            "observation_source" => random.pick(&["proxy", "agent", ""]).to_owned(),
            _ => text(random),
        }
    }

    /// A JSON string, with some characters escaped that need not be.
    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            let escaped = self.random.percent(self.oddity / 10);
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '/' if escaped => self.out.push_str("\\/"),
                c if u32::from(c) < 0x20 || escaped => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(self.out, "\\u{unit:04x}").unwrap();
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// Fields that flows are seldom without.
fn always(name: &str) -> bool {
    matches!(name, "IP" | "l4" | "source" | "destination" | "verdict" | "event_type" | "time" | "Summary")
}
