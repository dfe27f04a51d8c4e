//! A block of `KEY: value` lines a flow.

use std::io::Write as _;

use flow::text::Side;

use super::Escape;
use super::parts::{Shown, ShownLoss};

pub(super) const SEPARATOR: &[u8] = b"------------";
/// What stands between two blocks of flows.
pub(super) const SEPARATOR_LINE: &[u8] = b"------------\n";

/// One block; all but the first begin with a separator.
pub(super) fn write_flow(out: &mut Vec<u8>, shown: &Shown<'_>, first: bool) {
    separate(out, first);
    out.extend_from_slice(b"  TIMESTAMP: ");
    shown.time(out);
    if shown.style.node_name {
        out.extend_from_slice(b"\n       NODE: ");
        shown.node(out);
    }
    out.extend_from_slice(b"\n     SOURCE: ");
    shown.host(out, Side::Source);
    out.extend_from_slice(b"\nDESTINATION: ");
    shown.host(out, Side::Destination);
    out.extend_from_slice(b"\n       TYPE: ");
    shown.kind(out);
    out.extend_from_slice(b"\n    VERDICT: ");
    shown.verdict(out);
    out.extend_from_slice(b"\n    SUMMARY: ");
    shown.summary(out);
    out.push(b'\n');
}

/// One block of a loss.
pub(super) fn write_loss(out: &mut Vec<u8>, shown: &ShownLoss<'_>, escape: Escape, first: bool) {
    separate(out, first);
    out.extend_from_slice(b"  TIMESTAMP: ");
    shown.style.time.write(out, shown.time);
    if shown.style.node_name {
        out.extend_from_slice(b"\n       NODE: ");
        escape.put(out, shown.node());
    }
    let (source, summary) = (shown.source(), shown.summary("- "));
    write!(out, "\n     SOURCE: {source}\n       TYPE: EVENTS LOST\n    VERDICT: -\n    SUMMARY: {summary}\n")
        .expect("writing to memory cannot fail");
}

fn separate(out: &mut Vec<u8>, first: bool) {
    if !first {
        out.extend_from_slice(SEPARATOR_LINE);
    }
}
