//! Running totals of kernel maps become what was added since the last report.

use std::hash::Hash;

use crate::generations::Generations;

/// What was counted for a key since a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
}

/// Remembers the last totals of each key of a kernel map.
///
/// The sum of all differences handed out for a key equals the sum of the last totals of each entry the kernel had for
/// it, whatever the order reports come in, as long as the key is not forgotten while the kernel still has its entry.
#[derive(Debug)]
pub(crate) struct Totals<K> {
    table: Generations<K, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    first_boot_ns: u64,
    total: Count,
}

impl<K: Copy + Eq + Hash> Totals<K> {
    /// Remembers `capacity` keys at most.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { table: Generations::new(capacity) }
    }

    /// What `total` adds to what was reported before; `first_boot_ns` tells entries of the kernel apart that follow
    /// each other under one key.
    pub(crate) fn difference(&mut self, key: K, first_boot_ns: u64, total: Count) -> Count {
        let (known, made) = self.table.get_or_insert_with(key, || Known { first_boot_ns, total });
        if made {
            return total;
        }
        if first_boot_ns > known.first_boot_ns {
            *known = Known { first_boot_ns, total };
            return total;
        }
        if first_boot_ns < known.first_boot_ns {
            // A record that waited in a ring while the sweep took its entry out: the sweep had these totals, or more.
            return Count::default();
        }
        let more = |now: u64, before: u64| now.saturating_sub(before);
        let added =
            Count { bytes: more(total.bytes, known.total.bytes), packets: more(total.packets, known.total.packets) };
        known.total = Count { bytes: known.total.bytes + added.bytes, packets: known.total.packets + added.packets };
        added
    }

    /// Whether something was reported for this key.
    pub(crate) fn knows(&self, key: &K) -> bool {
        self.table.peek(key).is_some()
    }

    /// Ends a generation.
    pub(crate) fn turn(&mut self) {
        self.table.turn();
    }

    /// Keys remembered.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Keys forgotten for lack of room.
    pub(crate) const fn evicted(&self) -> u64 {
        self.table.evicted()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(packets: u64) -> Count {
        Count { bytes: packets * 100, packets }
    }

    #[test]
    fn a_late_record_adds_nothing() {
        let mut totals = Totals::new(8);
        assert_eq!(totals.difference(1, 10, count(5)), count(5));
        assert_eq!(totals.difference(1, 10, count(3)), count(0));
        assert_eq!(totals.difference(1, 10, count(7)), count(2));
        assert_eq!(totals.difference(1, 20, count(1)), count(1));
        assert_eq!(totals.difference(1, 10, count(7)), count(0));
    }

    proptest! {
        /// The kernel counts packets under a few keys, gives totals at any time and takes entries out at any time;
        /// records wait in a ring and so come later than sweeps.
        #[test]
        fn differences_add_up_to_what_the_kernel_counted(steps in prop::collection::vec((0u8..4, 0u8..4, 1u64..9), 1..200)) {
            let mut totals = Totals::new(64);
            let mut entries: std::collections::HashMap<u8, (u64, u64)> = std::collections::HashMap::new();
            let mut waiting = Vec::new();
            let (mut counted, mut got, mut now) = (0, 0, 0);
            for (key, action, packets) in steps {
                now += 1;
                match action {
                    0 | 1 => {
                        let entry = entries.entry(key).or_insert((now, 0));
                        entry.1 += packets;
                        counted += packets;
                        if action == 0 {
                            waiting.push((key, *entry));
                        }
                    }
                    2 => {
                        if let Some((first, total)) = entries.remove(&key) {
                            got += totals.difference(key, first, count(total)).packets;
                        }
                    }
                    _ => {
                        for (key, (first, total)) in waiting.drain(..) {
                            got += totals.difference(key, first, count(total)).packets;
                        }
                    }
                }
            }
            for (key, (first, total)) in entries {
                got += totals.difference(key, first, count(total)).packets;
            }
            prop_assert_eq!(got, counted);
        }
    }
}
