//! Columns as wide as their longest value.

use flow::text::Side;

use super::parts::{Shown, ShownLoss};
use super::{Paint, Style, Tabs, put};

/// Adds a flow; the first line is preceded by the header.
pub(super) fn add_flow(tabs: &mut Tabs, shown: &Shown<'_>, first: bool) {
    if first {
        add_header(tabs, shown.style);
    }
    tabs.cell(|out| shown.style.time.write(out, shown.time));
    if shown.style.node_name {
        tabs.cell(|out| put(out, &shown.flow.node_name));
    }
    tabs.cell(|out| shown.host(out, Side::Source, Paint::OFF));
    tabs.cell(|out| shown.host(out, Side::Destination, Paint::OFF));
    tabs.cell(|out| shown.kind(out));
    tabs.cell(|out| shown.verdict(out, Paint::OFF));
    tabs.last_cell(|out| shown.summary(out, Paint::OFF));
}

/// Adds a loss.
pub(super) fn add_loss(tabs: &mut Tabs, shown: &ShownLoss<'_>, first: bool) {
    if first {
        add_header(tabs, shown.style);
    }
    tabs.cell(|out| shown.style.time.write(out, shown.time));
    if shown.style.node_name {
        tabs.cell(|out| put(out, shown.node()));
    }
    tabs.text(&shown.lost.source.to_string());
    tabs.text("-");
    tabs.text("EVENTS LOST");
    tabs.text("-");
    tabs.last_cell(|out| put(out, &shown.summary("- ")));
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
