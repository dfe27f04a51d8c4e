//! Flows, losses, events and news about nodes as text, in Hubble's layouts.

mod compact;
mod counts;
mod dict;
mod escape;
mod events;
mod format;
mod news;
mod paint;
mod parts;
mod table;
mod tabs;
mod wide;

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use flow::NodeState;
use prost_types::Timestamp;
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::{GetAgentEventsResponse, GetDebugEventsResponse, GetFlowsResponse};
use proto::relay::NodeStatusEvent;

pub(crate) use counts::{Counting, Counts};
pub(crate) use escape::{Escape, put};
pub(crate) use format::{Format, MASKED_FIELDS};
pub(crate) use paint::Paint;
pub(crate) use tabs::Tabs;

use crate::moments::TimeLayout;
use crate::rows::{RowFormat, RowWriter};
use events::ShownEvent;
use format::put_json;
use wide::Wide;

/// News about nodes in words, if they call for attention.
pub(crate) fn node_news(status: &NodeStatusEvent) -> Option<String> {
    news::is_alarming(NodeState(status.state_change)).then(|| news::text(status))
}

/// Layout of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// One line a flow.
    Compact,
    /// A block of `KEY: value` lines a flow.
    Dict,
    /// One JSON object a line.
    Json,
    /// One JSON object a line, without the envelope.
    LegacyJson,
    /// Columns as wide as the longest value; printed at the end.
    Table,
    /// Columns with what Hubble has no field for; printed as flows come.
    Wide,
    /// No flows: what they come to, by group or by second.
    Counts,
    /// Rows of the flow table, for other programs.
    Rows(RowFormat),
}

/// How values are shown.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) time: TimeLayout,
    /// Whether to show names in place of addresses.
    pub(crate) resolve_names: bool,
    pub(crate) paint: Paint,
    /// Whether to show the observing node.
    pub(crate) node_name: bool,
    /// Whether to show which policies allowed or denied.
    pub(crate) policy_names: bool,
    /// Whether to show news that need no action.
    pub(crate) debug: bool,
    /// Whether flows carry what Hubble has no field for, and it is to be shown.
    pub(crate) details: bool,
}

/// Prints events in one layout.
pub(crate) struct Printer<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    format: Format,
    escape_err: Escape,
    /// Flows and losses printed, for the layouts in which the first one is special.
    lines: u64,
    tabs: Tabs,
    wide: Wide,
    counts: Option<Counts>,
    rows: Option<RowWriter>,
    /// Kept between lines, so that none is allocated for each.
    line: Vec<u8>,
}

impl<'a> Printer<'a> {
    /// Prints flows and losses to `out`, news about nodes to `err`.
    ///
    /// # Errors
    /// Rows cannot be begun.
    pub(crate) fn new(
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        output: Output,
        style: Style,
    ) -> anyhow::Result<Self> {
        // Columns are counted in characters, so they cannot be coloured.
        let paint = if matches!(output, Output::Table | Output::Wide) { Paint::OFF } else { style.paint };
        let terminal = io::stdout().is_terminal();
        let rows = match output {
            Output::Rows(format) => Some(RowWriter::new(format, terminal.then_some(Escape::All))?),
            _ => None,
        };
        let escape = |terminal: bool| {
            if terminal || output == Output::Wide { Escape::All } else { Escape::Some(paint) }
        };
        Ok(Self {
            out,
            err,
            escape_err: escape(io::stderr().is_terminal()),
            format: Format { output, style, paint, escape: escape(terminal) },
            lines: 0,
            tabs: Tabs::default(),
            wide: Wide::default(),
            counts: None,
            rows,
            line: Vec::new(),
        })
    }

    /// Counts flows in place of printing them.
    pub(crate) fn counting(self, counting: Option<Counting>) -> Self {
        Self { counts: counting.map(Counts::new), ..self }
    }

    /// How often [`Self::tick`] is to be called; `None` for never.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.counts.as_ref().and_then(Counts::interval)
    }

    /// Prints what came since the last time, `elapsed` ago.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn tick(&mut self, now: Timestamp, elapsed: Duration) -> io::Result<()> {
        if let Some(counts) = &mut self.counts {
            counts.tick(now, elapsed, self.out)?;
        }
        self.out.flush()
    }

    /// Prints a message.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn print(&mut self, response: &GetFlowsResponse) -> io::Result<()> {
        self.line.clear();
        if let Some(counts) = &mut self.counts {
            match &response.response_types {
                Some(ResponseTypes::Flow(flow)) => return counts.add(flow, self.out),
                Some(ResponseTypes::LostEvents(lost)) => counts.add_lost(lost.num_events_lost),
                Some(ResponseTypes::NodeStatus(_)) | None => {}
            }
        }
        match &response.response_types {
            // A kind of message that this version does not know.
            None => return Ok(()),
            Some(ResponseTypes::NodeStatus(status)) => return self.print_news(response, status),
            Some(ResponseTypes::Flow(flow)) => {
                if let Some(rows) = &mut self.rows {
                    self.lines += 1;
                    return rows.push(&proto::convert::flow_from_wire(flow.clone()), self.out);
                }
                if self.format.write_flow(&mut self.line, response, flow) {
                    let line = std::mem::take(&mut self.line);
                    let printed = self.print_flows(&line, 1);
                    self.line = line;
                    return printed;
                }
                let Format { output, style, paint, escape } = &self.format;
                let shown = parts::Shown { flow, style, paint: *paint, escape: *escape };
                if *output == Output::Wide {
                    self.wide.write_flow(&mut self.line, &shown, self.lines == 0);
                } else {
                    table::add_flow(&mut self.tabs, &shown, self.lines == 0);
                }
            }
            Some(ResponseTypes::LostEvents(lost)) => {
                let shown = parts::ShownLoss {
                    lost,
                    node: &response.node_name,
                    time: response.time,
                    style: &self.format.style,
                };
                match self.format.output {
                    // A loss is no row.
                    Output::Rows(_) => {
                        compact::write_loss(&mut self.line, &shown);
                        self.out.flush()?;
                        return self.err.write_all(&self.line);
                    }
                    Output::Compact | Output::Wide => compact::write_loss(&mut self.line, &shown),
                    Output::Dict => dict::write_loss(&mut self.line, &shown, self.format.escape, self.lines == 0),
                    Output::Table => table::add_loss(&mut self.tabs, &shown, self.format.escape, self.lines == 0),
                    Output::Json => put_json(&mut self.line, &proto::json::to_line(response)),
                    Output::LegacyJson => put_json(&mut self.line, &proto::json::to_json(lost)),
                    Output::Counts => return Ok(()),
                }
            }
        }
        self.lines += 1;
        self.out.write_all(&self.line)
    }

    /// How flows become text, for other threads; what they write goes to [`Printer::print_flows`].
    pub(crate) fn format(&self) -> &Format {
        &self.format
    }

    /// Prints flows that [`Format::write_flow`] wrote.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn print_flows(&mut self, text: &[u8], flows: u64) -> io::Result<()> {
        let first = self.lines == 0;
        self.lines += flows;
        let text = if first { text.strip_prefix(self.format.separator()).unwrap_or(text) } else { text };
        self.out.write_all(text)
    }

    fn print_news(&mut self, response: &GetFlowsResponse, status: &NodeStatusEvent) -> io::Result<()> {
        if !self.format.style.debug && !news::is_alarming(NodeState(status.state_change)) {
            return Ok(());
        }
        let time = self.format.style.time.text(response.time);
        match self.format.output {
            Output::Json => put_json(&mut self.line, &proto::json::to_line(response)),
            Output::LegacyJson => return Ok(()),
            Output::Dict => {
                news::write_dict(&mut self.line, status, &time, self.escape_err, self.lines > 0);
                self.lines = self.lines.max(1);
            }
            Output::Compact | Output::Table | Output::Wide | Output::Counts | Output::Rows(_) => {
                news::write_line(&mut self.line, status, &response.node_name, &time, self.escape_err);
            }
        }
        // Both may lead to one terminal or file, where what came first is first.
        self.out.flush()?;
        self.err.write_all(&self.line)
    }

    /// Prints an event of an agent.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn print_agent_event(&mut self, response: &GetAgentEventsResponse) -> io::Result<()> {
        let Some(event) = &response.agent_event else { return Err(io::Error::other("not an agent event")) };
        match self.format.output {
            Output::Json => self.print_json(&proto::json::to_json(response)),
            Output::LegacyJson => self.print_json(&proto::json::to_json(event)),
            _ => self.print_event(&events::agent(event, response.time, self.format.style.time), &response.node_name),
        }
    }

    /// Prints a debug message of the datapath.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn print_debug_event(&mut self, response: &GetDebugEventsResponse) -> io::Result<()> {
        let Some(event) = &response.debug_event else { return Err(io::Error::other("not a debug event")) };
        match self.format.output {
            Output::Json => self.print_json(&proto::json::to_json(response)),
            Output::LegacyJson => self.print_json(&proto::json::to_json(event)),
            _ => self.print_event(&events::debug(event, response.time, self.format.style.time), &response.node_name),
        }
    }

    fn print_json(&mut self, json: &str) -> io::Result<()> {
        self.line.clear();
        put_json(&mut self.line, json);
        self.out.write_all(&self.line)
    }

    fn print_event(&mut self, event: &ShownEvent, node: &str) -> io::Result<()> {
        self.line.clear();
        let (escape, first) = (self.format.escape, self.lines == 0);
        let node = self.format.style.node_name.then_some(node);
        match self.format.output {
            Output::Dict => {
                // The stock client ends this separator without a line end.
                if !first {
                    self.line.extend_from_slice(dict::SEPARATOR);
                }
                let mut block = |key: &str, value: &str| {
                    escape.put(&mut self.line, &format!("{key:>11}: {value}"));
                    self.line.push(b'\n');
                };
                block("TIMESTAMP", &event.time);
                node.into_iter().for_each(|node| block("NODE", node));
                for key in event.keys {
                    if let Some((.., value)) = event.parts.iter().find(|(k, ..)| k == key) {
                        block(key, value);
                    }
                }
            }
            Output::Table => {
                let columns: Vec<_> = event.parts.iter().filter(|(_, title, _)| *title != "\0").collect();
                let cells = |lead: &str, node: Option<&str>, rest: Vec<&str>, tabs: &mut Tabs| {
                    let all: Vec<&str> = [lead].into_iter().chain(node).chain(rest).collect();
                    let (last, others) = all.split_last().expect("the time is always there");
                    others.iter().for_each(|cell| tabs.cell(|out| escape.put(out, cell)));
                    tabs.last_cell(|out| escape.put(out, last));
                };
                if first {
                    let titles = columns.iter().map(|(_, title, _)| *title).collect();
                    cells("TIMESTAMP", node.map(|_| "NODE"), titles, &mut self.tabs);
                }
                cells(&event.time, node, columns.iter().map(|(.., v)| v.as_str()).collect(), &mut self.tabs);
            }
            _ => {
                let node = node.map_or_else(String::new, |node| format!(" [{node}]"));
                escape.put(&mut self.line, &format!("{}{node}: {}", event.time, event.line));
                self.line.push(b'\n');
            }
        }
        self.lines += 1;
        self.out.write_all(&self.line)
    }

    /// Hands everything printed so far to the reader; a table waits for [`Printer::finish`].
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(rows) = &mut self.rows {
            rows.flush(self.out)?;
        }
        self.out.flush()
    }

    /// Prints what waits for the end.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.tabs.write(self.out)?;
        if let Some(counts) = &mut self.counts {
            counts.finish(self.out)?;
        }
        if let Some(rows) = &mut self.rows {
            rows.finish(self.out)?;
        }
        self.out.flush()
    }
}

/// A path without doubled slashes and without the parts `.` and `..`, as Go's `path.Clean` makes it.
pub(crate) fn clean_path(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&"..") | None if !rooted => parts.push(".."),
                _ => drop(parts.pop()),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_what_they_can_do_without() {
        for (path, clean) in [
            ("a/b", "a/b"),
            ("a//b/./c/..", "a/b"),
            ("/..//a", "/a"),
            ("../a", "../a"),
            ("a/../..", ".."),
            ("", "."),
            ("/", "/"),
        ] {
            assert_eq!(clean_path(path), clean);
        }
    }
}
