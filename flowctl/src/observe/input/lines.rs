//! Lines of a file or a pipe, from either end, none longer than a bound.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::ops::ControlFlow;

use anyhow::{Result, anyhow};

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// What reading brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A line without its line end.
    Text { bytes: &'a [u8], place: Place },
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

/// The error of a line that is too long.
pub(super) fn too_long(place: Place, most: usize) -> anyhow::Error {
    anyhow!("token too long: {place} has {most} bytes or more: see --line-bytes-max")
}

/// The line without the carriage return of other systems.
pub(super) fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Reads from the start until the end or until `visit` breaks.
///
/// # Errors
/// Reading failed, a line has `line_bytes_max` bytes or more, or `visit` failed.
pub(super) fn read_forward(
    input: &mut dyn Read,
    line_bytes_max: usize,
    mut visit: impl FnMut(Line<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut held = 0;
    let mut number = 0u64;
    loop {
        if held == buffer.len() {
            buffer.resize(held * 2, 0);
        }
        let read = input.read(&mut buffer[held..])?;
        let end = held + read;
        let mut start = 0;
        // What was held before has no line end in it.
        while let Some(at) = memchr::memchr(b'\n', &buffer[start.max(held)..end]) {
            let line_end = start.max(held) + at;
            number += 1;
            let place = Place::Number(number);
            if line_end - start >= line_bytes_max {
                return Err(too_long(place, line_bytes_max));
            }
            let line = Line::Text { bytes: trimmed(&buffer[start..line_end]), place };
            start = line_end + 1;
            if visit(line)?.is_break() {
                return Ok(());
            }
        }
        if end - start >= line_bytes_max {
            return Err(too_long(Place::Number(number + 1), line_bytes_max));
        }
        buffer.copy_within(start..end, 0);
        held = end - start;
        if read == 0 {
            if held > 0 {
                let place = Place::Number(number + 1);
                visit(Line::Text { bytes: trimmed(&buffer[..held]), place })?.is_break();
            }
            return Ok(());
        }
        if end < buffer.len() && visit(Line::Pause)?.is_break() {
            return Ok(());
        }
    }
}

/// Reads a file to find a line that is too long, which nobody may have asked for but which Hubble stumbles over.
///
/// # Errors
/// There is one, or reading failed.
pub(super) fn check_lengths(file: &mut File, line_bytes_max: usize) -> Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES * 4];
    let (mut length, mut number) = (0usize, 1u64);
    loop {
        let read = file.read(&mut buffer)?;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &buffer[..read]) {
            if length + end - start >= line_bytes_max {
                return Err(too_long(Place::Number(number), line_bytes_max));
            }
            (length, start, number) = (0, end + 1, number + 1);
        }
        length += read - start;
        if length >= line_bytes_max {
            return Err(too_long(Place::Number(number), line_bytes_max));
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// Reads lines from the last to the first, until the start or until `visit` breaks.
///
/// # Errors
/// Reading failed, a line has `line_bytes_max` bytes or more, or `visit` failed.
pub(super) fn read_backward(
    file: &mut File,
    line_bytes_max: usize,
    mut visit: impl FnMut(Line<'_>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut position = file.seek(SeekFrom::End(0))?;
    // Bytes from `position` on that belong to a line whose start has not been seen yet.
    let mut tail: Vec<u8> = Vec::new();
    // After the last line end nothing need follow.
    let mut at_end = true;
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
        while let Some(at) = memchr::memrchr(b'\n', &chunk[..unseen]) {
            let place = Place::Offset(position + at as u64 + 1);
            let bytes = &chunk[at + 1..end];
            (end, unseen) = (at, at);
            if std::mem::take(&mut at_end) && bytes.is_empty() {
                continue;
            }
            if bytes.len() >= line_bytes_max {
                return Err(too_long(place, line_bytes_max));
            }
            if visit(Line::Text { bytes: trimmed(bytes), place })?.is_break() {
                return Ok(());
            }
        }
        chunk.truncate(end);
        tail = chunk;
        if tail.len() >= line_bytes_max {
            return Err(too_long(Place::Offset(position), line_bytes_max));
        }
    }
    if !at_end || !tail.is_empty() {
        visit(Line::Text { bytes: trimmed(&tail), place: Place::Offset(0) })?.is_break();
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

    /// A bound that no line of these tests reaches.
    const MOST: usize = 1 << 30;

    fn collect(lines: &mut Vec<String>, line: &Line<'_>, most: usize) -> ControlFlow<()> {
        match line {
            Line::Text { bytes, .. } => lines.push(String::from_utf8(bytes.to_vec()).unwrap()),
            Line::Pause => {}
        }
        if lines.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn forward(text: &[u8], piece: usize, most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        read_forward(&mut Pieces(text, piece), MOST, |line| Ok(collect(&mut lines, &line, most))).unwrap();
        lines
    }

    fn backward(text: &[u8], most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        read_backward(&mut file(text), MOST, |line| Ok(collect(&mut lines, &line, most))).unwrap();
        lines
    }

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    #[test]
    fn lines_are_the_same_from_either_end() {
        let long = "x".repeat(CHUNK_BYTES * 3);
        for text in ["", "a", "a\n", "a\r\nbb\n\nccc", "\n", "\n\n", &format!("a\n{long}\nb\n{long}")] {
            let expected: Vec<&str> = text.lines().collect();
            for piece in [1, 7, usize::MAX] {
                if piece > 1 || text.len() < 100 {
                    assert_eq!(forward(text.as_bytes(), piece, usize::MAX), expected);
                }
            }
            let mut reversed = backward(text.as_bytes(), usize::MAX);
            reversed.reverse();
            assert_eq!(reversed, expected, "{text:?}");
        }
    }

    #[test]
    fn reading_stops_when_enough_was_seen() {
        assert_eq!(forward(b"a\nb\nc\n", 2, 2), ["a", "b"]);
        assert_eq!(backward(b"a\nb\nc", 2), ["c", "b"]);
    }

    #[test]
    fn lines_that_are_too_long_end_the_reading() {
        for (text, fits) in [("1234\nb\n", true), ("b\n12345\n", false), ("b\n12345", false), ("1234", true)] {
            let mut visit = |_: Line<'_>| Ok(ControlFlow::Continue(()));
            assert_eq!(read_forward(&mut text.as_bytes(), 5, &mut visit).is_ok(), fits, "{text:?}");
            assert_eq!(read_backward(&mut file(text.as_bytes()), 5, &mut visit).is_ok(), fits, "{text:?}");
            assert_eq!(check_lengths(&mut file(text.as_bytes()), 5).is_ok(), fits, "{text:?}");
        }
    }
}
