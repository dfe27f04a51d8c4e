//! Reads Parquet's hybrid of runs and packed bits, for numbers of at most 16 bits.

/// Numbers that are packed together.
const PACK: usize = 8;

/// Reads `count` numbers of `width` bits; `None` where there are fewer, or one has more bits. More are left alone.
pub(super) fn decode(mut bytes: &[u8], width: u32, count: usize) -> Option<Vec<u16>> {
    if width > 16 {
        return None;
    }
    let mut numbers: Vec<u16> = Vec::with_capacity(count);
    while numbers.len() < count {
        let header = varint(&mut bytes)?;
        let left = count - numbers.len();
        if header & 1 == 0 {
            let value = take(&mut bytes, width.div_ceil(8) as usize)?;
            let value = value.iter().rev().fold(0, |value: u16, byte| value << 8 | u16::from(*byte));
            if u32::from(value) >> width != 0 {
                return None;
            }
            let length = usize::try_from(header >> 1).ok()?;
            if length == 0 {
                return None;
            }
            numbers.extend(std::iter::repeat_n(value, length.min(left)));
        } else {
            let packs = usize::try_from(header >> 1).ok()?;
            if packs == 0 {
                return None;
            }
            // The last packs of a page may be cut where no number is left.
            let needed = packs.min(left.div_ceil(PACK));
            let packed = take(&mut bytes, needed * width as usize)?;
            bytes = bytes.get((packs - needed).checked_mul(width as usize)?..).unwrap_or_default();
            unpack(packed, width, left.min(needed * PACK), &mut numbers);
        }
    }
    Some(numbers)
}

fn unpack(packed: &[u8], width: u32, count: usize, numbers: &mut Vec<u16>) {
    let end = numbers.len() + count;
    match width {
        0 => numbers.resize(end, 0),
        8 => numbers.extend(packed[..count].iter().copied().map(u16::from)),
        16 => numbers.extend(packed.chunks_exact(2).take(count).map(|pair| u16::from_le_bytes([pair[0], pair[1]]))),
        _ => {
            let mask = (1 << width) - 1;
            for pack in packed.chunks_exact(width as usize) {
                let mut bits = [0; 16];
                bits[..pack.len()].copy_from_slice(pack);
                let bits = u128::from_le_bytes(bits);
                let (low, high) = (bits as u64, (bits >> (4 * width)) as u64);
                for at in 0..4 {
                    numbers.push((low >> (at * width)) as u16 & mask);
                }
                for at in 0..4 {
                    numbers.push((high >> (at * width)) as u16 & mask);
                }
            }
            numbers.truncate(end);
        }
    }
}

/// Reads a number of seven bits a byte.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Takes bytes from the beginning; `None` where there are fewer.
pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = bytes.split_at_checked(length)?;
    *bytes = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::pages::hybrid::{encode, width_of};
    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded(runs in prop::collection::vec((0..u16::MAX, 1..60_usize), 0..40), bits in 0..=16_u32) {
            let number = |value: u16| value & (((1_u32 << bits) - 1) as u16);
            let numbers: Vec<u16> =
                runs.into_iter().flat_map(|(value, length)| std::iter::repeat_n(number(value), length)).collect();
            let least = numbers.iter().max().map_or(0, |most| width_of(usize::from(*most) + 1));
            for width in [least, bits, 16] {
                let mut bytes = Vec::new();
                if width > 0 {
                    encode(&numbers, width, &mut bytes);
                    prop_assert_eq!(decode(&bytes, width, numbers.len()), Some(numbers.clone()));
                }
            }
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..60), width in 0..20_u32, count in 0..300_usize) {
            if let Some(numbers) = decode(&bytes, width, count) {
                prop_assert_eq!(numbers.len(), count);
                prop_assert!(numbers.iter().all(|number| u32::from(*number) >> width == 0));
            }
        }
    }
}
