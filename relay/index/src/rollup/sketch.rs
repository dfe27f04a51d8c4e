//! Latencies in bounded memory, small enough for a row of a table.

use crate::map::latency::{FEW, bin, middle};

/// Latencies: exact while there are few, then counts by size whose error is at most 1.6 %.
///
/// Two sketches that are joined are what one would be that had seen all of it, so a sketch of a minute loses nothing
/// when it becomes part of an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// All values while they are few, in no order.
    few: Vec<u64>,
    /// Counts by bin, by number of the bin; only used once `few` is full.
    many: Vec<(u16, u32)>,
    count: u64,
    sum_ns: u64,
    max_ns: u64,
}

/// First byte of an encoded sketch: a list of values follows.
const VALUES: u8 = 0;
/// First byte of an encoded sketch: bins and counts follow.
const BINS: u8 = 1;

impl Sketch {
    /// Adds one latency in nanoseconds.
    pub fn add(&mut self, nanos: u64) {
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(nanos);
        self.max_ns = self.max_ns.max(nanos);
        if self.many.is_empty() && self.few.len() < FEW {
            self.few.push(nanos);
            return;
        }
        self.spread();
        self.count_bin(number(bin(nanos)), 1);
    }

    /// Adds all latencies of another sketch.
    pub fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        if self.many.is_empty() && other.many.is_empty() && self.few.len() + other.few.len() <= FEW {
            self.few.extend_from_slice(&other.few);
            return;
        }
        self.spread();
        for nanos in &other.few {
            self.count_bin(number(bin(*nanos)), 1);
        }
        for (bin, times) in &other.many {
            self.count_bin(*bin, *times);
        }
    }

    /// Latencies seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Sum of all latencies, in nanoseconds; stops at the largest number.
    #[must_use]
    pub const fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// Longest latency, in nanoseconds.
    #[must_use]
    pub const fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The smallest latency that at least this share (0 to 1) do not exceed, in nanoseconds; `None` without latencies.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank of more than 2^53 latencies may be off by some"
    )]
    pub fn percentile_ns(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        if self.many.is_empty() {
            let mut sorted = self.few.clone();
            sorted.sort_unstable();
            return sorted.get(usize::try_from(rank).ok()? - 1).map(|nanos| *nanos as f64);
        }
        let mut seen = 0;
        let reached = |(_, times): &&(u16, u32)| {
            seen += u64::from(*times);
            seen >= rank
        };
        self.many.iter().find(reached).or(self.many.last()).map(|(bin, _)| middle(usize::from(*bin)))
    }

    /// Bytes it occupies beside its own.
    #[must_use]
    pub const fn heap_bytes(&self) -> usize {
        self.few.capacity() * size_of::<u64>() + self.many.capacity() * size_of::<(u16, u32)>()
    }

    /// The text form of the columns `latency`: empty without latencies; else a 0 and the sorted values, or a 1 and
    /// pairs of bin and count by bin, each value and each bin as the difference to the one before, all as LEB128.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.count == 0 {
            return bytes;
        }
        if self.many.is_empty() {
            bytes.push(VALUES);
            let mut sorted = self.few.clone();
            sorted.sort_unstable();
            let mut before = 0;
            for value in sorted {
                write_varint(&mut bytes, value - before);
                before = value;
            }
        } else {
            bytes.push(BINS);
            let mut before = 0;
            for (bin, times) in &self.many {
                write_varint(&mut bytes, u64::from(*bin - before));
                write_varint(&mut bytes, u64::from(*times));
                before = *bin;
            }
        }
        bytes
    }

    /// Reads what [`Sketch::encode`] wrote, with the sum and the maximum that stand beside it; `None` for bytes that
    /// it never writes.
    #[must_use]
    pub fn decode(bytes: &[u8], sum_ns: u64, max_ns: u64) -> Option<Self> {
        let mut sketch = Self { sum_ns, max_ns, ..Self::default() };
        let Self { few, many, count, .. } = &mut sketch;
        Self::read(bytes, |part| match part {
            Part::Value(value) => {
                *count += 1;
                few.push(value);
            }
            Part::Bin(bin, times) => {
                *count += u64::from(times);
                many.push((bin, times));
            }
        })?;
        (sketch.few.len() <= FEW).then_some(sketch)
    }

    /// Gives the values or bins of an encoded sketch one by one; `None` for bytes that [`Sketch::encode`] never writes.
    pub(crate) fn read(bytes: &[u8], mut part: impl FnMut(Part)) -> Option<()> {
        let Some((kind, mut rest)) = bytes.split_first() else { return Some(()) };
        match *kind {
            VALUES => {
                let mut value = 0_u64;
                while !rest.is_empty() {
                    value = value.checked_add(read_varint(&mut rest)?)?;
                    part(Part::Value(value));
                }
            }
            BINS => {
                let (mut bin, mut first) = (0_u16, true);
                while !rest.is_empty() {
                    let step = u16::try_from(read_varint(&mut rest)?).ok()?;
                    bin = bin.checked_add(step)?;
                    let times = u32::try_from(read_varint(&mut rest)?).ok()?;
                    if bin > LAST_BIN || (step == 0 && !first) {
                        return None;
                    }
                    first = false;
                    part(Part::Bin(bin, times));
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Turns exact values into counts.
    fn spread(&mut self) {
        for nanos in std::mem::take(&mut self.few) {
            self.count_bin(number(bin(nanos)), 1);
        }
    }

    fn count_bin(&mut self, bin: u16, times: u32) {
        match self.many.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => self.many[at].1 = self.many[at].1.saturating_add(times),
            Err(at) => self.many.insert(at, (bin, times)),
        }
    }
}

/// A part of an encoded sketch.
pub(crate) enum Part {
    /// A latency.
    Value(u64),
    /// A bin and the latencies in it.
    Bin(u16, u32),
}

/// The bin of the longest latency there can be.
const LAST_BIN: u16 = 1_919;

fn number(bin: usize) -> u16 {
    u16::try_from(bin).expect("there are 1,920 bins")
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    #[test]
    fn the_last_bin_is_the_last() {
        assert_eq!(bin(u64::MAX), usize::from(LAST_BIN));
    }

    proptest! {
        #[test]
        fn joined_sketches_are_as_one_of_all(a in prop::collection::vec(any::<u64>(), 0..150), b in prop::collection::vec(0_u64..1_000_000, 0..150)) {
            let mut joined = sketch(&a);
            joined.join(&sketch(&b));
            let all = sketch(&[a, b].concat());
            prop_assert_eq!(joined.encode(), all.encode());
            prop_assert_eq!((joined.count, joined.sum_ns, joined.max_ns), (all.count, all.sum_ns, all.max_ns));
        }

        #[test]
        fn what_was_written_is_read_again(values in prop::collection::vec(any::<u64>(), 0..200)) {
            let written = sketch(&values);
            let read = Sketch::decode(&written.encode(), written.sum_ns, written.max_ns).unwrap();
            prop_assert_eq!(read.encode(), written.encode());
            prop_assert_eq!((read.count, read.max_ns), (written.count, written.max_ns));
            prop_assert_eq!(read.percentile_ns(0.5), written.percentile_ns(0.5));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(sketch) = Sketch::decode(&bytes, 0, 0) {
                std::hint::black_box(sketch.percentile_ns(0.99));
            }
        }

        #[test]
        fn percentiles_are_near(values in prop::collection::vec(1_u64..1_000_000_000, 1..400), share in 0.0..1.0) {
            let found = sketch(&values).percentile_ns(share).unwrap();
            let mut sorted = values;
            sorted.sort_unstable();
            let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1);
            let exact = sorted[rank - 1] as f64;
            prop_assert!((found / exact - 1.0).abs() <= 0.016, "{} instead of {}", found, exact);
        }
    }
}
