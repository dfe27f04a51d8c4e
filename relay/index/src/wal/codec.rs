//! The columns of a batch as bytes of the log.
//!
//! Columns that share a buffer of keys share it here too, keys are as narrow as their dictionary allows, times are
//! differences. What is left is what lz4 is good at. Reading is total: bytes that are no batch give an error.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int16Array, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{Field, Int16Type, Int32Type, Int64Type, Schema, TimestampMicrosecondType};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use table::schema::{COLUMNS, ColumnKind};
use table::{MAX_BATCH_ROWS, SchemaError};

use super::layout::Layout;

/// Bytes that are no batch of flows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// They end too early.
    #[error("the bytes end early")]
    Short,
    /// A value that cannot be.
    #[error("{what} cannot be {value}")]
    Value {
        /// What it is.
        what: &'static str,
        /// As found.
        value: u64,
    },
    /// Text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// Arrow refuses the columns.
    #[error("the columns do not fit together")]
    Arrow(#[from] arrow::error::ArrowError),
    /// They are no columns of the flow table.
    #[error("the columns are none of flows")]
    Schema(#[from] SchemaError),
}

/// Appends the columns of a batch that has the shape of [`table::schema()`].
pub(crate) fn encode(batch: &RecordBatch, out: &mut Vec<u8>) {
    put_number(out, batch.num_rows() as u64);
    let mut keys: Vec<ScalarBuffer<i16>> = Vec::new();
    for (column, array) in COLUMNS.iter().zip(batch.columns()) {
        put_nulls(out, array.nulls(), array.len());
        match column.kind {
            ColumnKind::Time => put_times(out, array.as_primitive::<TimestampMicrosecondType>().values()),
            ColumnKind::Small => {
                for value in array.as_primitive::<Int16Type>().values() {
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }
            ColumnKind::Integer => put_integers(out, array.as_primitive::<Int32Type>().values()),
            ColumnKind::Flag => put_bits(out, array.as_boolean().values()),
            ColumnKind::Uuid => {
                let uuids = array.as_fixed_size_binary();
                out.extend_from_slice(&uuids.value_data()[..uuids.len() * 16]);
            }
            ColumnKind::Number | ColumnKind::Text | ColumnKind::List | ColumnKind::Json => {
                let dictionary = array.as_dictionary::<Int16Type>();
                put_keys(out, dictionary, &mut keys);
                put_values(out, dictionary.values());
            }
        }
    }
}

/// Reads the columns of a batch as `layout` names them, in the shape of [`table::schema()`].
pub(crate) fn decode(bytes: &[u8], layout: &Layout) -> Result<RecordBatch, DecodeError> {
    let mut input = Input(bytes);
    let rows = usize::try_from(input.number()?).unwrap_or(usize::MAX);
    if rows > MAX_BATCH_ROWS {
        return Err(DecodeError::Value { what: "the number of rows", value: rows as u64 });
    }
    let mut keys = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(layout.columns().len());
    for (_, kind) in layout.columns() {
        columns.push(column(&mut input, *kind, rows, &mut keys)?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    if layout.is_current() {
        return Ok(RecordBatch::try_new_with_options(table::schema(), columns, &options)?);
    }
    let field = |(name, kind): &(String, ColumnKind)| Field::new(name, kind.data_type(), true);
    let schema = Schema::new(layout.columns().iter().map(field).collect::<Vec<_>>());
    Ok(table::conform(&RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)?)?)
}

fn column(
    input: &mut Input<'_>,
    kind: ColumnKind,
    rows: usize,
    keys: &mut Vec<ScalarBuffer<i16>>,
) -> Result<ArrayRef, DecodeError> {
    let nulls = input.nulls(rows)?;
    Ok(match kind {
        ColumnKind::Time => {
            let times = input.times(rows)?;
            Arc::new(TimestampMicrosecondArray::try_new(times.into(), nulls)?.with_timezone("UTC"))
        }
        ColumnKind::Small => {
            let bytes = input.take(rows * 2)?.chunks_exact(2);
            let values: Vec<i16> = bytes.map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
            Arc::new(Int16Array::try_new(values.into(), nulls)?)
        }
        ColumnKind::Integer => Arc::new(Int32Array::try_new(input.integers(rows)?.into(), nulls)?),
        ColumnKind::Flag => Arc::new(BooleanArray::new(input.bits(rows)?, nulls)),
        ColumnKind::Uuid => {
            let bytes = Buffer::from(input.take(rows * 16)?);
            Arc::new(FixedSizeBinaryArray::try_new(16, bytes, nulls)?)
        }
        ColumnKind::Number | ColumnKind::Text | ColumnKind::List | ColumnKind::Json => {
            let keys = Int16Array::try_new(input.keys(rows, keys)?, nulls)?;
            let values = if kind == ColumnKind::Number { input.numbers()? } else { input.texts()? };
            Arc::new(DictionaryArray::<Int16Type>::try_new(keys, values)?)
        }
    })
}

fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_number(out, (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
}

fn put_nulls(out: &mut Vec<u8>, nulls: Option<&NullBuffer>, rows: usize) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => out.push(0),
        Some(nulls) if nulls.null_count() == rows => out.push(2),
        Some(nulls) => {
            out.push(1);
            put_bits(out, nulls.inner());
        }
    }
}

fn put_bits(out: &mut Vec<u8>, bits: &BooleanBuffer) {
    let aligned = bits.sliced();
    let bytes = bits.len().div_ceil(8);
    out.extend_from_slice(&aligned.as_slice()[..bytes]);
}

fn put_times(out: &mut Vec<u8>, times: &[i64]) {
    let mut before = 0_i64;
    for time in times {
        put_signed(out, time.wrapping_sub(before));
        before = *time;
    }
}

fn put_integers(out: &mut Vec<u8>, values: &[i32]) {
    if values.iter().all(|value| *value == 0) {
        out.push(0);
    } else if values.iter().all(|value| u16::try_from(*value).is_ok()) {
        out.push(1);
        for value in values {
            out.extend_from_slice(&u16::try_from(*value).expect("checked above").to_le_bytes());
        }
    } else {
        out.push(2);
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// Writes 0 and the keys, or the number (from 1) of the keys before that are the same.
fn put_keys(out: &mut Vec<u8>, dictionary: &DictionaryArray<Int16Type>, known: &mut Vec<ScalarBuffer<i16>>) {
    let keys = dictionary.keys().values();
    if let Some(at) = known.iter().position(|k| k.ptr_eq(keys)) {
        put_number(out, at as u64 + 1);
        return;
    }
    out.push(0);
    known.push(keys.clone());
    let first = keys.first().copied().unwrap_or_default();
    if keys.iter().all(|key| *key == first) {
        out.push(0);
        out.extend_from_slice(&first.to_le_bytes());
    } else if keys.iter().all(|key| u8::try_from(*key).is_ok()) {
        out.push(1);
        out.extend(keys.iter().map(|key| u8::try_from(*key).expect("checked above")));
    } else {
        out.push(2);
        for key in keys.iter() {
            out.extend_from_slice(&key.to_le_bytes());
        }
    }
}

fn put_values(out: &mut Vec<u8>, values: &ArrayRef) {
    put_number(out, values.len() as u64);
    if let Some(numbers) = values.as_primitive_opt::<Int64Type>() {
        for row in 0..numbers.len() {
            put_signed(out, if numbers.is_valid(row) { numbers.value(row) } else { 0 });
        }
    } else if let Some(texts) = values.as_string_opt::<i32>() {
        let text = |row| if texts.is_valid(row) { texts.value(row) } else { "" };
        for row in 0..texts.len() {
            put_number(out, text(row).len() as u64);
        }
        for row in 0..texts.len() {
            out.extend_from_slice(text(row).as_bytes());
        }
    } else {
        debug_assert!(false, "dictionaries of the flow table hold numbers or texts");
    }
}

/// Bytes not read yet.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Value { what: "a number", value: u64::MAX })
    }

    fn signed(&mut self) -> Result<i64, DecodeError> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number of things that take at least a byte each.
    fn count(&mut self) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if count > self.0.len() { Err(DecodeError::Short) } else { Ok(count) }
    }

    fn nulls(&mut self, rows: usize) -> Result<Option<NullBuffer>, DecodeError> {
        match self.byte()? {
            0 => Ok(None),
            1 => Ok(Some(NullBuffer::new(self.bits(rows)?))),
            2 => Ok(Some(NullBuffer::new_null(rows))),
            form => Err(DecodeError::Value { what: "the form of nulls", value: form.into() }),
        }
    }

    fn bits(&mut self, rows: usize) -> Result<BooleanBuffer, DecodeError> {
        Ok(BooleanBuffer::new(Buffer::from(self.take(rows.div_ceil(8))?), 0, rows))
    }

    fn times(&mut self, rows: usize) -> Result<Vec<i64>, DecodeError> {
        let mut time = 0_i64;
        let mut next = || {
            time = time.wrapping_add(self.signed()?);
            Ok(time)
        };
        (0..rows).map(|_| next()).collect()
    }

    fn integers(&mut self, rows: usize) -> Result<Vec<i32>, DecodeError> {
        match self.byte()? {
            0 => Ok(vec![0; rows]),
            1 => Ok(self.take(rows * 2)?.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]).into()).collect()),
            2 => {
                let bytes = self.take(rows * 4)?.chunks_exact(4);
                Ok(bytes.map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
            }
            form => Err(DecodeError::Value { what: "the form of integers", value: form.into() }),
        }
    }

    fn keys(&mut self, rows: usize, known: &mut Vec<ScalarBuffer<i16>>) -> Result<ScalarBuffer<i16>, DecodeError> {
        let before = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if before > 0 {
            let keys = known.get(before - 1).cloned();
            return keys.ok_or(DecodeError::Value { what: "the number of keys", value: before as u64 });
        }
        let keys: ScalarBuffer<i16> = match self.byte()? {
            0 => {
                let first = self.take(2)?;
                vec![i16::from_le_bytes([first[0], first[1]]); rows].into()
            }
            1 => self.take(rows)?.iter().map(|key| i16::from(*key)).collect(),
            2 => self.take(rows * 2)?.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect(),
            form => return Err(DecodeError::Value { what: "the form of keys", value: form.into() }),
        };
        known.push(keys.clone());
        Ok(keys)
    }

    fn numbers(&mut self) -> Result<ArrayRef, DecodeError> {
        let count = self.count()?;
        let values = (0..count).map(|_| self.signed()).collect::<Result<Vec<i64>, _>>()?;
        Ok(Arc::new(Int64Array::from(values)))
    }

    fn texts(&mut self) -> Result<ArrayRef, DecodeError> {
        let count = self.count()?;
        let mut end = 0_i32;
        let mut offsets = Vec::with_capacity(count + 1);
        offsets.push(0);
        for _ in 0..count {
            let length = self.number()?;
            let length = i32::try_from(length).map_err(|_| DecodeError::Value { what: "a length", value: length })?;
            end = end.checked_add(length).ok_or(DecodeError::Short)?;
            offsets.push(end);
        }
        let bytes = self.take(usize::try_from(end).map_err(|_| DecodeError::Short)?)?;
        let offsets = OffsetBuffer::new(offsets.into());
        let texts = StringArray::try_new(offsets, Buffer::from(bytes), None).map_err(|_| DecodeError::Text)?;
        Ok(Arc::new(texts))
    }
}
