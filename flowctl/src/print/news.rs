//! News about the nodes behind a relay, for standard error.

use std::io::Write as _;

use flow::NodeState;

use super::put;
use crate::event::NodeNews;

/// Names of nodes are cut at about this many characters.
const NAMES_LENGTH: usize = 50;

/// Whether people should see it without having asked: errors and nodes that do not answer.
pub(super) fn is_alarming(state: NodeState) -> bool {
    matches!(state, NodeState::NODE_ERROR | NodeState::NODE_UNAVAILABLE)
}

/// `TIME [RELAY]: what happened: nodes`.
pub(super) fn write_line(out: &mut Vec<u8>, news: &NodeNews, relay: &str, time: &str) {
    let count = news.names.len();
    let text = match news.state {
        NodeState::NODE_CONNECTED => format!("Receiving flows from {count} nodes"),
        NodeState::NODE_UNAVAILABLE => format!("{count} nodes are unavailable"),
        NodeState::NODE_GONE => format!("{count} nodes removed from cluster"),
        NodeState::NODE_ERROR => format!("Error {} on {count} nodes", quoted(&news.message)),
        state => format!("unknown node status event {state} of {count} nodes"),
    };
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b" [");
    put(out, relay);
    out.extend_from_slice(b"]: ");
    put(out, &text);
    out.extend_from_slice(b": ");
    put(out, &joined(&news.names));
    out.push(b'\n');
}

/// A block of `KEY: value` lines.
pub(super) fn write_dict(out: &mut Vec<u8>, news: &NodeNews, time: String, separated: bool) {
    if separated {
        out.extend_from_slice(b"------------\n");
    }
    write!(out, "  TIMESTAMP: {time}\n      STATE: {}\n      NODES: ", news.state)
        .expect("writing to memory cannot fail");
    put(out, &joined(&news.names));
    out.extend_from_slice(b"\n    MESSAGE: ");
    if news.message.is_empty() {
        out.extend_from_slice(b"N/A");
    } else {
        put(out, &quoted(&news.message));
    }
    out.push(b'\n');
}

/// In double quotes, with those inside escaped.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// As many names as fit, at least one, and how many do not.
fn joined(names: &[String]) -> String {
    let mut length = 0;
    let fitting = names
        .iter()
        .take_while(|name| {
            let is_first = length == 0;
            length += name.len() + 2;
            is_first || length <= NAMES_LENGTH
        })
        .count();
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
