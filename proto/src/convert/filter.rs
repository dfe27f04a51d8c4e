//! Filters to and from the wire.

use flow::{DropReason, FlowFilter, Identity, Interface, IpVersion, TrafficDirection, Verdict};

use super::{flow_in, flow_out};
use crate::flow as wire;

/// A filter from the wire; values are kept as sent, [`flow::filter::FilterSet::compile`] checks them.
#[must_use]
pub fn filter_from_wire(wire: wire::FlowFilter) -> FlowFilter {
    FlowFilter {
        uuid: wire.uuid,
        source_ip: wire.source_ip,
        source_ip_xlated: wire.source_ip_xlated,
        source_pod: wire.source_pod,
        source_fqdn: wire.source_fqdn,
        source_label: wire.source_label,
        source_service: wire.source_service,
        source_workload: wire.source_workload.into_iter().map(flow_in::workload).collect(),
        source_cluster_name: wire.source_cluster_name,
        destination_ip: wire.destination_ip,
        destination_pod: wire.destination_pod,
        destination_fqdn: wire.destination_fqdn,
        destination_label: wire.destination_label,
        destination_service: wire.destination_service,
        destination_workload: wire.destination_workload.into_iter().map(flow_in::workload).collect(),
        destination_cluster_name: wire.destination_cluster_name,
        traffic_direction: wire.traffic_direction.into_iter().map(TrafficDirection).collect(),
        verdict: wire.verdict.into_iter().map(Verdict).collect(),
        drop_reason: wire.drop_reason_desc.into_iter().map(DropReason).collect(),
        interface: wire.interface.into_iter().map(|i| Interface { index: i.index, name: i.name.into() }).collect(),
        event_type: wire.event_type.into_iter().map(|e| (e.r#type, e.match_sub_type.then_some(e.sub_type))).collect(),
        http_status_code: wire.http_status_code,
        protocol: wire.protocol,
        source_port: wire.source_port,
        destination_port: wire.destination_port,
        reply: wire.reply,
        dns_query: wire.dns_query,
        source_identity: wire.source_identity.into_iter().map(Identity).collect(),
        destination_identity: wire.destination_identity.into_iter().map(Identity).collect(),
        http_method: wire.http_method,
        http_path: wire.http_path,
        http_url: wire.http_url,
        http_header: wire.http_header.into_iter().map(|h| (h.key, h.value)).collect(),
        tcp_flags: wire.tcp_flags.into_iter().map(flow_in::tcp_flags).collect(),
        node_name: wire.node_name,
        node_labels: wire.node_labels,
        ip_version: wire.ip_version.into_iter().map(IpVersion).collect(),
        trace_id: wire.trace_id,
        ip_trace_id: wire.ip_trace_id,
        encrypted: wire.encrypted,
        cel_expression: wire.experimental.map(|e| e.cel_expression).unwrap_or_default(),
    }
}

/// A filter on the wire.
#[must_use]
pub fn filter_to_wire(filter: &FlowFilter) -> wire::FlowFilter {
    wire::FlowFilter {
        uuid: filter.uuid.clone(),
        source_ip: filter.source_ip.clone(),
        source_ip_xlated: filter.source_ip_xlated.clone(),
        source_pod: filter.source_pod.clone(),
        source_fqdn: filter.source_fqdn.clone(),
        source_label: filter.source_label.clone(),
        source_service: filter.source_service.clone(),
        source_workload: filter.source_workload.iter().map(flow_out::workload).collect(),
        source_cluster_name: filter.source_cluster_name.clone(),
        destination_ip: filter.destination_ip.clone(),
        destination_pod: filter.destination_pod.clone(),
        destination_fqdn: filter.destination_fqdn.clone(),
        destination_label: filter.destination_label.clone(),
        destination_service: filter.destination_service.clone(),
        destination_workload: filter.destination_workload.iter().map(flow_out::workload).collect(),
        destination_cluster_name: filter.destination_cluster_name.clone(),
        traffic_direction: filter.traffic_direction.iter().map(|d| d.0).collect(),
        verdict: filter.verdict.iter().map(|v| v.0).collect(),
        drop_reason_desc: filter.drop_reason.iter().map(|r| r.0).collect(),
        interface: filter
            .interface
            .iter()
            .map(|i| wire::NetworkInterface { index: i.index, name: i.name.to_string() })
            .collect(),
        event_type: filter
            .event_type
            .iter()
            .map(|&(kind, sub)| wire::EventTypeFilter {
                r#type: kind,
                match_sub_type: sub.is_some(),
                sub_type: sub.unwrap_or(0),
            })
            .collect(),
        http_status_code: filter.http_status_code.clone(),
        protocol: filter.protocol.clone(),
        source_port: filter.source_port.clone(),
        destination_port: filter.destination_port.clone(),
        reply: filter.reply.clone(),
        dns_query: filter.dns_query.clone(),
        source_identity: filter.source_identity.iter().map(|i| i.0).collect(),
        destination_identity: filter.destination_identity.iter().map(|i| i.0).collect(),
        http_method: filter.http_method.clone(),
        http_path: filter.http_path.clone(),
        http_url: filter.http_url.clone(),
        http_header: filter
            .http_header
            .iter()
            .map(|(key, value)| wire::HttpHeader { key: key.clone(), value: value.clone() })
            .collect(),
        tcp_flags: filter.tcp_flags.iter().map(|f| flow_out::tcp_flags(*f)).collect(),
        node_name: filter.node_name.clone(),
        node_labels: filter.node_labels.clone(),
        ip_version: filter.ip_version.iter().map(|v| v.0).collect(),
        trace_id: filter.trace_id.clone(),
        ip_trace_id: filter.ip_trace_id.clone(),
        encrypted: filter.encrypted.clone(),
        experimental: (!filter.cel_expression.is_empty())
            .then(|| wire::flow_filter::Experimental { cel_expression: filter.cel_expression.clone() }),
    }
}
