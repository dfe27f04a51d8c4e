//! Entries of a dictionary page.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};

use super::Damage;
use super::page::Entries;

/// Texts: all of them, or those of these numbers, which rise.
pub(super) fn texts(entries: &Entries, used: Option<&[u16]>) -> Result<ArrayRef, Damage> {
    let mut bytes = entries.bytes.as_slice();
    let mut texts = Vec::with_capacity(bytes.len());
    let mut ends: Vec<i32> = vec![0];
    let mut wanted = used.map(|used| used.iter().copied().map(usize::from).peekable());
    for entry in 0..entries.count {
        let (length, left) = bytes.split_first_chunk::<4>().ok_or(Damage::Short)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Damage::Short)?;
        let (text, left) = left.split_at_checked(length).ok_or(Damage::Short)?;
        bytes = left;
        if wanted.as_mut().is_some_and(|wanted| wanted.next_if_eq(&entry).is_none()) {
            continue;
        }
        texts.extend_from_slice(text);
        ends.push(i32::try_from(texts.len()).map_err(|_| Damage::Short)?);
    }
    if wanted.is_some_and(|mut wanted| wanted.next().is_some()) {
        return Err(Damage::Key);
    }
    let array = StringArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from_vec(texts), None);
    Ok(Arc::new(array.map_err(Damage::Values)?))
}

/// Numbers, in the same way.
pub(super) fn numbers(entries: &Entries, used: Option<&[u16]>) -> Result<ArrayRef, Damage> {
    let all = longs(&entries.bytes, entries.count).ok_or(Damage::Short)?;
    let numbers = match used {
        None => all,
        Some(used) => {
            let number = |entry: &u16| all.get(usize::from(*entry)).copied().ok_or(Damage::Key);
            used.iter().map(number).collect::<Result<_, _>>()?
        }
    };
    Ok(Arc::new(Int64Array::from(numbers)))
}

/// Numbers of 64 bits in Parquet's plain encoding; `None` where there are fewer.
pub(super) fn longs(bytes: &[u8], count: usize) -> Option<Vec<i64>> {
    let bytes = bytes.get(..count.checked_mul(size_of::<i64>())?)?;
    Some(bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
}

/// Numbers of 32 bits in Parquet's plain encoding; `None` where there are fewer.
pub(super) fn integers(bytes: &[u8], count: usize) -> Option<Vec<i32>> {
    let bytes = bytes.get(..count.checked_mul(size_of::<i32>())?)?;
    Some(bytes.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
}

/// Truth values in Parquet's plain encoding; `None` where there are fewer.
pub(super) fn flags(bytes: &[u8], count: usize) -> Option<Vec<bool>> {
    let bytes = bytes.get(..count.div_ceil(8))?;
    Some((0..count).map(|at| bytes[at / 8] >> (at % 8) & 1 == 1).collect())
}
