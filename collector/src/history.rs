//! Older flows of the history, kept as rows.
//!
//! A flow that somebody just observed is an object of a thousand bytes and more, which all who follow the history share.
//! Few ask for it later. So once it is not among the newest any more it becomes a row of a record batch, as on its way to
//! a relay, which takes a tenth of that, and is made an object again for whoever asks.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::buffer::BooleanBuffer;
use arrow::record_batch::RecordBatch;
use flow::{LostEvent, Timestamp};
use table::{BatchFilter, FlowBatchBuilder, RowReader, merge};
use tokio::time::{Instant, sleep_until};

use crate::ring::{Archivist, Event, Packed, Unpack};

/// Newest events that stay objects, for those who follow the history.
const NEWEST: u64 = 512;
/// Events that are packed at a time.
const RUN: usize = 1_024;
/// Runs that become one: what a batch has but once, such as its dictionaries, is shared by more rows then.
const RUNS_MERGED: usize = 8;

/// Time between two looks at what the process occupies, and the growth since the last one that is worth giving pages back.
const TRIM_EVERY: Duration = Duration::from_secs(2);
const GROWTH_MIN: usize = 4 << 20;

/// Events as rows.
#[derive(Debug)]
struct Rows {
    flows: RecordBatch,
    /// Losses that were noticed between them, each with its place among all.
    losses: Vec<(usize, Arc<(Timestamp, LostEvent)>)>,
}

/// Reads [`Rows`].
#[derive(Debug)]
struct RowsReader {
    flows: RowReader,
    losses: Vec<(usize, Arc<(Timestamp, LostEvent)>)>,
    /// Rows that are wanted, where not all are.
    wanted: Option<BooleanBuffer>,
}

/// What is at a place.
enum Place<'a> {
    Flow { row: usize },
    Lost(&'a Arc<(Timestamp, LostEvent)>),
}

impl Packed<Event> for Rows {
    fn open(&self, wanted: Option<&BatchFilter>) -> Box<dyn Unpack<Event>> {
        const SHAPE: &str = "the builder makes batches of the table's shape";
        let wanted = wanted.filter(|filter| !filter.passes_everything());
        let wanted = wanted.map(|filter| filter.mask(&self.flows).expect(SHAPE).values().clone());
        Box::new(RowsReader { flows: RowReader::new(&self.flows).expect(SHAPE), losses: self.losses.clone(), wanted })
    }
}

impl RowsReader {
    fn place(&self, at: usize) -> Place<'_> {
        match self.losses.binary_search_by_key(&at, |(place, _)| *place) {
            Ok(found) => Place::Lost(&self.losses[found].1),
            Err(before) => Place::Flow { row: at - before },
        }
    }
}

impl Unpack<Event> for RowsReader {
    fn value(&self, at: usize) -> Option<Event> {
        match self.place(at) {
            // News of a loss is for everybody.
            Place::Lost(lost) => Some(Event::Lost(lost.clone())),
            Place::Flow { row } => {
                let is_wanted = self.wanted.as_ref().is_none_or(|rows| rows.value(row));
                is_wanted.then(|| Event::Flow(Arc::new(self.flows.flow(row))))
            }
        }
    }

    fn time(&self, at: usize) -> Option<Timestamp> {
        match self.place(at) {
            Place::Lost(_) => None,
            Place::Flow { row } => Some(self.flows.time(row)),
        }
    }
}

/// Makes rows of events.
#[derive(Debug, Default)]
struct Packer {
    builder: FlowBatchBuilder,
    /// The newest runs, which were not merged yet and follow each other.
    runs: Vec<(Range<u64>, Arc<Rows>)>,
}

impl Packer {
    /// Packs the next run.
    fn pack(&mut self, archivist: &mut Archivist<Event>) {
        let mut losses = Vec::new();
        let numbers = archivist.next(RUN, |at, event| match event {
            Event::Flow(flow) => self.builder.push(&flow).expect("a run is shorter than a batch can be"),
            Event::Lost(lost) => losses.push((at, lost)),
        });
        if numbers.is_empty() {
            return;
        }
        let rows = Arc::new(Rows { flows: self.builder.finish(), losses });
        archivist.put(numbers.clone(), rows.clone());
        if self.runs.last().is_some_and(|(before, _)| before.end != numbers.start) {
            self.runs.clear();
        }
        self.runs.push((numbers, rows));
        if self.runs.len() == RUNS_MERGED {
            self.merge(archivist);
        }
    }

    fn merge(&mut self, archivist: &Archivist<Event>) {
        let runs = std::mem::take(&mut self.runs);
        let (Some((first, _)), Some((last, _))) = (runs.first(), runs.last()) else { return };
        let numbers = first.start..last.end;
        let mut losses = Vec::new();
        for (run, rows) in &runs {
            let before = usize::try_from(run.start - numbers.start).expect("a run fits into memory");
            losses.extend(rows.losses.iter().map(|(at, lost)| (before + at, lost.clone())));
        }
        let batches: Vec<RecordBatch> = runs.iter().map(|(_, rows)| rows.flows.clone()).collect();
        let flows = merge(&batches).expect("all have the table's shape, and fewer rows than a batch can have");
        archivist.put(numbers, Arc::new(Rows { flows, losses }));
    }
}

/// Packs what is not new any more, until the history ends. Where this falls behind, flows stay objects until they are
/// overwritten; none is lost by it.
pub(crate) async fn keep(mut archivist: Archivist<Event>) {
    let mut packer = Packer::default();
    let mut trimmed = Trimmed { at: Instant::now(), left: process::resident().unwrap_or(0) };
    let mut has_packed = false;
    loop {
        tokio::select! {
            due = archivist.wait(NEWEST + RUN as u64) => {
                if due.is_err() {
                    return;
                }
                packer.pack(&mut archivist);
                has_packed = true;
                tokio::task::yield_now().await;
            }
            () = sleep_until(trimmed.at + TRIM_EVERY), if has_packed => {
                trimmed = trimmed.again().await;
                has_packed = false;
            }
        }
    }
}

/// When free pages were given back. The allocator keeps those of flows that came faster than they were packed.
#[derive(Clone, Copy, Debug)]
struct Trimmed {
    at: Instant,
    /// Bytes the process occupied then.
    left: usize,
}

impl Trimmed {
    /// Gives free pages back, if the process has grown since the last time.
    async fn again(self) -> Self {
        let occupied = process::resident().unwrap_or(0);
        if occupied < self.left.saturating_add(GROWTH_MIN) {
            return Self { at: Instant::now(), left: self.left.min(occupied) };
        }
        if let Err(error) = tokio::task::spawn_blocking(process::trim).await {
            tracing::error!(%error, "giving free memory back panicked");
        }
        Self { at: Instant::now(), left: process::resident().unwrap_or(occupied) }
    }
}

#[cfg(test)]
mod tests;
