//! Column chunks of a Parquet file become columns of the flow table.
//!
//! The reader of arrow makes a reader for each column, two contexts of zstd for each, and hashes numbers. What our own
//! files have, dictionaries and plain numbers, is read here, without a detour: the numbers in a data page are the keys
//! of the flow table. Everything else is left to arrow's reader; `None` says so.
//!
//! The bytes were checked against their checksum, but may have been written by anybody: no input panics.

mod delta;
mod header;
mod hybrid;
mod page;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int16Array, Int32Array, Int64Array,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::Int16Type;
use parquet::basic::{CompressionCodec, Type};
use parquet::file::metadata::ColumnChunkMetaData;
use table::MAX_BATCH_ROWS;
use table::schema::{Column, ColumnKind};
use zstd::bulk::Decompressor;

use super::pack::pack;
use page::{Content, Pages};

/// Why a chunk cannot be read; the caller knows which one it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    /// A page does not end where it should, or is larger than it may be.
    #[error("a page is cut short")]
    Short,
    /// zstd refuses.
    #[error("a page cannot be unpacked")]
    Packed(#[source] std::io::Error),
    /// A row has a value that the dictionary does not have.
    #[error("a row has a value beyond the dictionary")]
    Key,
    /// Arrow refuses, for instance text that is no UTF-8.
    #[error("its values cannot be read")]
    Values(#[source] arrow::error::ArrowError),
    /// The pages have more or fewer rows.
    #[error("it has {found} rows of {expected}")]
    Rows {
        /// Rows of the pages.
        found: usize,
        /// Rows of the row group.
        expected: usize,
    },
}

/// Reads column chunks. Keeps a context of zstd.
pub(super) struct Unpacker {
    zstd: Decompressor<'static>,
}

impl Unpacker {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { zstd: Decompressor::new()? })
    }

    /// Reads a column of a row group of `total` rows, all of them or those given in rising order. `None` where its
    /// encoding is not one of ours.
    pub(super) fn column(
        &mut self,
        metadata: &ColumnChunkMetaData,
        bytes: &[u8],
        column: &Column,
        (rows, total): (Option<&[u16]>, usize),
    ) -> Result<Option<ArrayRef>, Damage> {
        if !is_ours(metadata, column) || total > MAX_BATCH_ROWS {
            return Ok(None);
        }
        let is_packed = metadata.compression_codec() != CompressionCodec::UNCOMPRESSED;
        let zstd = is_packed.then_some(&mut self.zstd);
        let has_nulls = metadata.column_descr().max_def_level() > 0;
        let Some(pages) = Pages::read(bytes, zstd, (metadata.column_type(), has_nulls), total)? else {
            return Ok(None);
        };
        let nulls = pages.present.map(NullBuffer::from);
        array(pages.content, column.kind, &Picked { rows, nulls, total })
    }
}

/// Whether a column is stored as ours are.
fn is_ours(metadata: &ColumnChunkMetaData, column: &Column) -> bool {
    let stored = metadata.column_descr();
    let level = stored.max_def_level();
    metadata.column_type() == physical(column.kind)
        && stored.max_rep_level() == 0
        && (level == 0 || (level == 1 && column.nullable))
        && (column.kind != ColumnKind::Uuid || stored.type_length() == 16)
        && matches!(metadata.compression_codec(), CompressionCodec::ZSTD | CompressionCodec::UNCOMPRESSED)
}

/// What the pages have as a column of this kind; `None` where kind and encoding do not go together in our files.
fn array(content: Content, kind: ColumnKind, picked: &Picked<'_>) -> Result<Option<ArrayRef>, Damage> {
    match (content, kind) {
        (Content::Dictionary { values, ids }, ColumnKind::Text | ColumnKind::List | ColumnKind::Json) => {
            picked.dictionary(&ids, |used| values::texts(&values, used)).map(Some)
        }
        (Content::Dictionary { values, ids }, ColumnKind::Number) => {
            picked.dictionary(&ids, |used| values::numbers(&values, used)).map(Some)
        }
        (content, ColumnKind::Number) => {
            let numbers = content.numbers()?;
            let array = Int64Array::new(picked.pick(&numbers).into(), picked.nulls());
            pack(&array).map(|array| Some(Arc::new(array) as ArrayRef)).map_err(Damage::Values)
        }
        (content, ColumnKind::Small) if picked.nulls.is_none() => {
            let Some(numbers) = content.integers()? else { return Ok(None) };
            let numbers: Result<Vec<i16>, _> = picked.pick(&numbers).into_iter().map(i16::try_from).collect();
            Ok(numbers.ok().map(|numbers| Arc::new(Int16Array::from(numbers)) as ArrayRef))
        }
        (content, ColumnKind::Integer) if picked.nulls.is_none() => {
            let Some(numbers) = content.integers()? else { return Ok(None) };
            Ok(Some(Arc::new(Int32Array::from(picked.pick(&numbers)))))
        }
        (content, ColumnKind::Time) if picked.nulls.is_none() => {
            let times = TimestampMicrosecondArray::from(picked.pick(&content.numbers()?));
            Ok(Some(Arc::new(times.with_timezone("UTC"))))
        }
        (Content::Plain { bytes, count }, ColumnKind::Flag) => {
            let flags = values::flags(&bytes, count).ok_or(Damage::Short)?;
            Ok(Some(Arc::new(BooleanArray::new(picked.pick(&flags).into(), picked.nulls()))))
        }
        (Content::Plain { bytes, count }, ColumnKind::Uuid) => {
            let ids = bytes.as_chunks::<16>().0.get(..count).ok_or(Damage::Short)?;
            let ids = picked.pick(ids).into_flattened();
            let array = FixedSizeBinaryArray::try_new(16, ids.into(), picked.nulls()).map_err(Damage::Values)?;
            Ok(Some(Arc::new(array)))
        }
        _ => Ok(None),
    }
}

/// Physical type that our files have for a kind of column.
const fn physical(kind: ColumnKind) -> Type {
    match kind {
        ColumnKind::Time | ColumnKind::Number => Type::INT64,
        ColumnKind::Small | ColumnKind::Integer => Type::INT32,
        ColumnKind::Flag => Type::BOOLEAN,
        ColumnKind::Uuid => Type::FIXED_LEN_BYTE_ARRAY,
        ColumnKind::Text | ColumnKind::List | ColumnKind::Json => Type::BYTE_ARRAY,
    }
}

/// Which rows are asked for, and which of all rows are NULL.
struct Picked<'a> {
    rows: Option<&'a [u16]>,
    nulls: Option<NullBuffer>,
    total: usize,
}

impl Picked<'_> {
    /// The values of the rows asked for, of those of all rows that are not NULL; the others get the value of none.
    fn pick<T: Copy + Default>(&self, there: &[T]) -> Vec<T> {
        let mut all = Vec::new();
        let values = match &self.nulls {
            None => there,
            Some(nulls) => {
                all.resize(self.total, T::default());
                for (row, value) in nulls.valid_indices().zip(there) {
                    all[row] = *value;
                }
                &all
            }
        };
        match self.rows {
            None if self.nulls.is_some() => all,
            None => values.to_vec(),
            Some(rows) => rows.iter().map(|row| values.get(usize::from(*row)).copied().unwrap_or_default()).collect(),
        }
    }

    /// Which of the rows asked for are NULL.
    fn nulls(&self) -> Option<NullBuffer> {
        let nulls = self.nulls.as_ref()?;
        let nulls = match self.rows {
            None => nulls.clone(),
            Some(rows) => {
                let there = |at: usize| nulls.is_valid(usize::from(rows[at]).min(self.total.saturating_sub(1)));
                NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), there))
            }
        };
        Some(nulls).filter(|nulls| nulls.null_count() > 0)
    }

    /// A column of these ids; `values` reads the entries of a dictionary, all or those that are used.
    fn dictionary(
        &self,
        ids: &[u16],
        values: impl FnOnce(Option<&[u16]>) -> Result<ArrayRef, Damage>,
    ) -> Result<ArrayRef, Damage> {
        let mut keys = self.pick(ids);
        let nulls = self.nulls();
        let values = if self.rows.is_some() {
            // A few rows of many, so most entries are not needed.
            let mut used: Vec<u16> = keys.clone();
            used.sort_unstable();
            used.dedup();
            for key in &mut keys {
                let at = used.binary_search(key).expect("it is one of them");
                *key = u16::try_from(at).expect("no more than rows");
            }
            let is_empty = nulls.as_ref().is_some_and(|nulls| nulls.null_count() == nulls.len());
            values(Some(if is_empty { &[] } else { &used }))?
        } else {
            values(None)?
        };
        let keys: Vec<i16> = keys.into_iter().map(u16::cast_signed).collect();
        let keys = Int16Array::try_new(keys.into(), nulls).map_err(Damage::Values)?;
        // Arrow looks whether all keys are there, but those of rows that are NULL.
        let array = DictionaryArray::<Int16Type>::try_new(keys, values).map_err(|_| Damage::Key)?;
        Ok(Arc::new(array))
    }
}
