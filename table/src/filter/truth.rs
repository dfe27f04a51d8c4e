//! Tables of answers and the rows that look them up.

use arrow::array::Array;
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::record_batch::RecordBatch;

use super::Refusal;
use crate::column::{Dictionary, Numbers, Texts};
use crate::schema::Col;

/// Columns of one group, opened by need.
pub(super) struct Group<'a> {
    batch: &'a RecordBatch,
    first: Keys,
}

/// The column of a group that gives the keys.
enum Keys {
    Texts(Texts),
    Numbers(Numbers),
}

impl<'a> Group<'a> {
    /// Opens a group whose keys a text column gives.
    pub(super) fn of_text(batch: &'a RecordBatch, col: Col) -> Result<(Self, Texts), Refusal> {
        let texts = Texts::of(batch, col)?;
        Ok((Self { batch, first: Keys::Texts(texts.clone()) }, texts))
    }

    /// Opens a group whose keys a number column gives.
    pub(super) fn of_number(batch: &'a RecordBatch, col: Col) -> Result<(Self, Numbers), Refusal> {
        let numbers = Numbers::of(batch, col)?;
        Ok((Self { batch, first: Keys::Numbers(numbers.clone()) }, numbers))
    }

    /// Another text column of the group.
    pub(super) fn text(&self, col: Col) -> Result<Texts, Refusal> {
        let texts = Texts::of(self.batch, col)?;
        self.check(&texts)?;
        Ok(texts)
    }

    /// Another number column of the group.
    pub(super) fn number(&self, col: Col) -> Result<Numbers, Refusal> {
        let numbers = Numbers::of(self.batch, col)?;
        self.check(&numbers)?;
        Ok(numbers)
    }

    fn check<V>(&self, column: &Dictionary<V>) -> Result<(), Refusal> {
        let same = match &self.first {
            Keys::Texts(first) => first.same_keys(column),
            Keys::Numbers(first) => first.same_keys(column),
        };
        if same { Ok(()) } else { Err(Refusal::KeysDiffer) }
    }

    /// Rows whose key `matches`. The keys asked for are those of the entries.
    pub(super) fn rows(&self, matches: impl FnMut(usize) -> bool) -> BooleanBuffer {
        match &self.first {
            Keys::Texts(first) => rows(first.keys(), first.values().len(), matches),
            Keys::Numbers(first) => rows(first.keys(), first.values().len(), matches),
        }
    }
}

/// Rows that are not NULL.
pub(super) fn present(rows: &BooleanBuffer, nulls: Option<&NullBuffer>) -> BooleanBuffer {
    nulls.map_or_else(|| rows.clone(), |nulls| rows & nulls.inner())
}

/// Rows that are NULL, together with those marked already.
pub(super) fn or_null(rows: &BooleanBuffer, nulls: Option<&NullBuffer>) -> BooleanBuffer {
    nulls.map_or_else(|| rows.clone(), |nulls| rows | &!nulls.inner())
}

fn rows(keys: &[i16], entries: usize, matches: impl FnMut(usize) -> bool) -> BooleanBuffer {
    let mut truth: Vec<bool> = (0..entries).map(matches).collect();
    if !truth.contains(&true) {
        return BooleanBuffer::new_unset(keys.len());
    }
    // A power of two as length lets the keys be masked instead of checked; keys of NULL rows may point anywhere.
    truth.resize(entries.next_power_of_two(), false);
    let mask = truth.len() - 1;
    BooleanBuffer::collect_bool(keys.len(), |row| truth[usize::from(keys[row].cast_unsigned()) & mask])
}
