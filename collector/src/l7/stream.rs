//! One direction of a byte stream as it was captured: in order, with holes of known size.

use super::context::Context;
use super::{Chunk, L7Stats};

/// Position in one direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Offset of the next byte.
    next: u64,
    /// Whether a chunk came.
    begun: bool,
}

/// What a chunk adds to its stream, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addition<'a> {
    /// Bytes before the chunk that never came: their chunks were lost.
    pub(super) gap: u64,
    /// Bytes that follow.
    pub(super) bytes: &'a [u8],
    /// Bytes of the chunk after them that were not captured.
    pub(super) skip: u64,
    /// Whether `bytes` begins where the sender began to write: the place to look for the start of a message.
    pub(super) at_start: bool,
}

/// A protocol's reader of both directions of one connection.
pub(super) trait Parser {
    /// Takes bytes that follow the last ones of this direction. `at_start` tells that a write of the sender begins here.
    fn feed(&mut self, from_client: bool, bytes: &[u8], at_start: bool, cx: &mut Context<'_>);

    /// Passes over bytes that were sent but not captured.
    fn skip(&mut self, from_client: bool, count: u64, cx: &mut Context<'_>);

    /// Passes over bytes whose chunks were lost.
    fn gap(&mut self, from_client: bool, count: u64, cx: &mut Context<'_>) {
        self.skip(from_client, count, cx);
    }

    /// Ends the connection: counts what stays unfinished and lets go of all bytes.
    fn close(&mut self, stats: &mut L7Stats);

    /// Whether nothing more will come of this connection.
    fn is_finished(&self) -> bool;

    /// Bytes held, beyond the size of the parser itself.
    fn bytes_held(&self) -> usize;
}

impl Stream {
    /// Places a chunk; `None` where all of it was there before.
    pub(super) fn place<'a>(&mut self, chunk: &Chunk<'a>, stats: &mut L7Stats) -> Option<Addition<'a>> {
        let data = &chunk.data[..chunk.data.len().min(chunk.len as usize)];
        let Self { next, begun } = *self;
        let end = chunk.offset.saturating_add(u64::from(chunk.len));
        if end <= next {
            stats.repeats += u64::from(chunk.len > 0);
            return None;
        }
        *self = Self { next: end, begun: true };
        let repeated = next.saturating_sub(chunk.offset);
        let gap = chunk.offset.saturating_sub(next);
        let room = end - chunk.offset.max(next);
        let bytes = data.get(usize::try_from(repeated).unwrap_or(usize::MAX)..).unwrap_or_default();
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let skip = room - bytes.len() as u64;
        stats.skipped_bytes = stats.skipped_bytes.saturating_add(skip);
        if gap > 0 && begun {
            // What passed before the first chunk was not lost: it passed before anybody looked.
            stats.gaps += 1;
            stats.gap_bytes = stats.gap_bytes.saturating_add(gap);
        }
        Some(Addition { gap, bytes, skip, at_start: repeated == 0 })
    }
}

#[cfg(test)]
mod tests {
    use flow::Timestamp;

    use super::super::SocketPair;
    use super::*;

    fn chunk(offset: u64, len: u32, data: &[u8]) -> Chunk<'_> {
        let end = "10.0.0.1:80".parse().unwrap();
        let pair = SocketPair { local: end, remote: end, netns: 0 };
        Chunk { conn: 1, pair, sent: true, offset, len, data, time: Timestamp(0), local_is_server: None }
    }

    #[test]
    fn places_chunks() {
        let addition =
            |gap, bytes: &'static str, skip, at_start| Some(Addition { gap, bytes: bytes.as_bytes(), skip, at_start });
        let cases = [
            // Taken up in the middle.
            (chunk(100, 3, b"abc"), addition(100, "abc", 0, true)),
            (chunk(103, 5, b"de"), addition(0, "de", 3, true)),
            // Seen before, whole and in part.
            (chunk(103, 5, b"defgh"), None),
            (chunk(106, 4, b"gh12"), addition(0, "12", 0, false)),
            (chunk(106, 6, b"g"), addition(0, "", 2, false)),
            (chunk(112, 0, b""), None),
            // Lost chunks.
            (chunk(120, 1, b"x"), addition(8, "x", 0, true)),
            // More data than length is cut, offsets at the end of the world do not overflow.
            (chunk(121, 1, b"yz"), addition(0, "y", 0, true)),
            (chunk(u64::MAX - 1, 9, b"123456789"), addition(u64::MAX - 1 - 122, "1", 0, true)),
            (chunk(u64::MAX, 9, b"123456789"), None),
        ];
        let (mut stream, mut stats) = (Stream::default(), L7Stats::default());
        for (chunk, expected) in cases {
            assert_eq!(stream.place(&chunk, &mut stats), expected, "{chunk:?}");
        }
        assert_eq!((stats.repeats, stats.gaps), (2, 2));
        assert!(stats.skipped_bytes >= 5 && stats.gap_bytes >= 8);
    }
}
