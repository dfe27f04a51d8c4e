//! Older flows of the history, kept as rows.
//!
//! A flow that somebody just observed is an object of a thousand bytes and more, which all who follow the history share.
//! Few ask for it later. So once it is not among the newest any more it becomes a row of a record batch, as on its way to
//! a relay, which takes a tenth of that, and is made an object again for whoever asks.

use std::sync::Arc;
use std::time::Duration;

use arrow::buffer::BooleanBuffer;
use arrow::record_batch::RecordBatch;
use flow::{LostEvent, Timestamp};
use process::Trimmed;
use table::{BatchFilter, FlowBatchBuilder, RowReader};
use tokio::time::{Instant, sleep_until};

use crate::ring::{Archivist, Event, Packed, Unpack};

/// Newest events that stay objects, for those who follow the history.
const NEWEST: u64 = 512;
/// Events that are packed at a time.
const RUN: usize = 2_048;
/// After a run the task rests for so many times what the run took: a quarter of a processor is what it takes at most.
const REST: u32 = 3;
/// Events that wait to be packed from which on free pages are given back afterwards: the allocator keeps what they leave.
const BURST: u64 = 4 * RUN as u64;
/// Time between two looks at whether there is something to give back.
const LOOK: Duration = Duration::from_secs(2);

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

/// Makes rows of the next events.
fn pack(builder: &mut FlowBatchBuilder, archivist: &mut Archivist<Event>) {
    let mut losses = Vec::new();
    let numbers = archivist.next(RUN, |at, event| match event {
        Event::Flow(flow) => builder.push(&flow).expect("a run is shorter than a batch can be"),
        Event::Lost(lost) => losses.push((at, lost)),
    });
    if !numbers.is_empty() {
        archivist.put(numbers, Arc::new(Rows { flows: builder.finish(), losses }));
    }
}

/// Packs what is not new any more, until the history ends. Where this falls behind, flows stay objects until they are
/// overwritten; none is lost by it.
pub(crate) async fn keep(mut archivist: Archivist<Event>) {
    const DUE: u64 = NEWEST + RUN as u64;
    let mut builder = FlowBatchBuilder::new();
    let (mut trimmed, mut next_look) = (Trimmed::never(), Instant::now() + LOOK);
    let (mut has_packed, mut had_burst) = (false, false);
    loop {
        let is_calm = has_packed && archivist.waiting() < DUE;
        tokio::select! {
            due = archivist.wait(DUE) => {
                if due.is_err() {
                    break;
                }
                had_burst |= archivist.waiting() >= BURST;
                let begun = Instant::now();
                pack(&mut builder, &mut archivist);
                has_packed = true;
                tokio::time::sleep(begun.elapsed() * REST).await;
            }
            () = sleep_until(next_look), if is_calm => {
                let occupied = process::resident().unwrap_or(0);
                if trimmed.is_due(occupied, had_burst, std::time::Instant::now()) {
                    trimmed = trim().await.unwrap_or(trimmed);
                    had_burst = false;
                }
                has_packed = false;
                next_look = Instant::now() + LOOK;
            }
        }
    }
    if has_packed {
        trim().await;
    }
}

/// Gives free pages back, which objects that became rows have left.
async fn trim() -> Option<Trimmed> {
    let trimmed = tokio::task::spawn_blocking(Trimmed::again).await;
    trimmed.inspect_err(|error| tracing::error!(%error, "giving free memory back panicked")).ok()
}

#[cfg(test)]
mod tests;
