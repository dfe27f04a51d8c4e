//! A bounded map that forgets what was not used for long, at the cost of one look-up a use.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table};

/// A map of at most `capacity` entries in two generations.
///
/// New and used entries are young. When half the capacity is young and one more has to be, or when [`Generations::turn`]
/// is called, the young ones become old, and what was still old by then is forgotten. So an entry used since the last
/// turn is never forgotten, and no use has to relink a list: this is for tables that every flow passes, where the order
/// of use need not be exact. Both generations are in one table: a use costs one look-up, and nothing is held twice; a
/// turn passes over the whole table. Entries forgotten for lack of room are counted.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    table: HashTable<Entry<K, V>>,
    hasher: RandomState,
    half: usize,
    /// Entries that are young.
    young: usize,
    /// Mark of young entries; it changes with each turn.
    mark: bool,
    evicted: u64,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    mark: bool,
}

impl<K: Copy + Eq + Hash, V> Generations<K, V> {
    /// An empty map; a capacity below two counts as two.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            table: HashTable::new(),
            hasher: RandomState::default(),
            half: (capacity / 2).max(1),
            young: 0,
            mark: true,
            evicted: 0,
        }
    }

    /// Finds an entry and marks it as used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        let hash = self.hasher.hash_one(key);
        if self.young >= self.half && self.table.find(hash, |e| e.key == *key).is_some_and(|e| e.mark != self.mark) {
            self.make_room(hash, key);
        }
        let entry = self.table.find_mut(hash, |entry| entry.key == *key)?;
        self.young += usize::from(entry.mark != self.mark);
        entry.mark = self.mark;
        Some(&mut entry.value)
    }

    /// Finds an entry without marking it as used.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        let hash = self.hasher.hash_one(key);
        self.table.find(hash, |entry| entry.key == *key).map(|entry| &entry.value)
    }

    /// Finds an entry and marks it as used, or makes it; says whether it was made.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> (&mut V, bool) {
        let hash = self.hasher.hash_one(key);
        if self.young >= self.half && self.table.find(hash, |e| e.key == key).is_none_or(|e| e.mark != self.mark) {
            self.make_room(hash, &key);
        }
        let (hasher, mark) = (&self.hasher, self.mark);
        match self.table.entry(hash, |entry| entry.key == key, |entry| hasher.hash_one(entry.key)) {
            hash_table::Entry::Occupied(entry) => {
                let entry = entry.into_mut();
                self.young += usize::from(entry.mark != mark);
                entry.mark = mark;
                (&mut entry.value, false)
            }
            hash_table::Entry::Vacant(place) => {
                self.young += 1;
                (&mut place.insert(Entry { key, value: make(), mark }).into_mut().value, true)
            }
        }
    }

    /// Adds or replaces an entry.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let mut value = Some(value);
        let (slot, _) = self.get_or_insert_with(key, || value.take().expect("it is taken once"));
        if let Some(value) = value {
            *slot = value;
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let (entry, _) = self.table.find_entry(hash, |entry| entry.key == *key).ok()?.remove();
        self.young -= usize::from(entry.mark == self.mark);
        Some(entry.value)
    }

    /// Ends a generation: forgets what was not used since the last turn. Call it at half the time after which entries
    /// may be forgotten.
    pub(crate) fn turn(&mut self) {
        let mark = self.mark;
        self.table.retain(|entry| entry.mark == mark);
        self.mark = !mark;
        self.young = 0;
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.table.clear();
        self.young = 0;
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Entries forgotten for lack of room since the start.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Ends a generation because one more entry has to be young. An old entry of this key is kept: it is the one.
    fn make_room(&mut self, hash: u64, key: &K) {
        if let Some(entry) = self.table.find_mut(hash, |entry| entry.key == *key) {
            entry.mark = self.mark;
        }
        let before = self.table.len();
        self.turn();
        self.evicted += (before - self.table.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut map = Generations::new(4);
        map.insert(1, "a");
        map.insert(2, "b");
        map.insert(3, "c");
        assert_eq!(map.get(&1), Some(&mut "a"));
        map.insert(4, "d");
        assert_eq!(
            (map.peek(&1), map.peek(&2), map.peek(&3), map.peek(&4)),
            (Some(&"a"), None, Some(&"c"), Some(&"d"))
        );
        assert_eq!(map.evicted(), 1);
        map.turn();
        map.turn();
        assert_eq!((map.len(), map.evicted()), (0, 1));
    }

    proptest! {
        /// As long as there is room, what was used since the last turn is there, whatever the order of uses.
        #[test]
        fn what_was_used_since_the_last_turn_is_there(uses in prop::collection::vec((0u8..12, any::<bool>()), 0..300)) {
            let mut map = Generations::new(16);
            let mut used = std::collections::HashSet::new();
            for (key, turn) in uses {
                if turn && key == 0 {
                    map.turn();
                    used.clear();
                }
                if key % 3 == 0 && map.remove(&key).is_some() {
                    used.remove(&key);
                } else {
                    map.insert(key, key);
                    used.insert(key);
                }
                if map.evicted() == 0 {
                    prop_assert!(used.iter().all(|key| map.peek(key) == Some(key)));
                }
                prop_assert_eq!(map.get(&key).is_some(), used.contains(&key));
                prop_assert!(map.young <= map.half && map.young <= map.len());
            }
        }

        #[test]
        fn nothing_is_lost_without_being_counted(capacity in 2usize..20, keys in prop::collection::vec(0u8..40, 0..300)) {
            let mut map = Generations::new(capacity);
            let mut made = 0u64;
            for key in keys {
                made += u64::from(map.get_or_insert_with(key, || key).1);
                prop_assert!(map.len() <= capacity);
                prop_assert_eq!(map.peek(&key), Some(&key));
            }
            prop_assert_eq!(made, map.len() as u64 + map.evicted());
        }
    }
}
