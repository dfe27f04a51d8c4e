//! News about the nodes behind a relay, for standard error.

use std::io::Write as _;

use flow::NodeState;
use proto::relay::NodeStatusEvent;

use super::{Escape, dict};

/// Names of nodes are cut at about this many bytes.
const NAMES_LENGTH: usize = 50;

/// Whether people should see it without having asked: errors and nodes that do not answer.
pub(super) fn is_alarming(state: NodeState) -> bool {
    matches!(state, NodeState::NODE_ERROR | NodeState::NODE_UNAVAILABLE)
}

/// What happened and to which nodes.
pub(super) fn text(news: &NodeStatusEvent) -> String {
    let count = news.node_names.len();
    let text = match NodeState(news.state_change) {
        NodeState::NODE_CONNECTED => format!("Receiving flows from {count} nodes"),
        NodeState::NODE_UNAVAILABLE => format!("{count} nodes are unavailable"),
        NodeState::NODE_GONE => format!("{count} nodes removed from cluster"),
        NodeState::NODE_ERROR => format!("Error {} on {count} nodes", quoted(&news.message)),
        state => format!("unknown node status event {state} of {count} nodes"),
    };
    format!("{text}: {}", joined(&news.node_names))
}

/// `TIME [RELAY]: what happened: nodes`.
pub(super) fn write_line(out: &mut Vec<u8>, news: &NodeStatusEvent, relay: &str, time: &str, escape: Escape) {
    escape.put(out, &format!("{time} [{relay}]: {}", text(news)));
    out.push(b'\n');
}

/// A block of `KEY: value` lines.
pub(super) fn write_dict(out: &mut Vec<u8>, news: &NodeStatusEvent, time: &str, escape: Escape, separated: bool) {
    if separated {
        out.extend_from_slice(dict::SEPARATOR);
        out.push(b'\n');
    }
    let state = NodeState(news.state_change);
    write!(out, "  TIMESTAMP: {time}\n      STATE: {state}\n      NODES: ").expect("writing to memory cannot fail");
    escape.put(out, &joined(&news.node_names));
    out.extend_from_slice(b"\n    MESSAGE: ");
    let message = if news.message.is_empty() { "N/A".to_owned() } else { quoted(&news.message) };
    escape.put(out, &message);
    out.push(b'\n');
}

/// In double quotes, with what cannot be printed escaped as Go does.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control()
                || matches!(c, '\u{a0}' | '\u{ad}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{feff}') =>
            {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// As many names as fit, at least one, and how many do not.
fn joined(names: &[String]) -> String {
    let mut length = 0;
    let mut fitting = 0;
    for name in names {
        length += name.len() + 2;
        if fitting > 0 && length > NAMES_LENGTH {
            break;
        }
        fitting += 1;
    }
    let text = names[..fitting].join(", ");
    match names.len() - fitting {
        0 => text,
        more => format!("{text} (and {more} more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_names_are_cut() {
        let names = |count: usize| (0..count).map(|i| format!("node-with-a-long-name-{i:02}")).collect::<Vec<_>>();
        assert_eq!(joined(&names(0)), "");
        assert_eq!(joined(&names(1)), "node-with-a-long-name-00");
        assert_eq!(joined(&names(6)), "node-with-a-long-name-00 (and 5 more)");
        assert_eq!(joined(&["k1".to_owned(), "k2".to_owned()]), "k1, k2");
    }
}
