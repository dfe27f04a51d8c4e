//! Parquet's hybrid of runs and packed bits, for numbers of at most 16 bits.
//!
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/#run-length-encoding--bit-packing-hybrid-rle--3>

/// Numbers that are packed together.
const PACK: usize = 8;
/// Equal numbers from which on they become a run.
const RUN_MIN: usize = 3 * PACK;

/// Adds numbers that have `width` bits at most.
pub(in crate::files) fn encode(numbers: &[u16], width: u32, out: &mut Vec<u8>) {
    debug_assert!(width <= 16 && numbers.iter().all(|number| u32::from(*number) < 1 << width));
    let mut packed_from = 0;
    let mut at = 0;
    while at < numbers.len() {
        let run = run_length(&numbers[at..]);
        if run < RUN_MIN {
            at += PACK;
            continue;
        }
        // Only the last numbers of all may be fewer than are packed together, so a run begins where packs end.
        pack(&numbers[packed_from..at], width, out);
        varint(run << 1, out);
        let value = numbers[at].to_le_bytes();
        out.extend_from_slice(&value[..width.div_ceil(8) as usize]);
        at += run;
        packed_from = at;
    }
    pack(&numbers[packed_from..], width, out);
}

/// Numbers at the beginning that are equal, as far as that matters.
fn run_length(numbers: &[u16]) -> usize {
    let first = numbers[0];
    if numbers[1..].first().is_some_and(|second| *second != first) {
        return 1;
    }
    numbers.iter().position(|number| *number != first).unwrap_or(numbers.len())
}

fn pack(numbers: &[u16], width: u32, out: &mut Vec<u8>) {
    if numbers.is_empty() {
        return;
    }
    varint(numbers.len().div_ceil(PACK) << 1 | 1, out);
    for numbers in numbers.chunks(PACK) {
        let mut bits = 0_u128;
        for number in numbers.iter().rev() {
            bits = bits << width | u128::from(*number);
        }
        out.extend_from_slice(&bits.to_le_bytes()[..width as usize]);
    }
}

fn varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Adds a number of one bit, `count` times.
pub(super) fn run(bit: u8, count: usize, out: &mut Vec<u8>) {
    varint(count << 1, out);
    out.push(bit);
}

/// Adds the only number there is, which takes no bits, `count` times.
pub(super) fn one(count: usize, out: &mut Vec<u8>) {
    if count > 0 {
        varint(count << 1, out);
    }
}

/// Bits that the numbers below `count` need.
pub(in crate::files) fn width_of(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_format_says() {
        let check = |numbers: &[u16], width, expected: &[u8]| {
            let mut out = Vec::new();
            encode(numbers, width, &mut out);
            assert_eq!(out, expected);
        };
        // The example of the format: 0 to 7 in three bits each.
        check(&[0, 1, 2, 3, 4, 5, 6, 7], 3, &[0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        check(&[9; 100], 9, &[200, 1, 9, 0]);
        check(&[], 1, &[]);
        let mut numbers = vec![1, 0, 1];
        numbers.extend([1; 40]);
        numbers.push(0);
        check(&numbers, 1, &[0b11, 0b1111_1101, 70, 1, 0b11, 0]);
        assert_eq!([0, 1, 2, 3, 4, 5, 1 << 15, 1 << 16].map(width_of), [0, 0, 1, 2, 2, 3, 15, 16]);
    }
}
