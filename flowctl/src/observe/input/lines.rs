//! Lines of a file or a pipe, from either end, none longer than a bound.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::ops::ControlFlow;

use anyhow::Result;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Longest line: some thousand times a usual flow.
const LINE_BYTES_MAX: usize = 16 << 20;

/// What reading brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A line without its line end.
    Text { bytes: &'a [u8], place: Place },
    /// A line that is too long to be held.
    TooLong { place: Place },
    /// Nothing more is there for now; a pipe may bring more later.
    Pause,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Number of the line, from 1.
    Number(u64),
    /// Offset of its first byte.
    Offset(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "line {number}"),
            Self::Offset(offset) => write!(f, "the line at byte {offset}"),
        }
    }
}

/// Reads from the start until the end or until `visit` breaks.
///
/// # Errors
/// Reading failed, or `visit` did.
pub(super) fn read_forward(
    input: &mut impl Read,
    mut visit: impl FnMut(Line<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut held = 0;
    let mut number = 0u64;
    let mut skipping = false;
    loop {
        if held == buffer.len() {
            if held >= LINE_BYTES_MAX {
                number += u64::from(!skipping);
                if !skipping && visit(Line::TooLong { place: Place::Number(number) })?.is_break() {
                    return Ok(());
                }
                (skipping, held) = (true, 0);
            } else {
                buffer.resize(held * 2, 0);
            }
        }
        let read = input.read(&mut buffer[held..])?;
        let end = held + read;
        let mut start = 0;
        // What was held before has no line end in it.
        while let Some(at) = buffer[start.max(held)..end].iter().position(|b| *b == b'\n') {
            let line_end = start.max(held) + at;
            if std::mem::take(&mut skipping) {
                start = line_end + 1;
                continue;
            }
            number += 1;
            let line = Line::Text { bytes: &buffer[start..line_end], place: Place::Number(number) };
            start = line_end + 1;
            if visit(line)?.is_break() {
                return Ok(());
            }
        }
        buffer.copy_within(start..end, 0);
        held = end - start;
        if read == 0 {
            if held > 0 && !skipping {
                visit(Line::Text { bytes: &buffer[..held], place: Place::Number(number + 1) })?.is_break();
            }
            return Ok(());
        }
        if end < buffer.len() && visit(Line::Pause)?.is_break() {
            return Ok(());
        }
    }
}

/// Reads lines from the last to the first, until the start or until `visit` breaks.
///
/// # Errors
/// Reading failed, or `visit` did.
pub(super) fn read_backward(file: &mut File, mut visit: impl FnMut(Line<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
    let mut position = file.seek(SeekFrom::End(0))?;
    // Bytes from `position` on that belong to a line whose start has not been seen yet.
    let mut tail: Vec<u8> = Vec::new();
    let mut skipping = false;
    while position > 0 {
        let length = position.min(CHUNK_BYTES as u64);
        position -= length;
        file.seek(SeekFrom::Start(position))?;
        let mut chunk = vec![0; usize::try_from(length).expect("at most a chunk")];
        file.read_exact(&mut chunk)?;
        let fresh = chunk.len();
        chunk.extend_from_slice(&tail);
        let mut end = chunk.len();
        let mut unseen = fresh;
        while let Some(at) = chunk[..unseen].iter().rposition(|b| *b == b'\n') {
            let place = Place::Offset(position + at as u64 + 1);
            let bytes = &chunk[at + 1..end];
            (end, unseen) = (at, at);
            if std::mem::take(&mut skipping) {
                continue;
            }
            if visit(Line::Text { bytes, place })?.is_break() {
                return Ok(());
            }
        }
        chunk.truncate(end);
        tail = chunk;
        if tail.len() > LINE_BYTES_MAX {
            tail.clear();
            if !skipping && visit(Line::TooLong { place: Place::Offset(position) })?.is_break() {
                return Ok(());
            }
            skipping = true;
        }
    }
    if !skipping {
        visit(Line::Text { bytes: &tail, place: Place::Offset(0) })?.is_break();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Gives its bytes in pieces of this size, as a pipe may.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let size = self.1.min(self.0.len()).min(out.len());
            let (head, rest) = self.0.split_at(size);
            out[..size].copy_from_slice(head);
            self.0 = rest;
            Ok(size)
        }
    }

    fn collect(lines: &mut Vec<String>, line: &Line<'_>, most: usize) -> ControlFlow<()> {
        match line {
            Line::Text { bytes, .. } => lines.push(String::from_utf8(bytes.to_vec()).unwrap()),
            Line::TooLong { .. } => lines.push("TOO LONG".to_owned()),
            Line::Pause => {}
        }
        if lines.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn forward(text: &[u8], piece: usize, most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        read_forward(&mut Pieces(text, piece), |line| Ok(collect(&mut lines, &line, most))).unwrap();
        lines
    }

    fn backward(text: &[u8], most: usize) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let mut lines = Vec::new();
        read_backward(&mut file, |line| Ok(collect(&mut lines, &line, most))).unwrap();
        lines
    }

    #[test]
    fn lines_are_the_same_from_either_end() {
        let long = "x".repeat(CHUNK_BYTES * 3);
        for text in ["", "a", "a\n", "a\nbb\n\nccc", "\n", &format!("a\n{long}\nb\n{long}")] {
            let expected: Vec<&str> = text.split_terminator('\n').collect();
            for piece in [1, 7, usize::MAX] {
                if piece > 1 || text.len() < 100 {
                    assert_eq!(forward(text.as_bytes(), piece, usize::MAX), expected);
                }
            }
            let mut reversed = backward(text.as_bytes(), usize::MAX);
            // Before the final line end stands a line, after it none; blank lines do not matter to readers.
            reversed.retain(|line| !line.is_empty());
            reversed.reverse();
            let expected: Vec<&str> = expected.into_iter().filter(|line| !line.is_empty()).collect();
            assert_eq!(reversed, expected);
        }
    }

    #[test]
    fn reading_stops_when_enough_was_seen() {
        assert_eq!(forward(b"a\nb\nc\n", 2, 2), ["a", "b"]);
        assert_eq!(backward(b"a\nb\nc", 2), ["c", "b"]);
    }

    #[test]
    fn lines_without_end_are_not_held() {
        let mut text = vec![b'x'; LINE_BYTES_MAX * 2 + 5];
        text.extend_from_slice(b"\nb\n");
        text.splice(0..0, *b"a\n");
        assert_eq!(forward(&text, usize::MAX, usize::MAX), ["a", "TOO LONG", "b"]);
        assert_eq!(backward(&text, usize::MAX), ["", "b", "TOO LONG", "a"]);
    }
}
