//! What each view saw of a conversation.

use super::columns::View;

/// Counts of one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) flows: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) packets: u64,
}

impl Traffic {
    pub(crate) const fn add(&mut self, other: Self) {
        self.flows = self.flows.saturating_add(other.flows);
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
        self.packets = self.packets.saturating_add(other.packets);
    }
}

/// Views, and the same where the client's own node reports the traffic too.
const SLOTS: usize = 2 * View::COUNT;

/// Slots that have a place of their own: most conversations are seen from one or two places, and there may be hundreds
/// of thousands of them.
const NEAR: usize = 2;

/// Counts by view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Views {
    near: [Traffic; NEAR],
    /// Slot of each place, and one; 0 where nothing has it.
    slots: [u8; NEAR],
    others: Option<Box<[Traffic; SLOTS]>>,
}

/// A view; the second is what it saw that the client's own node reports too.
pub(crate) type Slot = (usize, bool);

const fn slot_of((view, is_repeated): Slot) -> usize {
    if is_repeated { view + View::COUNT } else { view }
}

impl Views {
    /// What a view saw.
    pub(crate) fn get(&self, slot: Slot) -> Traffic {
        let slot = slot_of(slot);
        match self.slots.iter().position(|taken| usize::from(*taken) == slot + 1) {
            Some(place) => self.near[place],
            None => self.others.as_ref().map_or_else(Traffic::default, |others| others[slot]),
        }
    }

    #[inline]
    pub(crate) fn at(&mut self, slot: Slot) -> &mut Traffic {
        let slot = slot_of(slot);
        let number = u8::try_from(slot + 1).unwrap_or(u8::MAX);
        for place in 0..NEAR {
            if self.slots[place] == number {
                return &mut self.near[place];
            }
            if self.slots[place] == 0 {
                self.slots[place] = number;
                return &mut self.near[place];
            }
        }
        &mut self.others.get_or_insert_default()[slot]
    }

    /// Adds what was seen of a conversation that is shown as the same.
    pub(crate) fn add(&mut self, other: &Self) {
        for view in 0..View::COUNT {
            for slot in [(view, false), (view, true)] {
                let seen = other.get(slot);
                if seen != Traffic::default() {
                    self.at(slot).add(seen);
                }
            }
        }
    }

    /// Marks what a view saw as reported by the client's own node, too.
    pub(crate) fn repeat(&mut self, view: usize) {
        if self.get((view, false)) != Traffic::default() {
            let seen = std::mem::take(self.at((view, false)));
            self.at((view, true)).add(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_slot_counts_for_itself(adds in proptest::collection::vec((0..View::COUNT, any::<bool>(), 1..9_u64), 0..40)) {
            let (mut views, mut other) = (Views::default(), Views::default());
            let mut plain = [0; SLOTS];
            for (number, (view, is_repeated, flows)) in adds.into_iter().enumerate() {
                let of = if number % 2 == 0 { &mut views } else { &mut other };
                of.at((view, is_repeated)).add(Traffic { flows, ..Traffic::default() });
                plain[slot_of((view, is_repeated))] += flows;
            }
            views.add(&other);
            for view in 0..View::COUNT {
                for is_repeated in [false, true] {
                    prop_assert_eq!(views.get((view, is_repeated)).flows, plain[slot_of((view, is_repeated))]);
                }
            }
            let (once, again) = (views.get((2, false)).flows, views.get((2, true)).flows);
            views.repeat(2);
            prop_assert_eq!((views.get((2, false)).flows, views.get((2, true)).flows), (0, once + again));
        }
    }
}
