//! Columns as wide as their longest value.

use flow::text::Side;

use super::parts::{Shown, ShownLoss};
use super::{Escape, Style, Tabs};

/// Adds a flow; the first line is preceded by the header.
pub(super) fn add_flow(tabs: &mut Tabs, shown: &Shown<'_>, first: bool) {
    if first {
        add_header(tabs, shown.style);
    }
    tabs.cell(|out| shown.time(out));
    if shown.style.node_name {
        tabs.cell(|out| shown.node(out));
    }
    tabs.cell(|out| shown.host(out, Side::Source));
    tabs.cell(|out| shown.host(out, Side::Destination));
    tabs.cell(|out| shown.kind(out));
    tabs.cell(|out| shown.verdict(out));
    tabs.last_cell(|out| shown.summary(out));
}

/// Adds a loss.
pub(super) fn add_loss(tabs: &mut Tabs, shown: &ShownLoss<'_>, escape: Escape, first: bool) {
    if first {
        add_header(tabs, shown.style);
    }
    tabs.cell(|out| shown.style.time.write(out, shown.time));
    if shown.style.node_name {
        tabs.cell(|out| escape.put(out, shown.node()));
    }
    tabs.text(&shown.source().to_string());
    tabs.text("-");
    tabs.text("EVENTS LOST");
    tabs.text("-");
    tabs.last_cell(|out| out.extend_from_slice(shown.summary("- ").as_bytes()));
}

fn add_header(tabs: &mut Tabs, style: &Style) {
    tabs.text("TIMESTAMP");
    if style.node_name {
        tabs.text("NODE");
    }
    for name in ["SOURCE", "DESTINATION", "TYPE", "VERDICT"] {
        tabs.text(name);
    }
    tabs.last_cell(|out| out.extend_from_slice(b"SUMMARY"));
}
