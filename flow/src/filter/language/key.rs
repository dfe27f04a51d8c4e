//! The keys and the conditions they stand for.

use crate::filter::Selection;

/// What a key speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The flow.
    Flow,
    /// Either side, or with `src.` or `dst.` before it one of them.
    Side,
}

/// How a key may be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Equal to one of the values.
    Value,
    /// Found by a regular expression.
    Pattern,
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its name and other names it has.
    names: &'static [&'static str],
    /// Name of the condition of a selection, without `from-` and `to-`.
    pub(super) condition: &'static str,
    /// What it speaks of.
    pub(super) about: About,
    /// How it is compared.
    pub(super) by: By,
    /// One line of help.
    help: &'static str,
}

const fn side(names: &'static [&'static str], condition: &'static str, help: &'static str) -> Key {
    Key { names, condition, about: About::Side, by: By::Value, help }
}

const fn flow(names: &'static [&'static str], condition: &'static str, by: By, help: &'static str) -> Key {
    Key { names, condition, about: About::Flow, by, help }
}

const KEYS: &[Key] = &[
    side(&["ns", "namespace"], "namespace", "namespace"),
    side(&["pod"], "pod", "pod, as [namespace/]prefix"),
    side(&["workload"], "workload", "workload, as [Kind/]name"),
    side(&["service", "svc"], "service", "service, as [namespace/]prefix"),
    side(&["label"], "label", "labels, as label.app=web or label=\"tier in (a,b)\""),
    side(&["identity"], "identity", "identity, a number or a reserved name such as world"),
    side(&["ip"], "ip", "address or range"),
    side(&["fqdn", "name"], "fqdn", "DNS name, * is a wildcard"),
    side(&["port"], "port", "port"),
    side(&["cluster"], "cluster", "cluster"),
    flow(&["verdict"], "verdict", By::Value, "forwarded, dropped, audit, redirected, error, traced or translated"),
    flow(&["drop.reason", "reason"], "drop-reason-desc", By::Value, "reason of a drop, such as policy_denied"),
    flow(&["protocol", "proto"], "protocol", By::Value, "tcp, udp, icmp, sctp, dns, http, kafka, ..."),
    flow(&["type"], "type", By::Value, "event type: drop, l7, policy-verdict, trace[:point], ..."),
    flow(&["direction"], "traffic-direction", By::Value, "ingress or egress"),
    flow(&["reply"], "reply", By::Value, "true from server to client, false from client to server"),
    flow(&["http.status", "status"], "http-status", By::Value, "status of a response: 404, or 5+ for 500 to 599"),
    flow(&["http.method", "method"], "http-method", By::Value, "method of a request"),
    flow(&["http.path", "path"], "http-path", By::Pattern, "path of a request"),
    flow(&["http.url", "url"], "http-url", By::Pattern, "URL of a request"),
    flow(&["http.header"], "http-header", By::Value, "header, as name:value"),
    flow(&["dns.query", "query"], "dns-query", By::Pattern, "name asked for"),
    flow(&["tcp.flags"], "tcp-flags", By::Value, "TCP flags, as syn,ack"),
    flow(&["node"], "node-name", By::Value, "observing node, * is a wildcard"),
    flow(&["node.label"], "node-label", By::Value, "labels of the observing node"),
    flow(&["interface"], "interface", By::Value, "network device"),
    flow(&["ip.version"], "ip-version", By::Value, "v4, v6 or none"),
    flow(&["snat.ip"], "snat-ip", By::Value, "source address after translation"),
    flow(&["trace.id"], "trace-id", By::Value, "distributed trace"),
    flow(&["uuid"], "uuid", By::Value, "id of a flow"),
    flow(&["cel"], "cel-expression", By::Value, "an expression in CEL"),
];

/// A key as found in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Name of the condition of a selection.
    pub(super) condition: String,
    /// How it is compared.
    pub(super) by: By,
    /// Name of the label of `label.NAME`.
    pub(super) label: Option<String>,
}

impl Found {
    /// Whether a comma may be part of a value that has no quotes.
    pub(super) fn holds_commas(&self) -> bool {
        // The value of a single label has none, and no person writes one into an id.
        let is_plain = self.label.is_some() || matches!(self.condition.as_str(), "trace-id" | "uuid");
        !is_plain && Selection::may_hold_commas(&self.condition)
    }
}

/// The condition a key stands for.
pub(super) fn find(name: &str) -> Option<Found> {
    let lower = name.to_ascii_lowercase();
    let (prefix, base) = match lower.split_once('.') {
        Some(("src" | "source" | "from", rest)) => ("from-", rest),
        Some(("dst" | "dest" | "destination" | "to", rest)) => ("to-", rest),
        _ => ("", lower.as_str()),
    };
    if let Some(label) = base.strip_prefix("label.").filter(|label| !label.is_empty()) {
        // Names of labels are told apart by case.
        let label = name[name.len() - label.len()..].to_owned();
        return Some(Found { condition: format!("{prefix}label"), by: By::Value, label: Some(label) });
    }
    let key = KEYS.iter().find(|key| key.names.contains(&base))?;
    if !prefix.is_empty() && key.about == About::Flow {
        return None;
    }
    Some(Found { condition: format!("{prefix}{}", key.condition), by: key.by, label: None })
}

/// All keys with their help, measures included.
pub(super) fn all() -> Vec<(String, &'static str)> {
    let mut keys = Vec::new();
    for key in KEYS {
        keys.push((key.names[0].to_owned(), key.help));
        if key.about == About::Side {
            keys.extend(["src", "dst"].map(|side| (format!("{side}.{}", key.names[0]), key.help)));
        }
    }
    keys.extend(super::Measure::ALL.iter().map(|measure| (measure.name().to_owned(), measure.help())));
    keys
}

/// Keys that look like this one, for an error.
pub(super) fn near(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let rank = |key: &str| (!key.starts_with(&lower), distance(&lower, key));
    let mut keys: Vec<_> = all().into_iter().map(|(key, _)| (rank(&key), key)).collect();
    keys.sort();
    keys.truncate(3);
    keys.into_iter().map(|(_, key)| key).collect::<Vec<_>>().join(", ")
}

/// Edits from one text to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
