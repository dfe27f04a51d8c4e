//! Drops over time as stacked bars.

use std::collections::BTreeMap;

use flow::view::DropBucket;

use crate::parts::clock;

/// Reasons with a colour of their own; the rest share the last.
pub(crate) const REASONS_MAX: usize = 6;

/// Stacked bars over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stack {
    /// Reasons and their packets, the largest first; the last may stand for several.
    pub(crate) reasons: Vec<(String, u64)>,
    /// Slices of time, the oldest first, those without drops included.
    pub(crate) slices: Vec<Slice>,
    /// Packets of the largest slice.
    pub(crate) largest: u64,
}

/// One slice of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Slice {
    /// Start, RFC 3339.
    pub(crate) time: String,
    /// Packets by reason, in the order of [`Stack::reasons`].
    pub(crate) packets: Vec<u64>,
}

impl Slice {
    /// Packets of all reasons.
    pub(crate) fn total(&self) -> u64 {
        self.packets.iter().sum()
    }
}

impl Stack {
    /// Stacks buckets; slices in which nothing was dropped may be missing from them.
    pub(crate) fn build(buckets: &[DropBucket]) -> Self {
        let reasons = reasons(buckets);
        let place = |reason: &str| {
            reasons.iter().position(|(name, _)| name == reason).unwrap_or(reasons.len().saturating_sub(1))
        };
        let mut slices: BTreeMap<&str, Slice> = BTreeMap::new();
        for bucket in buckets {
            let slice = slices
                .entry(&bucket.time)
                .or_insert_with(|| Slice { time: bucket.time.clone(), packets: vec![0; reasons.len()] });
            slice.packets[place(&bucket.reason)] += bucket.packets;
        }
        let slices = fill(slices.into_values().collect(), reasons.len());
        let largest = slices.iter().map(Slice::total).max().unwrap_or(0);
        Self { reasons, slices, largest }
    }
}

fn reasons(buckets: &[DropBucket]) -> Vec<(String, u64)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for bucket in buckets {
        *sums.entry(&bucket.reason).or_default() += bucket.packets;
    }
    let mut reasons: Vec<(String, u64)> = sums.into_iter().map(|(name, sum)| (name.to_owned(), sum)).collect();
    ui_layout::sort_by(&mut reasons, |a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if reasons.len() > REASONS_MAX {
        let rest = reasons.split_off(REASONS_MAX - 1);
        reasons.push((format!("{} other reasons", rest.len()), rest.iter().map(|(_, sum)| sum).sum()));
    }
    reasons
}

/// More slices than this are not filled in: the answer is not a regular series.
const SLICES_MAX: usize = 400;

/// Adds slices without drops where the series has holes.
fn fill(slices: Vec<Slice>, reasons: usize) -> Vec<Slice> {
    let times: Option<Vec<f64>> = slices.iter().map(|slice| clock::millis(&slice.time)).collect();
    let Some(times) = times else { return slices };
    let step = times.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::MAX, f64::min);
    let (Some(first), Some(last)) = (times.first().copied(), times.last().copied()) else { return slices };
    let count = ((last - first) / step).round() as usize + 1;
    if count <= slices.len() || count > SLICES_MAX {
        return slices;
    }
    let mut filled: Vec<Slice> = (0..count)
        .map(|at| Slice { time: clock::rfc3339(first + at as f64 * step), packets: vec![0; reasons] })
        .collect();
    for (slice, time) in slices.into_iter().zip(times) {
        let at = ((time - first) / step).round() as usize;
        filled[at.min(count - 1)] = slice;
    }
    filled
}

/// Round numbers for the axis: zero, the middle and an upper end that is not below `largest`.
pub(crate) fn axis_end(largest: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [2, 4, 6, 10] {
            if let Some(end) = unit.checked_mul(step).filter(|end| *end >= largest) {
                return end;
            }
        }
        match unit.checked_mul(10) {
            Some(next) => unit = next,
            None => return largest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(second: u32, reason: &str, packets: u64) -> DropBucket {
        DropBucket { time: format!("2026-11-21T10:00:{second:02}Z"), reason: reason.into(), packets }
    }

    #[test]
    fn slices_are_stacked_in_the_order_of_their_sums_and_holes_are_filled() {
        let stack = Stack::build(&[bucket(0, "A", 1), bucket(0, "B", 5), bucket(10, "B", 2), bucket(30, "A", 3)]);
        assert_eq!(stack.reasons, [("B".to_owned(), 7), ("A".to_owned(), 4)]);
        let packets: Vec<&[u64]> = stack.slices.iter().map(|slice| slice.packets.as_slice()).collect();
        assert_eq!(packets, [[5, 1], [2, 0], [0, 0], [0, 3]]);
        assert_eq!(stack.slices[2].time, "2026-11-21T10:00:20Z");
        assert_eq!(stack.largest, 6);
    }

    #[test]
    fn rare_reasons_share_a_place() {
        let buckets: Vec<DropBucket> = (0..9_u64).map(|i| bucket(0, &format!("R{i}"), 9 - i)).collect();
        let stack = Stack::build(&buckets);
        assert_eq!(stack.reasons.len(), REASONS_MAX);
        assert_eq!(stack.reasons[REASONS_MAX - 1], ("4 other reasons".to_owned(), 4 + 3 + 2 + 1));
        assert_eq!(stack.slices[0].total(), 45);
    }

    #[test]
    fn nothing_and_one_slice() {
        assert_eq!(Stack::build(&[]), Stack::default());
        assert_eq!(Stack::build(&[bucket(5, "A", 1)]).slices.len(), 1);
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (largest, end) in [(0, 2), (2, 2), (3, 4), (7, 10), (11, 20), (450, 600), (u64::MAX, u64::MAX)] {
            assert_eq!(axis_end(largest), end);
        }
    }
}
