//! Columns with what Hubble has no field for, printed as flows come.

use std::fmt::Write as _;

use flow::text::Side;
use flow::{FlowDetails, KernelDrop, Process};

use super::parts::Shown;
use super::put;

/// Title of each column, its narrowest width, and whether it holds numbers.
///
/// A column grows when a longer value comes and never shrinks, so that flows can be followed.
const COLUMNS: [(&str, usize, bool); 11] = [
    ("TIMESTAMP", 19, false),
    ("NODE", 10, false),
    ("SOURCE", 30, false),
    ("DESTINATION", 30, false),
    ("TYPE", 15, false),
    ("VERDICT", 9, false),
    ("BYTES", 7, true),
    ("PACKETS", 7, true),
    ("RTT", 8, true),
    ("PROCESS", 24, false),
    ("DROPPED BY", 30, false),
];
/// A value longer than this shifts its line instead of widening all lines that follow.
const WIDEST: usize = 60;

/// Widths of the columns so far.
#[derive(Debug)]
pub(super) struct Wide {
    widths: [usize; COLUMNS.len()],
}

impl Default for Wide {
    fn default() -> Self {
        Self { widths: COLUMNS.map(|(title, width, _)| width.max(title.len())) }
    }
}

impl Wide {
    /// Writes a flow; the first line is preceded by the header.
    pub(super) fn write_flow(&mut self, out: &mut Vec<u8>, shown: &Shown<'_>, first: bool) {
        if first {
            self.write_cells(out, &COLUMNS.map(|(title, ..)| title.to_owned()));
            out.extend_from_slice(b"SUMMARY\n");
        }
        let flow = proto::convert::flow_from_wire(shown.flow.clone());
        let none = FlowDetails::default();
        let details = flow.details.as_deref().unwrap_or(&none);
        let number = |n: u64| if n == 0 { "-".to_owned() } else { n.to_string() };
        self.write_cells(
            out,
            &[
                shown.style.time.text(shown.flow.time),
                cell(|out| put(out, &flow.node_name)),
                cell(|out| shown.host(out, Side::Source)),
                cell(|out| shown.host(out, Side::Destination)),
                cell(|out| shown.kind(out)),
                cell(|out| shown.verdict(out)),
                number(details.bytes),
                number(details.packets),
                round_trip(details.rtt_us),
                processes(details),
                details.kernel_drop.as_deref().map_or_else(|| "-".to_owned(), dropped_by),
            ],
        );
        shown.summary(out);
        out.push(b'\n');
    }

    fn write_cells(&mut self, out: &mut Vec<u8>, cells: &[String; COLUMNS.len()]) {
        for ((text, width), (_, _, numeric)) in cells.iter().zip(&mut self.widths).zip(COLUMNS) {
            let length = text.chars().count();
            *width = (*width).max(length.min(WIDEST));
            let padding = " ".repeat(width.saturating_sub(length));
            let (before, after) = if numeric { (padding.as_str(), "") } else { ("", padding.as_str()) };
            for part in [before, text, after, "  "] {
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
}

fn cell(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Microseconds in a unit that leaves few digits.
fn round_trip(rtt_us: u32) -> String {
    match rtt_us {
        0 => "-".to_owned(),
        1..1_000 => format!("{rtt_us}\u{b5}s"),
        1_000..1_000_000 => format!("{:.1}ms", f64::from(rtt_us) / 1e3),
        _ => format!("{:.1}s", f64::from(rtt_us) / 1e6),
    }
}

/// `curl(812) -> nginx(77)`; a side that is not on the node is left out.
fn processes(details: &FlowDetails) -> String {
    let name = |process: &Process| {
        let mut text = cell(|out| put(out, &process.comm));
        write!(text, "({})", process.pid).expect("writing to memory cannot fail");
        text
    };
    match (details.source_process.as_deref(), details.destination_process.as_deref()) {
        (Some(source), Some(destination)) => format!("{} -> {}", name(source), name(destination)),
        (Some(source), None) => format!("{} ->", name(source)),
        (None, Some(destination)) => format!("-> {}", name(destination)),
        (None, None) => "-".to_owned(),
    }
}

/// The kernel's reason and where it was.
fn dropped_by(drop: &KernelDrop) -> String {
    cell(|out| {
        put(out, &drop.reason);
        for (before, text) in [(" in ", &drop.function), (" of ", &drop.netns)] {
            if !text.is_empty() {
                put(out, before);
                put(out, text);
            }
        }
    })
}
