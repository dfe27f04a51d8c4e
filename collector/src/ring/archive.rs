//! Values that left their slots for a form that takes less memory.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use flow::Timestamp;
use table::BatchFilter;

use super::{Ended, Found, Ring, lock, slot_of};

/// Values with numbers that follow each other, in a form that takes less memory.
pub(crate) trait Packed<T>: Debug + Send + Sync {
    /// A way to read those that a filter passes, or all.
    fn open(&self, wanted: Option<&BatchFilter>) -> Box<dyn Unpack<T>>;
}

/// Reads packed values.
pub(crate) trait Unpack<T>: Debug + Send {
    /// The value at a place, counted from the first one; `None` where it is not wanted.
    fn value(&self, at: usize) -> Option<T>;

    /// Time of the value at a place, wanted or not; `None` for a loss.
    fn time(&self, at: usize) -> Option<Timestamp>;
}

/// The packed values of a history, the oldest first.
#[derive(Debug)]
pub(super) struct Archive<T> {
    runs: RwLock<VecDeque<Run<T>>>,
}

#[derive(Debug)]
struct Run<T> {
    numbers: Range<u64>,
    packed: Arc<dyn Packed<T>>,
}

/// A run that is being read.
#[derive(Debug)]
pub(super) struct Opened<T> {
    numbers: Range<u64>,
    pub(super) values: Box<dyn Unpack<T>>,
}

impl<T> Default for Archive<T> {
    fn default() -> Self {
        Self { runs: RwLock::default() }
    }
}

impl<T> Archive<T> {
    /// Values with this number or a later one.
    pub(super) fn len(&self, oldest: u64) -> u64 {
        self.read().iter().map(|run| run.numbers.end.saturating_sub(run.numbers.start.max(oldest))).sum()
    }

    /// Opens the run that has this number.
    pub(super) fn open(&self, number: u64, wanted: Option<&BatchFilter>) -> Option<Opened<T>> {
        let (numbers, packed) = {
            let runs = self.read();
            let run = runs.get(runs.partition_point(|run| run.numbers.end <= number))?;
            (run.numbers.clone(), run.packed.clone())
        };
        numbers.contains(&number).then(|| Opened { numbers, values: packed.open(wanted) })
    }

    /// Adds a run after the others, and lets go of those that are older than `oldest`.
    fn put(&self, run: Run<T>, oldest: u64) {
        let mut dropped = Vec::new();
        {
            // Runs are put and dropped as a whole, so what a panicking thread left is sound.
            let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
            runs.push_back(run);
            dropped.extend(std::iter::from_fn(|| runs.pop_front_if(|first| first.numbers.end <= oldest)));
        }
        // Freeing takes longer than the readers should wait.
        drop(dropped);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, VecDeque<Run<T>>> {
        self.runs.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Opened<T> {
    /// Place of the value with this number, where the run has it.
    pub(super) fn place(&self, number: u64) -> Option<usize> {
        let place = number.checked_sub(self.numbers.start).filter(|_| number < self.numbers.end)?;
        Some(usize::try_from(place).expect("a run fits into memory"))
    }
}

/// Packs the values of a history, the oldest first.
#[derive(Debug)]
pub(crate) struct Archivist<T> {
    ring: Ring<T>,
    /// The first value that is not packed.
    next: u64,
}

impl<T: Clone> Archivist<T> {
    pub(super) fn new(ring: &Ring<T>) -> Self {
        Self { ring: ring.clone(), next: ring.oldest() }
    }

    /// Values that are published and not packed.
    pub(crate) fn waiting(&self) -> u64 {
        // Read once: the writer goes on meanwhile.
        let head = self.ring.head();
        head - self.next.max(head.saturating_sub(self.ring.capacity() as u64))
    }

    /// Waits until so many values are published that are not packed.
    ///
    /// # Errors
    /// The writer is gone, and there are not so many.
    pub(crate) async fn wait(&mut self, count: u64) -> Result<(), Ended> {
        let (next, capacity) = (self.next, self.ring.capacity() as u64);
        let is_due = |head: &u64| head - next.max(head.saturating_sub(capacity)) >= count;
        self.ring.head.wait_for(is_due).await.map(|_| ()).map_err(|_| Ended)
    }

    /// Gives the next `count` values to `each`, with their places, and tells their numbers. They are fewer where the
    /// writer overwrites what comes next.
    pub(crate) fn next(&mut self, count: usize, mut each: impl FnMut(usize, T)) -> Range<u64> {
        let start = self.next.max(self.ring.oldest());
        let mut lookup = self.ring.lookup();
        let mut next = start;
        for at in 0..count {
            match lookup.find(next) {
                Found::Value(value) => each(at, value),
                Found::Overwritten(number) => {
                    // By a value that is not published yet; what survives begins one turn before it.
                    self.next = number + 1 - self.ring.capacity() as u64;
                    return start..next;
                }
                Found::Unwanted | Found::Nothing => break,
            }
            next += 1;
        }
        self.next = next;
        start..next
    }

    /// Puts values that are packed now in the place of those with these numbers.
    pub(crate) fn put(&self, numbers: Range<u64>, packed: Arc<dyn Packed<T>>) {
        self.ring.values.archive.put(Run { numbers: numbers.clone(), packed }, self.ring.oldest());
        for number in numbers {
            let value = {
                let mut slot = lock(slot_of(&self.ring.values.slots, number));
                if slot.number == number { slot.value.take() } else { None }
            };
            drop(value);
        }
    }
}
