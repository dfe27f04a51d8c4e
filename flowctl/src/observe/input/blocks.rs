//! Large inputs: several threads read lines as flows and write their text, one prints it in the order of the lines.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use super::judge::{Judge, Verdict};
use super::lines::{Place, too_long, trimmed};
use super::sink::Sink;

/// Bytes that a thread takes at once.
const BLOCK_BYTES: usize = 1 << 20;
/// Threads that judge lines: the printer keeps up with no more.
const WORKERS_MAX: usize = 4;
/// Blocks that wait for a thread, and judged ones that wait for the printer; a full queue holds the reader back.
const QUEUE_BLOCKS: usize = 2;

/// Passes on everything of a large input that is asked for.
///
/// # Errors
/// Reading or printing failed, or a line has `line_bytes_max` bytes or more.
pub(super) fn read_blocks(
    input: &mut dyn Read,
    bar: &ProgressBar,
    line_bytes_max: usize,
    judge: &Judge,
    sink: &mut Sink<'_, '_>,
) -> Result<ControlFlow<()>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    std::thread::scope(|scope| {
        let workers: Vec<Worker> = (0..threads).map(|_| Worker::start(scope, judge, line_bytes_max)).collect();
        // Blocks go round the threads, and come back in the same order.
        let (mut sent, mut received, mut lines) = (0usize, 0usize, 0u64);
        let mut blocks = Blocks { input, rest: Vec::new(), line_bytes_max, failed: None };
        let mut spare: Vec<Block> = Vec::new();
        let mut end = None;
        while end.is_none() || received < sent {
            while end.is_none() && sent - received < threads * QUEUE_BLOCKS {
                let mut block = spare.pop().unwrap_or_default();
                match blocks.fill(&mut block.bytes) {
                    Ok(true) => {
                        bar.inc(block.bytes.len() as u64);
                        workers[sent % threads].blocks.send(block).context("a thread ended early")?;
                        sent += 1;
                    }
                    ended => end = Some(ended),
                }
            }
            if received == sent {
                break;
            }
            let mut judged = workers[received % threads].judged.recv().context("a thread ended early")?;
            received += 1;
            if show(&mut judged, lines, line_bytes_max, sink)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            lines += judged.lines;
            spare.push(judged.block);
        }
        end.transpose().map(|_| ControlFlow::Continue(()))
    })
}

/// Prints what a thread wrote, and what it leaves to others in between.
fn show(
    judged: &mut JudgedBlock,
    lines_before: u64,
    line_bytes_max: usize,
    sink: &mut Sink<'_, '_>,
) -> Result<ControlFlow<()>> {
    let mut flows = 0;
    for Note { line, flows: before, verdict } in std::mem::take(&mut judged.notes) {
        if sink.flows(&judged.block.text, &judged.ends, flows..before)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        flows = before;
        let place = Place::Number(lines_before + line);
        let verdict = verdict.ok_or_else(|| too_long(place, line_bytes_max))?;
        if sink.note(verdict, place)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    sink.flows(&judged.block.text, &judged.ends, flows..judged.ends.len())
}

/// Cuts an input into blocks of whole lines.
struct Blocks<'a> {
    input: &'a mut dyn Read,
    /// Start of a line whose end has not been read yet.
    rest: Vec<u8>,
    line_bytes_max: usize,
    /// Why reading cannot go on, once everything before has been given out.
    failed: Option<std::io::Error>,
}

impl Blocks<'_> {
    /// Fills a block; false at the end of the input.
    ///
    /// # Errors
    /// Reading failed; the whole lines before that were given out by earlier calls.
    fn fill(&mut self, bytes: &mut Vec<u8>) -> Result<bool> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        bytes.clear();
        bytes.append(&mut self.rest);
        let held = bytes.len();
        // One byte more than the longest line at least, so that each block ends a line or shows one that is too long.
        let wanted = BLOCK_BYTES.max(self.line_bytes_max.saturating_add(1));
        bytes.reserve(wanted.min(BLOCK_BYTES));
        let read = Read::take(&mut *self.input, u64::try_from(wanted)?).read_to_end(bytes);
        let last_end = memchr::memrchr(b'\n', bytes);
        if let Err(error) = read {
            // The line that is cut off here says nothing.
            bytes.truncate(last_end.map_or(0, |end| end + 1));
            self.failed = Some(error);
            return if bytes.is_empty() { self.fill(bytes) } else { Ok(true) };
        }
        if bytes.len() > held
            && let Some(end) = last_end
        {
            self.rest.extend_from_slice(&bytes[end + 1..]);
            bytes.truncate(end + 1);
        }
        Ok(!bytes.is_empty())
    }
}

/// Whole lines, and room for the text of their flows.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    text: Vec<u8>,
}

/// What a thread says of a block.
struct JudgedBlock {
    block: Block,
    /// Where the text of each flow ends.
    ends: Vec<usize>,
    /// Lines that somebody has to look at.
    notes: Vec<Note>,
    /// Lines of the block.
    lines: u64,
}

/// A line that is more than a flow that was written.
struct Note {
    /// Number in the block, from 1.
    line: u64,
    /// Flows that were written before it.
    flows: usize,
    /// None for a line that is too long.
    verdict: Option<Verdict>,
}

/// A thread that judges blocks, and the ends of the queues to and from it.
struct Worker {
    blocks: SyncSender<Block>,
    judged: Receiver<JudgedBlock>,
}

impl Worker {
    /// Starts a thread that ends when nobody sends blocks any more.
    fn start<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        judge: &'scope Judge,
        line_bytes_max: usize,
    ) -> Self {
        let (blocks, incoming) = sync_channel::<Block>(QUEUE_BLOCKS);
        let (outgoing, judged) = sync_channel(QUEUE_BLOCKS);
        scope.spawn(move || {
            for block in incoming {
                // Where nobody wants to know any more, the printer has enough.
                if outgoing.send(judge_block(judge, block, line_bytes_max)).is_err() {
                    return;
                }
            }
        });
        Self { blocks, judged }
    }
}

fn judge_block(judge: &Judge, block: Block, line_bytes_max: usize) -> JudgedBlock {
    let mut judged = JudgedBlock { block, ends: Vec::new(), notes: Vec::new(), lines: 0 };
    let Block { bytes, text } = &mut judged.block;
    text.clear();
    let mut start = 0;
    while start < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
        judged.lines += 1;
        let note = |flows, verdict| Note { line: judged.lines, flows, verdict };
        if end - start >= line_bytes_max {
            judged.notes.push(note(judged.ends.len(), None));
            break;
        }
        let before = text.len();
        let verdict = judge.judge(trimmed(&bytes[start..end]), text);
        if text.len() > before {
            judged.ends.push(text.len());
        }
        if !verdict.is_settled() {
            judged.notes.push(note(judged.ends.len(), Some(verdict)));
        }
        start = end + 1;
    }
    judged
}
