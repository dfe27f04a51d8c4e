//! Reads Parquet's packed differences of numbers of 64 bits.
//!
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/#delta-encoding-delta_binary_packed--5>

use super::header::zigzag;
use super::hybrid::{take, varint};

/// Parts of a block that are packed alike.
const PARTS_MAX: usize = 64;
/// Numbers of a part; writers take 32.
const PART_MAX: usize = 1 << 10;

/// Reads `count` numbers; `None` where there are fewer, or blocks are of sizes that nobody writes.
pub(super) fn decode(mut bytes: &[u8], count: usize) -> Option<Vec<i64>> {
    let block = usize::try_from(varint(&mut bytes)?).ok()?;
    let parts = usize::try_from(varint(&mut bytes)?).ok()?;
    let total = usize::try_from(varint(&mut bytes)?).ok()?;
    let mut last = zigzag(&mut bytes)?;
    if count == 0 {
        return Some(Vec::new());
    }
    let part = block.checked_div(parts).filter(|part| part.is_multiple_of(32) && (1..=PART_MAX).contains(part))?;
    if total < count || parts > PARTS_MAX {
        return None;
    }
    let mut numbers = Vec::with_capacity(count);
    numbers.push(last);
    while numbers.len() < count {
        let least = zigzag(&mut bytes)?;
        let widths = take(&mut bytes, parts)?;
        for width in widths.iter().map(|width| u32::from(*width)) {
            if numbers.len() == count {
                break;
            }
            if width > 64 {
                return None;
            }
            let packed = take(&mut bytes, part / 8 * width as usize)?;
            for at in 0..part.min(count - numbers.len()) {
                last = last.wrapping_add(least).wrapping_add(bits(packed, at * width as usize, width).cast_signed());
                numbers.push(last);
            }
        }
    }
    Some(numbers)
}

/// The number of `width` bits that begins at a bit.
fn bits(packed: &[u8], at: usize, width: u32) -> u64 {
    if width == 0 {
        return 0;
    }
    let from = &packed[at / 8..];
    // Nine bytes at most have a part of it.
    let mut bytes = [0; 16];
    match from.first_chunk::<16>() {
        Some(chunk) => bytes = *chunk,
        None => bytes[..from.len()].copy_from_slice(from),
    }
    let number = (u128::from_le_bytes(bytes) >> (at % 8)) as u64;
    number & (u64::MAX >> (64 - width))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80), sane: bool, count in 0..300_usize) {
            // Most random bytes do not get beyond the sizes.
            let sizes: &[u8] = if sane { &[0x80, 1, 4, 0xff, 7] } else { &[] };
            if let Some(numbers) = decode(&[sizes, &bytes].concat(), count) {
                prop_assert_eq!(numbers.len(), count);
            }
        }
    }
}
