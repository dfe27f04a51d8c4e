//! One direction of a TCP connection, put in order.

use std::collections::BTreeMap;

use super::Moment;
use super::packet::Point;

/// Segments held back while one before them is missing.
const HELD_MAX: usize = 256;
/// Bytes held back of one direction.
const HELD_BYTES_MAX: usize = 512 << 10;
/// Distance from what is expected within which a segment can belong to the connection: the largest window.
const WINDOW_MAX: i64 = 1 << 30;

/// Bytes in order, or with a jump in the offset where some were never captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) offset: u64,
    /// True length; what is beyond `data` was not captured.
    pub(super) len: u32,
    pub(super) data: &'a [u8],
    pub(super) moment: Moment,
}

/// A segment as captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) sequence: u32,
    pub(super) len: u32,
    pub(super) data: &'a [u8],
    pub(super) moment: Moment,
    /// Where it was captured.
    pub(super) point: Point,
}

/// One direction. Offset 0 is the first byte of the connection, or the first one captured.
#[derive(Debug, Default)]
pub(super) struct Direction {
    /// Sequence number of offset 0; `None` before the first segment.
    base: Option<u32>,
    /// Offset of the next byte.
    next: u64,
    /// Offset up to which the other side has acknowledged.
    acknowledged: u64,
    held: BTreeMap<u64, Held>,
    held_bytes: usize,
    /// Where the first segment was captured.
    point: Option<Point>,
    /// Segments sent again: those that came again where the first one was captured. At another point of the same machine
    /// each of them passes a second time.
    pub(super) retransmits: u32,
    /// Segments that cannot belong to the connection.
    pub(super) strange: u64,
}

#[derive(Debug)]
struct Held {
    len: u32,
    data: Vec<u8>,
    moment: Moment,
}

impl Direction {
    /// Sets the sequence number of the first byte; returns whether it was not known or is the same.
    pub(super) fn begin(&mut self, sequence: u32) -> bool {
        *self.base.get_or_insert(sequence) == sequence
    }

    /// Whether anything is known of this direction.
    pub(super) const fn is_begun(&self) -> bool {
        self.base.is_some()
    }

    /// Takes a segment and hands on what is in order now.
    pub(super) fn push(&mut self, segment: Segment<'_>, out: &mut dyn FnMut(Piece<'_>)) {
        if segment.len == 0 {
            return;
        }
        self.begin(segment.sequence);
        let counts = *self.point.get_or_insert(segment.point) == segment.point;
        let Some(start) = self.offset_of(segment.sequence) else {
            self.strange += 1;
            return;
        };
        let (next, end) = (self.next.cast_signed(), start + i64::from(segment.len));
        if end <= next {
            // One byte before what is expected asks whether the other side is still there.
            self.retransmits += u32::from(counts && segment.len > 1);
            return;
        }
        if start <= next {
            // The distance is less than the length of the segment.
            let repeated = u32::try_from(next - start).unwrap_or(segment.len);
            let Segment { len, data, moment, .. } = segment;
            self.hand_on(Piece { offset: self.next, len, data, moment }, repeated, out);
        } else {
            self.retransmits += u32::from(!self.hold(start.cast_unsigned(), segment) && counts);
        }
        self.settle(out);
    }

    /// Takes what the other side has acknowledged: what it has, and this capture does not, will never come.
    pub(super) fn acknowledge(&mut self, sequence: u32, out: &mut dyn FnMut(Piece<'_>)) {
        if self.base.is_none() {
            return;
        }
        if let Some(offset) = self.offset_of(sequence) {
            self.acknowledged = self.acknowledged.max(u64::try_from(offset).unwrap_or(0));
        }
        self.settle(out);
    }

    /// Hands on all that is held, holes or not.
    pub(super) fn flush(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        while let Some(offset) = self.held.keys().next().copied() {
            self.next = self.next.max(offset);
            self.hand_on_held(out);
        }
    }

    /// Bytes held back.
    pub(super) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Offset of a sequence number, if it is near the ones expected; negative before the start.
    fn offset_of(&self, sequence: u32) -> Option<i64> {
        let next = self.next.cast_signed();
        // The upper bits of the offset are lost in the number, and come back by taking the nearest one.
        let [a, b, c, d, ..] = self.next.to_le_bytes();
        let expected = self.base?.wrapping_add(u32::from_le_bytes([a, b, c, d]));
        let distance = i64::from(sequence.wrapping_sub(expected).cast_signed());
        (distance.abs() <= WINDOW_MAX).then_some(next + distance)
    }

    /// Hands on a segment, as a piece, without the bytes that were handed on before.
    fn hand_on(&mut self, segment: Piece<'_>, repeated: u32, out: &mut dyn FnMut(Piece<'_>)) {
        let data = segment.data.get(repeated as usize..).unwrap_or_default();
        let len = segment.len - repeated;
        out(Piece { offset: self.next, len, data, ..segment });
        self.next += u64::from(len);
    }

    /// Holds a segment back; returns whether it is news.
    fn hold(&mut self, offset: u64, segment: Segment<'_>) -> bool {
        // Of two copies the longer one is kept.
        if self.held.get(&offset).is_some_and(|held| held.len >= segment.len) {
            return false;
        }
        let held = Held { len: segment.len, data: segment.data.to_vec(), moment: segment.moment };
        self.held_bytes += held.data.len();
        if let Some(shorter) = self.held.insert(offset, held) {
            self.held_bytes -= shorter.data.len();
        }
        true
    }

    /// Hands on what is held and in order, and what can wait no longer.
    fn settle(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        while let Some(offset) = self.held.keys().next().copied() {
            let full = self.held.len() > HELD_MAX || self.held_bytes > HELD_BYTES_MAX;
            if offset > self.next && self.acknowledged < offset && !full {
                return;
            }
            self.next = self.next.max(offset);
            self.hand_on_held(out);
        }
    }

    /// Hands on the first segment held, which is in order or overlaps what was.
    fn hand_on_held(&mut self, out: &mut dyn FnMut(Piece<'_>)) {
        let Some((offset, held)) = self.held.pop_first() else { return };
        self.held_bytes -= held.data.len();
        let repeated = u32::try_from(self.next - offset).unwrap_or(u32::MAX);
        if repeated < held.len {
            let Held { len, data, moment } = &held;
            self.hand_on(Piece { offset, len: *len, data, moment: *moment }, repeated, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use flow::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const MOMENT: Moment = Moment { recorded: Timestamp(1), stamp_ns: 1 };
    const HERE: Point = Point { ifindex: 1, outgoing: false };

    fn push(direction: &mut Direction, sequence: u32, text: &str) -> Vec<(u64, String)> {
        push_at(direction, HERE, sequence, text)
    }

    fn push_at(direction: &mut Direction, point: Point, sequence: u32, text: &str) -> Vec<(u64, String)> {
        let mut out = Vec::new();
        let segment = Segment { sequence, len: text.len() as u32, data: text.as_bytes(), moment: MOMENT, point };
        direction.push(segment, &mut |p| out.push((p.offset, String::from_utf8(p.data.to_vec()).unwrap())));
        out
    }

    fn piece(offset: u64, text: &str) -> (u64, String) {
        (offset, text.to_owned())
    }

    #[test]
    fn segments_are_put_in_order_across_the_end_of_the_numbers() {
        let mut d = Direction::default();
        d.begin(u32::MAX - 1);
        assert_eq!(push(&mut d, u32::MAX - 1, "ab"), [piece(0, "ab")]);
        assert_eq!(push(&mut d, 3, "fg"), []);
        assert_eq!(push(&mut d, 3, "f"), []);
        assert_eq!(push(&mut d, 0, "cde"), [piece(2, "cde"), piece(5, "fg")]);
        // Sent again, whole, in part, and more of it.
        assert_eq!(push(&mut d, 3, "fg"), []);
        assert_eq!(push(&mut d, 3, "fghi"), [piece(7, "hi")]);
        assert_eq!(push(&mut d, 6, "i"), []);
        assert_eq!((d.retransmits, d.held_bytes()), (2, 0));
        assert_eq!(push(&mut d, 1 << 31, "far away"), []);
        assert_eq!(d.strange, 1);
    }

    #[test]
    fn what_passes_a_second_point_is_not_sent_again() {
        let mut d = Direction::default();
        d.begin(0);
        for point in [HERE, Point { ifindex: 2, ..HERE }, Point { outgoing: true, ..HERE }] {
            push_at(&mut d, point, 0, "ab");
            push_at(&mut d, point, 10, "kl");
        }
        assert_eq!(d.retransmits, 0);
        for point in [HERE, Point { ifindex: 2, ..HERE }] {
            push_at(&mut d, point, 0, "ab");
            push_at(&mut d, point, 10, "kl");
        }
        assert_eq!(d.retransmits, 2);
    }

    #[test]
    fn what_the_other_side_has_will_not_come() {
        let mut d = Direction::default();
        assert_eq!(push(&mut d, 100, "ab"), [piece(0, "ab")]);
        assert_eq!(push(&mut d, 105, "fg"), []);
        let mut out = Vec::new();
        d.acknowledge(102, &mut |p| out.push(p.offset));
        assert!(out.is_empty());
        d.acknowledge(107, &mut |p| out.push(p.offset));
        assert_eq!(out, [5]);
        assert_eq!(push(&mut d, 107, "h"), [piece(7, "h")]);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut d = Direction::default();
        d.begin(0);
        let mut pieces = 0;
        for i in 0..10_000u32 {
            let segment = Segment { sequence: 10 + i * 1_000, len: 999, data: &[0; 999], moment: MOMENT, point: HERE };
            d.push(segment, &mut |_| pieces += 1);
            assert!(d.held.len() <= HELD_MAX && d.held_bytes() <= HELD_BYTES_MAX);
        }
        d.flush(&mut |_| pieces += 1);
        assert_eq!((pieces, d.held_bytes()), (10_000, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

        /// Segments in any order, with copies and overlaps, give each byte once and in order.
        #[test]
        fn any_order_gives_the_same_bytes(
            base in any::<u32>(),
            text in prop::collection::vec(any::<u8>(), 1..400),
            parts in prop::collection::vec((any::<prop::sample::Index>(), 1..60usize), 0..40),
        ) {
            let mut d = Direction::default();
            d.begin(base);
            let mut got = Vec::new();
            let whole = (0..text.len()).step_by(50).map(|start| (start, 50));
            let parts: Vec<_> = parts.iter().map(|(at, len)| (at.index(text.len()), *len)).chain(whole).collect();
            for (start, len) in parts {
                let data = &text[start..text.len().min(start + len)];
                let sequence = base.wrapping_add(start as u32);
                let segment = Segment { sequence, len: data.len() as u32, data, moment: MOMENT, point: HERE };
                let mut order = Ok(());
                d.push(segment, &mut |piece| {
                    if piece.offset != got.len() as u64 || piece.len as usize != piece.data.len() {
                        order = Err(TestCaseError::fail("out of order"));
                    }
                    got.extend_from_slice(piece.data);
                });
                order?;
            }
            prop_assert_eq!(got, text);
            prop_assert_eq!(d.held_bytes(), 0);
        }

        #[test]
        fn any_segments_never_panic(
            steps in prop::collection::vec((any::<u32>(), any::<u32>(), 0..3_000usize, any::<bool>()), 0..60),
        ) {
            let mut d = Direction::default();
            for (sequence, len, captured, acknowledge) in steps {
                let data = vec![0; captured.min(len as usize)];
                if acknowledge {
                    d.acknowledge(sequence, &mut |_| {});
                } else {
                    d.push(Segment { sequence, len, data: &data, moment: MOMENT, point: HERE }, &mut |_| {});
                }
                prop_assert!(d.held_bytes() <= HELD_BYTES_MAX);
            }
        }
    }
}
