//! Nested values as JSON text.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{Ip, Kafka, L4, Policy, TcpFlags, Tunnel, TunnelProtocol, Workload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Writes a value; the types of this module cannot fail to be written.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings, numbers and lists of them have a JSON form")
}

/// Reads a value; text that is no such value gives the default, because a foreign batch must not stop a reader.
pub(crate) fn read<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

/// Reads a list of strings as list columns hold it, a JSON array. Text that is none gives an empty list.
#[must_use]
pub fn read_list(text: &str) -> Vec<String> {
    let mut reader = ListReader::default();
    reader.read(text);
    reader.strings.truncate(reader.used);
    reader.strings
}

/// Reads lists of strings one after the other into the same memory.
#[derive(Debug, Default)]
pub(crate) struct ListReader {
    strings: Vec<String>,
    used: usize,
}

impl ListReader {
    /// Reads a list; text that is none gives an empty list.
    pub(crate) fn read(&mut self, text: &str) -> &[String] {
        self.used = 0;
        if text.len() > 2 && self.read_plain(text).is_none() {
            self.strings = read(text);
            self.used = self.strings.len();
        }
        &self.strings[..self.used]
    }

    /// Reads a list without escapes and blanks, as this crate writes nearly all of them.
    fn read_plain(&mut self, text: &str) -> Option<()> {
        if text.contains('\\') {
            return None;
        }
        let mut rest = text.strip_prefix("[\"")?.strip_suffix("\"]")?;
        loop {
            let (string, more) = match rest.split_once('"') {
                None => (rest, None),
                Some((string, more)) => (string, Some(more.strip_prefix(",\"")?)),
            };
            if self.used == self.strings.len() {
                self.strings.push(String::new());
            }
            let slot = &mut self.strings[self.used];
            slot.clear();
            slot.push_str(string);
            self.used += 1;
            match more {
                None => return Some(()),
                Some(more) => rest = more,
            }
        }
    }
}

/// A policy.
#[derive(Serialize, Deserialize)]
struct PolicyText {
    name: String,
    namespace: String,
    labels: Vec<String>,
    revision: u64,
    kind: String,
}

pub(crate) fn write_policies(policies: &[Arc<Policy>]) -> String {
    if policies.is_empty() {
        return String::new();
    }
    let texts: Vec<_> = policies
        .iter()
        .map(|p| PolicyText {
            name: p.name.clone(),
            namespace: p.namespace.clone(),
            labels: p.labels.clone(),
            revision: p.revision,
            kind: p.kind.clone(),
        })
        .collect();
    write(&texts)
}

pub(crate) fn read_policies(text: &str) -> Vec<Arc<Policy>> {
    if text.is_empty() {
        return Vec::new();
    }
    let build = |p: PolicyText| {
        Arc::new(Policy { name: p.name, namespace: p.namespace, labels: p.labels, revision: p.revision, kind: p.kind })
    };
    read::<Vec<PolicyText>>(text).into_iter().map(build).collect()
}

/// All workloads of an endpoint, where one pair of columns does not tell all.
pub(crate) fn write_workloads(workloads: &[Workload]) -> String {
    match workloads {
        [] => String::new(),
        // An entry without name and kind would look like none at all.
        [one] if !(one.name.is_empty() && one.kind.is_empty()) => String::new(),
        more => write(&more.iter().map(|w| (&w.name, &w.kind)).collect::<Vec<_>>()),
    }
}

pub(crate) fn read_workloads(text: &str) -> Vec<Workload> {
    read::<Vec<(String, String)>>(text).into_iter().map(|(name, kind)| Workload { name, kind }).collect()
}

/// A transport header.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum L4Text {
    Tcp { source_port: u16, destination_port: u16, flags: Option<u16> },
    Udp { source_port: u16, destination_port: u16 },
    Sctp { source_port: u16, destination_port: u16 },
    Icmpv4 { r#type: u8, code: u8 },
    Icmpv6 { r#type: u8, code: u8 },
    Vrrp { r#type: u32, vrid: u32, priority: u32 },
    Igmp { r#type: u32, group: IpAddr },
}

impl From<L4> for L4Text {
    fn from(l4: L4) -> Self {
        match l4 {
            L4::Tcp { source_port, destination_port, flags } => {
                Self::Tcp { source_port, destination_port, flags: flags.map(|f| f.0) }
            }
            L4::Udp { source_port, destination_port } => Self::Udp { source_port, destination_port },
            L4::Sctp { source_port, destination_port } => Self::Sctp { source_port, destination_port },
            L4::Icmpv4 { kind, code } => Self::Icmpv4 { r#type: kind, code },
            L4::Icmpv6 { kind, code } => Self::Icmpv6 { r#type: kind, code },
            L4::Vrrp { kind, vrid, priority } => Self::Vrrp { r#type: kind, vrid, priority },
            L4::Igmp { kind, group } => Self::Igmp { r#type: kind, group },
        }
    }
}

impl From<L4Text> for L4 {
    fn from(text: L4Text) -> Self {
        match text {
            L4Text::Tcp { source_port, destination_port, flags } => {
                Self::Tcp { source_port, destination_port, flags: flags.map(TcpFlags) }
            }
            L4Text::Udp { source_port, destination_port } => Self::Udp { source_port, destination_port },
            L4Text::Sctp { source_port, destination_port } => Self::Sctp { source_port, destination_port },
            L4Text::Icmpv4 { r#type, code } => Self::Icmpv4 { kind: r#type, code },
            L4Text::Icmpv6 { r#type, code } => Self::Icmpv6 { kind: r#type, code },
            L4Text::Vrrp { r#type, vrid, priority } => Self::Vrrp { kind: r#type, vrid, priority },
            L4Text::Igmp { r#type, group } => Self::Igmp { kind: r#type, group },
        }
    }
}

/// Header that has no columns of its own; empty for any other.
pub(crate) fn write_l4_extra(l4: Option<&L4>) -> String {
    match l4 {
        Some(l4 @ (L4::Vrrp { .. } | L4::Igmp { .. })) => write(&L4Text::from(*l4)),
        _ => String::new(),
    }
}

pub(crate) fn read_l4_extra(text: &str) -> Option<L4> {
    read::<Option<L4Text>>(text).map(L4::from)
}

/// Outer headers.
#[derive(Serialize, Deserialize)]
struct TunnelText {
    protocol: i32,
    vni: u32,
    ip: Option<IpText>,
    l4: Option<L4Text>,
}

#[derive(Serialize, Deserialize)]
struct IpText {
    source: IpAddr,
    destination: IpAddr,
    source_xlated: Option<IpAddr>,
    encrypted: bool,
}

pub(crate) fn write_tunnel(tunnel: &Tunnel) -> String {
    let ip = tunnel.ip.as_ref().map(|ip| IpText {
        source: ip.source,
        destination: ip.destination,
        source_xlated: ip.source_xlated,
        encrypted: ip.encrypted,
    });
    write(&TunnelText { protocol: tunnel.protocol.0, vni: tunnel.vni, ip, l4: tunnel.l4.map(L4Text::from) })
}

pub(crate) fn read_tunnel(text: &str) -> Option<Box<Tunnel>> {
    let text: TunnelText = read::<Option<_>>(text)?;
    let ip = text.ip.map(|ip| Ip {
        source: ip.source,
        destination: ip.destination,
        source_xlated: ip.source_xlated,
        encrypted: ip.encrypted,
    });
    Some(Box::new(Tunnel { protocol: TunnelProtocol(text.protocol), ip, l4: text.l4.map(L4::from), vni: text.vni }))
}

/// A Kafka record.
#[derive(Default, Serialize, Deserialize)]
struct KafkaText {
    error_code: i32,
    api_version: i32,
    api_key: String,
    correlation_id: i32,
    topic: String,
}

pub(crate) fn write_kafka(kafka: &Kafka) -> String {
    write(&KafkaText {
        error_code: kafka.error_code,
        api_version: kafka.api_version,
        api_key: kafka.api_key.clone(),
        correlation_id: kafka.correlation_id,
        topic: kafka.topic.clone(),
    })
}

pub(crate) fn read_kafka(text: &str) -> Kafka {
    let text: KafkaText = read(text);
    Kafka {
        error_code: text.error_code,
        api_version: text.api_version,
        api_key: text.api_key,
        correlation_id: text.correlation_id,
        topic: text.topic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_from_any_json() {
        let mut reader = ListReader::default();
        for list in [vec![], vec![""], vec!["a"], vec!["k8s:app=a", "", "x,y", "[", "]"], vec!["\"", "\\", "\n", "é,"]]
        {
            let text = write(&list);
            assert_eq!(reader.read(&text), list, "{text}");
            assert_eq!(read_list(&text), list, "{text}");
        }
        assert_eq!(reader.read(r#"[ "a" , "b" ]"#), ["a", "b"]);
        for text in ["", "x", "[", "[\"a\"", "{}", "[\"a\",1]", "[\"a\"b\"]", "null"] {
            assert!(reader.read(text).is_empty(), "{text}");
        }
    }
}
