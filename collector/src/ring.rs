//! A numbered, bounded history with one writer and many readers.
//!
//! The writer never waits for a reader: when the history is full the oldest value makes room, and a reader that is
//! overtaken learns exactly how many values it missed. So for each reader, at any time,
//! values written since it began = values it got + values it was told it lost + values still waiting.
//!
//! Values may leave their slots for a smaller form while they are in the history; readers do not notice.

use std::sync::{Arc, Mutex, PoisonError};

use flow::Timestamp;
use table::BatchFilter;
use tokio::sync::watch;

mod archive;
mod event;

use archive::{Archive, Opened};
pub(crate) use archive::{Archivist, Packed, Unpack};
pub(crate) use event::Timed;
pub use event::{AgentEvent, AgentNews, Event};

/// Share of a history that readers are made from.
#[derive(Debug)]
pub struct Ring<T> {
    values: Values<T>,
    head: watch::Receiver<u64>,
}

/// Where the values are: in a slot each, or packed.
#[derive(Debug)]
struct Values<T> {
    slots: Arc<[Mutex<Slot<T>>]>,
    archive: Arc<Archive<T>>,
}

/// Looks values up by their numbers, one after the other: what had to be opened for one stays open for the next.
#[derive(Debug)]
pub(crate) struct Lookup<T> {
    values: Values<T>,
    wanted: Option<Arc<BatchFilter>>,
    opened: Option<Opened<T>>,
}

/// The one writer of a history. Readers see what was pushed once it is published.
#[derive(Debug)]
pub struct Writer<T> {
    slots: Arc<[Mutex<Slot<T>>]>,
    head: watch::Sender<u64>,
    next: u64,
    published: u64,
}

/// Reads a history from some number on.
#[derive(Debug)]
pub struct Reader<T> {
    lookup: Lookup<T>,
    head: watch::Receiver<u64>,
    next: u64,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// The next value.
    Value(T),
    /// The writer overtook the reader by so many values.
    Lost(u64),
    /// Some values that are not wanted were passed over; there may be others.
    Passed,
    /// Nothing new yet.
    Empty,
}

/// Values that are not wanted which are passed over at once: there may be very many.
const PASSED_MAX: usize = 1_024;

/// The writer is gone and everything it wrote was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended;

#[derive(Debug)]
struct Slot<T> {
    number: u64,
    /// `None` before the first value, and once the value was packed.
    value: Option<T>,
}

/// What is found under a number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// This value.
    Value(T),
    /// One that is not wanted.
    Unwanted,
    /// The slot has this later value.
    Overwritten(u64),
    /// Neither in a slot nor packed: not yet written, or not any more.
    Nothing,
}

/// Makes an empty history of `capacity` values, at least one.
#[must_use]
pub fn ring<T: Clone>(capacity: usize) -> (Writer<T>, Ring<T>) {
    let slots: Arc<[_]> = (0..capacity.max(1)).map(|_| Mutex::new(Slot { number: 0, value: None })).collect();
    let (sender, head) = watch::channel(0);
    let values = Values { slots: slots.clone(), archive: Arc::default() };
    (Writer { slots, head: sender, next: 0, published: 0 }, Ring { values, head })
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), head: self.head.clone() }
    }
}

impl<T> Clone for Values<T> {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone(), archive: self.archive.clone() }
    }
}

impl<T: Clone> Writer<T> {
    /// Appends a value and returns its number; the oldest makes room when the history is full.
    pub fn push(&mut self, value: T) -> u64 {
        let number = self.next;
        let replaced = {
            let mut slot = lock(slot_of(&self.slots, number));
            slot.number = number;
            slot.value.replace(value)
        };
        // Freeing a value takes longer than storing one, so readers of the slot need not wait for it.
        drop(replaced);
        self.next += 1;
        // Readers judge their distance by what is published: it must never lag by a good part of the history.
        if self.next - self.published >= (self.slots.len() as u64).div_ceil(4) {
            self.publish();
        }
        number
    }

    /// Shows readers what was pushed and wakes those that wait. Call once per batch.
    pub fn publish(&mut self) {
        if self.published != self.next {
            self.published = self.next;
            self.head.send_replace(self.next);
        }
    }
}

impl<T: Clone> Ring<T> {
    /// Values it can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.values.slots.len()
    }

    /// Number the next value will get, which is also how many were written.
    #[must_use]
    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Number of the oldest value held.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.head().saturating_sub(self.capacity() as u64)
    }

    /// Values held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.head().min(self.capacity() as u64)
    }

    /// Values held that are packed.
    #[must_use]
    pub fn packed(&self) -> u64 {
        self.values.archive.len(self.oldest())
    }

    /// A way to look values up by their numbers.
    pub(crate) fn lookup(&self) -> Lookup<T> {
        Lookup { values: self.values.clone(), wanted: None, opened: None }
    }

    /// The one who packs values. There must not be two.
    pub(crate) fn archivist(&self) -> Archivist<T> {
        Archivist::new(self)
    }

    /// A reader whose first value will have this number.
    #[must_use]
    pub fn reader_at(&self, number: u64) -> Reader<T> {
        Reader { lookup: self.lookup(), head: self.head.clone(), next: number }
    }

    /// A reader that gets only what is written from now on.
    #[must_use]
    pub fn reader_at_tip(&self) -> Reader<T> {
        self.reader_at(self.head())
    }
}

impl<T: Clone> Lookup<T> {
    /// Looks only for what a filter passes, if there is one; it is asked of packed values before they are unpacked, and not
    /// of others.
    pub(crate) fn wanting(self, filter: Option<Arc<BatchFilter>>) -> Self {
        Self { wanted: filter, opened: None, ..self }
    }

    /// What there is under a number.
    pub(crate) fn find(&mut self, number: u64) -> Found<T> {
        if let Some(place) = self.opened.as_ref().and_then(|opened| opened.place(number)) {
            return self.unpack(place);
        }
        {
            let slot = lock(slot_of(&self.values.slots, number));
            if slot.number > number {
                return Found::Overwritten(slot.number);
            }
            if slot.number == number
                && let Some(value) = &slot.value
            {
                return Found::Value(value.clone());
            }
        }
        // A value is packed before it leaves its slot.
        self.opened = self.values.archive.open(number, self.wanted.as_deref());
        match self.opened.as_ref().and_then(|opened| opened.place(number)) {
            Some(place) => self.unpack(place),
            None => Found::Nothing,
        }
    }

    fn unpack(&self, place: usize) -> Found<T> {
        let value = self.opened.as_ref().and_then(|opened| opened.values.value(place));
        value.map_or(Found::Unwanted, Found::Value)
    }
}

impl<T: Clone + Timed> Lookup<T> {
    /// Time of the value with this number; `None` for a loss, and where there is none. Of the values of a run only the
    /// first one that is asked for is unpacked.
    pub(crate) fn time(&mut self, number: u64) -> Option<Timestamp> {
        if let Some(opened) = &self.opened
            && let Some(place) = opened.place(number)
        {
            return opened.values.time(place);
        }
        match self.find(number) {
            Found::Value(value) => (!value.is_loss()).then(|| value.when()),
            Found::Unwanted | Found::Overwritten(_) | Found::Nothing => None,
        }
    }
}

impl<T: Clone> Reader<T> {
    /// Leaves out what is packed and does not pass a filter, if there is one.
    pub(crate) fn wanting(self, filter: Option<Arc<BatchFilter>>) -> Self {
        Self { lookup: self.lookup.wanting(filter), ..self }
    }

    /// Takes the next value, or says how many were lost, or that there is none yet. Never waits for the writer.
    pub fn read(&mut self) -> Read<T> {
        let mut passed = 0;
        while passed < PASSED_MAX {
            let head = *self.head.borrow();
            if self.next >= head {
                return Read::Empty;
            }
            let capacity = self.lookup.values.slots.len() as u64;
            let oldest = head.saturating_sub(capacity);
            if self.next < oldest {
                return self.skip_to(oldest);
            }
            match self.lookup.find(self.next) {
                Found::Value(value) => {
                    self.next += 1;
                    return Read::Value(value);
                }
                Found::Unwanted => {
                    self.next += 1;
                    passed += 1;
                }
                // By values that are not published yet: what survives begins one turn before that value.
                Found::Overwritten(number) => return self.skip_to(number + 1 - capacity),
                // It left the archive since, so the head has moved on.
                Found::Nothing => {}
            }
        }
        Read::Passed
    }

    /// Number of the value that comes next.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// Waits until there is something to read.
    ///
    /// # Errors
    /// The writer is gone and nothing is left to read.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn wait(&mut self) -> Result<(), Ended> {
        let next = self.next;
        self.head.wait_for(|head| *head > next).await.map(|_| ()).map_err(|_| Ended)
    }

    fn skip_to(&mut self, oldest: u64) -> Read<T> {
        let lost = oldest - self.next;
        self.next = oldest;
        Read::Lost(lost)
    }
}

fn slot_of<T>(slots: &[Mutex<Slot<T>>], number: u64) -> &Mutex<Slot<T>> {
    let index = usize::try_from(number % slots.len() as u64).expect("below the number of slots");
    &slots[index]
}

/// A slot is replaced as a whole, so one left by a panicking thread is still sound.
fn lock<T>(slot: &Mutex<Slot<T>>) -> std::sync::MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
