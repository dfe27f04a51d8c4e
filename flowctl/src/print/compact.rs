//! One line a flow.

use std::io::Write as _;

use flow::text::Side;

use super::parts::{Shown, ShownLoss};
use super::put;

/// `TIME[ [NODE]]: CLIENT (IDENTITY) ARROW SERVER (IDENTITY) TYPE VERDICT (SUMMARY)`.
///
/// A reply points left, so that the client stays on the left; where it is not known who is who the arrow has two heads.
pub(super) fn write_flow(out: &mut Vec<u8>, shown: &Shown<'_>) {
    let paint = shown.style.paint;
    let (left, arrow, right) = match shown.flow.is_reply {
        Some(true) => (Side::Destination, " <- ", Side::Source),
        Some(false) => (Side::Source, " -> ", Side::Destination),
        None => (Side::Source, " <> ", Side::Destination),
    };
    shown.style.time.write(out, shown.time);
    if shown.style.node_name {
        out.extend_from_slice(b" [");
        put(out, &shown.flow.node_name);
        out.push(b']');
    }
    out.extend_from_slice(b": ");
    shown.host(out, left, paint);
    out.push(b' ');
    shown.identity(out, left, paint);
    out.extend_from_slice(arrow.as_bytes());
    shown.host(out, right, paint);
    out.push(b' ');
    shown.identity(out, right, paint);
    out.push(b' ');
    shown.kind(out);
    out.push(b' ');
    shown.verdict(out, paint);
    out.extend_from_slice(b" (");
    shown.summary(out, paint);
    out.extend_from_slice(b")\n");
}

/// `TIME EVENTS LOST: SOURCE CPU(n) COUNT`, without the node, as in Hubble.
pub(super) fn write_loss(out: &mut Vec<u8>, shown: &ShownLoss<'_>) {
    shown.style.time.write(out, shown.time);
    writeln!(out, " EVENTS LOST: {} {}", shown.lost.source, shown.summary("")).expect("writing to memory cannot fail");
}
