//! Typed access to one column of a batch.

use arrow::array::{Array, ArrayRef, DictionaryArray, Int64Array, StringArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::Int16Type;
use arrow::record_batch::RecordBatch;

use crate::schema::{Col, SchemaError};

/// A dictionary column: keys of the rows and distinct values.
#[derive(Clone, Debug)]
pub struct Dictionary<V> {
    keys: ScalarBuffer<i16>,
    nulls: Option<NullBuffer>,
    values: V,
}

/// A text, list or JSON column.
pub type Texts = Dictionary<StringArray>;
/// A number column.
pub type Numbers = Dictionary<Int64Array>;

impl<V: Array + Clone + 'static> Dictionary<V> {
    /// Opens a column of a batch.
    ///
    /// # Errors
    /// The batch is not in the shape of [`crate::schema()`].
    pub fn of(batch: &RecordBatch, col: Col) -> Result<Self, SchemaError> {
        let array: &DictionaryArray<Int16Type> = downcast(batch, col)?;
        let values = array.values().as_any().downcast_ref::<V>().ok_or_else(|| wrong_type(batch, col))?;
        Ok(Self { keys: array.keys().values().clone(), nulls: array.nulls().cloned(), values: values.clone() })
    }

    /// Key of a row. Meaningless where the row is NULL.
    ///
    /// # Panics
    /// The row is out of range.
    #[inline]
    #[must_use]
    pub fn key(&self, row: usize) -> usize {
        usize::from(self.keys[row].cast_unsigned())
    }

    /// Keys of all rows, never negative where the row is not NULL.
    #[must_use]
    pub fn keys(&self) -> &[i16] {
        &self.keys
    }

    /// Whether the row is NULL.
    #[inline]
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Which rows are not NULL; `None` where none is.
    #[must_use]
    pub const fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// The distinct values; a value may be there twice.
    pub const fn values(&self) -> &V {
        &self.values
    }

    /// Whether both columns have the same key in every row.
    pub(crate) fn same_keys<W>(&self, other: &Dictionary<W>) -> bool {
        self.keys.ptr_eq(&other.keys) || self.keys == other.keys
    }
}

impl Texts {
    /// Text of a row, empty where it is NULL.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> &str {
        if self.is_null(row) { "" } else { self.entry(self.key(row)) }
    }

    /// Text of a key, empty where there is no such key.
    #[inline]
    #[must_use]
    pub fn entry(&self, key: usize) -> &str {
        if key < self.values.len() && self.values.is_valid(key) { self.values.value(key) } else { "" }
    }
}

impl Numbers {
    /// Number of a row, 0 where it is NULL.
    #[inline]
    #[must_use]
    pub fn get(&self, row: usize) -> i64 {
        if self.is_null(row) { 0 } else { self.entry(self.key(row)) }
    }

    /// Number of a key, 0 where there is no such key.
    #[inline]
    #[must_use]
    pub fn entry(&self, key: usize) -> i64 {
        if key < self.values.len() && self.values.is_valid(key) { self.values.value(key) } else { 0 }
    }
}

/// A column of whatever type it has.
pub(crate) fn untyped(batch: &RecordBatch, col: Col) -> Result<&ArrayRef, SchemaError> {
    batch.columns().get(col.index()).ok_or(SchemaError::Missing { column: col.name() })
}

/// A column as the array type it should have.
pub(crate) fn downcast<A: 'static>(batch: &RecordBatch, col: Col) -> Result<&A, SchemaError> {
    untyped(batch, col)?.as_any().downcast_ref::<A>().ok_or_else(|| wrong_type(batch, col))
}

fn wrong_type(batch: &RecordBatch, col: Col) -> SchemaError {
    SchemaError::Type {
        column: col.name(),
        found: Box::new(batch.column(col.index()).data_type().clone()),
        expected: Box::new(col.column().kind.data_type()),
    }
}
