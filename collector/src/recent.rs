//! A bounded map that knows which of its entries was used longest ago.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Position of no entry.
const NONE: u32 = u32::MAX;

/// A map of at most `capacity` entries, linked in the order of their last use.
///
/// When full, [`Recent::insert`] hands back the entry used longest ago. Every operation takes constant time, except that
/// growing the storage moves it.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    index: HashMap<K, u32, RandomState>,
    entries: Vec<Entry<K, V>>,
    free: Vec<u32>,
    /// Used longest ago.
    oldest: u32,
    /// Used last.
    newest: u32,
    capacity: usize,
}

#[derive(Debug)]
struct Entry<K, V> {
    /// `None` while the place is free.
    content: Option<(K, V)>,
    older: u32,
    newer: u32,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    /// An empty map; a capacity of zero counts as one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            index: HashMap::default(),
            entries: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            capacity: capacity.clamp(1, NONE as usize - 1),
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Finds an entry without marking it as used.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = *self.index.get(key)?;
        Some(self.value_mut(at))
    }

    /// Finds an entry and marks it as used now.
    pub(crate) fn touch(&mut self, key: &K) -> Option<&mut V> {
        let at = *self.index.get(key)?;
        if at != self.newest {
            self.unlink(at);
            self.link_newest(at);
        }
        Some(self.value_mut(at))
    }

    /// Adds an entry, or replaces the one with this key, as used now; returns what had to go.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        if let Some(slot) = self.touch(&key) {
            return Some((key, std::mem::replace(slot, value)));
        }
        let evicted = if self.len() >= self.capacity { self.pop_oldest() } else { None };
        let entry = Entry { content: Some((key, value)), older: NONE, newer: NONE };
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("the capacity is below u32::MAX")
            }
        };
        self.index.insert(key, at);
        self.link_newest(at);
        evicted
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.index.remove(key)?;
        self.unlink(at);
        self.free.push(at);
        self.entries[at as usize].content.take().map(|(_, value)| value)
    }

    /// The entry used longest ago.
    pub(crate) fn oldest(&self) -> Option<(&K, &V)> {
        self.content(self.oldest)
    }

    /// Takes out the entry used longest ago.
    pub(crate) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let key = *self.oldest()?.0;
        self.remove(&key).map(|value| (key, value))
    }

    /// All entries, the one used longest ago first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        std::iter::successors(Some(self.oldest).filter(|at| *at != NONE), |at| {
            Some(self.entries[*at as usize].newer).filter(|at| *at != NONE)
        })
        .filter_map(|at| self.content(at))
    }

    /// Changes all entries, in no order that means anything.
    pub(crate) fn for_each_mut(&mut self, mut change: impl FnMut(&K, &mut V)) {
        for (key, value) in self.entries.iter_mut().filter_map(|entry| entry.content.as_mut()) {
            change(key, value);
        }
    }

    fn content(&self, at: u32) -> Option<(&K, &V)> {
        self.entries.get(at as usize)?.content.as_ref().map(|(key, value)| (key, value))
    }

    fn value_mut(&mut self, at: u32) -> &mut V {
        let content = self.entries[at as usize].content.as_mut();
        &mut content.expect("an indexed place is taken").1
    }

    fn unlink(&mut self, at: u32) {
        let Entry { older, newer, .. } = self.entries[at as usize];
        match older {
            NONE => self.oldest = newer,
            older => self.entries[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.entries[newer as usize].older = older,
        }
    }

    fn link_newest(&mut self, at: u32) {
        self.entries[at as usize].older = self.newest;
        self.entries[at as usize].newer = NONE;
        match self.newest {
            NONE => self.oldest = at,
            newest => self.entries[newest as usize].newer = at,
        }
        self.newest = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(map: &Recent<u32, &str>) -> Vec<u32> {
        map.iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn keeps_the_order_of_use_and_evicts_the_oldest() {
        let mut map = Recent::new(3);
        assert!(map.insert(1, "a").is_none() && map.insert(2, "b").is_none() && map.insert(3, "c").is_none());
        assert_eq!(keys(&map), [1, 2, 3]);
        assert_eq!(map.touch(&1), Some(&mut "a"));
        assert_eq!(map.get_mut(&2), Some(&mut "b"));
        assert_eq!(keys(&map), [2, 3, 1]);
        assert_eq!(map.insert(4, "d"), Some((2, "b")));
        assert_eq!(map.insert(3, "e"), Some((3, "c")));
        assert_eq!(keys(&map), [1, 4, 3]);
        map.for_each_mut(|key, value| {
            if *key == 4 {
                *value = "dd";
            }
        });
        assert_eq!(map.remove(&4), Some("dd"));
        assert_eq!(map.remove(&4), None);
        assert_eq!(keys(&map), [1, 3]);
        assert_eq!(map.pop_oldest(), Some((1, "a")));
        assert_eq!(map.pop_oldest(), Some((3, "e")));
        assert_eq!(map.pop_oldest(), None);
        assert_eq!((map.len(), map.oldest()), (0, None));
    }

    #[test]
    fn places_are_used_again() {
        let mut map = Recent::new(2);
        for round in 0..1_000 {
            map.insert(round, round);
            if round % 3 == 0 {
                map.remove(&round);
            }
        }
        assert!(map.entries.len() <= 2 && map.len() <= 2);
    }
}
