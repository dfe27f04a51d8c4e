//! Flows of a file or a pipe, one JSON object a line.

mod judge;
mod lines;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use proto::filter::WireFilterSet;
use proto::observer::GetFlowsResponse;

use super::losses::Losses;
use super::query::Query;
use crate::cli::Given;
use crate::print::Printer;
use crate::settings::Settings;
use judge::{Block, Judge, Judged, Verdict, Worker};
use lines::{Line, Place, read_backward, read_forward, too_long};

/// Flows that `--last` holds at most, as in Hubble.
const LAST_MAX: u64 = 1_000_000;
/// Lines that cannot be understood are named up to this many; the rest is counted.
const COMPLAINTS_MAX: u64 = 5;
/// Of a larger file `--last` reads the end alone, and everything else is read by several threads.
const WHOLE_BYTES_MAX: u64 = 16 << 20;
/// Bytes that a thread takes at once.
const BLOCK_BYTES: usize = 1 << 20;
/// Threads that judge lines: the printer keeps up with no more.
const WORKERS_MAX: usize = 4;

/// Prints the flows of a file, or of standard input for `-`.
///
/// # Errors
/// The file cannot be read, a filter cannot be understood, or printing failed.
#[expect(clippy::too_many_arguments, reason = "what a run is made of, passed once")]
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
    let bare_flows = given.is_on("bare-flows", false);
    let judge = Judge { bare_flows, filters, rest: query.rest.clone(), selectors: selectors.clone() };
    let mut sieve = Sieve { judge: &judge, bare_seen: false, unknown_seen: false, refused: 0 };
    let whole = |file: &File| file.metadata().is_ok_and(|m| !m.is_file() || m.len() <= WHOLE_BYTES_MAX);
    let result = match &mut file {
        Some(file) if last > 0 && !whole(file) => read_tail(file, last, line_bytes_max, &mut sieve, printer, losses),
        Some(file) if last == 0 && !whole(file) => read_blocks(file, line_bytes_max, &mut sieve, printer, losses),
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
    let most = sieve.most();
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

/// Prints everything that passes of a large file, whose lines several threads judge.
fn read_blocks(
    file: &mut File,
    line_bytes_max: usize,
    sieve: &mut Sieve<'_>,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    let (most, judge) = (sieve.most(), sieve.judge);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    std::thread::scope(|scope| {
        let workers: Vec<Worker> = (0..threads).map(|_| Worker::start(scope, judge, line_bytes_max)).collect();
        // Blocks go round the threads, and come back in the same order.
        let (mut sent, mut received, mut passed) = (0usize, 0usize, 0u64);
        let mut blocks = Blocks { file, rest: Vec::new(), next_line: 1, line_bytes_max };
        let mut more = true;
        while more || received < sent {
            while more && sent - received < threads * 2 {
                match blocks.next()? {
                    Some(block) => {
                        workers[sent % threads].blocks.send(block).context("a thread ended early")?;
                        sent += 1;
                    }
                    None => more = false,
                }
            }
            if received == sent {
                break;
            }
            let judged = workers[received % threads].judged.recv().context("a thread ended early")?;
            received += 1;
            for line in judged {
                let (number, verdict) = line.map_err(|number| too_long(Place::Number(number), line_bytes_max))?;
                let Some(response) = sieve.take(verdict, Place::Number(number))? else { continue };
                show(&response, printer, losses)?;
                passed += 1;
                if most > 0 && passed == most {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

/// Cuts a file into blocks of whole lines.
struct Blocks<'a> {
    file: &'a mut File,
    /// Start of a line whose end has not been read yet.
    rest: Vec<u8>,
    next_line: u64,
    line_bytes_max: usize,
}

impl Blocks<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        let mut bytes = std::mem::take(&mut self.rest);
        let held = bytes.len();
        // One byte more than the longest line at least, so that each block ends a line or shows one that is too long.
        let wanted = BLOCK_BYTES.max(self.line_bytes_max.saturating_add(1));
        self.file.take(u64::try_from(wanted)?).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.len() > held
            && let Some(end) = memchr::memrchr(b'\n', &bytes)
        {
            self.rest = bytes.split_off(end + 1);
        }
        let first_line = self.next_line;
        self.next_line += u64::try_from(memchr::memchr_iter(b'\n', &bytes).count())?;
        Ok(Some(Block { bytes, first_line }))
    }
}

/// Prints the last ones that pass, which are known when the input ends.
#[expect(clippy::too_many_arguments, reason = "what a run is made of, passed once")]
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
#[expect(clippy::too_many_arguments, reason = "what a run is made of, passed once")]
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

/// Lets through what is asked for, and tells of damaged lines.
struct Sieve<'a> {
    judge: &'a Judge,
    bare_seen: bool,
    unknown_seen: bool,
    /// Lines that could not be understood.
    refused: u64,
}

impl Sieve<'_> {
    /// How many messages are enough; 0 for all.
    fn most(&self) -> u64 {
        let selectors = &self.judge.selectors;
        if selectors.first && selectors.number != u64::MAX { selectors.number } else { 0 }
    }

    fn pass(&mut self, line: &Line<'_>) -> Result<Option<GetFlowsResponse>> {
        let Line::Text { bytes, place } = line else { return Ok(None) };
        self.take(self.judge.judge(bytes), *place)
    }

    fn take(&mut self, verdict: Verdict, place: Place) -> Result<Option<GetFlowsResponse>> {
        if let Some(name) = verdict.unknown
            && !std::mem::replace(&mut self.unknown_seen, true)
        {
            crate::warn(&format!("unknown field detected at {place}: {name} is newer than this client and left out"))?;
        }
        if verdict.is_bare && !std::mem::replace(&mut self.bare_seen, true) {
            crate::warn(&format!(
                "unknown field detected: {place} is a flow without its envelope, as clients before 0.10 wrote them; \
                 --bare-flows reads those"
            ))?;
        }
        match verdict.judged {
            Judged::Passed(response) => Ok(Some(*response)),
            Judged::Blocked => Ok(None),
            Judged::Damaged(error) => {
                self.refused += 1;
                if self.refused <= COMPLAINTS_MAX {
                    crate::warn(&format!("{place} is not a flow and is left out: {error}"))?;
                }
                Ok(None)
            }
        }
    }

    /// How many lines were left out without naming each; of no interest where reading failed for another reason.
    fn complain_in_the_end(&self, read: bool) -> Result<()> {
        let more = self.refused.saturating_sub(COMPLAINTS_MAX);
        if more > 0 && read {
            crate::warn(&format!("{more} more lines are not flows and are left out"))?;
        }
        Ok(())
    }
}
