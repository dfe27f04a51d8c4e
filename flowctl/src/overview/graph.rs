//! The service map for programs that draw.

use std::collections::HashMap;
use std::io::{self, Write};

use flow::view::{MapEdge, ServiceMap};

use super::edges::names;
use crate::units;

/// Prints the map in the language of Graphviz.
///
/// # Errors
/// Writing failed.
pub(super) fn dot(map: &ServiceMap, out: &mut dyn Write) -> io::Result<()> {
    let names = names(map);
    writeln!(out, "digraph flows {{\n  rankdir=LR;\n  node [shape=box];")?;
    for (number, node) in map.nodes.iter().enumerate() {
        writeln!(out, "  n{number} [label={}];", quoted(&names[node.id.as_str()]))?;
    }
    for (edge, from, to) in numbered(map) {
        let color = if edge.dropped > 0 { ", color=red, fontcolor=red" } else { "" };
        writeln!(out, "  n{from} -> n{to} [label={}{color}];", quoted(&label(edge)))?;
    }
    writeln!(out, "}}")
}

/// Prints the map in the language of Mermaid, as wikis and code hosts draw it.
///
/// # Errors
/// Writing failed.
pub(super) fn mermaid(map: &ServiceMap, out: &mut dyn Write) -> io::Result<()> {
    let names = names(map);
    writeln!(out, "flowchart LR")?;
    for (number, node) in map.nodes.iter().enumerate() {
        writeln!(out, "  n{number}[{}]", quoted(&names[node.id.as_str()]).replace("\\\"", "#quot;"))?;
    }
    for (edge, from, to) in numbered(map) {
        let arrow = if edge.dropped > 0 { "-.->" } else { "-->" };
        writeln!(out, "  n{from} {arrow}|{}| n{to}", quoted(&label(edge)).replace("\\\"", "#quot;"))?;
    }
    Ok(())
}

/// Edges with the positions of their nodes.
fn numbered(map: &ServiceMap) -> impl Iterator<Item = (&MapEdge, usize, usize)> {
    let positions: HashMap<&str, usize> =
        map.nodes.iter().enumerate().map(|(at, node)| (node.id.as_str(), at)).collect();
    map.edges.iter().filter_map(move |edge| {
        Some((edge, *positions.get(edge.source.as_str())?, *positions.get(edge.destination.as_str())?))
    })
}

fn label(edge: &MapEdge) -> String {
    let protocol = if edge.l7.is_empty() { &edge.protocol } else { &edge.l7 };
    let bytes = units::bytes(edge.bytes_sent.saturating_add(edge.bytes_received));
    let port = if edge.port == 0 { String::new() } else { format!(" {}", edge.port) };
    let dropped =
        if edge.dropped > 0 { format!(", {} dropped: {}", edge.dropped, edge.drop_reason) } else { String::new() };
    format!("{protocol}{port}, {bytes}{dropped}")
}

/// A text in double quotes, without what would end it or a line.
fn quoted(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}
