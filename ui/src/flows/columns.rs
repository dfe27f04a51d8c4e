//! Columns of the table, and what a row says in each.

use flow::view::{FlowRow, Party};

use crate::parts::clock::Zone;
use crate::parts::units;

/// Columns in order: class and title.
pub(crate) const COLUMNS: [(&str, &str); 10] = [
    ("time", "Time"),
    ("verdict", "Verdict"),
    ("source", "Source"),
    ("destination", "Destination"),
    ("protocol", "Protocol"),
    ("kind", "Type"),
    ("info", "Info"),
    ("bytes", "Bytes"),
    ("latency", "Latency"),
    ("process", "Process"),
];

/// Text of a row in a column of [`COLUMNS`].
pub(crate) fn cell(row: &FlowRow, column: usize, zone: Zone) -> String {
    match column {
        0 => zone.time(&row.time),
        1 => row.verdict.clone(),
        2 => party(&row.source),
        3 => party(&row.destination),
        4 => protocol(row),
        5 => row.kind.clone(),
        6 => info(row),
        7 if row.bytes == 0 => String::new(),
        7 => units::bytes(row.bytes as f64),
        8 => row.latency_us.map(units::micros).unwrap_or_default(),
        _ => process(row),
    }
}

/// Name with its namespace, and port.
pub(crate) fn party(party: &Party) -> String {
    let name = if party.name.is_empty() { &party.ip } else { &party.name };
    let mut text = String::new();
    if !party.namespace.is_empty() && !name.contains('/') {
        text.push_str(&party.namespace);
        text.push('/');
    }
    if party.port != 0 && name.contains(':') {
        text.push_str(&format!("[{name}]"));
    } else {
        text.push_str(name);
    }
    if party.port != 0 {
        text.push_str(&format!(":{}", party.port));
    }
    text
}

/// Protocol with the port of the server: of the two, the one that is called.
pub(crate) fn protocol(row: &FlowRow) -> String {
    match server_port(row) {
        0 => row.protocol.clone(),
        port => format!("{} {port}", row.protocol),
    }
}

/// Port of the side that is called.
pub(crate) fn server_port(row: &FlowRow) -> u16 {
    if row.is_reply == Some(true) { row.source.port } else { row.destination.port }
}

/// What happened: for drops the reason comes first.
pub(crate) fn info(row: &FlowRow) -> String {
    match (row.drop_reason.as_str(), row.summary.as_str()) {
        ("", summary) => summary.to_owned(),
        (reason, summary) if summary.is_empty() || summary.contains(reason) => {
            if summary.is_empty() {
                reason.to_owned()
            } else {
                summary.to_owned()
            }
        }
        (reason, summary) => format!("{reason} · {summary}"),
    }
}

/// The process at the end that is known, the client's first.
pub(crate) fn process(row: &FlowRow) -> String {
    match (row.source.process.as_str(), row.destination.process.as_str()) {
        ("", "") => String::new(),
        (source, "") => source.to_owned(),
        ("", destination) => format!("→ {destination}"),
        (source, destination) => format!("{source} → {destination}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str, namespace: &str, ip: &str, port: u16) -> Party {
        Party { name: name.into(), namespace: namespace.into(), ip: ip.into(), port, ..Party::default() }
    }

    #[test]
    fn parties_have_their_best_name() {
        assert_eq!(party(&side("web-1", "shop", "10.0.0.1", 80)), "shop/web-1:80");
        assert_eq!(party(&side("shop/web-1", "shop", "10.0.0.1", 0)), "shop/web-1");
        assert_eq!(party(&side("", "", "fd00::1", 53)), "[fd00::1]:53");
        assert_eq!(party(&side("", "", "10.0.0.1", 0)), "10.0.0.1");
    }

    #[test]
    fn the_port_is_the_one_that_is_called() {
        let mut row = FlowRow {
            protocol: "TCP".into(),
            source: side("web", "", "", 41_000),
            destination: side("api", "", "", 8080),
            ..FlowRow::default()
        };
        assert_eq!(protocol(&row), "TCP 8080");
        std::mem::swap(&mut row.source, &mut row.destination);
        row.is_reply = Some(true);
        assert_eq!(protocol(&row), "TCP 8080");
        row.source.port = 0;
        assert_eq!(protocol(&row), "TCP");
    }

    #[test]
    fn the_reason_of_a_drop_is_said_once() {
        let row = |reason: &str, summary: &str| FlowRow {
            drop_reason: reason.into(),
            summary: summary.into(),
            ..FlowRow::default()
        };
        assert_eq!(info(&row("", "TCP Flags: SYN")), "TCP Flags: SYN");
        assert_eq!(info(&row("NETFILTER_DROP", "TCP Flags: SYN; NETFILTER_DROP")), "TCP Flags: SYN; NETFILTER_DROP");
        assert_eq!(info(&row("NETFILTER_DROP", "TCP Flags: SYN")), "NETFILTER_DROP · TCP Flags: SYN");
        assert_eq!(info(&row("NETFILTER_DROP", "")), "NETFILTER_DROP");
    }

    #[test]
    fn empty_numbers_are_not_zeros() {
        let row = FlowRow { time: "2026-11-21T10:00:00.5Z".into(), bytes: 1500, ..FlowRow::default() };
        let zone = Zone { offset_minutes: |_| 60, now_millis: || 0.0 };
        assert_eq!(cell(&row, 0, zone), "2026 Nov 21 11:00:00.500");
        assert_eq!(cell(&row, 7, zone), "1.5 kB");
        assert_eq!(cell(&row, 8, zone), "");
        assert_eq!(cell(&FlowRow::default(), 7, zone), "");
    }
}
