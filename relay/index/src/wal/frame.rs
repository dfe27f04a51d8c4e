//! Frames of the log: a mark, what they hold, a checksum.
//!
//! A frame is 20 bytes and its payload: the mark `F7 57 52 46`, a byte for what it holds, a byte that is 1 where the
//! payload is compressed by lz4, two that are 0, the length of the payload before and after compression and the CRC-32C
//! of bytes 4 to 16 and the payload, all numbers little-endian. The mark lets a reader find the next good frame behind a
//! damaged one.

use super::codec::DecodeError;

/// First bytes of every frame; the first is in no UTF-8 text.
const MARK: [u8; 4] = [0xf7, b'W', b'R', b'F'];
/// Bytes before the payload.
const HEAD: usize = 20;
/// Largest payload, compressed or not.
pub(crate) const PAYLOAD_MAX: usize = 256 << 20;
/// Payloads below this are not worth compressing.
const COMPRESS_MIN: usize = 256;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the file holds: always the first frame.
    Head,
    /// All nodes and losses at that moment.
    State,
    /// A batch of flows.
    Batch,
    /// Losses that came without flows.
    Losses,
    /// Something of a later version.
    Unknown(u8),
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Head => 1,
            Self::State => 2,
            Self::Batch => 3,
            Self::Losses => 4,
            Self::Unknown(number) => number,
        }
    }

    const fn of(number: u8) -> Self {
        match number {
            1 => Self::Head,
            2 => Self::State,
            3 => Self::Batch,
            4 => Self::Losses,
            number => Self::Unknown(number),
        }
    }
}

/// Appends a frame to `out`.
pub(crate) fn put(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    let start = out.len();
    let compress = payload.len() >= COMPRESS_MIN;
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&[kind.number(), compress.into(), 0, 0]);
    out.extend_from_slice(&length(payload.len()));
    out.extend_from_slice(&[0; 8]);
    if compress {
        let from = out.len();
        out.resize(from + lz4_flex::block::get_maximum_output_size(payload.len()), 0);
        let written = lz4_flex::block::compress_into(payload, &mut out[from..]).expect("the buffer has the room");
        out.truncate(from + written);
    } else {
        out.extend_from_slice(payload);
    }
    let stored = length(out.len() - start - HEAD);
    out[start + 12..start + 16].copy_from_slice(&stored);
    let sum = checksum(&out[start..]);
    out[start + 16..start + 20].copy_from_slice(&sum.to_le_bytes());
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("payloads are below their limit").to_le_bytes()
}

fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[4..16]), &frame[HEAD..])
}

/// A frame whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    compressed: bool,
    raw: usize,
    stored: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the frame at the beginning of `bytes`; `None` where there is no good one.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.get(..HEAD).filter(|head| head[..4] == MARK)?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (raw, stored) = (number(8) as usize, number(12) as usize);
        if raw > PAYLOAD_MAX || stored > PAYLOAD_MAX {
            return None;
        }
        let frame = bytes.get(..HEAD + stored)?;
        let good = checksum(frame) == number(16);
        good.then(|| Self { kind: Kind::of(head[4]), compressed: head[5] == 1, raw, stored: &frame[HEAD..] })
    }

    /// Bytes of the whole frame.
    pub(crate) const fn bytes(&self) -> usize {
        HEAD + self.stored.len()
    }

    /// The payload.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, DecodeError> {
        if !self.compressed {
            return Ok(self.stored.to_vec());
        }
        lz4_flex::block::decompress(self.stored, self.raw).map_err(|_| DecodeError::Short)
    }
}

/// Where the next good frame begins at or after `from`.
pub(crate) fn next(bytes: &[u8], from: usize) -> Option<usize> {
    let marked = |at: &usize| bytes[*at..].starts_with(&MARK) && Frame::read(&bytes[*at..]).is_some();
    (from..bytes.len()).find(marked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_change_of_a_byte_is_noticed(payload in prop::collection::vec(0_u8..4, 0..2_000), at: usize, bit in 0..8_u8) {
            let mut bytes = Vec::new();
            put(&mut bytes, Kind::Batch, &payload);
            let frame = Frame::read(&bytes).unwrap();
            prop_assert_eq!((frame.kind, frame.bytes()), (Kind::Batch, bytes.len()));
            prop_assert_eq!(frame.payload().unwrap(), payload);
            let at = at % bytes.len();
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(Frame::read(&bytes).is_none());
        }

        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let marked = [&MARK[..], &bytes].concat();
            prop_assert!(next(&marked, 0).is_none());
        }
    }

    #[test]
    fn the_next_good_frame_is_found() {
        let mut bytes = Vec::new();
        for text in ["one", "two", "three"] {
            put(&mut bytes, Kind::Losses, text.as_bytes());
        }
        let second = Frame::read(&bytes).unwrap().bytes();
        bytes[second + HEAD] ^= 1;
        let third = next(&bytes, second).unwrap();
        assert_eq!(Frame::read(&bytes[third..]).unwrap().payload().unwrap(), b"three");
    }
}
