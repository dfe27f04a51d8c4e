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
        NodeState(state) => return format!("unknown node status event: {}", fields(state, news)),
    };
    format!("{text}: {}", joined(&news.node_names))
}

/// All fields, in protobuf's text form.
fn fields(state: i32, news: &NodeStatusEvent) -> String {
    let state = (state != 0).then(|| format!("state_change:{state}"));
    let names = news.node_names.iter().map(|name| format!("node_names:{}", text_field(name)));
    let message = (!news.message.is_empty()).then(|| format!("message:{}", text_field(&news.message)));
    state.into_iter().chain(names).chain(message).collect::<Vec<_>>().join("  ")
}

/// A text in protobuf's text form.
fn text_field(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{80}'..='\u{9f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
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
            c if c.is_control() || is_blank_or_private(c) => out.push_str(&match u32::from(c) {
                code @ ..=0xffff => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Spaces beside the plain one, marks that take no room, and what has no meaning of its own.
fn is_blank_or_private(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
            | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}'
    )
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
    fn news_of_an_unknown_kind_are_told_in_full() {
        let node_names = vec!["k1".to_owned(), "k\"2\u{85}".to_owned()];
        let news =
            |state_change| NodeStatusEvent { state_change, node_names: node_names.clone(), message: "\u{1b}".into() };
        let rest = r#"node_names:"k1"  node_names:"k\"2\u0085"  message:"\x1b""#;
        assert_eq!(text(&news(0)), format!("unknown node status event: {rest}"));
        assert_eq!(text(&news(9)), format!("unknown node status event: state_change:9  {rest}"));
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        let names = |count: usize| (0..count).map(|i| format!("node-with-a-long-name-{i:02}")).collect::<Vec<_>>();
        assert_eq!(joined(&names(0)), "");
        assert_eq!(joined(&names(1)), "node-with-a-long-name-00");
        assert_eq!(joined(&names(6)), "node-with-a-long-name-00 (and 5 more)");
        assert_eq!(joined(&["k1".to_owned(), "k2".to_owned()]), "k1, k2");
    }
}
