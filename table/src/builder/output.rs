//! Groups become Arrow columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, Int16Array, Int64Array, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::Int16Type;
use arrow::record_batch::RecordBatch;

use super::group::Keys;
use crate::schema::{COLUMNS, Col, schema};
use crate::zeros;

/// Columns of a batch under construction.
#[derive(Debug)]
pub(crate) struct Output {
    rows: usize,
    columns: Vec<Option<ArrayRef>>,
}

/// Keys of one group as Arrow shares them.
#[derive(Clone, Debug)]
pub(crate) struct GroupKeys(ScalarBuffer<i16>);

impl Output {
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows, columns: vec![None; COLUMNS.len()] }
    }

    /// Copies the keys once for all columns of the group.
    pub(crate) fn keys(&self, keys: &Keys) -> GroupKeys {
        GroupKeys(match keys.as_slice() {
            None => zeros::keys(self.rows),
            Some(keys) => ScalarBuffer::from(keys.to_vec()),
        })
    }

    /// Keys of a finer grouping: row → entry → `of_entry[entry]`.
    pub(crate) fn mapped_keys(&self, keys: &Keys, of_entry: &[u16]) -> GroupKeys {
        if of_entry.iter().all(|key| *key == 0) {
            return GroupKeys(zeros::keys(self.rows));
        }
        let map = |key: &i16| of_entry[usize::from(key.cast_unsigned())].cast_signed();
        GroupKeys(match keys.as_slice() {
            None => ScalarBuffer::from(vec![of_entry[0].cast_signed(); self.rows]),
            Some(keys) => keys.iter().map(map).collect(),
        })
    }

    /// Sets a column that is no dictionary.
    pub(crate) fn plain(&mut self, col: Col, array: ArrayRef) {
        debug_assert_eq!(array.len(), self.rows);
        self.columns[col.index()] = Some(array);
    }

    /// Sets a text column from the texts of the entries.
    pub(crate) fn text<S: AsRef<str>>(&mut self, col: Col, keys: &GroupKeys, values: impl IntoIterator<Item = S>) {
        let values = StringArray::from_iter_values(values);
        self.dictionary(col, keys, Arc::new(values), None);
    }

    /// Sets a text column that is NULL for some entries.
    pub(crate) fn text_or_null<S: AsRef<str>>(
        &mut self,
        col: Col,
        keys: &GroupKeys,
        values: impl IntoIterator<Item = Option<S>>,
    ) {
        let values: Vec<Option<S>> = values.into_iter().collect();
        let absent: Vec<bool> = values.iter().map(Option::is_none).collect();
        let texts = StringArray::from_iter_values(values.iter().map(|v| v.as_ref().map_or("", AsRef::as_ref)));
        self.dictionary(col, keys, Arc::new(texts), Some(&absent));
    }

    /// Sets a number column from the numbers of the entries.
    pub(crate) fn number(&mut self, col: Col, keys: &GroupKeys, values: impl IntoIterator<Item = i64>) {
        self.dictionary(col, keys, Arc::new(Int64Array::from_iter_values(values)), None);
    }

    /// Sets a number column that is NULL for some entries.
    pub(crate) fn number_or_null(&mut self, col: Col, keys: &GroupKeys, values: impl IntoIterator<Item = Option<i64>>) {
        let values: Vec<Option<i64>> = values.into_iter().collect();
        let absent: Vec<bool> = values.iter().map(Option::is_none).collect();
        let numbers = Int64Array::from_iter_values(values.iter().map(|v| v.unwrap_or_default()));
        self.dictionary(col, keys, Arc::new(numbers), Some(&absent));
    }

    /// Sets a column whose values are ready; rows of entries marked absent become NULL.
    pub(crate) fn dictionary(&mut self, col: Col, keys: &GroupKeys, values: ArrayRef, absent: Option<&[bool]>) {
        debug_assert_eq!(keys.0.len(), self.rows);
        let nulls = absent.filter(|absent| absent.contains(&true)).map(|absent| {
            let present = |row: usize| !absent[usize::from(keys.0[row].cast_unsigned())];
            NullBuffer::new(BooleanBuffer::collect_bool(self.rows, present))
        });
        let keys = Int16Array::new(keys.0.clone(), nulls);
        let array = DictionaryArray::<Int16Type>::try_new(keys, values).expect("keys count the entries");
        self.columns[col.index()] = Some(Arc::new(array));
    }

    /// The finished batch.
    pub(crate) fn finish(self) -> RecordBatch {
        let columns: Option<Vec<ArrayRef>> = self.columns.into_iter().collect();
        RecordBatch::try_new(schema(), columns.expect("every column is set"))
            .expect("the columns are those of the schema")
    }
}
