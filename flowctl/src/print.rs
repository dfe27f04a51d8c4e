//! Flows, losses and news about nodes as text, in Hubble's layouts.

mod compact;
mod dict;
mod escape;
mod news;
mod paint;
mod parts;
mod table;
mod tabs;
mod wide;

use std::io::{self, Write};

use flow::text::Names;
use proto::observer::GetFlowsResponse;

pub(crate) use escape::put;
pub(crate) use paint::Paint;
pub(crate) use tabs::Tabs;

use crate::event::Event;
use crate::moments::TimeLayout;
use wide::Wide;

/// Layout of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// One line a flow.
    Compact,
    /// A block of `KEY: value` lines a flow.
    Dict,
    /// One JSON object a line.
    Json,
    /// Columns as wide as the longest value; printed at the end.
    Table,
    /// Columns with what Hubble has no field for; printed as flows come.
    Wide,
}

/// How values are shown.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) time: TimeLayout,
    pub(crate) names: Names,
    pub(crate) paint: Paint,
    /// Whether to show the observing node.
    pub(crate) node_name: bool,
    /// Whether to show which policies allowed or denied.
    pub(crate) policy_names: bool,
    /// Whether to show news that need no action.
    pub(crate) debug: bool,
}

/// Prints events in one layout.
pub(crate) struct Printer<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    output: Output,
    style: Style,
    /// Flows and losses printed, for the layouts in which the first one is special.
    lines: u64,
    tabs: Tabs,
    wide: Wide,
    /// Kept between lines, so that none is allocated for each.
    line: Vec<u8>,
}

impl<'a> Printer<'a> {
    /// Prints flows and losses to `out`, news about nodes to `err`.
    pub(crate) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, output: Output, style: Style) -> Self {
        let columns = 6 + usize::from(style.node_name);
        Self { out, err, output, style, lines: 0, tabs: Tabs::new(columns), wide: Wide::default(), line: Vec::new() }
    }

    /// Whether [`Printer::print_wire`] is the one to call.
    pub(crate) fn wants_wire(&self) -> bool {
        self.output == Output::Json
    }

    /// Prints a message as JSON.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn print_wire(&mut self, response: &GetFlowsResponse) -> io::Result<()> {
        use proto::observer::get_flows_response::ResponseTypes;
        let mut line = proto::json::to_line(response);
        line.push('\n');
        match &response.response_types {
            None => Ok(()),
            Some(ResponseTypes::NodeStatus(status)) => {
                if self.style.debug || news::is_alarming(flow::NodeState(status.state_change)) {
                    self.err.write_all(line.as_bytes())?;
                }
                Ok(())
            }
            Some(_) => self.out.write_all(line.as_bytes()),
        }
    }

    /// Prints an event.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn print(&mut self, event: &Event) -> io::Result<()> {
        self.line.clear();
        match event {
            Event::Unknown => return Ok(()),
            Event::Nodes { news, node, time } => {
                if !self.style.debug && !news::is_alarming(news.state) {
                    return Ok(());
                }
                if self.output == Output::Dict {
                    news::write_dict(&mut self.line, news, self.style.time.text(*time), self.lines > 0);
                    self.lines += u64::from(self.lines == 0);
                } else {
                    news::write_line(&mut self.line, news, node, &self.style.time.text(*time));
                }
                return self.err.write_all(&self.line);
            }
            Event::Flow { flow, time } => {
                let shown = parts::Shown { flow, time: *time, style: &self.style };
                match self.output {
                    Output::Compact | Output::Json => compact::write_flow(&mut self.line, &shown),
                    Output::Dict => dict::write_flow(&mut self.line, &shown, self.lines == 0),
                    Output::Table => table::add_flow(&mut self.tabs, &shown, self.lines == 0),
                    Output::Wide => self.wide.write_flow(&mut self.line, &shown, self.lines == 0),
                }
            }
            Event::Lost { lost, node, time } => {
                let shown = parts::ShownLoss { lost, node, time: *time, style: &self.style };
                match self.output {
                    Output::Compact | Output::Json | Output::Wide => compact::write_loss(&mut self.line, &shown),
                    Output::Dict => dict::write_loss(&mut self.line, &shown, self.lines == 0),
                    Output::Table => table::add_loss(&mut self.tabs, &shown, self.lines == 0),
                }
            }
        }
        self.lines += 1;
        self.out.write_all(&self.line)
    }

    /// Where to warn of what cannot be printed.
    pub(crate) fn warnings(&mut self) -> &mut dyn Write {
        self.err
    }

    /// Hands everything printed so far to the reader; a table waits for [`Printer::finish`].
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Prints what waits for the end.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.tabs.write(self.out)?;
        self.out.flush()
    }
}
