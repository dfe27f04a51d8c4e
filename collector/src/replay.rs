//! A file of Hubble JSON lines as a source: what `hubble observe -o jsonpb` prints, or what an agent exports.

use std::collections::VecDeque;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flow::Clock;
use flow::{Flow, FlowId, LostEvent, Timestamp};
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

pub use crate::feed::OpenError;
use crate::feed::{Cause, Feed, Input, Next, Sender};
use crate::pace::{Pacer, Timing, Turn};
use crate::source::{Captured, Progress, Source, SourceError, SourceStats};

/// Bytes of the longest line that is read. A flow takes one or two thousand.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Lines handed over by the reading thread at once.
const BATCH_LINES: usize = 256;
/// Flows handed on in one call.
const POLL_FLOWS_MAX: usize = 1_024;
/// Damaged lines that are told of one by one.
const DAMAGED_TOLD_MAX: u64 = 10;

/// A source that reads flows from a file.
#[derive(Debug)]
pub struct Replay {
    path: PathBuf,
    timing: Timing,
    feed: Feed<Line>,
    pacer: Pacer,
    waiting: VecDeque<Line>,
    round: u64,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    good: u64,
    damaged: u64,
    ignored: u64,
}

/// What a line holds.
#[derive(Debug)]
enum Line {
    Flow(Box<Flow>),
    Lost(LostEvent, Timestamp),
    /// Something that is neither, such as the state of a node.
    Ignored,
    Damaged(Damage),
}

/// A line that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {number} cannot be read")]
struct Damage {
    /// From 1.
    number: u64,
    #[source]
    cause: DamageCause,
}

#[derive(Debug, thiserror::Error)]
enum DamageCause {
    #[error("more than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("not UTF-8")]
    NotText(#[source] std::str::Utf8Error),
    #[error("not a line of Hubble's JSON")]
    NotJson(#[source] proto::json::JsonError),
    #[error("no flow, no loss and nothing else that is known")]
    Empty,
}

/// Nothing in the file can be read.
#[derive(Debug, thiserror::Error)]
#[error("none of {count} lines can be read; is it a file of `hubble observe -o jsonpb`? The first was: {first}")]
struct AllDamaged {
    count: u64,
    first: String,
}

impl Replay {
    /// Opens a file, standard input for `-`. It may be packed by gzip.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path, timing: Timing, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Ok(Self {
            path: path.to_owned(),
            timing,
            feed: Feed::start(path, read_lines)?,
            pacer: Pacer::new(timing, clock),
            waiting: VecDeque::new(),
            round: 0,
            counts: Counts::default(),
        })
    }

    fn failed(&self, cause: Cause) -> SourceError {
        SourceError { source_name: self.name(), cause }
    }

    /// Notes damaged lines; all others wait for their turn.
    fn sort(&mut self, batch: Vec<Line>) {
        for line in batch {
            match line {
                Line::Ignored => self.counts.ignored += 1,
                Line::Damaged(damage) => self.note(&damage),
                line => {
                    self.counts.good += 1;
                    self.waiting.push_back(line);
                }
            }
        }
    }

    fn note(&mut self, damage: &Damage) {
        self.counts.damaged += 1;
        if self.counts.damaged <= DAMAGED_TOLD_MAX {
            let error: &dyn std::error::Error = damage;
            tracing::warn!(file = %self.path.display(), error, "damaged line left out");
        }
    }

    /// Ends a round: begins again, or ends the source.
    fn at_end(&mut self) -> Result<Progress, SourceError> {
        let Counts { good, damaged, ignored } = self.counts;
        tracing::info!(file = %self.path.display(), good, damaged, ignored, "end of the file");
        if self.timing.repeat && good > 0 && self.path != Path::new("-") {
            self.feed = Feed::start(&self.path, read_lines).map_err(|error| self.failed(error.into()))?;
            self.pacer.restart();
            self.round += 1;
            return Ok(Progress::More);
        }
        Ok(Progress::Finished)
    }

    /// Hands on what is due; returns how long the next one has to wait.
    fn hand_on(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> Option<Duration> {
        for _ in 0..POLL_FLOWS_MAX {
            let recorded = match self.waiting.front()? {
                Line::Flow(flow) => flow.time,
                Line::Lost(_, time) => *time,
                Line::Ignored | Line::Damaged(_) => Timestamp::default(),
            };
            let time = match self.pacer.turn(recorded) {
                Turn::Now(time) => time,
                Turn::Wait(left) => return Some(left),
            };
            match self.waiting.pop_front()? {
                Line::Flow(mut flow) => {
                    flow.time = time;
                    if self.round > 0 {
                        flow.id = FlowId::None;
                    }
                    take(Captured::Flow(flow));
                }
                Line::Lost(lost, _) => take(Captured::Lost(lost)),
                Line::Ignored | Line::Damaged(_) => {}
            }
        }
        None
    }
}

impl Source for Replay {
    fn name(&self) -> String {
        format!("replay file {}", self.path.display())
    }

    fn poll(&mut self, timeout: Duration, take: &mut dyn FnMut(Captured<'_>)) -> Result<Progress, SourceError> {
        if self.waiting.is_empty() {
            match self.feed.next(timeout).map_err(|cause| self.failed(cause))? {
                Next::Batch(batch) => self.sort(batch),
                Next::Idle => return Ok(Progress::Idle),
                Next::End => return self.at_end(),
            }
        }
        match self.hand_on(take) {
            Some(left) => {
                self.pacer.wait(left, timeout);
                Ok(Progress::Idle)
            }
            None => Ok(Progress::More),
        }
    }

    fn stats(&mut self) -> SourceStats {
        let Counts { good, damaged, .. } = self.counts;
        SourceStats { seen: good + damaged, lost_unreadable: damaged, ..SourceStats::default() }
    }

    fn wall_clock_offset_ns(&self) -> i64 {
        0
    }
}

/// Reads all lines; an error if there are lines and none can be read.
fn read_lines(mut input: Input, out: &Sender<Line>) -> Result<(), Cause> {
    let (mut number, mut damaged, mut first) = (0, 0, None);
    let (mut bytes, mut batch) = (Vec::new(), Vec::with_capacity(BATCH_LINES));
    let mut good = false;
    while next_line(&mut input, &mut bytes)? {
        number += 1;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let line = parse(&bytes, number);
        if let Line::Damaged(damage) = &line {
            damaged += 1;
            first.get_or_insert_with(|| format!("{damage}: {}", damage.cause));
        } else {
            good = true;
        }
        batch.push(line);
        // What is there is handed over before waiting for more, so that a slow pipe is shown as it comes.
        let more_is_there = memchr::memchr(b'\n', input.buffer()).is_some();
        let full = batch.len() >= BATCH_LINES || !more_is_there;
        if full && !out.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH_LINES))) {
            return Ok(());
        }
    }
    if !batch.is_empty() && !out.send(batch) {
        return Ok(());
    }
    match first {
        Some(first) if !good => Err(AllDamaged { count: damaged, first }.into()),
        _ => Ok(()),
    }
}

/// Reads up to the end of the line; returns false at the end of the file. Of a line that is too long the start is kept,
/// longer than a line may be.
fn next_line(input: &mut Input, bytes: &mut Vec<u8>) -> std::io::Result<bool> {
    bytes.clear();
    let read = Read::by_ref(input).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', bytes)?;
    if bytes.len() > LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

fn parse(bytes: &[u8], number: u64) -> Line {
    let parsed = if bytes.len() > LINE_BYTES_MAX {
        Err(DamageCause::TooLong)
    } else {
        std::str::from_utf8(bytes)
            .map_err(DamageCause::NotText)
            .and_then(|text| proto::json::from_line(text.trim()).map_err(DamageCause::NotJson))
    };
    match parsed.and_then(line_of) {
        Ok(line) => line,
        Err(cause) => Line::Damaged(Damage { number, cause }),
    }
}

fn line_of(response: GetFlowsResponse) -> Result<Line, DamageCause> {
    Ok(match response.response_types {
        Some(ResponseTypes::Flow(flow)) => Line::Flow(Box::new(proto::convert::flow_from_wire(flow))),
        Some(ResponseTypes::LostEvents(lost)) => {
            let time = response.time.map(proto::convert::time_from_wire).unwrap_or_default();
            Line::Lost(proto::convert::lost_from_wire(&lost), time)
        }
        Some(ResponseTypes::NodeStatus(_)) => Line::Ignored,
        None => return Err(DamageCause::Empty),
    })
}

#[cfg(test)]
mod tests;
