//! The wire contract: names, numbers, types and labels of Hubble 1.19, and nothing else.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, ServiceDescriptorProto,
};

/// Recorded from the stock .proto files: a line for each field, value, reserved range and method.
const RECORDED: &str = include_str!("../../tests/fixtures/hubble-api.tsv");

#[test]
fn descriptors_are_those_of_hubble() {
    let recorded: BTreeSet<String> =
        RECORDED.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert!(recorded.len() > 500);
    let files = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
    let ours: BTreeSet<String> = files
        .file
        .iter()
        .filter(|file| ["flow", "observer", "peer", "relay"].contains(&file.package()))
        .flat_map(describe_file)
        .collect();
    let missing: Vec<_> = recorded.difference(&ours).collect();
    let surplus: Vec<_> = ours.difference(&recorded).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nsurplus: {surplus:#?}");
}

#[test]
fn fields_are_declared_in_the_order_they_are_printed() {
    let files = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
    for file in files.file.iter().filter(|file| ["flow", "observer", "relay"].contains(&file.package())) {
        for message in &file.message_type {
            let full_name = format!("{}.{}", file.package(), message.name());
            let ours: Vec<&str> = message.field.iter().map(FieldDescriptorProto::name).collect();
            let recorded: Vec<&str> = RECORDED
                .lines()
                .filter_map(|line| line.strip_prefix(&format!("{full_name}\t")))
                .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
                .filter_map(|line| line.split('\t').nth(1))
                .collect();
            assert_eq!(ours, recorded, "{full_name}");
        }
    }
}

fn describe_file(file: &FileDescriptorProto) -> Vec<String> {
    let package = file.package();
    let messages = file.message_type.iter().flat_map(|m| describe_message(package, m));
    let enums = file.enum_type.iter().flat_map(|e| describe_enum(package, e));
    let services = file.service.iter().flat_map(|s| describe_service(package, s));
    messages.chain(enums).chain(services).collect()
}

fn describe_message(scope: &str, message: &DescriptorProto) -> Vec<String> {
    let name = format!("{scope}.{}", message.name());
    let mut lines: Vec<String> = message.field.iter().map(|f| describe_field(&name, message, f)).collect();
    // The end of a reserved range is not part of it.
    lines.extend(message.reserved_range.iter().map(|r| format!("{name}\treserved\t{}-{}", r.start(), r.end() - 1)));
    lines.extend(message.nested_type.iter().flat_map(|m| describe_message(&name, m)));
    lines.extend(message.enum_type.iter().flat_map(|e| describe_enum(&name, e)));
    lines
}

fn describe_field(message_name: &str, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let kind = match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
        other => other.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    let repeated = if field.label() == Label::Repeated { "repeated " } else { "" };
    let oneof =
        field.oneof_index.map_or(String::new(), |at| format!(" oneof={}", message.oneof_decl[at as usize].name()));
    let deprecated =
        if field.options.as_ref().is_some_and(prost_types::FieldOptions::deprecated) { " deprecated" } else { "" };
    format!("{message_name}\t{}\t{}\t{repeated}{kind}{oneof}{deprecated}", field.number(), field.name())
}

fn describe_enum(scope: &str, enumeration: &EnumDescriptorProto) -> Vec<String> {
    let line = |value: &EnumValueDescriptorProto| {
        let deprecated = value.options.as_ref().is_some_and(prost_types::EnumValueOptions::deprecated);
        let label = if deprecated { "enum deprecated" } else { "enum" };
        format!("{scope}.{}\t{}\t{}\t{label}", enumeration.name(), value.number(), value.name())
    };
    enumeration.value.iter().map(line).collect()
}

fn describe_service(scope: &str, service: &ServiceDescriptorProto) -> Vec<String> {
    let stream = |is: bool| if is { "stream " } else { "" };
    let describe = |m: &prost_types::MethodDescriptorProto| {
        format!(
            "{scope}.{}\trpc\t{}\t{}{} -> {}{}",
            service.name(),
            m.name(),
            stream(m.client_streaming()),
            m.input_type().trim_start_matches('.'),
            stream(m.server_streaming()),
            m.output_type().trim_start_matches('.'),
        )
    };
    service.method.iter().map(describe).collect()
}

/// Each named number of the vocabulary is the one on the wire, and none is missing.
#[test]
fn enumerations_of_the_vocabulary_are_those_of_the_wire() {
    let files = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
    macro_rules! check {
        ($($name:literal => $kind:ty,)+) => {$(
            let on_the_wire = enum_values(&files, $name);
            let ours: BTreeSet<(i32, String)> =
                <$kind>::ALL.iter().map(|v| (v.0, v.name().unwrap().to_owned())).collect();
            assert_eq!(ours, on_the_wire, $name);
        )+};
    }
    check! {
        "flow.FlowType" => flow::FlowType,
        "flow.AuthType" => flow::AuthType,
        "flow.TraceObservationPoint" => flow::TraceObservationPoint,
        "flow.TraceReason" => flow::TraceReason,
        "flow.L7FlowType" => flow::L7FlowType,
        "flow.IPVersion" => flow::IpVersion,
        "flow.Verdict" => flow::Verdict,
        "flow.DropReason" => flow::DropReason,
        "flow.TrafficDirection" => flow::TrafficDirection,
        "flow.DebugCapturePoint" => flow::DebugCapturePoint,
        "flow.LostEventSource" => flow::LostEventSource,
        "flow.AgentEventType" => flow::AgentEventType,
        "flow.SocketTranslationPoint" => flow::SocketTranslationPoint,
        "flow.DebugEventType" => flow::DebugEventType,
        "flow.Tunnel.Protocol" => flow::TunnelProtocol,
        "relay.NodeState" => flow::NodeState,
    }
}

fn enum_values(files: &FileDescriptorSet, full_name: &str) -> BTreeSet<(i32, String)> {
    let mut values = BTreeSet::new();
    for line in files.file.iter().flat_map(describe_file) {
        let mut columns = line.split('\t');
        if columns.next() == Some(full_name)
            && let (Some(number), Some(name)) = (columns.next().and_then(|n| n.parse().ok()), columns.next())
        {
            values.insert((number, name.to_owned()));
        }
    }
    assert!(!values.is_empty(), "{full_name} is not on the wire");
    values
}
