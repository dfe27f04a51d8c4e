//! From a filter as received to its rules.

use super::address::Addresses;
use super::expression::{CompileExpression, Expressions};
use super::{
    FilterError, FlowFilter, LabelSelectors, NamePatterns, NamePrefixes, NodePatterns, Protocols, Regexes, Rule,
    StatusCodes,
};
use crate::{FlowId, Side, event_type};

/// Rules of the fields that are set, in Hubble's order of evaluation: of several bad values, the same one is named.
pub(super) fn compile(filter: &FlowFilter, expression: CompileExpression) -> Result<Vec<Rule>, FilterError> {
    let mut rules = Rules(Vec::new());
    rules.add(&filter.uuid, |ids| Rule::Uuid(ids.iter().map(|id| FlowId::parse(id)).collect()));
    rules.add(&filter.event_type, |v| Rule::EventType(v.to_vec()));
    rules.add(&filter.verdict, |v| Rule::Verdict(v.to_vec()));
    rules.add(&filter.drop_reason, |v| Rule::DropReason(v.to_vec()));
    rules.add(&filter.reply, |v| Rule::Reply(v.to_vec()));
    rules.add(&filter.encrypted, |v| Rule::Encrypted(v.to_vec()));
    for side in Side::BOTH {
        rules.add(side.of(&filter.source_identity, &filter.destination_identity), |v| Rule::Identity(side, v.to_vec()));
    }
    rules.try_add(&filter.protocol, |v| Protocols::parse(v).map(Rule::Protocol))?;
    addresses(filter, &mut rules)?;
    names(filter, &mut rules)?;
    labels(filter, &mut rules)?;
    for side in Side::BOTH {
        rules.try_add(side.of(&filter.source_port, &filter.destination_port), |v| ports(side, v))?;
    }
    http(filter, &mut rules)?;
    rules.add(&filter.tcp_flags, |v| Rule::TcpFlags(v.to_vec()));
    rules.try_add(&filter.node_name, |v| NodePatterns::parse(v).map(Rule::NodeName))?;
    for side in Side::BOTH {
        rules.try_add(side.of(&filter.source_cluster_name, &filter.destination_cluster_name), |v| {
            if v.iter().any(String::is_empty) {
                Err(FilterError::EmptyName)
            } else {
                Ok(Rule::Cluster(side, v.to_vec()))
            }
        })?;
    }
    rules.add(&filter.ip_version, |v| Rule::IpVersion(v.to_vec()));
    rules.add(&filter.trace_id, |v| Rule::TraceId(v.to_vec()));
    rules.add(&filter.traffic_direction, |v| Rule::TrafficDirection(v.to_vec()));
    rules.try_add(&filter.cel_expression, |v| Expressions::compile(v, expression).map(Rule::Expressions))?;
    rules.add(&filter.interface, |v| Rule::Interface(v.to_vec()));
    rules.add(&filter.ip_trace_id, |v| Rule::IpTraceId(v.to_vec()));
    Ok(rules.0)
}

struct Rules(Vec<Rule>);

impl Rules {
    /// A field without values says nothing.
    fn add<T>(&mut self, values: &[T], rule: impl FnOnce(&[T]) -> Rule) {
        if !values.is_empty() {
            self.0.push(rule(values));
        }
    }

    fn try_add<T>(
        &mut self,
        values: &[T],
        rule: impl FnOnce(&[T]) -> Result<Rule, FilterError>,
    ) -> Result<(), FilterError> {
        if !values.is_empty() {
            self.0.push(rule(values)?);
        }
        Ok(())
    }
}

fn addresses(filter: &FlowFilter, rules: &mut Rules) -> Result<(), FilterError> {
    for side in Side::BOTH {
        rules.try_add(side.of(&filter.source_ip, &filter.destination_ip), |v| {
            Addresses::parse(v).map(|a| Rule::Ip(side, a))
        })?;
    }
    rules.try_add(&filter.source_ip_xlated, |v| Addresses::parse(v).map(Rule::SourceIpXlated))
}

fn names(filter: &FlowFilter, rules: &mut Rules) -> Result<(), FilterError> {
    for side in Side::BOTH {
        rules.try_add(side.of(&filter.source_pod, &filter.destination_pod), |v| {
            NamePrefixes::parse(v).map(|names| Rule::Pod(side, names))
        })?;
    }
    for side in Side::BOTH {
        rules.add(side.of(&filter.source_workload, &filter.destination_workload), |v| Rule::Workload(side, v.to_vec()));
    }
    for side in Side::BOTH {
        rules.try_add(side.of(&filter.source_service, &filter.destination_service), |v| {
            if v.iter().any(String::is_empty) {
                return Err(FilterError::EmptyService { side });
            }
            NamePrefixes::parse(v).map(|names| Rule::Service(side, names))
        })?;
    }
    for side in Side::BOTH {
        rules.try_add(side.of(&filter.source_fqdn, &filter.destination_fqdn), |v| {
            NamePatterns::parse(v).map(|patterns| Rule::Fqdn(side, patterns))
        })?;
    }
    rules.try_add(&filter.dns_query, |v| Regexes::parse(v, "DNS query").map(Rule::DnsQuery))
}

fn labels(filter: &FlowFilter, rules: &mut Rules) -> Result<(), FilterError> {
    let parse = |of, values: &[String]| {
        LabelSelectors::parse(values).map_err(|(selector, source)| FilterError::Label { of, selector, source })
    };
    for side in Side::BOTH {
        rules.try_add(side.of(&filter.source_label, &filter.destination_label), |v| {
            parse(side.name(), v).map(|selectors| Rule::Label(side, selectors))
        })?;
    }
    rules.try_add(&filter.node_labels, |v| parse("node", v).map(Rule::NodeLabel))
}

fn ports(side: Side, values: &[String]) -> Result<Rule, FilterError> {
    let port = |text: &String| {
        // A sign is no part of a port, though `parse` takes it.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or_else(|| FilterError::Port { side, text: text.clone() })
    };
    values.iter().map(port).collect::<Result<_, _>>().map(|ports| Rule::Port(side, ports))
}

fn http(filter: &FlowFilter, rules: &mut Rules) -> Result<(), FilterError> {
    let l7 = filter.event_type.is_empty() || filter.event_type.iter().any(|(kind, _)| *kind == event_type::L7);
    let needs_l7 = |field| if l7 { Ok(()) } else { Err(FilterError::NeedsL7 { field }) };
    rules.try_add(&filter.http_status_code, |v| {
        needs_l7("status code")?;
        StatusCodes::parse(v).map(Rule::HttpStatus)
    })?;
    rules.try_add(&filter.http_method, |v| {
        needs_l7("method")?;
        Ok(Rule::HttpMethod(v.to_vec()))
    })?;
    rules.try_add(&filter.http_path, |v| {
        needs_l7("path")?;
        Regexes::parse(v, "http path").map(Rule::HttpPath)
    })?;
    rules.try_add(&filter.http_url, |v| {
        needs_l7("url")?;
        Regexes::parse(v, "http url").map(Rule::HttpUrl)
    })?;
    rules.try_add(&filter.http_header, |v| {
        needs_l7("headers")?;
        Ok(Rule::HttpHeader(v.to_vec()))
    })
}
