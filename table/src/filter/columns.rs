//! The columns a rule looks at.

use flow::filter::Rule;

use crate::schema::{Col, DESTINATION, SOURCE, SideColumns};
use flow::Side;

/// Columns that [`super::rules::mask`] opens for a rule.
pub(super) fn columns(rule: &Rule) -> Vec<Col> {
    match rule {
        Rule::Uuid(_) => vec![Col::Uuid, Col::IdText],
        Rule::EventType(_) => vec![Col::EventType, Col::EventSubType],
        Rule::TcpFlags(_) => vec![Col::EventType, Col::TcpFlags, Col::L4Protocol],
        Rule::DropReason(_) => vec![Col::EventType, Col::Verdict, Col::DropReason],
        Rule::Verdict(_) => vec![Col::Verdict],
        Rule::TrafficDirection(_) => vec![Col::TrafficDirection],
        Rule::Reply(_) => vec![Col::IsReply, Col::Verdict],
        Rule::Encrypted(_) => vec![Col::Encrypted, Col::IpSrc],
        Rule::Identity(side, _) => vec![of(*side).identity],
        Rule::Protocol(_) => vec![Col::L4Protocol, Col::L7Protocol],
        Rule::Ip(side, _) => vec![of(*side).ip, Col::IpSrc],
        Rule::SourceIpXlated(_) => vec![Col::IpSrcXlated, Col::IpSrc],
        Rule::Pod(side, _) => vec![of(*side).namespace, of(*side).pod, of(*side).identity],
        Rule::Workload(side, _) => {
            let side = of(*side);
            vec![side.workload, side.workload_kind, side.more_workloads, side.identity]
        }
        Rule::Service(side, _) => vec![of(*side).service_name, of(*side).service_namespace],
        Rule::Fqdn(side, _) => vec![of(*side).names],
        Rule::DnsQuery(_) => vec![Col::DnsQuery, Col::L7Protocol],
        Rule::Label(side, _) => vec![of(*side).labels],
        Rule::NodeLabel(_) => vec![Col::NodeLabels],
        Rule::Port(side, _) => vec![of(*side).port, Col::L4Protocol],
        Rule::HttpStatus(_) => vec![Col::HttpCode, Col::L7Protocol],
        Rule::HttpMethod(_) | Rule::HttpPath(_) | Rule::HttpUrl(_) | Rule::HttpHeader(_) => {
            vec![Col::HttpMethod, Col::HttpUrl, Col::HttpHeaders, Col::L7Protocol]
        }
        Rule::NodeName(_) => vec![Col::NodeName],
        Rule::Cluster(side, _) => vec![of(*side).cluster],
        Rule::IpVersion(_) => vec![Col::IpSrc],
        Rule::TraceId(_) => vec![Col::TraceId],
        Rule::Interface(_) => vec![Col::Interface, Col::InterfaceIndex],
        Rule::IpTraceId(_) => vec![Col::IpTraceId],
        // They may look at anything.
        Rule::Expressions(_) => Col::ALL.to_vec(),
    }
}

fn of(side: Side) -> &'static SideColumns {
    side.of(&SOURCE, &DESTINATION)
}
