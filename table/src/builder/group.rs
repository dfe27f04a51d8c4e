//! Interning: each distinct value of a group of columns is kept once, rows hold its key.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Room that is kept between batches, in times of what the last one needed, and for how many at least. More is given back:
/// a relay has a builder for each of its peers, and each begins with a long history.
const ROOM: usize = 4;
const ROOM_MIN: usize = 64;

/// How many to keep room for, if there is much more of it than `needed`.
fn room_after(needed: usize, capacity: usize) -> Option<usize> {
    let needed = needed.max(ROOM_MIN);
    (capacity > needed * ROOM).then_some(needed)
}

/// Values of a group and the key of each row.
#[derive(Debug)]
pub(crate) struct Group<T> {
    slots: HashTable<Slot>,
    hasher: RandomState,
    entries: Vec<T>,
    keys: Keys,
    last: u16,
}

/// The hash is kept, so that growing never hashes a value again.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u64,
    key: u16,
}

impl<T> Default for Group<T> {
    fn default() -> Self {
        Self {
            slots: HashTable::new(),
            hasher: RandomState::default(),
            entries: Vec::new(),
            keys: Keys::default(),
            last: 0,
        }
    }
}

impl<T> Group<T> {
    /// Adds a row with the value that `query` stands for: `same` finds it among the entries, `make` makes it.
    #[inline]
    pub(crate) fn push<Q: Hash + ?Sized>(&mut self, query: &Q, same: impl Fn(&T) -> bool, make: impl FnOnce() -> T) {
        let key = self.key(query, same, make);
        self.keys.push(key);
    }

    /// Adds a row with a key that [`Group::key`] gave.
    #[inline]
    pub(crate) fn push_key(&mut self, key: u16) {
        self.last = key;
        self.keys.push(key);
    }

    /// Key of a value, without adding a row.
    #[inline]
    pub(crate) fn key<Q: Hash + ?Sized>(
        &mut self,
        query: &Q,
        same: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> u16 {
        // Neighbouring rows often agree; comparing is cheaper than hashing.
        if self.entries.get(usize::from(self.last)).is_some_and(&same) {
            return self.last;
        }
        let hash = self.hasher.hash_one(query);
        let entries = &self.entries;
        let found = self.slots.find(hash, |slot| slot.hash == hash && same(&entries[usize::from(slot.key)]));
        self.last = match found {
            Some(slot) => slot.key,
            None => {
                let key = u16::try_from(self.entries.len()).expect("a batch has fewer rows than keys");
                self.entries.push(make());
                self.slots.insert_unique(hash, Slot { hash, key }, |slot| slot.hash);
                key
            }
        };
        self.last
    }

    /// The distinct values, in the order of their keys.
    pub(crate) fn entries(&self) -> &[T] {
        &self.entries
    }

    /// The keys of the rows.
    pub(crate) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Forgets everything but the memory that a batch like the last one needs.
    pub(crate) fn clear(&mut self) {
        let needed = self.entries.len();
        self.slots.clear();
        self.entries.clear();
        if let Some(room) = room_after(needed, self.entries.capacity()) {
            self.entries.shrink_to(room);
            self.slots.shrink_to(room, |slot| slot.hash);
        }
        self.keys.clear();
        self.last = 0;
    }
}

impl<T: Copy + Eq + Hash> Group<T> {
    /// Adds a row with a plain value.
    #[inline]
    pub(crate) fn push_value(&mut self, value: T) {
        let key = self.value_key(value);
        self.push_key(key);
    }

    /// Key of a plain value, without adding a row.
    #[inline]
    pub(crate) fn value_key(&mut self, value: T) -> u16 {
        self.key(&value, |entry| *entry == value, || value)
    }
}

/// Whether two texts are the same. Most columns are empty in most rows, and an empty text may point nowhere: the C
/// library's comparison touches that address all the same on processors with masked loads, which takes them longer than
/// all else that a row costs in its column.
#[inline]
pub(crate) fn same_text(a: &str, b: &str) -> bool {
    a.len() == b.len() && (a.is_empty() || a == b)
}

impl Group<Box<str>> {
    /// Adds a row with a text.
    #[inline]
    pub(crate) fn push_text(&mut self, text: &str) {
        let key = self.text_key(text);
        self.push_key(key);
    }

    /// Key of a text, without adding a row.
    #[inline]
    pub(crate) fn text_key(&mut self, text: &str) -> u16 {
        self.key(text, |entry| same_text(entry, text), || text.into())
    }
}

impl Group<Vec<String>> {
    /// Adds a row with a list.
    #[inline]
    pub(crate) fn push_list(&mut self, list: &[String]) {
        let key = self.list_key(list);
        self.push_key(key);
    }

    /// Key of a list, without adding a row.
    #[inline]
    pub(crate) fn list_key(&mut self, list: &[String]) -> u16 {
        self.key(list, |entry| entry == list, || list.to_vec())
    }
}

/// Keys of rows. While all are zero nothing is stored, because most columns are the same in all rows of a batch.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    rows: usize,
    keys: Vec<i16>,
}

impl Keys {
    #[inline]
    pub(crate) fn push(&mut self, key: u16) {
        if key != 0 && self.keys.is_empty() {
            self.keys.resize(self.rows, 0);
        }
        self.rows += 1;
        if key != 0 || !self.keys.is_empty() {
            self.keys.push(key.cast_signed());
        }
    }

    /// Adds so many rows of one key.
    pub(crate) fn push_all(&mut self, key: u16, rows: usize) {
        if key != 0 && self.keys.is_empty() {
            self.keys.resize(self.rows, 0);
        }
        self.rows += rows;
        if key != 0 || !self.keys.is_empty() {
            self.keys.resize(self.rows, key.cast_signed());
        }
    }

    /// The keys, or `None` where all are zero.
    pub(crate) fn as_slice(&self) -> Option<&[i16]> {
        if self.keys.is_empty() { None } else { Some(&self.keys) }
    }

    pub(crate) fn clear(&mut self) {
        let needed = self.keys.len();
        self.rows = 0;
        self.keys.clear();
        if let Some(room) = room_after(needed, self.keys.capacity()) {
            self.keys.shrink_to(room);
        }
    }
}

/// A group whose values are shared pointers: rows with a pointer seen before need no hash of what it points to.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    group: Group<Option<Arc<T>>>,
    pointers: hashbrown::HashMap<usize, u16, RandomState>,
    /// Keeps what the pointers point to alive, so that no pointer can come to mean something else.
    held: Vec<Arc<T>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { group: Group::default(), pointers: hashbrown::HashMap::default(), held: Vec::new() }
    }
}

impl<T: Hash + Eq> Shared<T> {
    #[inline]
    pub(crate) fn push(&mut self, value: Option<&Arc<T>>) {
        let key = self.key(value);
        self.push_key(key);
    }

    /// Adds a row with a key that [`Shared::key`] gave.
    #[inline]
    pub(crate) fn push_key(&mut self, key: u16) {
        self.group.push_key(key);
    }

    /// Key of a value, without adding a row.
    #[inline]
    pub(crate) fn key(&mut self, value: Option<&Arc<T>>) -> u16 {
        let Some(value) = value else {
            return self.group.key(&(), Option::is_none, || None);
        };
        let address = Arc::as_ptr(value).addr();
        if let Some(&key) = self.pointers.get(&address) {
            return key;
        }
        let same = |entry: &Option<Arc<T>>| entry.as_ref().is_some_and(|e| **e == **value);
        let key = self.group.key(&**value, same, || Some(value.clone()));
        self.held.push(value.clone());
        self.pointers.insert(address, key);
        key
    }

    pub(crate) fn entries(&self) -> &[Option<Arc<T>>] {
        self.group.entries()
    }

    pub(crate) const fn keys(&self) -> &Keys {
        self.group.keys()
    }

    pub(crate) fn clear(&mut self) {
        let needed = self.held.len();
        self.group.clear();
        self.pointers.clear();
        self.held.clear();
        if let Some(room) = room_after(needed, self.held.capacity()) {
            self.held.shrink_to(room);
            self.pointers.shrink_to(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_long_batch_needed_is_given_back_after_a_short_one() {
        let mut group = Group::default();
        let mut fill = |values: i64| {
            (0..values).for_each(|value| group.push_value(value));
            group.clear();
            let capacities = [group.entries.capacity(), group.slots.capacity(), group.keys.keys.capacity()];
            (capacities.into_iter().min(), capacities.into_iter().max())
        };
        assert!(fill(10_000).0 >= Some(10_000), "batches of one length use the same memory");
        assert!(fill(9_000).0 >= Some(10_000));
        assert!(fill(100).1 <= Some(400));
        assert!(fill(0).1 <= Some(400), "little is not worth it");
    }
}
