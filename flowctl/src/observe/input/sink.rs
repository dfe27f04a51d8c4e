//! Where flows of an input go: to the printer, or among the last ones.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};

use anyhow::Result;
use proto::observer::GetFlowsResponse;

use super::judge::{Judged, Verdict};
use super::lines::Place;
use crate::observe::losses::Losses;
use crate::print::Printer;

/// Lines that cannot be understood are named up to this many; the rest is counted.
const COMPLAINTS_MAX: u64 = 5;

/// Tells people of lines that were left out, or read in part.
#[derive(Default)]
pub(super) struct Complaints {
    bare_seen: bool,
    unknown_seen: bool,
    /// Lines that could not be understood.
    refused: u64,
    /// Name of the input, where there are several.
    pub(super) of: Option<String>,
}

impl Complaints {
    /// Tells what there is to tell, and gives what is left of the verdict: what the line is.
    ///
    /// # Errors
    /// Writing failed.
    pub(super) fn hear(&mut self, verdict: Verdict, place: Place) -> Result<Judged> {
        let of = self.of.as_deref().map_or_else(String::new, |name| format!(" of {name}"));
        if let Some(name) = verdict.unknown
            && !std::mem::replace(&mut self.unknown_seen, true)
        {
            crate::warn(&format!(
                "unknown field detected at {place}{of}: {name} is newer than this client and left out"
            ))?;
        }
        if verdict.is_bare && !std::mem::replace(&mut self.bare_seen, true) {
            crate::warn(&format!(
                "unknown field detected: {place}{of} is a flow without its envelope, as clients before 0.10 wrote them; \
                 --bare-flows reads those"
            ))?;
        }
        if let Judged::Damaged(error) = &verdict.judged {
            self.refused += 1;
            if self.refused <= COMPLAINTS_MAX {
                crate::warn(&format!("{place}{of} is not a flow and is left out: {error}"))?;
            }
        }
        Ok(verdict.judged)
    }

    /// How many lines were left out without naming each.
    ///
    /// # Errors
    /// Writing failed.
    pub(super) fn finish(&self) -> Result<()> {
        let more = self.refused.saturating_sub(COMPLAINTS_MAX);
        if more > 0 {
            crate::warn(&format!("{more} more lines are not flows and are left out"))?;
        }
        Ok(())
    }
}

/// Prints messages until there were enough.
pub(super) struct Sink<'a, 'p> {
    pub(super) printer: &'a mut Printer<'p>,
    pub(super) losses: &'a mut Losses,
    pub(super) complaints: &'a mut Complaints,
    /// How many messages are enough; 0 for all.
    pub(super) most: u64,
    pub(super) passed: u64,
}

impl Sink<'_, '_> {
    fn when_enough(&self) -> ControlFlow<()> {
        if self.most > 0 && self.passed >= self.most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Prints those flows of a text; `ends` tells where each one ends.
    ///
    /// # Errors
    /// Printing failed.
    pub(super) fn flows(&mut self, text: &[u8], ends: &[usize], range: Range<usize>) -> Result<ControlFlow<()>> {
        let wanted = if self.most > 0 { self.most - self.passed } else { u64::MAX };
        let count = range.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
        if count > 0 {
            let start = if range.start == 0 { 0 } else { ends[range.start - 1] };
            self.printer.print_flows(&text[start..ends[range.start + count - 1]], count as u64)?;
            self.passed += count as u64;
        }
        Ok(self.when_enough())
    }

    /// Prints what a line is.
    ///
    /// # Errors
    /// Writing failed.
    pub(super) fn take(&mut self, verdict: Verdict, text: &[u8], place: Place) -> Result<ControlFlow<()>> {
        let is_settled = verdict.is_settled();
        let enough = match verdict.judged {
            Judged::Written => self.flows(text, &[text.len()], 0..1)?,
            _ => ControlFlow::Continue(()),
        };
        if is_settled { Ok(enough) } else { self.note(verdict, place) }
    }

    /// Takes a line whose text, if it has one, has been printed.
    ///
    /// # Errors
    /// Writing failed.
    pub(super) fn note(&mut self, verdict: Verdict, place: Place) -> Result<ControlFlow<()>> {
        if let Judged::Passed(response) = self.complaints.hear(verdict, place)? {
            self.message(&response)?;
        }
        Ok(self.when_enough())
    }

    /// Prints a message.
    ///
    /// # Errors
    /// Printing failed.
    fn message(&mut self, response: &GetFlowsResponse) -> Result<()> {
        self.losses.count(response);
        self.printer.print(response)?;
        self.passed += 1;
        Ok(())
    }

    /// Prints what was held.
    ///
    /// # Errors
    /// Printing failed.
    pub(super) fn held(&mut self, held: &Held) -> Result<()> {
        match held {
            Held::Text(text) => Ok(self.printer.print_flows(text, 1)?),
            Held::Message(response) => self.message(response),
        }
    }
}

/// A message that is kept until it is known whether it is one of the last.
pub(super) enum Held {
    /// A flow as it is printed.
    Text(Box<[u8]>),
    Message(Box<GetFlowsResponse>),
}

impl Held {
    /// Keeps what a line is, if it is asked for.
    pub(super) fn of(judged: Judged, text: &[u8]) -> Option<Self> {
        match judged {
            Judged::Written => Some(Self::Text(text.into())),
            Judged::Passed(response) => Some(Self::Message(response)),
            Judged::Blocked | Judged::Damaged(_) => None,
        }
    }
}

/// The last messages of an input.
pub(super) struct Last {
    most: usize,
    pub(super) held: VecDeque<Held>,
}

impl Last {
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: VecDeque::with_capacity(most.min(1024)) }
    }

    /// Takes a later one.
    pub(super) fn push(&mut self, held: Held) {
        if self.held.len() == self.most {
            self.held.pop_front();
        }
        self.held.push_back(held);
    }

    /// Takes all of an earlier input.
    pub(super) fn put_before(&mut self, mut earlier: Self) {
        earlier.held.append(&mut self.held);
        self.held = earlier.held;
    }

    /// Takes an earlier one; breaks once there are enough.
    pub(super) fn push_earlier(&mut self, held: Held) -> ControlFlow<()> {
        self.held.push_front(held);
        if self.held.len() >= self.most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
