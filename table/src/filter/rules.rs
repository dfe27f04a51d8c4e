//! Each rule on the columns it is about.

use std::net::IpAddr;

use arrow::array::{Array, BooleanArray, FixedSizeBinaryArray, Int32Array};
use arrow::buffer::BooleanBuffer;
use arrow::record_batch::RecordBatch;
use flow::filter::{Addresses, LabelSelectors, NamePrefixes, Protocols, Rule};
use flow::{Endpoint, EventType, FlowId, Http, Identity, Interface, L4, L7Record, Side, TcpFlags, Verdict, Workload};

use super::Refusal;
use super::truth::{Group, or_null, present};
use crate::column::{Numbers, Texts, downcast};
use crate::json;
use crate::schema::{Col, DESTINATION, SOURCE, SideColumns};

/// Rows that a rule matches.
pub(super) fn mask(rule: &Rule, batch: &RecordBatch) -> Result<BooleanBuffer, Refusal> {
    match rule {
        Rule::Uuid(ids) => uuid(batch, ids),
        Rule::EventType(_) | Rule::TcpFlags(_) | Rule::DropReason(_) => facts(batch, rule),
        Rule::Verdict(wanted) => names(batch, Col::Verdict, wanted.iter().map(ToString::to_string)),
        Rule::TrafficDirection(wanted) => names(batch, Col::TrafficDirection, wanted.iter().map(ToString::to_string)),
        Rule::Reply(wanted) => reply(batch, wanted),
        Rule::Encrypted(wanted) => encrypted(batch, wanted),
        Rule::Identity(side, wanted) => {
            let (group, identity) = Group::of_number(batch, columns(*side).identity)?;
            let matches = |key| u32::try_from(identity.entry(key)).is_ok_and(|n| wanted.contains(&Identity(n)));
            Ok(present(&group.rows(matches), identity.nulls()))
        }
        Rule::Protocol(protocols) => protocol(batch, *protocols),
        Rule::Ip(side, addresses) => ip(batch, columns(*side), addresses),
        Rule::SourceIpXlated(addresses) => {
            let rows = address(batch, Col::IpSrcXlated, addresses)?;
            Ok(present(&rows, Texts::of(batch, Col::IpSrc)?.nulls()))
        }
        Rule::Pod(side, wanted) => pod(batch, columns(*side), wanted),
        Rule::Workload(side, wanted) => workload(batch, columns(*side), rule, wanted),
        Rule::Service(side, wanted) => service(batch, columns(*side), wanted),
        Rule::Fqdn(side, patterns) => {
            list(batch, columns(*side).names, |names| names.iter().any(|name| patterns.matches(name)))
        }
        Rule::DnsQuery(queries) => {
            let rows = text(batch, Col::DnsQuery, |query| queries.matches(query))?;
            Ok(&rows & &text(batch, Col::L7Protocol, |protocol| protocol == "DNS")?)
        }
        Rule::Label(side, selectors) => label(batch, columns(*side).labels, selectors),
        Rule::NodeLabel(selectors) => label(batch, Col::NodeLabels, selectors),
        Rule::Port(side, wanted) => port(batch, columns(*side).port, wanted),
        Rule::HttpStatus(codes) => {
            let (group, code) = Group::of_number(batch, Col::HttpCode)?;
            let rows = group.rows(|key| u32::try_from(code.entry(key)).is_ok_and(|code| codes.matches(code)));
            is_http(batch, &rows)
        }
        Rule::HttpMethod(_) | Rule::HttpPath(_) | Rule::HttpUrl(_) | Rule::HttpHeader(_) => http(batch, rule),
        Rule::NodeName(patterns) => text(batch, Col::NodeName, |name| patterns.matches(name)),
        Rule::Cluster(side, wanted) => text(batch, columns(*side).cluster, |name| wanted.iter().any(|w| w == name)),
        Rule::IpVersion(wanted) => ip_version(batch, wanted),
        Rule::TraceId(wanted) => text(batch, Col::TraceId, |id| wanted.iter().any(|w| w == id)),
        Rule::Interface(wanted) => interface(batch, rule, wanted),
        Rule::IpTraceId(wanted) => {
            let (group, id) = Group::of_number(batch, Col::IpTraceId)?;
            let rows = present(&group.rows(|key| wanted.contains(&id.entry(key).cast_unsigned())), id.nulls());
            Ok(if wanted.contains(&0) { or_null(&rows, id.nulls()) } else { rows })
        }
        // An expression may ask for anything, so each row is read as a whole flow.
        Rule::Expressions(expressions) => {
            let reader = crate::RowReader::new(batch)?;
            Ok(BooleanBuffer::collect_bool(batch.num_rows(), |row| expressions.matches(&reader.flow(row))))
        }
    }
}

fn columns(side: Side) -> &'static SideColumns {
    side.of(&SOURCE, &DESTINATION)
}

/// Rows of a text column.
fn text(batch: &RecordBatch, col: Col, matches: impl Fn(&str) -> bool) -> Result<BooleanBuffer, Refusal> {
    let (group, texts) = Group::of_text(batch, col)?;
    Ok(group.rows(|key| matches(texts.entry(key))))
}

/// Rows of a column of enumeration names.
fn names(batch: &RecordBatch, col: Col, wanted: impl Iterator<Item = String>) -> Result<BooleanBuffer, Refusal> {
    let wanted: Vec<String> = wanted.collect();
    text(batch, col, |name| wanted.iter().any(|w| w == name))
}

/// Rows of a column of lists.
fn list(batch: &RecordBatch, col: Col, matches: impl Fn(&[String]) -> bool) -> Result<BooleanBuffer, Refusal> {
    let (group, texts) = Group::of_text(batch, col)?;
    let mut lists = json::ListReader::default();
    Ok(group.rows(|key| matches(lists.read(texts.entry(key)))))
}

fn label(batch: &RecordBatch, col: Col, selectors: &LabelSelectors) -> Result<BooleanBuffer, Refusal> {
    list(batch, col, |labels| selectors.matches(labels))
}

fn uuid(batch: &RecordBatch, wanted: &[FlowId]) -> Result<BooleanBuffer, Refusal> {
    let uuids: &FixedSizeBinaryArray = downcast(batch, Col::Uuid)?;
    let texts = Texts::of(batch, Col::IdText)?;
    let matches = |row: usize, id: &FlowId| match id {
        FlowId::Uuid(bytes) => uuids.is_valid(row) && uuids.value(row) == bytes,
        FlowId::Text(text) => uuids.is_null(row) && texts.get(row) == &**text,
        FlowId::None => uuids.is_null(row) && texts.get(row).is_empty(),
    };
    Ok(BooleanBuffer::collect_bool(batch.num_rows(), |row| wanted.iter().any(|id| matches(row, id))))
}

/// Rules on several columns of enumerations and small numbers.
fn facts(batch: &RecordBatch, rule: &Rule) -> Result<BooleanBuffer, Refusal> {
    let (group, kind) = Group::of_number(batch, Col::EventType)?;
    let mut flow = flow::Flow::default();
    match rule {
        Rule::EventType(_) => {
            let sub_kind = group.number(Col::EventSubType)?;
            let rows = group.rows(|key| {
                let number = |numbers: &Numbers| i32::try_from(numbers.entry(key)).unwrap_or_default();
                flow.event_type = Some(EventType { kind: number(&kind), sub_kind: number(&sub_kind) });
                rule.matches(&flow)
            });
            Ok(present(&rows, kind.nulls()))
        }
        Rule::TcpFlags(wanted) => {
            let flags = group.number(Col::TcpFlags)?;
            let protocol = group.text(Col::L4Protocol)?;
            let rows = group.rows(|key| {
                let set = TcpFlags(u16::try_from(flags.entry(key)).unwrap_or_default());
                protocol.entry(key) == "TCP" && wanted.iter().any(|w| set.contains(*w))
            });
            Ok(present(&rows, flags.nulls()))
        }
        Rule::DropReason(wanted) => {
            let verdict = group.text(Col::Verdict)?;
            let reason = group.text(Col::DropReason)?;
            let dropped = Verdict::DROPPED.to_string();
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            Ok(group.rows(|key| verdict.entry(key) == dropped && wanted.iter().any(|w| w == reason.entry(key))))
        }
        _ => unreachable!("only these rules are about facts"),
    }
}

fn reply(batch: &RecordBatch, wanted: &[bool]) -> Result<BooleanBuffer, Refusal> {
    let is_reply: &BooleanArray = downcast(batch, Col::IsReply)?;
    let mut rows = BooleanBuffer::new_unset(batch.num_rows());
    if wanted.contains(&true) {
        rows = &rows | &present(is_reply.values(), is_reply.nulls());
    }
    if wanted.contains(&false) {
        rows = &rows | &present(&!is_reply.values(), is_reply.nulls());
        let unknown = or_null(&BooleanBuffer::new_unset(batch.num_rows()), is_reply.nulls());
        // A dropped flow of unknown direction counts as a request.
        if unknown.has_true() {
            let dropped = Verdict::DROPPED.to_string();
            rows = &rows | &(&unknown & &text(batch, Col::Verdict, |verdict| verdict == dropped)?);
        }
    }
    Ok(rows)
}

fn encrypted(batch: &RecordBatch, wanted: &[bool]) -> Result<BooleanBuffer, Refusal> {
    let encrypted: &BooleanArray = downcast(batch, Col::Encrypted)?;
    let encrypted = present(encrypted.values(), Texts::of(batch, Col::IpSrc)?.nulls());
    Ok(match (wanted.contains(&true), wanted.contains(&false)) {
        (true, true) => BooleanBuffer::new_set(batch.num_rows()),
        (true, false) => encrypted,
        (false, true) => !&encrypted,
        (false, false) => BooleanBuffer::new_unset(batch.num_rows()),
    })
}

fn protocol(batch: &RecordBatch, protocols: Protocols) -> Result<BooleanBuffer, Refusal> {
    let (group, l4) = Group::of_text(batch, Col::L4Protocol)?;
    let l7 = group.text(Col::L7Protocol)?;
    let record = |name: &str| match name {
        "HTTP" => L7Record::Http(Http::default()),
        "DNS" => L7Record::Dns(flow::Dns::default()),
        "KAFKA" => L7Record::Kafka(flow::Kafka::default()),
        _ => L7Record::None,
    };
    Ok(group.rows(|key| {
        protocols.matches_l4(header(l4.entry(key)).as_ref()) || protocols.matches_l7(Some(&record(l7.entry(key))))
    }))
}

/// A header of the protocol of this name.
fn header(name: &str) -> Option<L4> {
    let (source_port, destination_port) = (0, 0);
    match name {
        "TCP" => Some(L4::Tcp { source_port, destination_port, flags: None }),
        "UDP" => Some(L4::Udp { source_port, destination_port }),
        "SCTP" => Some(L4::Sctp { source_port, destination_port }),
        "ICMPv4" => Some(L4::Icmpv4 { kind: 0, code: 0 }),
        "ICMPv6" => Some(L4::Icmpv6 { kind: 0, code: 0 }),
        "VRRP" => Some(L4::Vrrp { kind: 0, vrid: 0, priority: 0 }),
        "IGMP" => Some(L4::Igmp { kind: 0, group: IpAddr::from([0; 4]) }),
        _ => None,
    }
}

fn address(batch: &RecordBatch, col: Col, addresses: &Addresses) -> Result<BooleanBuffer, Refusal> {
    text(batch, col, |text| text.parse().is_ok_and(|address: IpAddr| addresses.matches(address)))
}

fn ip(batch: &RecordBatch, side: &SideColumns, addresses: &Addresses) -> Result<BooleanBuffer, Refusal> {
    let rows = address(batch, side.ip, addresses)?;
    Ok(present(&rows, Texts::of(batch, Col::IpSrc)?.nulls()))
}

fn ip_version(batch: &RecordBatch, wanted: &[flow::IpVersion]) -> Result<BooleanBuffer, Refusal> {
    let (group, source) = Group::of_text(batch, Col::IpSrc)?;
    let version = |text: &str| match text.parse() {
        Ok(IpAddr::V4(_)) => flow::IpVersion::IPv4,
        Ok(IpAddr::V6(_)) => flow::IpVersion::IPv6,
        Err(_) => flow::IpVersion::IP_NOT_USED,
    };
    let rows = present(&group.rows(|key| wanted.contains(&version(source.entry(key)))), source.nulls());
    Ok(if wanted.contains(&flow::IpVersion::IP_NOT_USED) { or_null(&rows, source.nulls()) } else { rows })
}

fn pod(batch: &RecordBatch, side: &SideColumns, wanted: &NamePrefixes) -> Result<BooleanBuffer, Refusal> {
    let (group, namespace) = Group::of_text(batch, side.namespace)?;
    let pod = group.text(side.pod)?;
    let rows = group.rows(|key| wanted.matches(namespace.entry(key), pod.entry(key)));
    Ok(present(&rows, Numbers::of(batch, side.identity)?.nulls()))
}

fn workload(
    batch: &RecordBatch,
    side: &SideColumns,
    rule: &Rule,
    wanted: &[Workload],
) -> Result<BooleanBuffer, Refusal> {
    let (group, name) = Group::of_text(batch, side.workload)?;
    let kind = group.text(side.workload_kind)?;
    let more = group.text(side.more_workloads)?;
    let meets = |wanted: &str, actual: &str| wanted.is_empty() || wanted == actual;
    let rows = group.rows(|key| {
        let (name, kind, more) = (name.entry(key), kind.entry(key), more.entry(key));
        if !more.is_empty() {
            let endpoint = Endpoint { workloads: json::read_workloads(more), ..Endpoint::default() };
            return rule.matches_endpoint(Some(&endpoint));
        }
        let some = !(name.is_empty() && kind.is_empty());
        some && wanted.iter().any(|w| meets(&w.name, name) && meets(&w.kind, kind))
    });
    Ok(present(&rows, Numbers::of(batch, side.identity)?.nulls()))
}

fn service(batch: &RecordBatch, side: &SideColumns, wanted: &NamePrefixes) -> Result<BooleanBuffer, Refusal> {
    let (group, name) = Group::of_text(batch, side.service_name)?;
    let namespace = group.text(side.service_namespace)?;
    let rows = group.rows(|key| wanted.matches(namespace.entry(key), name.entry(key)));
    Ok(present(&rows, name.nulls()))
}

fn port(batch: &RecordBatch, col: Col, wanted: &[u16]) -> Result<BooleanBuffer, Refusal> {
    let ports: &Int32Array = downcast(batch, col)?;
    let values = ports.values();
    let rows = match wanted {
        // The commonest case is a comparison that the compiler turns into vector instructions.
        [one] if *one != 0 => {
            let one = i32::from(*one);
            BooleanBuffer::collect_bool(values.len(), |row| values[row] == one)
        }
        _ => {
            let mut bits = vec![0_u64; 1 << 10];
            for port in wanted {
                bits[usize::from(*port) / 64] |= 1 << (port % 64);
            }
            BooleanBuffer::collect_bool(values.len(), |row| {
                let port = u16::try_from(values[row]).unwrap_or_default();
                bits[usize::from(port) / 64] >> (port % 64) & 1 == 1
            })
        }
    };
    Ok(&rows & &text(batch, Col::L4Protocol, |name| matches!(name, "TCP" | "UDP" | "SCTP"))?)
}

fn is_http(batch: &RecordBatch, rows: &BooleanBuffer) -> Result<BooleanBuffer, Refusal> {
    if !rows.has_true() {
        return Ok(rows.clone());
    }
    Ok(rows & &text(batch, Col::L7Protocol, |protocol| protocol == "HTTP")?)
}

fn http(batch: &RecordBatch, rule: &Rule) -> Result<BooleanBuffer, Refusal> {
    let (group, method) = Group::of_text(batch, Col::HttpMethod)?;
    let url = group.text(Col::HttpUrl)?;
    let headers = group.text(Col::HttpHeaders)?;
    // One record whose memory is used for all entries, with only what the rule looks at.
    let mut record = L7Record::Http(Http::default());
    let rows = group.rows(|key| {
        let L7Record::Http(http) = &mut record else { return false };
        let replace = |field: &mut String, text: &str| {
            field.clear();
            field.push_str(text);
        };
        match rule {
            Rule::HttpMethod(_) => replace(&mut http.method, method.entry(key)),
            Rule::HttpHeader(_) => http.headers = json::read(headers.entry(key)),
            _ => replace(&mut http.url, url.entry(key)),
        }
        rule.matches_record(&record)
    });
    is_http(batch, &rows)
}

fn interface(batch: &RecordBatch, rule: &Rule, wanted: &[Interface]) -> Result<BooleanBuffer, Refusal> {
    let (group, name) = Group::of_text(batch, Col::Interface)?;
    let index = group.number(Col::InterfaceIndex)?;
    let mut flow = flow::Flow::default();
    let any_name = wanted.iter().all(|w| w.name.is_empty());
    let rows = group.rows(|key| {
        let name = if any_name { "" } else { name.entry(key) };
        let index = u32::try_from(index.entry(key)).unwrap_or_default();
        flow.interface = Some(Interface { index, name: name.into() });
        rule.matches(&flow)
    });
    Ok(present(&rows, name.nulls()))
}
