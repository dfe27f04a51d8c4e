//! Which keys the rows have.

use arrow::buffer::{NullBuffer, ScalarBuffer};

/// A key that no row had so far.
const FREE: u16 = u16::MAX;

/// The keys in use, numbered in the order of their first rows, and the number of each row that is not NULL.
///
/// Columns of a group share one buffer of keys, for which this is done once.
#[derive(Default)]
pub(super) struct Rows {
    /// The keys of the rows that were looked at last, where none was NULL.
    keys: Option<ScalarBuffer<i16>>,
    used: Vec<u16>,
    numbers: Vec<u16>,
    /// Number of each key; all free between two uses.
    of_key: Vec<u16>,
}

impl Rows {
    /// Looks at rows, at most as many as a batch has.
    pub(super) fn look_at(&mut self, keys: &ScalarBuffer<i16>, nulls: Option<&NullBuffer>) {
        if nulls.is_none() && self.keys.as_ref().is_some_and(|last| last.ptr_eq(keys)) {
            return;
        }
        self.keys = nulls.is_none().then(|| keys.clone());
        self.used.clear();
        self.numbers.clear();
        match (nulls, keys.first()) {
            (None, Some(first)) if is_one(keys, *first) => {
                self.used.push(first.cast_unsigned());
                self.numbers.resize(keys.len(), 0);
            }
            (None, _) => self.number(keys.len(), keys.iter().copied()),
            (Some(nulls), _) => {
                let there = nulls.valid_indices().map(|row| keys[row]);
                self.number(nulls.len() - nulls.null_count(), there);
            }
        }
    }

    fn number(&mut self, rows: usize, keys: impl Iterator<Item = i16>) {
        self.of_key.resize(usize::from(u16::MAX) + 1, FREE);
        self.numbers.reserve(rows);
        for key in keys.map(i16::cast_unsigned) {
            let number = &mut self.of_key[usize::from(key)];
            if *number == FREE {
                *number = u16::try_from(self.used.len()).expect("a batch has fewer rows than there are numbers");
                self.used.push(key);
            }
            self.numbers.push(*number);
        }
        for key in &self.used {
            self.of_key[usize::from(*key)] = FREE;
        }
    }

    /// The keys that rows have which are not NULL.
    pub(super) fn used(&self) -> &[u16] {
        &self.used
    }

    /// Of each row that is not NULL, which of [`Self::used`] it has.
    pub(super) fn numbers(&self) -> &[u16] {
        &self.numbers
    }
}

fn is_one(keys: &[i16], first: i16) -> bool {
    // In pieces, so that rows that differ are seen early and those that do not are compared many at a time.
    keys.chunks(1 << 10).all(|keys| keys.iter().fold(0, |bits, key| bits | (key ^ first)) == 0)
}
