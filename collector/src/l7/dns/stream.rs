//! DNS over TCP: messages with their length before them.

use super::super::L7Stats;
use super::super::context::Context;
use super::super::stream::Parser;
use super::message::{self, HEADER_BYTES};

/// Bytes of one message that are kept; what is beyond is passed over, and the answers in it are missing.
const MESSAGE_BYTES_MAX: usize = 16_384;
/// Writes of one direction that make no sense before the connection counts as something else.
const FAILURES_MAX: u8 = 3;
/// Bytes of the length before a message.
const PREFIX_BYTES: usize = 2;

/// Both directions of one DNS connection.
#[derive(Debug, Default)]
pub(in crate::l7) struct DnsStream {
    queries: Half,
    answers: Half,
    failures: u8,
    finished: bool,
}

#[derive(Debug, Default)]
struct Half {
    /// Length and bytes of the current message.
    held: Vec<u8>,
    /// Bytes of the current message that are passed over already.
    passed: usize,
    /// Out of step: the next write may begin with a message.
    lost: bool,
}

impl Parser for DnsStream {
    fn feed(&mut self, from_client: bool, bytes: &[u8], at_start: bool, cx: &mut Context<'_>) {
        let half = if from_client { &mut self.queries } else { &mut self.answers };
        if half.lost && at_start && begins_message(bytes) {
            half.lost = false;
            cx.stats.resyncs += 1;
        }
        let mut rest = bytes;
        while !rest.is_empty() && !half.lost {
            if half.advance(&mut rest, cx) {
                self.failures = 0;
            }
        }
        if half.lost {
            self.failures += 1;
            if self.failures >= FAILURES_MAX {
                cx.stats.opaque += 1;
                self.close(cx.stats);
            }
        }
    }

    fn skip(&mut self, from_client: bool, count: u64, cx: &mut Context<'_>) {
        let half = if from_client { &mut self.queries } else { &mut self.answers };
        half.pass_over(count, cx);
    }

    fn close(&mut self, _stats: &mut L7Stats) {
        *self = Self { finished: true, ..Self::default() };
    }

    fn is_finished(&self) -> bool {
        self.finished
    }

    fn bytes_held(&self) -> usize {
        self.queries.held.capacity() + self.answers.held.capacity()
    }
}

impl Half {
    /// Takes bytes up to the end of a message; returns whether that was reached.
    fn advance(&mut self, rest: &mut &[u8], cx: &mut Context<'_>) -> bool {
        if self.held.is_empty()
            && let Some(length) = length_of(rest)
            && let Some(message) = rest.get(PREFIX_BYTES..PREFIX_BYTES + length)
        {
            // The usual case: all of a message in one write.
            if !message::is_plausible(message) {
                self.lose();
                return false;
            }
            *rest = &rest[PREFIX_BYTES + length..];
            super::message(message, false, 0, cx);
            return true;
        }
        let wanted = match length_of(&self.held) {
            None => PREFIX_BYTES - self.held.len(),
            Some(length) => (PREFIX_BYTES + length).saturating_sub(self.held.len() + self.passed),
        };
        let (taken, tail) = rest.split_at(wanted.min(rest.len()));
        *rest = tail;
        let kept = taken.len().min((PREFIX_BYTES + MESSAGE_BYTES_MAX).saturating_sub(self.held.len()));
        // What follows a hole cannot be put in its place.
        let kept = if self.passed > 0 { 0 } else { kept };
        self.held.extend_from_slice(&taken[..kept]);
        self.passed += taken.len() - kept;
        self.finish(cx)
    }

    /// Gives out the message if all of it has passed.
    fn finish(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(length) = length_of(&self.held) else { return false };
        let message = &self.held[PREFIX_BYTES..];
        if length < HEADER_BYTES || (message.len() >= HEADER_BYTES && !message::is_plausible(message)) {
            self.lose();
            return false;
        }
        if message.len() + self.passed < length {
            return false;
        }
        let held = std::mem::take(&mut self.held);
        let cut = std::mem::take(&mut self.passed) > 0;
        super::message(&held[PREFIX_BYTES..], cut, 0, cx);
        true
    }

    fn pass_over(&mut self, count: u64, cx: &mut Context<'_>) {
        if self.lost {
            return;
        }
        let left =
            length_of(&self.held).map_or(0, |l| (PREFIX_BYTES + l).saturating_sub(self.held.len() + self.passed));
        match usize::try_from(count) {
            Ok(count) if count <= left => {
                self.passed += count;
                self.finish(cx);
            }
            _ => {
                if left > 0 {
                    // The rest of this message is among the missing bytes; its question may be there.
                    self.passed += left;
                    self.finish(cx);
                }
                self.lose();
            }
        }
    }

    fn lose(&mut self) {
        *self = Self { lost: true, ..Self::default() };
    }
}

fn length_of(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk::<PREFIX_BYTES>().map(|prefix| usize::from(u16::from_be_bytes(*prefix)))
}

/// Whether a write begins with a message: the length fits and the header makes sense.
fn begins_message(bytes: &[u8]) -> bool {
    length_of(bytes).is_some_and(|length| length >= HEADER_BYTES)
        && bytes.get(PREFIX_BYTES..).is_some_and(message::is_plausible)
}
