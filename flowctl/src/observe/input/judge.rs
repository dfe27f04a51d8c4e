//! Whether a line is a flow, and whether it is asked for: what each thread can say of a line by itself.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Result;
use prost_types::Timestamp;
use proto::filter::WireFilterSet;
use proto::json::JsonError;
use proto::observer::GetFlowsResponse;

use super::lines::trimmed;
use crate::moments::order;
use crate::observe::query::Selectors;
use crate::observe::rest::Rest;

/// Decides about lines.
pub(super) struct Judge {
    /// Whether a flow without its envelope is a flow.
    pub(super) bare_flows: bool,
    pub(super) filters: WireFilterSet,
    /// What the filters cannot say.
    pub(super) rest: Option<Rest>,
    pub(super) selectors: Selectors,
}

/// What a line is.
pub(super) enum Judged {
    /// A message that is asked for.
    Passed(Box<GetFlowsResponse>),
    /// A message that is not, or nothing at all.
    Blocked,
    Damaged(JsonError),
}

/// What a line is, and what people may have to be told of it.
pub(super) struct Verdict {
    pub(super) judged: Judged,
    /// A field or a name that the API does not have.
    pub(super) unknown: Option<String>,
    /// Whether it is a flow without its envelope that was not read as one.
    pub(super) is_bare: bool,
}

impl Judge {
    /// Reads a line and decides.
    pub(super) fn judge(&self, line: &[u8]) -> Verdict {
        let damaged = |error| Verdict { judged: Judged::Damaged(error), unknown: None, is_bare: false };
        let read = match proto::json::line_from_bytes(line) {
            Ok(read) => read,
            Err(error) => return damaged(error),
        };
        let response = match read.holds_bare_flow && self.bare_flows {
            false => read.response,
            true => match proto::json::bare_flow_from_bytes(line) {
                Ok(response) => response,
                Err(error) => return damaged(error),
            },
        };
        let passes = self.is_in_time(&response)
            && self.filters.matches(&response)
            && self.rest.as_ref().is_none_or(|rest| rest.passes_as_flow(&response));
        Verdict {
            judged: if passes { Judged::Passed(Box::new(response)) } else { Judged::Blocked },
            unknown: read.unknown.filter(|_| !read.holds_bare_flow),
            is_bare: read.holds_bare_flow && !self.bare_flows,
        }
    }

    /// A message without a time counts as one of 1970, as in Hubble.
    fn is_in_time(&self, response: &GetFlowsResponse) -> bool {
        let (since, until) = (self.selectors.since, self.selectors.until);
        if since.is_none() && until.is_none() {
            return true;
        }
        let time: Timestamp = response.time.unwrap_or_default();
        since.is_none_or(|since| order(since, time).is_le()) && until.is_none_or(|until| order(time, until).is_le())
    }
}

/// Whole lines of a file.
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    /// Number of the first line, from 1.
    pub(super) first_line: u64,
}

/// The lines of a block that somebody has to look at, by their numbers; `Err` is the number of one that is too long.
pub(super) type JudgedBlock = Vec<Result<(u64, Verdict), u64>>;

/// A thread that judges blocks, and the ends of the queues to and from it.
pub(super) struct Worker {
    pub(super) blocks: SyncSender<Block>,
    pub(super) judged: Receiver<JudgedBlock>,
}

/// Blocks that wait for a thread, and judged ones that wait for the printer; a full queue holds the reader back.
const QUEUE_BLOCKS: usize = 2;

impl Worker {
    /// Starts a thread that ends when nobody sends blocks any more.
    pub(super) fn start<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        judge: &'scope Judge,
        line_bytes_max: usize,
    ) -> Self {
        let (blocks, incoming) = sync_channel::<Block>(QUEUE_BLOCKS);
        let (outgoing, judged) = sync_channel(QUEUE_BLOCKS);
        scope.spawn(move || {
            for block in incoming {
                // Where nobody wants to know any more, the printer has enough.
                if outgoing.send(judge_block(judge, &block, line_bytes_max)).is_err() {
                    return;
                }
            }
        });
        Self { blocks, judged }
    }
}

fn judge_block(judge: &Judge, block: &Block, line_bytes_max: usize) -> JudgedBlock {
    let mut judged = Vec::new();
    let (mut start, mut number) = (0, block.first_line);
    while start < block.bytes.len() {
        let end = memchr::memchr(b'\n', &block.bytes[start..]).map_or(block.bytes.len(), |at| start + at);
        if end - start >= line_bytes_max {
            judged.push(Err(number));
            return judged;
        }
        let verdict = judge.judge(trimmed(&block.bytes[start..end]));
        let silent = matches!(verdict.judged, Judged::Blocked) && verdict.unknown.is_none() && !verdict.is_bare;
        if !silent {
            judged.push(Ok((number, verdict)));
        }
        (start, number) = (end + 1, number + 1);
    }
    judged
}
