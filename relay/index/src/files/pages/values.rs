//! The values of a column that are in use, each once.

use std::hash::{BuildHasher as _, Hash};

use arrow::array::{Array, Int64Array, StringArray};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parquet::file::statistics::{Statistics, ValueStatistics};

/// A key points to no value, so that the column is no dictionary.
#[derive(Debug)]
pub(super) struct NoSuchKey;

/// Distinct values as a dictionary page has them.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    /// The values, in Parquet's plain encoding.
    pub(super) bytes: Vec<u8>,
    count: usize,
    /// Which of them each key in use has; empty where it is the same as of the key.
    of_used: Vec<u16>,
    /// The least and the greatest, where they are numbers.
    range: Option<(i64, i64)>,
    is_wide: bool,
}

impl Distinct {
    /// Integers of 32 bits that are their own keys.
    pub(super) fn of_integers(used: &[u16]) -> Self {
        let bytes = used.iter().flat_map(|number| i32::from(*number).to_le_bytes()).collect();
        let range = used.iter().min().zip(used.iter().max()).map(|(least, most)| ((*least).into(), (*most).into()));
        Self { bytes, count: used.len(), of_used: Vec::new(), range, is_wide: false }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Whether the keys in use have different values, in their order.
    pub(super) const fn are_as_used(&self) -> bool {
        self.of_used.is_empty()
    }

    /// The value of a key in use.
    pub(super) fn id(&self, number: u16) -> u16 {
        self.of_used[usize::from(number)]
    }

    /// The values, where they are texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk()?;
            let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(text)
        })
    }

    /// The values of rows, in Parquet's plain encoding, where they are numbers.
    pub(super) fn values(&self, ids: &[u16]) -> Option<Vec<u8>> {
        self.range?;
        let size = if self.is_wide { size_of::<i64>() } else { size_of::<i32>() };
        Some(ids.iter().flat_map(|id| &self.bytes[usize::from(*id) * size..][..size]).copied().collect())
    }

    /// Statistics of numbers.
    pub(super) fn statistics(&self, nulls: usize) -> Statistics {
        let nulls = Some(nulls as u64);
        if self.is_wide {
            let (least, most) = self.range.unzip();
            return Statistics::Int64(ValueStatistics::new(least, most, None, nulls, false));
        }
        let narrow = |number| i32::try_from(number).expect("16 bits");
        let (least, most) = self.range.map(|(least, most)| (narrow(least), narrow(most))).unzip();
        Statistics::Int32(ValueStatistics::new(least, most, None, nulls, false))
    }
}

/// Finds equal values. Keeps its memory.
#[derive(Default)]
pub(super) struct Interner {
    hasher: RandomState,
    slots: HashTable<u16>,
}

impl Interner {
    /// The texts of these keys.
    pub(super) fn texts(&mut self, values: &StringArray, used: &[u16]) -> Result<Distinct, NoSuchKey> {
        let text = |key: u16| -> Result<&str, NoSuchKey> {
            let key = usize::from(key);
            if key < values.len() && values.is_valid(key) { Ok(values.value(key)) } else { Err(NoSuchKey) }
        };
        let mut bytes = Vec::new();
        let (count, of_used) = self.intern(used, text, |text| {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        })?;
        Ok(Distinct { bytes, count, of_used, range: None, is_wide: false })
    }

    /// The numbers of these keys.
    pub(super) fn numbers(&mut self, values: &Int64Array, used: &[u16]) -> Result<Distinct, NoSuchKey> {
        let number = |key: u16| -> Result<i64, NoSuchKey> {
            let key = usize::from(key);
            if key < values.len() && values.is_valid(key) { Ok(values.value(key)) } else { Err(NoSuchKey) }
        };
        let mut bytes = Vec::new();
        let mut range = None;
        let (count, of_used) = self.intern(used, number, |number| {
            bytes.extend_from_slice(&number.to_le_bytes());
            let (least, most) = range.get_or_insert((number, number));
            (*least, *most) = (number.min(*least), number.max(*most));
        })?;
        Ok(Distinct { bytes, count, of_used, range, is_wide: true })
    }

    /// Numbers equal values alike and hands each to `write` once.
    fn intern<V: Hash + Eq + Copy>(
        &mut self,
        used: &[u16],
        value: impl Fn(u16) -> Result<V, NoSuchKey>,
        mut write: impl FnMut(V),
    ) -> Result<(usize, Vec<u16>), NoSuchKey> {
        let Self { hasher, slots } = self;
        slots.clear();
        let mut firsts: Vec<V> = Vec::new();
        let mut of_used: Vec<u16> = Vec::with_capacity(used.len());
        for key in used {
            let wanted = value(*key)?;
            // Keys of a group are often next to those with the same workload, namespace and so on.
            if let Some(last) = of_used.last().filter(|last| firsts[usize::from(**last)] == wanted) {
                of_used.push(*last);
                continue;
            }
            let hash = hasher.hash_one(wanted);
            let found = slots.find(hash, |id| firsts[usize::from(*id)] == wanted).copied();
            let id = found.unwrap_or_else(|| {
                let id = u16::try_from(firsts.len()).expect("no more than keys");
                firsts.push(wanted);
                slots.insert_unique(hash, id, |id| hasher.hash_one(firsts[usize::from(*id)]));
                write(wanted);
                id
            });
            of_used.push(id);
        }
        if firsts.len() == used.len() {
            of_used.clear();
        }
        Ok((firsts.len(), of_used))
    }
}
