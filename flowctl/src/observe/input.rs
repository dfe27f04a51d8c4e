//! Flows of a file or a pipe, one JSON object a line.

mod lines;

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flow::filter::FilterSet;
use flow::{Flow, FlowFilter, Timestamp};
use proto::convert::time_from_wire;
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

use super::losses::Losses;
use super::query::Query;
use crate::event::Event;
use crate::print::Printer;
use lines::{Line, Place, read_backward, read_forward};

/// Flows that `--last` holds at most, as in Hubble.
const LAST_MAX: u64 = 1_000_000;
/// Lines that cannot be understood are named up to this many; the rest is counted.
const COMPLAINTS_MAX: u64 = 5;

/// Prints the flows of a file, or of standard input for `-`.
///
/// # Errors
/// The file cannot be read, a filter cannot be understood, or printing failed.
pub(super) fn read(path: &Path, query: &Query, printer: &mut Printer<'_>, losses: &mut Losses) -> Result<()> {
    let filters = FilterSet::compile(&query.whitelist, &query.blacklist)?;
    let mut sieve =
        Sieve { query, filters, others_pass: others_pass(query)?, wants_wire: printer.wants_wire(), refused: 0 };
    let last = if query.first || query.number == u64::MAX { 0 } else { query.number };
    if last > LAST_MAX {
        bail!("--last must be <= 1_000_000, got {last}: use --all and `tail`, or read a part with --since");
    }
    let stdin = path == Path::new("-");
    if stdin {
        let mut input = std::io::stdin().lock();
        if last > 0 {
            read_last(&mut input, last, &mut sieve, printer, losses)
        } else {
            read_all(&mut input, &mut sieve, printer, losses)
        }?;
    } else {
        let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        match last {
            0 => read_all(&mut file, &mut sieve, printer, losses),
            _ if is_file => read_tail(&mut file, last, &mut sieve, printer, losses),
            _ => read_last(&mut file, last, &mut sieve, printer, losses),
        }
        .with_context(|| format!("cannot read {}", path.display()))?;
    }
    sieve.complain_in_the_end(printer)
}

/// A line that passed, as the printer wants it.
enum Passed {
    Wire(Box<GetFlowsResponse>),
    Event(Event),
}

impl Passed {
    fn print(&self, printer: &mut Printer<'_>, losses: &mut Losses) -> Result<()> {
        match self {
            Self::Wire(response) => {
                losses.count_wire(response);
                printer.print_wire(response)?;
            }
            Self::Event(event) => {
                losses.count(event);
                printer.print(event)?;
            }
        }
        Ok(())
    }
}

/// Forward, printing as it comes, until the end or `--first` is reached.
fn read_all(
    input: &mut impl Read,
    sieve: &mut Sieve<'_>,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    let mut left = if sieve.query.first { sieve.query.number } else { u64::MAX };
    read_forward(input, |line| {
        match line {
            Line::Pause => printer.flush()?,
            line => {
                if let Some(passed) = sieve.pass(&line, printer)? {
                    passed.print(printer, losses)?;
                    left -= 1;
                }
            }
        }
        Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
}

/// Forward through something that has no end to start from.
fn read_last(
    input: &mut impl Read,
    last: u64,
    sieve: &mut Sieve<'_>,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    let last = usize::try_from(last).expect("at most a million");
    let mut newest = VecDeque::new();
    read_forward(input, |line| {
        if let Some(passed) = sieve.pass(&line, printer)? {
            if newest.len() == last {
                newest.pop_front();
            }
            newest.push_back(passed);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    newest.iter().try_for_each(|passed| passed.print(printer, losses))
}

/// From the end of a file, which spares reading all of it.
fn read_tail(
    file: &mut File,
    last: u64,
    sieve: &mut Sieve<'_>,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    let last = usize::try_from(last).expect("at most a million");
    let mut newest_first = Vec::new();
    read_backward(file, |line| {
        if let Some(passed) = sieve.pass(&line, printer)? {
            newest_first.push(passed);
        }
        Ok(if newest_first.len() == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    newest_first.iter().rev().try_for_each(|passed| passed.print(printer, losses))
}

/// Whether what is no flow passes the filters: as in Hubble, it is like a flow without any fields, save that no verdict
/// and no IP version matches it.
fn others_pass(query: &Query) -> Result<bool> {
    let may_match = |filter: &&FlowFilter| filter.verdict.is_empty() && filter.ip_version.is_empty();
    let [whitelist, blacklist] = [&query.whitelist, &query.blacklist]
        .map(|filters| filters.iter().filter(may_match).cloned().collect::<Vec<_>>());
    let hopeless = whitelist.is_empty() && !query.whitelist.is_empty();
    Ok(!hopeless && FilterSet::compile(&whitelist, &blacklist)?.matches(&Flow::default()))
}

/// Lets through what is asked for.
struct Sieve<'a> {
    query: &'a Query,
    filters: FilterSet,
    /// Whether losses and news about nodes pass, which have none of a flow's fields.
    others_pass: bool,
    wants_wire: bool,
    /// Lines that could not be understood.
    refused: u64,
}

impl Sieve<'_> {
    fn pass(&mut self, line: &Line<'_>, printer: &mut Printer<'_>) -> Result<Option<Passed>> {
        let (bytes, place) = match line {
            Line::Pause => return Ok(None),
            Line::TooLong { place } => {
                return self.complain(printer, *place, "it is longer than any flow").map(|()| None);
            }
            Line::Text { bytes, place } => (bytes, place),
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let read = std::str::from_utf8(bytes)
            .map_err(anyhow::Error::from)
            .and_then(|text| proto::json::from_line(text).map_err(anyhow::Error::from));
        let response = match read {
            Ok(response) => response,
            Err(error) => return self.complain(printer, *place, &format!("{error:#}")).map(|()| None),
        };
        Ok(if self.is_in_time(&response) { self.filter(response) } else { None })
    }

    /// A message without a time counts as one of 1970, as in Hubble.
    fn is_in_time(&self, response: &GetFlowsResponse) -> bool {
        if self.query.since.is_none() && self.query.until.is_none() {
            return true;
        }
        let time = response.time.map_or(Timestamp(0), time_from_wire);
        self.query.since.is_none_or(|since| since <= time) && self.query.until.is_none_or(|until| time <= until)
    }

    fn filter(&self, response: GetFlowsResponse) -> Option<Passed> {
        if self.filters.passes_everything() {
            return Some(self.passed(response));
        }
        if !matches!(response.response_types, Some(ResponseTypes::Flow(_))) {
            return self.others_pass.then(|| self.passed(response));
        }
        let kept = self.wants_wire.then(|| response.clone());
        let event = Event::from_wire(response);
        let matches = matches!(&event, Event::Flow { flow, .. } if self.filters.matches(flow));
        matches.then(|| kept.map_or(Passed::Event(event), |response| Passed::Wire(Box::new(response))))
    }

    fn passed(&self, response: GetFlowsResponse) -> Passed {
        if self.wants_wire { Passed::Wire(Box::new(response)) } else { Passed::Event(Event::from_wire(response)) }
    }

    fn complain(&mut self, printer: &mut Printer<'_>, place: Place, why: &str) -> Result<()> {
        self.refused += 1;
        if self.refused <= COMPLAINTS_MAX {
            writeln!(printer.warnings(), "flowctl: {place} is not a flow and is left out: {why}")?;
        }
        Ok(())
    }

    fn complain_in_the_end(&self, printer: &mut Printer<'_>) -> Result<()> {
        let more = self.refused.saturating_sub(COMPLAINTS_MAX);
        if more > 0 {
            writeln!(printer.warnings(), "flowctl: {more} more lines are not flows and are left out")?;
        }
        Ok(())
    }
}
