//! Agent and debug events as text.

use std::fmt::Write as _;

use flow::{AgentEventType, DebugEventType};
use prost_types::Timestamp;
use proto::flow::agent_event::Notification;
use proto::flow::{AgentEvent, DebugEvent, Endpoint, ServiceUpsertNotificationAddr};

use crate::moments::TimeLayout;

const MEMORY: &str = "writing to memory cannot fail";

/// An event as the layouts show it.
pub(super) struct ShownEvent {
    pub(super) time: String,
    /// Key in blocks, title in tables, and value of each part, in the order of tables.
    pub(super) parts: Vec<(&'static str, &'static str, String)>,
    /// What stands on a line behind time and node.
    pub(super) line: String,
    /// Keys in the order of blocks.
    pub(super) keys: &'static [&'static str],
}

/// An event of an agent.
pub(super) fn agent(event: &AgentEvent, time: Option<Timestamp>, layout: TimeLayout) -> ShownEvent {
    let kind = AgentEventType(event.r#type).to_string();
    let details = agent_details(event, layout);
    ShownEvent {
        time: layout.text(time),
        line: format!("{kind} ({details})"),
        parts: vec![("TYPE", "TYPE", kind), ("DETAILS", "DETAILS", details)],
        keys: &["TYPE", "DETAILS"],
    }
}

#[expect(deprecated, reason = "agents before 1.19 send events of services")]
fn agent_details(event: &AgentEvent, layout: TimeLayout) -> String {
    use AgentEventType as Kind;
    match (Kind(event.r#type), &event.notification) {
        (Kind::AGENT_EVENT_UNKNOWN, Some(Notification::Unknown(u))) => {
            format!("type: {}, notification: {}", u.r#type, u.notification)
        }
        (Kind::AGENT_STARTED, Some(Notification::AgentStart(start))) => {
            format!("start time: {}", layout.text(start.time))
        }
        (Kind::POLICY_UPDATED | Kind::POLICY_DELETED, Some(Notification::PolicyUpdate(p))) => {
            format!("labels: [{}], revision: {}, count: {}", p.labels.join(","), p.revision, p.rule_count)
        }
        (
            Kind::ENDPOINT_REGENERATE_SUCCESS | Kind::ENDPOINT_REGENERATE_FAILURE,
            Some(Notification::EndpointRegenerate(r)),
        ) => with(format!("id: {}, labels: [{}]", r.id, r.labels.join(",")), &[("error", &r.error)]),
        (Kind::ENDPOINT_CREATED | Kind::ENDPOINT_DELETED, Some(Notification::EndpointUpdate(e))) => {
            with(format!("id: {}", e.id), &[("namespace", &e.namespace), ("pod name", &e.pod_name)])
        }
        (Kind::IPCACHE_UPSERTED | Kind::IPCACHE_DELETED, Some(Notification::IpcacheUpdate(i))) => {
            let old = i.old_identity.map_or_else(String::new, |identity| identity.to_string());
            let known = [("old identity", &old), ("host ip", &i.host_ip), ("old host ip", &i.old_host_ip)];
            let text = with(format!("cidr: {}, identity: {}", i.cidr, i.identity), &known);
            format!("{text}, encrypt key: {}", i.encrypt_key)
        }
        (Kind::SERVICE_UPSERTED, Some(Notification::ServiceUpsert(s))) => {
            let frontend = s.frontend_address.as_ref().map_or_else(String::new, address);
            let backends: Vec<String> = s.backend_addresses.iter().map(address).collect();
            let backends = if backends.is_empty() { String::new() } else { format!("[{}]", backends.join(",")) };
            with(
                format!("id: {}", s.id),
                &[
                    ("frontend", &frontend),
                    ("backends", &backends),
                    ("type", &s.r#type),
                    ("traffic policy", &s.traffic_policy),
                    ("namespace", &s.namespace),
                    ("name", &s.name),
                ],
            )
        }
        (Kind::SERVICE_DELETED, Some(Notification::ServiceDelete(s))) => format!("id: {}", s.id),
        _ => "UNKNOWN".to_owned(),
    }
}

/// The text with `, name: value` for each value that is there.
fn with(mut text: String, values: &[(&str, &String)]) -> String {
    for (name, value) in values.iter().filter(|(_, value)| !value.is_empty()) {
        write!(text, ", {name}: {value}").expect(MEMORY);
    }
    text
}

fn address(address: &ServiceUpsertNotificationAddr) -> String {
    let ServiceUpsertNotificationAddr { ip, port } = address;
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// A debug message of the datapath.
pub(super) fn debug(event: &DebugEvent, time: Option<Timestamp>, layout: TimeLayout) -> ShownEvent {
    let kind = DebugEventType(event.r#type).to_string();
    let from = endpoint(event.source.as_ref());
    let mark = event.hash.map_or_else(|| "N/A".to_owned(), |hash| format!("0x{hash:x}"));
    let cpu = event.cpu.map_or_else(|| "N/A".to_owned(), two_digits);
    ShownEvent {
        time: layout.text(time),
        line: format!("{from} {kind} MARK: {mark} CPU: {cpu} ({})", event.message),
        parts: vec![
            ("FROM", "FROM", from),
            // The stock client has an empty column here.
            ("", "", String::new()),
            ("TYPE", "TYPE", kind),
            ("", "CPU/MARK", format!("{cpu} {mark}")),
            ("MARK", "\0", mark),
            ("CPU", "\0", cpu),
            ("MESSAGE", "MESSAGE", event.message.clone()),
        ],
        keys: &["TYPE", "FROM", "MARK", "CPU", "MESSAGE"],
    }
}

/// At least two characters, the sign among them.
fn two_digits(number: i32) -> String {
    format!("{number:02}")
}

fn endpoint(endpoint: Option<&Endpoint>) -> String {
    let Some(endpoint) = endpoint else { return "N/A".to_owned() };
    let id = format!("ID: {}", endpoint.id);
    if !endpoint.namespace.is_empty() && !endpoint.pod_name.is_empty() {
        return format!("{}/{} ({id})", endpoint.namespace, endpoint.pod_name);
    }
    match endpoint.labels.as_slice() {
        [label] if label.starts_with("reserved:") => format!("{label} ({id})"),
        _ => id,
    }
}
