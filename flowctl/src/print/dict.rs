//! A block of `KEY: value` lines a flow.

use std::io::Write as _;

use flow::text::Side;

use super::parts::{Shown, ShownLoss};
use super::put;

const SEPARATOR: &[u8] = b"------------\n";

/// One block; all but the first begin with a separator.
pub(super) fn write_flow(out: &mut Vec<u8>, shown: &Shown<'_>, first: bool) {
    let paint = shown.style.paint;
    if !first {
        out.extend_from_slice(SEPARATOR);
    }
    out.extend_from_slice(b"  TIMESTAMP: ");
    shown.style.time.write(out, shown.time);
    if shown.style.node_name {
        out.extend_from_slice(b"\n       NODE: ");
        put(out, &shown.flow.node_name);
    }
    out.extend_from_slice(b"\n     SOURCE: ");
    shown.host(out, Side::Source, paint);
    out.extend_from_slice(b"\nDESTINATION: ");
    shown.host(out, Side::Destination, paint);
    out.extend_from_slice(b"\n       TYPE: ");
    shown.kind(out);
    out.extend_from_slice(b"\n    VERDICT: ");
    shown.verdict(out, paint);
    out.extend_from_slice(b"\n    SUMMARY: ");
    shown.summary(out, paint);
    out.push(b'\n');
}

/// One block of a loss.
pub(super) fn write_loss(out: &mut Vec<u8>, shown: &ShownLoss<'_>, first: bool) {
    if !first {
        out.extend_from_slice(SEPARATOR);
    }
    out.extend_from_slice(b"  TIMESTAMP: ");
    shown.style.time.write(out, shown.time);
    if shown.style.node_name {
        out.extend_from_slice(b"\n       NODE: ");
        put(out, shown.node());
    }
    let (source, summary) = (shown.lost.source, shown.summary("- "));
    write!(out, "\n     SOURCE: {source}\n       TYPE: EVENTS LOST\n    VERDICT: -\n    SUMMARY: {summary}\n")
        .expect("writing to memory cannot fail");
}
