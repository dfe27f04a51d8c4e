//! The same question on a command line.

use flow::view::FlowRow;

use crate::parts::shell::quote;
use crate::state::ViewState;

/// `flowctl observe` with the filter and range of a view.
pub(crate) fn of_view(view: &ViewState) -> String {
    let mut words = vec!["flowctl observe".to_owned()];
    if view.live {
        words.push("--follow".to_owned());
    } else {
        for (name, value) in view.range.to_api() {
            words.push(format!("--{name} {}", quote(&value)));
        }
    }
    words.extend(view.conditions.to_flags());
    words.join(" ")
}

/// `flowctl observe` for flows like this one: same ends, port and verdict.
pub(crate) fn of_flow(row: &FlowRow) -> String {
    let mut words = vec!["flowctl observe".to_owned()];
    let mut add = |flag: &str, value: &str| {
        if !value.is_empty() {
            words.push(format!("--{flag} {}", quote(value)));
        }
    };
    add("from-ip", &row.source.ip);
    add("to-ip", &row.destination.ip);
    add("protocol", &row.protocol.to_ascii_lowercase());
    let (flag, port) =
        if row.is_reply == Some(true) { ("from-port", row.source.port) } else { ("to-port", row.destination.port) };
    if port != 0 {
        add(flag, &port.to_string());
    }
    if row.verdict == "DROPPED" {
        add("verdict", &row.verdict);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use flow::view::Party;

    use super::*;

    #[test]
    fn a_view_becomes_flags() {
        let view = ViewState::parse("namespace=shop&not-port=53&label=tier in (a,b)");
        assert_eq!(of_view(&view), "flowctl observe --follow --namespace shop --not --port 53 --label 'tier in (a,b)'");
        assert_eq!(of_view(&ViewState::parse("live=0&since=1h")), "flowctl observe --since 1h");
    }

    #[test]
    fn a_flow_becomes_flags() {
        let row = FlowRow {
            protocol: "TCP".into(),
            verdict: "DROPPED".into(),
            source: Party { ip: "10.0.0.1".into(), port: 40_000, ..Party::default() },
            destination: Party { ip: "fd00::1".into(), port: 443, ..Party::default() },
            ..FlowRow::default()
        };
        assert_eq!(
            of_flow(&row),
            "flowctl observe --from-ip 10.0.0.1 --to-ip fd00::1 --protocol tcp --to-port 443 --verdict DROPPED"
        );
    }
}
