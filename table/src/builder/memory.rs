//! What encoded pieces mean.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Pieces that are remembered. When one more comes, all are forgotten and decoded again as they turn up.
const ENTRIES_MAX: usize = 4096;
/// Bytes of them.
const BYTES_MAX: usize = 1 << 20;

/// Values of encoded pieces, and their keys in the batch under construction.
#[derive(Debug)]
pub(crate) struct Memory<T, K> {
    slots: HashTable<(u64, u16)>,
    hasher: RandomState,
    entries: Vec<Entry<T, K>>,
    bytes: usize,
    /// As [`Entry::keys`], of flows without such a piece.
    absent: Option<(u64, K)>,
}

#[derive(Debug)]
struct Entry<T, K> {
    piece: Box<[u8]>,
    value: T,
    /// The keys, and the number of the batch they are of.
    keys: Option<(u64, K)>,
}

impl<T, K> Default for Memory<T, K> {
    fn default() -> Self {
        Self { slots: HashTable::new(), hasher: RandomState::default(), entries: Vec::new(), bytes: 0, absent: None }
    }
}

impl<T, K: Copy> Memory<T, K> {
    /// Place of a piece until the next call; `make` makes the value of one that is new.
    #[inline]
    pub(crate) fn find(&mut self, piece: &[u8], make: impl FnOnce() -> Option<T>) -> Option<usize> {
        let hash = self.hasher.hash_one(piece);
        let entries = &self.entries;
        let same = |slot: &(u64, u16)| {
            let known = &entries[usize::from(slot.1)].piece;
            // As in `same_text`.
            slot.0 == hash && known.len() == piece.len() && (piece.is_empty() || **known == *piece)
        };
        if let Some(slot) = self.slots.find(hash, same) {
            return Some(slot.1.into());
        }
        self.add(hash, piece, make()?)
    }

    #[cold]
    fn add(&mut self, hash: u64, piece: &[u8], value: T) -> Option<usize> {
        if self.entries.len() == ENTRIES_MAX || self.bytes + piece.len() > BYTES_MAX {
            self.slots.clear();
            self.entries.clear();
            self.bytes = 0;
        }
        let place = self.entries.len();
        self.slots.insert_unique(hash, (hash, u16::try_from(place).ok()?), |slot| slot.0);
        self.entries.push(Entry { piece: piece.into(), value, keys: None });
        self.bytes += piece.len();
        Some(place)
    }

    /// Keys of the piece at a place in the batch of this number; `of` makes them.
    #[inline]
    pub(crate) fn keys(&mut self, place: usize, batch: u64, of: impl FnOnce(&T) -> K) -> K {
        let entry = &mut self.entries[place];
        match entry.keys {
            Some((of_batch, keys)) if of_batch == batch => keys,
            _ => {
                let keys = of(&entry.value);
                entry.keys = Some((batch, keys));
                keys
            }
        }
    }

    /// The same for a piece that a flow may have not; what has none has the same keys all through a batch too.
    #[inline]
    pub(crate) fn key_or(&mut self, place: Option<usize>, batch: u64, of: impl FnOnce(Option<&T>) -> K) -> K {
        match place {
            Some(place) => self.keys(place, batch, |value| of(Some(value))),
            None => match self.absent {
                Some((of_batch, keys)) if of_batch == batch => keys,
                _ => {
                    let keys = of(None);
                    self.absent = Some((batch, keys));
                    keys
                }
            },
        }
    }
}
