//! Drops as lines.

use std::io::{self, Write};

use flow::view::{DropSummary, Party};

use crate::print::{Tabs, put};

/// Prints the largest groups, at most `limit` unless that is 0, and what their reasons mean.
///
/// # Errors
/// Writing failed.
pub(super) fn write(summary: &DropSummary, limit: u64, out: &mut dyn Write) -> io::Result<()> {
    let all = summary.groups.len();
    let shown = if limit == 0 { all } else { all.min(usize::try_from(limit).unwrap_or(usize::MAX)) };
    let mut tabs = Tabs::default();
    for title in ["PACKETS", "REASON", "IN", "SOURCE", "DESTINATION", "PORT"] {
        tabs.text(title);
    }
    tabs.last_cell(|out| out.extend_from_slice(b"LAST"));
    for group in &summary.groups[..shown] {
        let port = match (group.port, group.is_reply) {
            (0, _) => group.protocol.clone(),
            (port, false) => format!("{} {port}", group.protocol),
            (port, true) => format!("{} {port} (replies)", group.protocol),
        };
        let cells = [
            group.packets.to_string(),
            group.reason.clone(),
            group.function.clone(),
            party(&group.source),
            party(&group.destination),
            port,
        ];
        for cell in cells {
            tabs.cell(|out| put(out, &cell.replace(['\t', '\n'], " ")));
        }
        tabs.last_cell(|out| put(out, &group.last));
    }
    tabs.write(out)?;
    if shown < all {
        writeln!(out, "... and {} more; --limit 0 shows all", all - shown)?;
    }
    let listed = summary.groups.iter().fold(0_u64, |sum, group| sum.saturating_add(group.packets));
    if listed < summary.total {
        writeln!(out, "... the relay left out the smallest groups: {} packets more", summary.total - listed)?;
    }
    explain(summary, shown, out)
}

/// What each reason shown means, once.
fn explain(summary: &DropSummary, shown: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut told: Vec<&str> = Vec::new();
    for group in &summary.groups[..shown] {
        if group.explanation.is_empty() || told.contains(&group.reason.as_str()) {
            continue;
        }
        writeln!(out, "{}{}: {}", if told.is_empty() { "\n" } else { "" }, group.reason, group.explanation)?;
        told.push(&group.reason);
    }
    Ok(())
}

fn party(party: &Party) -> String {
    let name = [&party.workload, &party.name, &party.ip].into_iter().find(|name| !name.is_empty());
    let name = name.map_or("", String::as_str);
    // Names such as `shop/web` carry their namespace already.
    if party.namespace.is_empty() || name.contains('/') {
        name.to_owned()
    } else {
        format!("{}/{name}", party.namespace)
    }
}
