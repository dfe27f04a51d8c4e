//! Reading the values of conditions.

use super::SelectionError;
use crate::filter::pattern::lower;
use crate::{Identity, IpVersion, TcpFlags, TrafficDirection, Workload, event_type};

/// Event types by name.
const TYPES: [(&str, i32); 8] = [
    ("capture", event_type::CAPTURE),
    ("drop", event_type::DROP),
    ("l7", event_type::L7),
    ("policy-verdict", event_type::POLICY_VERDICT),
    ("trace", event_type::TRACE),
    ("trace-sock", event_type::TRACE_SOCK),
    ("debug", event_type::DEBUG),
    ("agent", event_type::AGENT),
];

/// Sub types of agent events by name.
const AGENT_SUB_TYPES: [(&str, i32); 11] = [
    ("unspecified", 0),
    ("message", 1),
    ("agent-started", 2),
    ("endpoint-regenerate-success", 3),
    ("endpoint-regenerate-failure", 4),
    ("policy-updated", 5),
    ("policy-deleted", 6),
    ("endpoint-created", 7),
    ("endpoint-deleted", 8),
    ("ipcache-upserted", 9),
    ("ipcache-deleted", 10),
];

/// `TYPE[:SUBTYPE]`, each a name or a number; a sub type has a name only where the type is given by name.
pub(super) fn event_type(value: &str) -> Result<(i32, Option<i32>), SelectionError> {
    let (name, sub) = value.split_once(':').map_or((value, None), |(name, sub)| (name, Some(sub)));
    let named = by_name(&TYPES, name);
    let kind = named.or_else(|| number(name)).ok_or_else(|| SelectionError::Type { value: name.to_owned() })?;
    let Some(sub) = sub else { return Ok((kind, None)) };
    let named_sub = match named {
        Some(event_type::TRACE) => by_name(&crate::text::TRACE_SUB_TYPES, sub),
        Some(event_type::AGENT) => by_name(&AGENT_SUB_TYPES, sub),
        _ => None,
    };
    named_sub
        .or_else(|| number(sub))
        .map(|sub| (kind, Some(sub)))
        .ok_or_else(|| SelectionError::SubType { value: sub.to_owned() })
}

fn by_name(names: &[(&str, i32)], name: &str) -> Option<i32> {
    names.iter().find(|(n, _)| *n == name).map(|(_, number)| *number)
}

/// The API has signed numbers here, the command line takes unsigned ones.
fn number(text: &str) -> Option<i32> {
    decimal(text).and_then(|n| u32::try_from(n).ok()).map(u32::cast_signed)
}

/// Unsigned decimal, without a sign.
fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// A reserved name, or a number with or without a prefix for its base.
pub(super) fn identity(value: &str) -> Result<Identity, SelectionError> {
    let named = Identity::from_reserved_name(value).filter(|identity| *identity != Identity::UNKNOWN);
    let number = || parse_prefixed(value).flatten().and_then(|number| u32::try_from(number).ok());
    named.or_else(|| number().map(Identity)).ok_or_else(|| {
        let names: Vec<&str> = (1..).map_while(|n| Identity(n).reserved_name()).collect();
        SelectionError::Identity { value: value.to_owned(), names: format!("[{}]", names.join(" ")) }
    })
}

/// `[Kind/]name`; what is left out matches any.
pub(super) fn workload(value: &str) -> Workload {
    let (kind, name) = value.split_once('/').unwrap_or(("", value));
    Workload { name: name.to_owned(), kind: kind.to_owned() }
}

/// Flags joined by commas.
pub(super) fn tcp_flags(value: &str) -> Result<TcpFlags, SelectionError> {
    value.split(',').try_fold(TcpFlags::default(), |all, name| {
        let flag = TcpFlags::from_name(name).ok_or_else(|| SelectionError::TcpFlag { value: name.to_owned() })?;
        Ok(all.union(flag))
    })
}

pub(super) fn direction(value: &str) -> Result<TrafficDirection, SelectionError> {
    match lower(value).as_str() {
        "ingress" => Ok(TrafficDirection::INGRESS),
        "egress" => Ok(TrafficDirection::EGRESS),
        _ => Err(SelectionError::Direction { value: value.to_owned() }),
    }
}

pub(super) fn ip_version(value: &str) -> Result<IpVersion, SelectionError> {
    match lower(value).as_str() {
        "4" | "v4" | "ipv4" | "ip4" => Ok(IpVersion::IPv4),
        "6" | "v6" | "ipv6" | "ip6" => Ok(IpVersion::IPv6),
        "none" => Ok(IpVersion::IP_NOT_USED),
        _ => Err(SelectionError::Value { name: "ip-version", value: value.to_owned() }),
    }
}

pub(super) fn ip_trace_id(value: &str) -> Result<u64, SelectionError> {
    match decimal(value) {
        Some(0) if value == "0" => Err(SelectionError::ZeroTraceId),
        Some(id) => Ok(id),
        None => Err(SelectionError::Value { name: "ip-trace-id", value: value.to_owned() }),
    }
}

pub(super) fn header(value: &str) -> Result<(String, String), SelectionError> {
    value
        .split_once(':')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| SelectionError::Header { value: value.to_owned() })
}

/// `true` or `false`; the short forms of Hubble's switches (`-4`, `-6`) give the version as value.
pub(super) fn switch(name: &'static str, value: &str) -> Result<bool, SelectionError> {
    match value {
        "true" | "1" | "v4" | "v6" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(SelectionError::Value { name, value: value.to_owned() }),
    }
}

/// Reads an unsigned number with Go's prefixes: decimal, `0x`, `0o` or `0`, `0b`, with underscores between digits.
///
/// `None` for what is no number, `Some(None)` for one above 2^64.
#[must_use]
pub fn parse_prefixed(text: &str) -> Option<Option<u64>> {
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // An underscore stands after a prefix or between digits.
    let led = digits.starts_with('_') && radix == 10;
    if led || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(u64::from_str_radix(&digits, radix).ok())
}
