//! `status`: whether a server is well and how much it holds.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use proto::observer::observer_client::ObserverClient;
use proto::observer::{ServerStatusRequest, ServerStatusResponse};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::connect::{Connection, Failure};
use crate::moments::format_span;
use crate::print::{Tabs, put};
use crate::settings::Settings;

/// Layouts of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StatusOutput {
    Compact,
    Dict,
    Json,
    Table,
}

impl StatusOutput {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "compact" => Self::Compact,
            "dict" => Self::Dict,
            "json" | "JSON" | "jsonpb" => Self::Json,
            "tab" | "table" => Self::Table,
            _ => return None,
        })
    }
}

/// Prints the state of the server.
///
/// # Errors
/// The server cannot be reached, or says that it is not healthy; or there is no such layout.
pub(crate) fn run(name: &str, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let server = settings.server()?;
    let output = StatusOutput::from_name(name);
    crate::runtime()?.block_on(async {
        let failed = |e: anyhow::Error| if e.is::<Failure>() { e.context("failed getting status") } else { e };
        let connection = Connection::open_for_answers(&server).await.map_err(failed)?;
        let request = HealthCheckRequest { service: proto::HEALTH_SERVICE.to_owned() };
        let mut health = HealthClient::new(connection.channel.clone());
        let health = connection.answer(health.check(request)).await.map_err(|e| e.context("failed getting status"))?;
        let healthy = health.status() == ServingStatus::Serving;
        if output == Some(StatusOutput::Compact) {
            let state = if healthy { "Ok".to_owned() } else { format!("Unavailable: {}", told(health.status)) };
            writeln!(out, "Healthcheck (via {}): {state}", connection.name)?;
        }
        if !healthy {
            out.flush()?;
            bail!("not healthy");
        }
        let mut observer = ObserverClient::new(connection.channel.clone());
        let status = connection
            .answer(observer.server_status(ServerStatusRequest {}))
            .await
            .map_err(|e| e.context("failed to get hubble server status"))?;
        let Some(output) = output else { bail!("invalid output format: {name}: one of compact, dict, json, table") };
        Ok(out.write_all(&render(&status, output)?)?)
    })
}

/// A state of health by its name, or its number where it has none.
fn told(state: i32) -> String {
    ServingStatus::try_from(state).map_or_else(|_| state.to_string(), |known| known.as_str_name().to_owned())
}

fn render(status: &ServerStatusResponse, output: StatusOutput) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    match output {
        StatusOutput::Compact => write_compact(&mut text, status)?,
        StatusOutput::Json => {
            text.extend_from_slice(proto::json::to_json(status).as_bytes());
            text.push(b'\n');
        }
        StatusOutput::Dict => {
            let titles = [
                "NUM FLOWS",
                "MAX FLOWS",
                "SEEN FLOWS",
                "FLOWS PER SECOND",
                "UPTIME",
                "NUM CONNECTED NODES",
                "NUM UNAVAIL. NODES",
                "VERSION",
            ];
            for (title, value) in titles.iter().zip(values(status)) {
                write!(text, "{title:>19}: ")?;
                put(&mut text, &value);
                text.push(b'\n');
            }
        }
        StatusOutput::Table => {
            let titles = [
                "NUM FLOWS",
                "MAX FLOWS",
                "SEEN FLOWS",
                "FLOWS PER SECOND",
                "UPTIME",
                "NUM CONNECTED NODES",
                "NUM UNAVAILABLE NODES",
                "VERSION",
            ];
            let mut tabs = Tabs::default();
            for line in [titles.map(str::to_owned), values(status)] {
                let (last, rest) = line.split_last().expect("a line has eight cells");
                rest.iter().for_each(|cell| tabs.text(cell));
                tabs.last_cell(|out| put(out, last));
            }
            tabs.write(&mut text)?;
        }
    }
    Ok(text)
}

fn values(status: &ServerStatusResponse) -> [String; 8] {
    let count = |n: Option<u32>| n.map_or_else(|| "N/A".to_owned(), |n| n.to_string());
    [
        grouped(status.num_flows),
        grouped(status.max_flows),
        grouped(status.seen_flows),
        rate(status).unwrap_or_else(|| "N/A".to_owned()),
        format_span(status.uptime_ns),
        count(status.num_connected_nodes),
        count(status.num_unavailable_nodes),
        status.version.clone(),
    ]
}

fn rate(status: &ServerStatusResponse) -> Option<String> {
    let rate = status.flows_rate;
    (rate > 0.0).then(|| if rate.is_infinite() { "+Inf".to_owned() } else { format!("{rate:.2}") })
}

fn write_compact(out: &mut Vec<u8>, status: &ServerStatusResponse) -> std::io::Result<()> {
    let (num, max) = (grouped(status.num_flows), grouped(status.max_flows));
    write!(out, "Current/Max Flows: {num}/{max}")?;
    if status.max_flows > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let percent = status.num_flows as f64 / status.max_flows as f64 * 100.0;
        write!(out, " ({percent:.2}%)")?;
    }
    let uptime = Duration::from_nanos(status.uptime_ns).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let since_start = || (uptime > 0.0).then(|| format!("{:.2}", status.seen_flows as f64 / uptime));
    let rate = rate(status).or_else(since_start).unwrap_or_else(|| "N/A".to_owned());
    writeln!(out, "\nFlows/s: {rate}")?;
    if let Some(connected) = status.num_connected_nodes {
        write!(out, "Connected Nodes: {connected}")?;
        if let Some(unavailable) = status.num_unavailable_nodes {
            write!(out, "/{}", u64::from(connected) + u64::from(unavailable))?;
        }
        out.push(b'\n');
    }
    let unavailable = status.num_unavailable_nodes.unwrap_or(0);
    if unavailable > 0 {
        writeln!(out, "Unavailable Nodes: {unavailable}")?;
        let mut names = status.unavailable_nodes.clone();
        names.sort_unstable();
        for name in &names {
            out.extend_from_slice(b"  - ");
            put(out, name);
            out.push(b'\n');
        }
        let named = u32::try_from(names.len()).unwrap_or(u32::MAX);
        if named > 0 && unavailable > named {
            writeln!(out, "  - and {} more...", unavailable - named)?;
        }
    }
    Ok(())
}

/// A number with commas between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(status: &ServerStatusResponse, output: StatusOutput) -> String {
        String::from_utf8(render(status, output).unwrap()).unwrap()
    }

    fn relay() -> ServerStatusResponse {
        ServerStatusResponse {
            num_flows: 12_285,
            max_flows: 12_285,
            seen_flows: 2_771_542,
            uptime_ns: 3_723_000_000_000,
            num_connected_nodes: Some(3),
            num_unavailable_nodes: Some(2),
            unavailable_nodes: vec!["k9".to_owned()],
            version: "weir 0.1.0".to_owned(),
            flows_rate: 55.87,
        }
    }

    #[test]
    fn compact_status() {
        assert_eq!(
            text(&relay(), StatusOutput::Compact),
            "Current/Max Flows: 12,285/12,285 (100.00%)\nFlows/s: 55.87\nConnected Nodes: 3/5\n\
             Unavailable Nodes: 2\n  - k9\n  - and 1 more...\n"
        );
        let agent = ServerStatusResponse { seen_flows: 100, uptime_ns: 8_000_000_000, ..Default::default() };
        assert_eq!(text(&agent, StatusOutput::Compact), "Current/Max Flows: 0/0\nFlows/s: 12.50\n");
    }

    #[test]
    fn status_in_other_layouts() {
        assert_eq!(
            text(&relay(), StatusOutput::Dict),
            "          NUM FLOWS: 12,285\n          MAX FLOWS: 12,285\n         SEEN FLOWS: 2,771,542\n   \
             FLOWS PER SECOND: 55.87\n             UPTIME: 1h2m3s\nNUM CONNECTED NODES: 3\n NUM UNAVAIL. NODES: 2\n            \
             VERSION: weir 0.1.0\n"
        );
        assert_eq!(
            text(&relay(), StatusOutput::Json),
            "{\"num_flows\":\"12285\",\"max_flows\":\"12285\",\"seen_flows\":\"2771542\",\"uptime_ns\":\"3723000000000\",\
             \"num_connected_nodes\":3,\"num_unavailable_nodes\":2,\"unavailable_nodes\":[\"k9\"],\
             \"version\":\"weir 0.1.0\",\"flows_rate\":55.87}\n"
        );
        let table = text(&ServerStatusResponse::default(), StatusOutput::Table);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("NUM FLOWS   MAX FLOWS   SEEN FLOWS   FLOWS PER SECOND   UPTIME   NUM CONN"));
        assert!(lines[1].starts_with("0           0           0            N/A                0s       N/A "));
    }

    #[test]
    fn states_and_rates_of_strange_servers() {
        assert_eq!((told(2), told(77)), ("NOT_SERVING".to_owned(), "77".to_owned()));
        for (flows_rate, expected) in [(f64::INFINITY, Some("+Inf")), (1e3, Some("1000.00")), (-1.0, None)] {
            assert_eq!(rate(&ServerStatusResponse { flows_rate, ..relay() }).as_deref(), expected);
        }
    }

    #[test]
    fn digits_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
