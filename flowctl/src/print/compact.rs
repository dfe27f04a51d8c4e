//! One line a flow.

use std::io::Write as _;

use flow::text::Side;

use super::parts::{Shown, ShownLoss};

/// `TIME[ [NODE]]: CLIENT (IDENTITY) ARROW SERVER (IDENTITY) TYPE VERDICT (SUMMARY)`.
///
/// A reply points left, so that the client stays on the left; where it is not known who is who the arrow has two heads.
pub(super) fn write_flow(out: &mut Vec<u8>, shown: &Shown<'_>) {
    let (left, arrow, right) = match shown.flow.is_reply {
        Some(true) => (Side::Destination, " <- ", Side::Source),
        Some(false) => (Side::Source, " -> ", Side::Destination),
        None => (Side::Source, " <> ", Side::Destination),
    };
    shown.time(out);
    if shown.style.node_name {
        out.extend_from_slice(b" [");
        shown.node(out);
        out.push(b']');
    }
    out.extend_from_slice(b": ");
    shown.host(out, left);
    out.push(b' ');
    shown.identity(out, left);
    out.extend_from_slice(arrow.as_bytes());
    shown.host(out, right);
    out.push(b' ');
    shown.identity(out, right);
    out.push(b' ');
    shown.kind(out);
    out.push(b' ');
    shown.verdict(out);
    out.extend_from_slice(b" (");
    shown.summary(out);
    out.extend_from_slice(b")\n");
}

/// `TIME EVENTS LOST: SOURCE CPU(n) COUNT`, without the node, as in Hubble.
pub(super) fn write_loss(out: &mut Vec<u8>, shown: &ShownLoss<'_>) {
    shown.style.time.write(out, shown.time);
    writeln!(out, " EVENTS LOST: {} {}", shown.source(), shown.summary("")).expect("writing to memory cannot fail");
}
