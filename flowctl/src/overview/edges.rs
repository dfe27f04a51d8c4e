//! The service map as lines.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::{self, Write};

use anyhow::{Result, bail};
use flow::view::{MapEdge, ServiceMap};

use crate::print::{Tabs, put};
use crate::units;

/// What the largest come first of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Bytes,
    Flows,
    Requests,
    Errors,
    Dropped,
    Latency,
}

impl Sort {
    /// # Errors
    /// There is no such order.
    pub(super) fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "bytes" => Self::Bytes,
            "flows" => Self::Flows,
            "requests" => Self::Requests,
            "errors" => Self::Errors,
            "dropped" => Self::Dropped,
            "latency" => Self::Latency,
            _ => bail!("invalid --sort value: {name}: one of bytes, flows, requests, errors, dropped, latency"),
        })
    }

    fn key(self, edge: &MapEdge) -> f64 {
        match self {
            Self::Bytes => edge.bytes_sent.saturating_add(edge.bytes_received) as f64,
            Self::Flows => edge.flows as f64,
            Self::Requests => edge.requests as f64,
            Self::Errors => edge.errors as f64,
            Self::Dropped => edge.dropped as f64,
            Self::Latency => edge.latency_p99_us.unwrap_or(0.0),
        }
    }

    fn compare(self, a: &MapEdge, b: &MapEdge) -> Ordering {
        let by_name = || (&a.source, &a.destination, a.port).cmp(&(&b.source, &b.destination, b.port));
        self.key(b).total_cmp(&self.key(a)).then_with(by_name)
    }
}

/// Names of the nodes of a map by their ids.
pub(super) fn names(map: &ServiceMap) -> HashMap<&str, String> {
    let name = |namespace: &str, name: &str| {
        if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
    };
    map.nodes.iter().map(|node| (node.id.as_str(), name(&node.namespace, &node.name))).collect()
}

/// Prints the largest edges, at most `limit` unless that is 0.
///
/// # Errors
/// Writing failed.
pub(super) fn write(map: &ServiceMap, sort: Sort, limit: u64, out: &mut dyn Write) -> io::Result<()> {
    let names = names(map);
    let mut edges: Vec<&MapEdge> = map.edges.iter().collect();
    edges.sort_by(|a, b| sort.compare(a, b));
    let shown = if limit == 0 { edges.len() } else { edges.len().min(usize::try_from(limit).unwrap_or(usize::MAX)) };
    let mut tabs = Tabs::default();
    for title in ["CLIENT", "SERVER", "PORT", "SENT", "RECEIVED", "FLOWS", "REQUESTS", "ERRORS", "P50", "P99"] {
        tabs.text(title);
    }
    tabs.last_cell(|out| out.extend_from_slice(b"DROPPED"));
    for edge in &edges[..shown] {
        let name = |id: &str| names.get(id).cloned().unwrap_or_else(|| id.to_owned());
        let latency = |micros: Option<f64>| micros.map_or_else(String::new, units::micros);
        let port = match (edge.port, edge.l7.as_str()) {
            (0, _) => edge.protocol.clone(),
            (port, "") => format!("{} {port}", edge.protocol),
            (port, l7) => format!("{l7} {port}"),
        };
        for cell in [
            name(&edge.source),
            name(&edge.destination),
            port,
            units::bytes(edge.bytes_sent),
            units::bytes(edge.bytes_received),
            edge.flows.to_string(),
            units::count(edge.requests),
            units::count(edge.errors),
            latency(edge.latency_p50_us),
            latency(edge.latency_p99_us),
        ] {
            // Names come from strangers: control characters must not reach the terminal, nor break the columns.
            tabs.cell(|out| put(out, &cell.replace(['\t', '\n'], " ")));
        }
        let dropped = match edge.dropped {
            0 => String::new(),
            count => format!("{count} {}", edge.drop_reason),
        };
        tabs.last_cell(|out| put(out, &dropped.replace(['\t', '\n'], " ")));
    }
    tabs.write(out)?;
    let more = map.left_out.saturating_add((edges.len() - shown) as u64);
    match (more, map.left_out) {
        (0, _) => Ok(()),
        (_, 0) => writeln!(out, "... and {more} more; --limit 0 shows all"),
        (_, left) if limit == 0 => writeln!(out, "... {}", left_out(left)),
        (_, left) => writeln!(
            out,
            "... and {more} more, {left} of which the relay left out, those with the fewest flows; --limit 0 shows all"
        ),
    }
}

/// Tells of what the relay left out though all was asked for.
pub(super) fn left_out(edges: u64) -> String {
    format!(
        "the relay left out {edges} more, those with the fewest flows: ask for less time with --since, or for fewer flows"
    )
}
