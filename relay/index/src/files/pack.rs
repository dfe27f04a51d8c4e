//! Numbers of a file become a dictionary, as the flow table has them.
//!
//! The reader of Parquet can make dictionaries of numbers too, but its hashing took a third of the time that drawing a map
//! from files takes.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use arrow::array::{Array as _, DictionaryArray, Int16Array, Int64Array};
use arrow::datatypes::Int16Type;
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// One entry for each number that differs, in the order of their first rows.
///
/// # Errors
/// There are more of them than keys, which rows of one batch never have.
pub(super) fn pack(numbers: &Int64Array) -> Result<DictionaryArray<Int16Type>, ArrowError> {
    let hasher = RandomState::default();
    let mut values: Vec<i64> = Vec::new();
    let mut slots: HashTable<i16> = HashTable::new();
    let mut keys = Vec::with_capacity(numbers.len());
    // Rows are sorted so that what is the same stands together.
    let mut before: Option<(i64, i16)> = None;
    for (row, number) in numbers.values().iter().copied().enumerate() {
        if numbers.is_null(row) {
            keys.push(0);
            continue;
        }
        let key = match before {
            Some((same, key)) if same == number => key,
            _ => {
                let hash = hasher.hash_one(number);
                let place = |key: &i16| usize::from(key.cast_unsigned());
                match slots.find(hash, |key| values[place(key)] == number) {
                    Some(key) => *key,
                    None => {
                        let key = i16::try_from(values.len()).map_err(|_| ArrowError::DictionaryKeyOverflowError)?;
                        values.push(number);
                        slots.insert_unique(hash, key, |key| hasher.hash_one(values[place(key)]));
                        key
                    }
                }
            }
        };
        before = Some((number, key));
        keys.push(key);
    }
    let keys = Int16Array::try_new(keys.into(), numbers.nulls().cloned())?;
    DictionaryArray::try_new(keys, Arc::new(Int64Array::from(values)))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray as _;
    use arrow::compute::cast;
    use arrow::datatypes::{DataType, Int64Type};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_what_was_there(numbers in prop::collection::vec(prop::option::of(-9i64..9), 0..200)) {
            let array = Int64Array::from(numbers);
            let packed = pack(&array).unwrap();
            prop_assert!(packed.values().len() <= 18);
            let unpacked = cast(&packed, &DataType::Int64).unwrap();
            prop_assert_eq!(unpacked.as_primitive::<Int64Type>(), &array);
        }
    }

    #[test]
    fn as_many_numbers_as_a_batch_has_rows() {
        let array = Int64Array::from_iter_values(0..table::MAX_BATCH_ROWS as i64);
        assert_eq!(pack(&array).unwrap().values().len(), table::MAX_BATCH_ROWS);
        let array = Int64Array::from_iter_values(0..=table::MAX_BATCH_ROWS as i64);
        assert!(pack(&array).is_err());
    }
}
