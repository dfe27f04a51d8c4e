//! `list`: nodes behind a relay, namespaces in recent flows.

use std::io::Write;

use anyhow::{Result, bail};
use flow::NodeState;
use prost::{Message, Name};
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetNamespacesRequest, GetNodesRequest, Namespace, Node};

use crate::connect::Connection;
use crate::moments::format_span;
use crate::print::{Tabs, put};
use crate::settings::Settings;

const NOT_AVAILABLE: &str = "N/A";

/// Prints the nodes behind a relay.
///
/// # Errors
/// The server cannot be reached or is no relay.
pub(crate) fn nodes(output: &str, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let server = settings.server()?;
    let mut nodes = crate::runtime()?.block_on(async {
        let connection = Connection::open_for_answers(&server).await?;
        let mut observer = ObserverClient::new(connection.channel.clone());
        connection.answer(observer.get_nodes(GetNodesRequest {})).await
    })?;
    nodes.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    match output {
        "json" => write_json(out, &nodes.nodes),
        "table" => Ok(node_table(&nodes.nodes, false).write(out)?),
        "wide" => Ok(node_table(&nodes.nodes, true).write(out)?),
        _ => bail!("unknown output format: {output}: one of json, table, wide"),
    }
}

/// Prints the namespaces seen in recent flows.
///
/// # Errors
/// The server cannot be reached.
pub(crate) fn namespaces(output: &str, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let server = settings.server()?;
    let answer = crate::runtime()?.block_on(async {
        let connection = Connection::open_for_answers(&server).await?;
        let mut observer = ObserverClient::new(connection.channel.clone());
        connection.answer(observer.get_namespaces(GetNamespacesRequest {})).await
    })?;
    let namespaces = answer.namespaces;
    match output {
        "json" => write_json(out, &namespaces),
        "table" => Ok(namespace_table(&namespaces, false).write(out)?),
        "wide" => Ok(namespace_table(&namespaces, true).write(out)?),
        _ => bail!("unknown output format: {output}: one of json, table, wide"),
    }
}

/// A list of messages, indented by two spaces.
fn write_json<M: Message + Name>(out: &mut dyn Write, messages: &[M]) -> Result<()> {
    if messages.is_empty() {
        return Ok(writeln!(out, "null")?);
    }
    let mut text = "[".to_owned();
    for (i, message) in messages.iter().enumerate() {
        text += if i == 0 { "\n  " } else { ",\n  " };
        indent(&mut text, &proto::json::to_json(message));
    }
    text += "\n]\n";
    Ok(out.write_all(text.as_bytes())?)
}

/// Breaks JSON that stands on one line into one value a line, one level deep already.
fn indent(out: &mut String, json: &str) {
    let mut depth = 1;
    let (mut in_text, mut escaped) = (false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            _ if in_text => {
                in_text = escaped || c != '"';
                escaped = !escaped && c == '\\';
                out.push(c);
            }
            '"' => {
                in_text = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                if !matches!(chars.peek(), Some('}' | ']')) {
                    depth += 1;
                    line(out, depth);
                } else if let Some(end) = chars.next() {
                    out.push(end);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
}

fn node_table(nodes: &[Node], wide: bool) -> Tabs {
    let mut titles = vec!["NAME", "STATUS", "AGE", "FLOWS/S", "CURRENT/MAX-FLOWS"];
    if wide {
        titles.extend(["VERSION", "ADDRESS", "TLS"]);
    }
    let mut tabs = Tabs::default();
    add_line(&mut tabs, &titles);
    for node in nodes {
        let [age, rate] = age_and_rate(node);
        let ratio = ratio(node);
        let mut cells = vec![node.name.as_str(), status(node), &age, &rate, &ratio];
        if wide {
            cells.extend([version(node), &node.address, tls(node)]);
        }
        add_line(&mut tabs, &cells);
    }
    tabs
}

fn namespace_table(namespaces: &[Namespace], wide: bool) -> Tabs {
    let mut tabs = Tabs::default();
    add_line(&mut tabs, if wide { &["NAMESPACE", "CLUSTER"] } else { &["NAMESPACE"] });
    for namespace in namespaces {
        let (name, cluster) = (namespace.namespace.as_str(), namespace.cluster.as_str());
        match wide && !cluster.is_empty() {
            true => add_line(&mut tabs, &[name, cluster]),
            false => add_line(&mut tabs, &[name]),
        }
    }
    tabs
}

fn add_line(tabs: &mut Tabs, cells: &[&str]) {
    let (last, rest) = cells.split_last().expect("a line has cells");
    rest.iter().for_each(|cell| tabs.cell(|out| put(out, cell)));
    tabs.last_cell(|out| put(out, last));
}

fn status(node: &Node) -> &'static str {
    match NodeState(node.state) {
        NodeState::NODE_CONNECTED => "Connected",
        NodeState::NODE_UNAVAILABLE => "Unavailable",
        NodeState::NODE_GONE => "Gone",
        NodeState::NODE_ERROR => "Error",
        _ => "Unknown",
    }
}

fn age_and_rate(node: &Node) -> [String; 2] {
    const SECOND: u64 = 1_000_000_000;
    let seconds = node.uptime_ns.saturating_add(SECOND / 2) / SECOND;
    if seconds == 0 {
        return [NOT_AVAILABLE.to_owned(), NOT_AVAILABLE.to_owned()];
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = node.seen_flows as f64 / seconds as f64;
    [format_span(seconds * SECOND), format!("{rate:.2}")]
}

fn ratio(node: &Node) -> String {
    if node.max_flows == 0 {
        return NOT_AVAILABLE.to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let percent = node.num_flows as f64 / node.max_flows as f64 * 100.0;
    format!("{}/{} ({percent:6.2}%)", node.num_flows, node.max_flows)
}

fn version(node: &Node) -> &str {
    if node.version.is_empty() { NOT_AVAILABLE } else { &node.version }
}

fn tls(node: &Node) -> &'static str {
    match &node.tls {
        None => NOT_AVAILABLE,
        Some(tls) if tls.enabled => "Enabled",
        Some(_) => "Disabled",
    }
}

#[cfg(test)]
mod tests {
    use proto::observer::Tls;

    use super::*;

    fn node() -> Node {
        Node {
            name: "kind-kind/kind-worker".to_owned(),
            version: "cilium v1.19.4".to_owned(),
            address: "172.18.0.2:4244".to_owned(),
            state: NodeState::NODE_CONNECTED.0,
            tls: Some(Tls { enabled: true, server_name: String::new() }),
            uptime_ns: 3_723_400_000_000,
            num_flows: 4095,
            max_flows: 4095,
            seen_flows: 11_000,
        }
    }

    fn text(mut tabs: Tabs) -> String {
        let mut out = Vec::new();
        tabs.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nodes_in_columns() {
        let nodes = [node(), Node { name: "k9".to_owned(), state: NodeState::NODE_UNAVAILABLE.0, ..Node::default() }];
        assert_eq!(
            text(node_table(&nodes, false)),
            "NAME                    STATUS        AGE      FLOWS/S   CURRENT/MAX-FLOWS\n\
             kind-kind/kind-worker   Connected     1h2m3s   2.95      4095/4095 (100.00%)\n\
             k9                      Unavailable   N/A      N/A       N/A\n"
        );
        let wide = text(node_table(&nodes, true));
        assert!(wide.contains("   VERSION          ADDRESS           TLS\n"), "{wide}");
        assert!(wide.contains("   cilium v1.19.4   172.18.0.2:4244   Enabled\n"), "{wide}");
    }

    #[test]
    fn json_is_indented() {
        let mut out = Vec::new();
        write_json(&mut out, &[Node { name: "a\"{[,:".to_owned(), tls: Some(Tls::default()), ..Node::default() }])
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "[\n  {\n    \"name\": \"a\\\"{[,:\",\n    \"tls\": {}\n  }\n]\n");
    }
}
