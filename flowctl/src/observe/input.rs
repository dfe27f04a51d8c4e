//! Flows of files and pipes: lines of JSON, or rows of the flow table, packed or not.

mod blocks;
mod judge;
mod lines;
mod lz4;
mod open;
mod progress;
mod sink;
mod sources;

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use proto::convert::{Details, flow_response, flow_to_wire};
use proto::filter::WireFilterSet;

use super::losses::Losses;
use super::query::Query;
use crate::cli::Given;
use crate::print::Printer;
use crate::rows::{Found, RowFormat, read_flows};
use crate::settings::Settings;
use blocks::read_blocks;
use judge::{Judge, Judged};
use lines::{Line, Place, read_backward, read_forward};
use open::Opened;
use sink::{Complaints, Held, Last, Sink};
use sources::Source;

/// Flows that `--last` holds at most, as in Hubble.
const LAST_MAX: u64 = 1_000_000;
/// Of a larger file `--last` reads the end alone, and everything else is read by several threads.
const WHOLE_BYTES_MAX: u64 = 16 << 20;

/// Prints the flows of files, or of standard input for `-`.
///
/// # Errors
/// A file cannot be read, a filter cannot be understood, or printing failed.
#[expect(clippy::too_many_arguments, reason = "what a run is made of, passed once")]
pub(super) fn read(
    paths: &[&str],
    given: &Given,
    settings: &Settings,
    query: &Query,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<()> {
    if settings.is_on("port-forward") {
        bail!("cannot use --input-file and --auto-port-forward together");
    }
    let sources = sources::find(paths)?;
    // What is not there is told before anything else, as in Hubble.
    for source in &sources {
        if let Source::File(path) = source {
            std::fs::metadata(path).with_context(|| format!("open {}", path.display()))?;
        }
    }
    let filters = WireFilterSet::compile(&query.whitelist, &query.blacklist)?;
    let selectors = &query.selectors;
    let last = if selectors.first || selectors.number == u64::MAX { 0 } else { selectors.number };
    if last > LAST_MAX {
        bail!("--last must be <= 1_000_000, got {last}: use --all and `tail`, or read a part with --since");
    }
    let line_bytes_max = usize::try_from(given.number("line-bytes-max", LINE_BYTES_MAX)).unwrap_or(usize::MAX);
    let bare_flows = given.is_on("bare-flows", false);
    let judge = Judge::new(bare_flows, filters, query.rest.clone(), selectors.clone(), printer.format().clone());
    let mut complaints = Complaints::default();
    let most = if selectors.first && selectors.number != u64::MAX { selectors.number } else { 0 };
    let mut sink = Sink { printer, losses, complaints: &mut complaints, most, passed: 0 };
    let reader = Reader { judge: &judge, line_bytes_max, several: sources.len() > 1 };
    let result = match usize::try_from(last).expect("at most a million") {
        0 => reader.print_all(&sources, &mut sink),
        last => reader.print_last(&sources, last, &mut sink),
    };
    // Of no interest where reading failed for another reason.
    if result.is_ok() {
        complaints.finish()?;
    }
    result
}

/// Reads sources one after the other.
struct Reader<'a> {
    judge: &'a Judge,
    line_bytes_max: usize,
    /// Whether people have to be told which source is meant.
    several: bool,
}

impl Reader<'_> {
    /// Prints everything that passes, until there is enough.
    fn print_all(&self, sources: &[Source], sink: &mut Sink<'_, '_>) -> Result<()> {
        for source in sources {
            sink.complaints.of = self.several.then(|| source.to_string());
            if self.read(source, Opened::open(source)?, sink, Self::all)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Prints the last ones that pass. The last source is read first, for it may have enough.
    fn print_last(&self, sources: &[Source], last: usize, sink: &mut Sink<'_, '_>) -> Result<()> {
        let mut kept = Last::new(last);
        let mut failed = Ok(());
        for source in sources.iter().rev() {
            let opened = Opened::open(source)?;
            sink.complaints.of = self.several.then(|| source.to_string());
            let is_packed = opened.packing.is_some() || opened.rows.is_some();
            let mut earlier = Last::new(last - kept.held.len());
            let read = self.read(source, opened, sink, |reader, opened, sink| reader.last(opened, &mut earlier, sink));
            if is_packed || read.is_ok() {
                kept.put_before(earlier);
            }
            if read.is_err() || kept.held.len() == last {
                failed = read.map(|_| ());
                break;
            }
        }
        kept.held.iter().try_for_each(|held| sink.held(held)).and(failed)
    }

    /// Reads a source in one way or the other, and tells where it failed.
    fn read(
        &self,
        source: &Source,
        opened: Opened,
        sink: &mut Sink<'_, '_>,
        how: impl FnOnce(&Self, Opened, &mut Sink<'_, '_>) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let (packing, read, bar) = (opened.packing, std::rc::Rc::clone(&opened.read), opened.bar.clone());
        let result = how(self, opened, sink);
        bar.finish_and_clear();
        result.with_context(|| match packing {
            Some(packing) => format!("cannot read {source} beyond byte {}, packed by {packing}", read.get()),
            None => format!("cannot read {source}"),
        })
    }

    fn all(&self, opened: Opened, sink: &mut Sink<'_, '_>) -> Result<ControlFlow<()>> {
        let Opened { mut input, file, packing, rows, bytes, bar, .. } = opened;
        if let Some(format) = rows {
            return self
                .rows(format, (input, file), sink, |verdict, text, place, sink| sink.take(verdict, text, place));
        }
        if let Some(mut file) = file.filter(|_| bytes.is_some_and(|bytes| bytes > WHOLE_BYTES_MAX)) {
            file.seek(SeekFrom::Start(0))?;
            return read_blocks(&mut file, &bar, self.line_bytes_max, self.judge, sink);
        }
        if packing.is_some() {
            // Packed files do not grow, so nobody waits for their next line.
            return read_blocks(&mut input, &ProgressBar::hidden(), self.line_bytes_max, self.judge, sink);
        }
        let mut text = Vec::new();
        let mut enough = ControlFlow::Continue(());
        read_forward(&mut input, self.line_bytes_max, |line| {
            let Line::Text { bytes, place } = line else {
                sink.printer.flush()?;
                return Ok(ControlFlow::Continue(()));
            };
            text.clear();
            let verdict = self.judge.judge(bytes, &mut text);
            enough = sink.take(verdict, &text, place)?;
            Ok(enough)
        })?;
        Ok(enough)
    }

    fn last(&self, opened: Opened, kept: &mut Last, sink: &mut Sink<'_, '_>) -> Result<ControlFlow<()>> {
        let Opened { mut input, file, rows, bytes, .. } = opened;
        let is_large = rows.is_none() && bytes.is_some_and(|bytes| bytes > WHOLE_BYTES_MAX);
        if let Some(file) = file.as_ref().filter(|_| is_large) {
            return self.tail(file.try_clone()?, kept, sink);
        }
        let mut keep = |verdict, text: &[u8], place, sink: &mut Sink<'_, '_>| {
            if let Some(held) = Held::of(sink.complaints.hear(verdict, place)?, text) {
                kept.push(held);
            }
            Ok(ControlFlow::Continue(()))
        };
        if let Some(format) = rows {
            return self.rows(format, (input, file), sink, keep);
        }
        let mut text = Vec::new();
        read_forward(&mut input, self.line_bytes_max, |line| {
            let Line::Text { bytes, place } = line else { return Ok(ControlFlow::Continue(())) };
            text.clear();
            let verdict = self.judge.judge(bytes, &mut text);
            keep(verdict, &text, place, sink)
        })?;
        Ok(ControlFlow::Continue(()))
    }

    /// The last ones from the end of a file, without reading what comes before as flows.
    fn tail(&self, mut file: File, kept: &mut Last, sink: &mut Sink<'_, '_>) -> Result<ControlFlow<()>> {
        file.seek(SeekFrom::Start(0))?;
        lines::check_lengths(&mut file, self.line_bytes_max)?;
        let mut text = Vec::new();
        read_backward(&mut file, self.line_bytes_max, |line| {
            let Line::Text { bytes, place } = line else { return Ok(ControlFlow::Continue(())) };
            text.clear();
            let verdict = self.judge.judge(bytes, &mut text);
            match Held::of(sink.complaints.hear(verdict, place)?, &text) {
                Some(held) => Ok(kept.push_earlier(held)),
                None => Ok(ControlFlow::Continue(())),
            }
        })?;
        Ok(ControlFlow::Continue(()))
    }

    /// Judges the flows of rows and hands them on.
    fn rows(
        &self,
        format: RowFormat,
        (input, file): (Box<dyn Read>, Option<File>),
        sink: &mut Sink<'_, '_>,
        mut hand_on: impl FnMut(judge::Verdict, &[u8], Place, &mut Sink<'_, '_>) -> Result<ControlFlow<()>>,
    ) -> Result<ControlFlow<()>> {
        let mut text = Vec::new();
        read_flows(format, input, file, self.line_bytes_max, &mut |found| {
            text.clear();
            let (judged, place) = match found {
                Found::Flow(flow) => {
                    let response = flow_response(flow_to_wire(&flow, Details::Send));
                    (self.judge.judge_response(response, &mut text), Place::Number(0))
                }
                Found::Damaged(line, problem) => (Judged::Damaged(problem), Place::Number(line)),
                Found::Pause => {
                    sink.printer.flush()?;
                    return Ok(ControlFlow::Continue(()));
                }
            };
            hand_on(judge::Verdict { judged, unknown: None, is_bare: false }, &text, place, sink)
        })
    }
}

/// Longest line where nothing else is asked for: that of the stock client.
const LINE_BYTES_MAX: u64 = 64 << 10;
