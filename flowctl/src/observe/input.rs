//! Flows of a file or a pipe, one JSON object a line.

mod lines;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use prost_types::Timestamp;
use proto::filter::WireFilterSet;
use proto::observer::GetFlowsResponse;

use super::losses::Losses;
use super::query::Query;
use crate::cli::Given;
use crate::moments::order;
use crate::print::Printer;
use crate::settings::Settings;
use lines::{Line, Place, read_backward, read_forward};

/// Flows that `--last` holds at most, as in Hubble.
const LAST_MAX: u64 = 1_000_000;
/// Lines that cannot be understood are named up to this many; the rest is counted.
const COMPLAINTS_MAX: u64 = 5;
/// Of a larger file `--last` reads the end alone.
const WHOLE_BYTES_MAX: u64 = 16 << 20;

/// Prints the flows of a file, or of standard input for `-`.
///
/// # Errors
/// The file cannot be read, a filter cannot be understood, or printing failed.
pub(super) fn read(
    path: &str,
    given: &Given,
    settings: &Settings,
    query: &Query,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    if settings.is_on("port-forward") {
        bail!("cannot use --input-file and --auto-port-forward together");
    }
    let mut file = match path {
        "-" => None,
        path => Some(File::open(path).with_context(|| format!("open {path}"))?),
    };
    let filters = WireFilterSet::compile(&query.whitelist, &query.blacklist)?;
    let selectors = &query.selectors;
    let last = if selectors.first || selectors.number == u64::MAX { 0 } else { selectors.number };
    if last > LAST_MAX {
        bail!("--last must be <= 1_000_000, got {last}: use --all and `tail`, or read a part with --since");
    }
    let line_bytes_max = usize::try_from(given.number("line-bytes-max", LINE_BYTES_MAX)).unwrap_or(usize::MAX);
    let mut sieve = Sieve {
        query,
        bare_flows: given.is_on("bare-flows", false),
        bare_seen: false,
        unknown_seen: false,
        filters,
        refused: 0,
    };
    let whole = |file: &File| file.metadata().is_ok_and(|m| !m.is_file() || m.len() <= WHOLE_BYTES_MAX);
    let result = match &mut file {
        Some(file) if last > 0 && !whole(file) => read_tail(file, last, line_bytes_max, &mut sieve, printer, losses),
        file => {
            let mut stdin;
            let input: &mut dyn Read = match file {
                Some(file) => file,
                None => {
                    stdin = std::io::stdin().lock();
                    &mut stdin
                }
            };
            match last {
                0 => read_all(input, line_bytes_max, &mut sieve, printer, losses),
                _ => read_last(input, last, line_bytes_max, &mut sieve, printer, losses),
            }
        }
    };
    sieve.complain_in_the_end(result.is_ok())?;
    result.with_context(|| format!("cannot read {path}"))
}

/// Longest line where nothing else is asked for: that of the stock client.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Prints everything that passes, as it comes.
fn read_all(
    input: &mut dyn Read,
    line_bytes_max: usize,
    sieve: &mut Sieve<'_>,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    let selectors = &sieve.query.selectors;
    let most = if selectors.first && selectors.number != u64::MAX { selectors.number } else { 0 };
    let mut passed = 0;
    read_forward(input, line_bytes_max, |line| {
        if line == Line::Pause {
            printer.flush()?;
        } else if let Some(response) = sieve.pass(&line)? {
            losses.count(&response);
            printer.print(&response)?;
            passed += 1;
        }
        Ok(if most > 0 && passed == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
}

/// Prints the last ones that pass, which are known when the input ends.
fn read_last(
    input: &mut dyn Read,
    last: u64,
    line_bytes_max: usize,
    sieve: &mut Sieve<'_>,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    let last = usize::try_from(last).expect("at most a million");
    let mut held = VecDeque::with_capacity(last.min(1024));
    read_forward(input, line_bytes_max, |line| {
        if let Some(response) = sieve.pass(&line)? {
            if held.len() == last {
                held.pop_front();
            }
            held.push_back(response);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    held.iter().try_for_each(|response| show(response, printer, losses))
}

/// Prints the last ones that pass from the end of a file, without reading what comes before as flows.
fn read_tail(
    file: &mut File,
    last: u64,
    line_bytes_max: usize,
    sieve: &mut Sieve<'_>,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    lines::check_lengths(file, line_bytes_max)?;
    file.seek(SeekFrom::Start(0))?;
    let last = usize::try_from(last).expect("at most a million");
    let mut newest_first = Vec::new();
    read_backward(file, line_bytes_max, |line| {
        if let Some(response) = sieve.pass(&line)? {
            newest_first.push(response);
        }
        Ok(if newest_first.len() == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    newest_first.iter().rev().try_for_each(|response| show(response, printer, losses))
}

fn show(response: &GetFlowsResponse, printer: &mut Printer<'_>, losses: &mut Losses) -> Result<()> {
    losses.count(response);
    Ok(printer.print(response)?)
}

/// Lets through what is asked for.
struct Sieve<'a> {
    query: &'a Query,
    /// Whether a flow without its envelope is a flow.
    bare_flows: bool,
    bare_seen: bool,
    unknown_seen: bool,
    filters: WireFilterSet,
    /// Lines that could not be understood.
    refused: u64,
}

impl Sieve<'_> {
    fn pass(&mut self, line: &Line<'_>) -> Result<Option<GetFlowsResponse>> {
        let Line::Text { bytes, place } = line else { return Ok(None) };
        let line = match proto::json::line_from_bytes(bytes) {
            Ok(line) => line,
            Err(error) => return self.complain(*place, &error).map(|()| None),
        };
        if let Some(name) = line.unknown.filter(|_| !line.holds_bare_flow)
            && !std::mem::replace(&mut self.unknown_seen, true)
        {
            warn(&format!("unknown field detected at {place}: {name} is newer than this client and left out"))?;
        }
        let response = match line.holds_bare_flow {
            true if self.bare_flows => match proto::json::bare_flow_from_bytes(bytes) {
                Ok(response) => response,
                Err(error) => return self.complain(*place, &error).map(|()| None),
            },
            bare => {
                if bare && !std::mem::replace(&mut self.bare_seen, true) {
                    warn(&format!(
                        "unknown field detected: {place} is a flow without its envelope, as clients before 0.10 wrote \
                         them; --bare-flows reads those"
                    ))?;
                }
                line.response
            }
        };
        Ok((self.is_in_time(&response) && self.filters.matches(&response)).then_some(response))
    }

    /// A message without a time counts as one of 1970, as in Hubble.
    fn is_in_time(&self, response: &GetFlowsResponse) -> bool {
        let (since, until) = (self.query.selectors.since, self.query.selectors.until);
        if since.is_none() && until.is_none() {
            return true;
        }
        let time: Timestamp = response.time.unwrap_or_default();
        since.is_none_or(|since| order(since, time).is_le()) && until.is_none_or(|until| order(time, until).is_le())
    }

    fn complain(&mut self, place: Place, why: &dyn std::fmt::Display) -> Result<()> {
        self.refused += 1;
        if self.refused <= COMPLAINTS_MAX {
            warn(&format!("{place} is not a flow and is left out: {why}"))?;
        }
        Ok(())
    }

    /// How many lines were left out without naming each; of no interest where reading failed for another reason.
    fn complain_in_the_end(&self, read: bool) -> Result<()> {
        let more = self.refused.saturating_sub(COMPLAINTS_MAX);
        if more > 0 && read {
            warn(&format!("{more} more lines are not flows and are left out"))?;
        }
        Ok(())
    }
}

/// Tells of a damaged line; `--silent-errors` is about nodes alone, as in Hubble.
fn warn(text: &str) -> Result<()> {
    crate::warn(text)
}
