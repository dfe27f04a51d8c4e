//! Giving columns that describe one thing one buffer of keys again.
//!
//! In a file every column has a dictionary of its own; filters and maps look a whole group up by one key.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int16Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::Int16Type;
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use table::schema::GROUPS;

/// Combinations up to which a plain table is used to look them up.
const TABLE_MAX: usize = 1 << 16;
/// Stands for the key of a combination that met none yet.
const FREE: usize = usize::MAX;

/// Lets the columns of each group that are there share their keys.
pub(super) fn regroup(columns: &mut [Option<ArrayRef>], rows: usize) -> Result<(), ArrowError> {
    for group in GROUPS {
        let there: Vec<usize> = group.iter().map(|col| col.index()).filter(|at| columns[*at].is_some()).collect();
        if there.len() > 1 {
            let arrays: Vec<&DictionaryArray<Int16Type>> =
                there.iter().filter_map(|at| columns[*at].as_ref()?.as_dictionary_opt()).collect();
            let regrouped = share_keys(&arrays, rows)?;
            for (at, array) in there.into_iter().zip(regrouped) {
                columns[at] = Some(array);
            }
        }
    }
    Ok(())
}

fn share_keys(arrays: &[&DictionaryArray<Int16Type>], rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
    let mut combined = Combined { keys: vec![0; rows], first_rows: vec![0; usize::from(rows > 0)] };
    // The one with the most entries first: others often follow from it.
    let mut by_entries = arrays.to_vec();
    by_entries.sort_by_key(|array| std::cmp::Reverse(array.values().len()));
    for array in by_entries {
        combined.add(array);
    }
    let first_rows = Int16Array::from_iter_values(combined.first_rows.iter().map(|row| row.cast_signed()));
    let keys: ScalarBuffer<i16> = combined.keys.iter().map(|key| key.cast_signed()).collect();
    let share = |array: &&DictionaryArray<Int16Type>| -> Result<ArrayRef, ArrowError> {
        let of_first: Int16Array = first_rows
            .values()
            .iter()
            .map(|row| {
                let row = usize::from(row.cast_unsigned());
                // A row that is NULL has the value of none.
                array.is_valid(row).then(|| array.keys().value(row))
            })
            .collect();
        let values = take(array.values(), &of_first, None)?;
        let nulls: Option<NullBuffer> = array.nulls().cloned();
        let keys = Int16Array::try_new(keys.clone(), nulls)?;
        Ok(Arc::new(DictionaryArray::<Int16Type>::try_new(keys, values)?))
    };
    arrays.iter().map(share).collect()
}

/// Keys that stand for the combinations of the columns added so far.
struct Combined {
    keys: Vec<u16>,
    /// A row that has each combination.
    first_rows: Vec<u16>,
}

impl Combined {
    fn add(&mut self, array: &DictionaryArray<Int16Type>) {
        let entries = array.values().len() + 1;
        if entries == 2 && array.null_count() == 0 {
            return;
        }
        let keys = array.keys().values();
        // The last number stands for NULL.
        let key = |row: usize| if array.is_valid(row) { usize::from(keys[row].cast_unsigned()) } else { entries - 1 };
        let mut firsts: Vec<u16> = Vec::new();
        let mut number = |row: usize| {
            firsts.push(u16::try_from(row).expect("a batch has fewer rows"));
            u16::try_from(firsts.len() - 1).expect("no more than rows")
        };
        // Where a table would be large: most columns follow from those before them, as a namespace does from a pod, so each combination remembers the
        // last key it met. Only what differs from that is looked up.
        let combinations = self.first_rows.len().saturating_mul(entries);
        if combinations <= TABLE_MAX {
            let mut table = vec![u16::MAX; combinations];
            for row in 0..self.keys.len() {
                let found = &mut table[usize::from(self.keys[row]) * entries + key(row)];
                if *found == u16::MAX {
                    *found = number(row);
                }
                self.keys[row] = *found;
            }
            self.first_rows = firsts;
            return;
        }
        let mut last = vec![(FREE, 0); self.first_rows.len()];
        let mut map: HashMap<usize, u16, RandomState> = HashMap::default();
        for row in 0..self.keys.len() {
            let (combined, key) = (usize::from(self.keys[row]), key(row));
            let (last_key, found) = &mut last[combined];
            if *last_key != key {
                if *last_key == FREE {
                    *found = number(row);
                } else {
                    // The first key is in no map, so that there is none where no combination has two.
                    map.entry(combined * entries + *last_key).or_insert(*found);
                    *found = *map.entry(combined * entries + key).or_insert_with(|| number(row));
                }
                *last_key = key;
            }
            self.keys[row] = *found;
        }
        self.first_rows = firsts;
    }
}
