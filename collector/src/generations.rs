//! A bounded map that forgets what was not used for long, at the cost of one look-up a use.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A map of at most `capacity` entries in two generations.
///
/// New and used entries are in the young generation. When it has half the capacity, or when [`Generations::turn`] is
/// called, it becomes the old one, and what is left of the former old one is forgotten. So an entry used since the last
/// turn is never forgotten, and no use has to relink a list: this is for tables that every flow passes, where the order
/// of use need not be exact. Entries forgotten for lack of room are counted.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    young: HashTable<(K, V)>,
    old: HashTable<(K, V)>,
    hasher: RandomState,
    half: usize,
    evicted: u64,
}

impl<K: Copy + Eq + Hash, V> Generations<K, V> {
    /// An empty map; a capacity below two counts as two.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            young: HashTable::new(),
            old: HashTable::new(),
            hasher: RandomState::default(),
            half: (capacity / 2).max(1),
            evicted: 0,
        }
    }

    /// Finds an entry and marks it as used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        let hash = self.hasher.hash_one(key);
        if self.young.find(hash, |(k, _)| k == key).is_none() {
            self.promote(hash, key)?;
        }
        self.young.find_mut(hash, |(k, _)| k == key).map(|(_, value)| value)
    }

    /// Finds an entry without marking it as used.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        let hash = self.hasher.hash_one(key);
        let entry = self.young.find(hash, |(k, _)| k == key);
        entry.or_else(|| self.old.find(hash, |(k, _)| k == key)).map(|(_, value)| value)
    }

    /// Finds an entry and marks it as used, or makes it; says whether it was made.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> (&mut V, bool) {
        let hash = self.hasher.hash_one(key);
        let mut made = false;
        if self.young.find(hash, |(k, _)| *k == key).is_none() && self.promote(hash, &key).is_none() {
            self.insert_young(hash, key, make());
            made = true;
        }
        let entry = self.young.find_mut(hash, |(k, _)| *k == key);
        (&mut entry.expect("it was found, promoted or inserted").1, made)
    }

    /// Adds or replaces an entry.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let hash = self.hasher.hash_one(key);
        if let Some((_, slot)) = self.young.find_mut(hash, |(k, _)| *k == key) {
            *slot = value;
            return;
        }
        if let Ok(entry) = self.old.find_entry(hash, |(k, _)| *k == key) {
            entry.remove();
        }
        self.insert_young(hash, key, value);
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        for table in [&mut self.young, &mut self.old] {
            if let Ok(entry) = table.find_entry(hash, |(k, _)| k == key) {
                return Some(entry.remove().0.1);
            }
        }
        None
    }

    /// Ends a generation: forgets what was not used since the last turn. Call it at half the time after which entries
    /// may be forgotten.
    pub(crate) fn turn(&mut self) {
        self.old.clear();
        std::mem::swap(&mut self.young, &mut self.old);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Entries forgotten for lack of room since the start.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Moves an entry from the old generation to the young one.
    fn promote(&mut self, hash: u64, key: &K) -> Option<()> {
        let entry = self.old.find_entry(hash, |(k, _)| k == key).ok()?;
        let ((key, value), _) = entry.remove();
        self.insert_young(hash, key, value);
        Some(())
    }

    fn insert_young(&mut self, hash: u64, key: K, value: V) {
        if self.young.len() >= self.half {
            self.evicted += self.old.len() as u64;
            self.turn();
        }
        let hasher = &self.hasher;
        self.young.insert_unique(hash, (key, value), |(k, _)| hasher.hash_one(k));
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
