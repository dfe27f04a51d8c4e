//! A numbered, bounded history with one writer and many readers.
//!
//! The writer never waits for a reader: when the history is full the oldest value makes room, and a reader that is
//! overtaken learns exactly how many values it missed. So for each reader, at any time,
//! values written since it began = values it got + values it was told it lost + values still waiting.

use std::sync::{Arc, Mutex, PoisonError};

use flow::{AgentEventType, Flow, LostEvent, Timestamp};
use tokio::sync::watch;

use crate::policy::PolicyChange;

/// What the history of flows holds.
#[derive(Clone, Debug)]
pub enum Event {
    /// An observed flow.
    Flow(Arc<Flow>),
    /// Events lost before they could become flows, and when that was noticed.
    Lost(Arc<(Timestamp, LostEvent)>),
}

impl Event {
    /// When it happened.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Flow(flow) => flow.time,
            Self::Lost(lost) => lost.0,
        }
    }
}

/// Something that happened to the collector itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentEvent {
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub what: AgentNews,
}

/// What happened to the collector itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentNews {
    /// The collector began to observe.
    Started,
    /// An endpoint appeared on or vanished from this node.
    Endpoint {
        /// Whether it appeared.
        created: bool,
        /// The endpoint.
        endpoint: Arc<flow::Endpoint>,
    },
    /// The packet policy of this machine changed.
    Policy(Arc<PolicyChange>),
}

impl AgentEvent {
    /// Kind in the numbering of the API.
    #[must_use]
    pub const fn kind(&self) -> AgentEventType {
        match self.what {
            AgentNews::Started => AgentEventType::AGENT_STARTED,
            AgentNews::Policy(_) => AgentEventType::POLICY_UPDATED,
            AgentNews::Endpoint { created: true, .. } => AgentEventType::ENDPOINT_CREATED,
            AgentNews::Endpoint { created: false, .. } => AgentEventType::ENDPOINT_DELETED,
        }
    }
}

/// Share of a history that readers are made from.
#[derive(Debug)]
pub struct Ring<T> {
    slots: Arc<[Mutex<Slot<T>>]>,
    head: watch::Receiver<u64>,
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
    slots: Arc<[Mutex<Slot<T>>]>,
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
    /// Nothing new yet.
    Empty,
}

/// The writer is gone and everything it wrote was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended;

#[derive(Debug)]
struct Slot<T> {
    number: u64,
    value: Option<T>,
}

/// Makes an empty history of `capacity` values, at least one.
#[must_use]
pub fn ring<T: Clone>(capacity: usize) -> (Writer<T>, Ring<T>) {
    let slots: Arc<[_]> = (0..capacity.max(1)).map(|_| Mutex::new(Slot { number: 0, value: None })).collect();
    let (sender, head) = watch::channel(0);
    (Writer { slots: slots.clone(), head: sender, next: 0, published: 0 }, Ring { slots, head })
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone(), head: self.head.clone() }
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
        self.slots.len()
    }

    /// Number the next value will get, which is also how many were written.
    #[must_use]
    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Number of the oldest value held.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.head().saturating_sub(self.slots.len() as u64)
    }

    /// Values held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.head().min(self.slots.len() as u64)
    }

    /// The value with this number, `None` where it was overwritten or not yet written.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<T> {
        let slot = lock(slot_of(&self.slots, number));
        if slot.number == number { slot.value.clone() } else { None }
    }

    /// A reader whose first value will have this number.
    #[must_use]
    pub fn reader_at(&self, number: u64) -> Reader<T> {
        Reader { slots: self.slots.clone(), head: self.head.clone(), next: number }
    }

    /// A reader that gets only what is written from now on.
    #[must_use]
    pub fn reader_at_tip(&self) -> Reader<T> {
        self.reader_at(self.head())
    }
}

impl<T: Clone> Reader<T> {
    /// Takes the next value, or says how many were lost, or that there is none yet. Never waits for the writer.
    pub fn read(&mut self) -> Read<T> {
        let head = *self.head.borrow();
        if self.next >= head {
            return Read::Empty;
        }
        let oldest = head.saturating_sub(self.slots.len() as u64);
        if self.next < oldest {
            return self.skip_to(oldest);
        }
        let slot = lock(slot_of(&self.slots, self.next));
        if slot.number > self.next {
            // Overwritten by values that are not published yet: what survives begins one turn before that value.
            let oldest = slot.number + 1 - self.slots.len() as u64;
            drop(slot);
            return self.skip_to(oldest);
        }
        match &slot.value {
            Some(value) => {
                self.next += 1;
                Read::Value(value.clone())
            }
            None => Read::Empty,
        }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads all there is: (values, lost).
    fn drain(reader: &mut Reader<u64>) -> (Vec<u64>, u64) {
        let (mut values, mut lost) = (Vec::new(), 0);
        loop {
            match reader.read() {
                Read::Value(value) => values.push(value),
                Read::Lost(n) => lost += n,
                Read::Empty => return (values, lost),
            }
        }
    }

    #[test]
    fn an_overtaken_reader_learns_the_exact_loss() {
        let (mut writer, ring) = ring(4);
        let mut reader = ring.reader_at(0);
        for n in 0..10 {
            writer.push(n);
        }
        writer.publish();
        assert_eq!(drain(&mut reader), (vec![6, 7, 8, 9], 6));
        assert_eq!((ring.held(), ring.oldest(), ring.head()), (4, 6, 10));
        assert_eq!((ring.get(5), ring.get(6), ring.get(10)), (None, Some(6), None));
    }

    #[test]
    fn pushed_values_show_once_published() {
        let (mut writer, ring) = ring(8);
        let mut reader = ring.reader_at_tip();
        writer.push(1);
        assert_eq!(reader.read(), Read::Empty);
        writer.publish();
        assert_eq!(reader.read(), Read::Value(1));
    }

    proptest! {
        #[test]
        fn written_is_got_plus_lost(capacity in 1usize..40, steps in prop::collection::vec((0usize..60, 0usize..60, any::<bool>()), 1..60)) {
            let (mut writer, ring) = ring(capacity);
            let mut reader = ring.reader_at(0);
            let (mut written, mut got, mut lost, mut last) = (0u64, 0u64, 0u64, None);
            for (pushes, reads, publish) in steps {
                for _ in 0..pushes {
                    writer.push(written);
                    written += 1;
                }
                if publish {
                    writer.publish();
                }
                for _ in 0..reads {
                    match reader.read() {
                        Read::Value(value) => {
                            prop_assert!(last < Some(value));
                            prop_assert_eq!(value, got + lost);
                            last = Some(value);
                            got += 1;
                        }
                        Read::Lost(n) => lost += n,
                        Read::Empty => break,
                    }
                }
            }
            writer.publish();
            let (rest, more) = drain(&mut reader);
            prop_assert_eq!(written, got + rest.len() as u64 + lost + more);
        }
    }

    #[test]
    fn a_reader_in_another_thread_accounts_for_every_value() {
        const TOTAL: u64 = 200_000;
        let (mut writer, ring) = ring(64);
        let mut reader = ring.reader_at(0);
        let reading = std::thread::spawn(move || {
            let (mut got, mut lost, mut next) = (0u64, 0u64, 0u64);
            while got + lost < TOTAL {
                match reader.read() {
                    Read::Value(value) => {
                        assert_eq!(value, next);
                        next += 1;
                        got += 1;
                    }
                    Read::Lost(n) => {
                        next += n;
                        lost += n;
                    }
                    Read::Empty => std::thread::yield_now(),
                }
            }
            (got, lost)
        });
        for n in 0..TOTAL {
            writer.push(n);
            if n % 7 == 0 {
                writer.publish();
            }
        }
        writer.publish();
        let (got, lost) = reading.join().unwrap();
        assert_eq!(got + lost, TOTAL);
    }

    #[tokio::test]
    async fn waiting_ends_when_the_writer_is_gone_and_all_is_read() {
        let (mut writer, ring) = ring(8);
        let mut reader = ring.reader_at(0);
        writer.push(1);
        writer.publish();
        drop(writer);
        assert_eq!(reader.wait().await, Ok(()));
        assert_eq!(reader.read(), Read::Value(1));
        assert_eq!(reader.wait().await, Err(Ended));
    }
}
