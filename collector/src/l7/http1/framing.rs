//! Where messages of one direction begin and end.

use std::borrow::Cow;

use flow::Timestamp;

use crate::l7::context::Context;
use crate::l7::detect::{self, Fit};

/// Bytes of chunk extensions or trailers of one chunk before the stream counts as out of step.
const CHUNK_LINE_BYTES_MAX: u32 = 16_384;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    state: State,
    /// Start of a head whose end has not come yet.
    head: Vec<u8>,
    /// Whether `head` is known to look like the start of a message.
    recognised: bool,
    /// When the first byte of the current message came.
    pub(super) first_byte: Timestamp,
    /// Whether the current head was looked for after the stream was out of step, and so may be none.
    pub(super) searching: bool,
    /// Whether the end of the current body is not certain, so that a new message may begin before it.
    pub(super) loose: bool,
}

/// What comes next in a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// A head.
    #[default]
    Head,
    /// This many bytes of body, at least one.
    Length(u64),
    /// A chunked body.
    Chunked(Chunked),
    /// A body that ends with the connection.
    UntilClose,
    /// Nobody knows: out of step until a write begins with a message.
    Lost,
    /// Another protocol.
    Tunnel,
}

/// Place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In the digits of a size.
    Size {
        /// Value so far.
        value: u64,
        /// Digits so far.
        digits: u8,
    },
    /// Behind the digits, up to the end of the line.
    Extension {
        /// Size of the chunk.
        value: u64,
        /// Bytes passed.
        passed: u32,
    },
    /// In the bytes of a chunk.
    Data(u64),
    /// In the line end after the bytes of a chunk.
    DataEnd,
    /// In the trailers.
    Trailer {
        /// Bytes of this line without its end.
        line: u32,
        /// Bytes of all lines.
        passed: u32,
    },
}

/// What the bytes amount to.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// Nothing to tell.
    Nothing,
    /// A head.
    Head(Cow<'a, [u8]>),
    /// The beginning of a head whose rest is missing.
    CutHead(Cow<'a, [u8]>),
    /// The beginning of a head that is too long.
    LongHead(Cow<'a, [u8]>),
    /// In step, and still no message.
    Malformed,
}

impl Half {
    /// Enters the state after a head.
    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
    }

    /// Falls out of step.
    pub(super) fn lose(&mut self) {
        self.head = Vec::new();
        self.state = State::Lost;
    }

    /// Marks the end of the current body, if there is one, as uncertain or not.
    pub(super) fn loosen(&mut self, loose: bool) {
        self.loose = loose && matches!(self.state, State::Length(_) | State::Chunked(_));
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.state == State::Tunnel
    }

    pub(super) fn is_in_head(&self) -> bool {
        !self.head.is_empty()
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.head.capacity()
    }

    /// Looks whether a write that begins here begins a message, where that is not known. `expected` tells that a message
    /// may come at all.
    pub(super) fn begin_write(&mut self, from_client: bool, bytes: &[u8], expected: bool, cx: &mut Context<'_>) {
        let uncertain = self.loose && !matches!(self.state, State::Head | State::Tunnel);
        let (lost, fit) = match self.state {
            State::Lost => (true, detect::message_start(from_client, bytes)),
            State::UntilClose if expected => (false, detect::message_start(from_client, bytes)),
            _ if uncertain && expected => (false, detect::message_start(from_client, bytes)),
            _ => return,
        };
        // A body may well begin a write with the first letters of a message, so half a match counts only when lost.
        if fit == Fit::Yes || (lost && fit == Fit::Maybe) {
            self.searching = true;
            self.state = State::Head;
            self.first_byte = cx.time;
        }
    }

    /// Takes as many bytes from `rest` as lead to the next thing to tell.
    pub(super) fn advance<'a>(&mut self, from_client: bool, rest: &mut &'a [u8], cx: &mut Context<'_>) -> Step<'a> {
        match self.state {
            State::Head => return self.gather(from_client, rest, cx),
            State::Length(left) => {
                let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                *rest = &rest[taken..];
                self.state = left_of(left, taken as u64);
            }
            State::Chunked(place) => self.chunked(place, rest),
            State::UntilClose | State::Lost | State::Tunnel => *rest = &[],
        }
        Step::Nothing
    }

    /// Passes over bytes nobody has seen.
    pub(super) fn pass_over(&mut self, count: u64) -> Step<'static> {
        match self.state {
            State::Head if self.head.is_empty() => self.state = State::Lost,
            State::Head => {
                self.state = State::Lost;
                return Step::CutHead(Cow::Owned(std::mem::take(&mut self.head)));
            }
            State::Length(left) if count <= left => self.state = left_of(left, count),
            State::Chunked(Chunked::Data(left)) if count <= left => self.state = data_left(left, count),
            State::Length(_) | State::Chunked(_) => self.state = State::Lost,
            State::UntilClose | State::Lost | State::Tunnel => {}
        }
        Step::Nothing
    }

    fn gather<'a>(&mut self, from_client: bool, rest: &mut &'a [u8], cx: &mut Context<'_>) -> Step<'a> {
        if self.head.is_empty() {
            // Some senders end a body with a line end that its length does not count.
            let blank = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            *rest = &rest[blank..];
            if rest.is_empty() {
                return Step::Nothing;
            }
            self.first_byte = cx.time;
            self.recognised = false;
            self.loose = false;
        }
        let bytes_max = cx.rules.http.head_bytes_max;
        let held = self.head.len();
        let window = &rest[..rest.len().min(bytes_max.saturating_sub(held))];
        let end = head_end(&self.head, window);
        let taken = end.unwrap_or(window.len());
        // What is complete in this chunk is read in place; only the start of a head whose end is still to come is kept.
        let too_long = end.is_none() && held + window.len() >= bytes_max;
        let step = if held == 0 && (end.is_some() || too_long) {
            Cow::Borrowed(&rest[..taken])
        } else {
            self.head.extend_from_slice(&window[..taken]);
            if end.is_some() || too_long { Cow::Owned(std::mem::take(&mut self.head)) } else { Cow::Borrowed(&[][..]) }
        };
        *rest = &rest[taken..];
        let gathered: &[u8] = if step.is_empty() { &self.head } else { &step };
        if !self.recognised {
            match detect::message_start(from_client, gathered) {
                Fit::Yes => self.recognised = true,
                Fit::Maybe => {}
                Fit::No => return self.unrecognised(rest),
            }
        }
        if too_long {
            self.state = State::Lost;
            return Step::LongHead(step);
        }
        if end.is_some() { Step::Head(step) } else { Step::Nothing }
    }

    fn unrecognised<'a>(&mut self, rest: &mut &'a [u8]) -> Step<'a> {
        *rest = &[];
        self.lose();
        if std::mem::take(&mut self.searching) { Step::Nothing } else { Step::Malformed }
    }

    fn chunked(&mut self, place: Chunked, rest: &mut &[u8]) {
        if let Chunked::Data(left) = place {
            let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            *rest = &rest[taken..];
            self.state = data_left(left, taken as u64);
            return;
        }
        let Some((&byte, tail)) = rest.split_first() else { return };
        *rest = tail;
        self.state = after_byte(place, byte);
    }
}

const fn left_of(left: u64, taken: u64) -> State {
    if taken < left { State::Length(left - taken) } else { State::Head }
}

const fn data_left(left: u64, taken: u64) -> State {
    State::Chunked(if taken < left { Chunked::Data(left - taken) } else { Chunked::DataEnd })
}

/// State after one byte of a chunked body that is not data.
fn after_byte(place: Chunked, byte: u8) -> State {
    State::Chunked(match (place, byte) {
        (Chunked::Size { digits: 0, .. }, b'\r' | b'\n' | b' ' | b'\t' | b';') => return State::Lost,
        (Chunked::Size { value, .. } | Chunked::Extension { value, .. }, b'\n') => match value {
            0 => Chunked::Trailer { line: 0, passed: 0 },
            size => Chunked::Data(size),
        },
        (Chunked::Size { value, .. }, b'\r' | b' ' | b'\t' | b';') => Chunked::Extension { value, passed: 1 },
        (Chunked::Size { value, digits }, digit) => match (digit as char).to_digit(16) {
            // 15 digits are a petabyte and cannot overflow.
            Some(digit) if digits < 15 => Chunked::Size { value: value * 16 + u64::from(digit), digits: digits + 1 },
            _ => return State::Lost,
        },
        (Chunked::Extension { value, passed }, _) if passed < CHUNK_LINE_BYTES_MAX => {
            Chunked::Extension { value, passed: passed + 1 }
        }
        (Chunked::DataEnd, b'\r') => Chunked::DataEnd,
        (Chunked::DataEnd, b'\n') => Chunked::Size { value: 0, digits: 0 },
        (Chunked::Trailer { line: 0, .. }, b'\n') => return State::Head,
        (Chunked::Trailer { passed, .. }, b'\n') => Chunked::Trailer { line: 0, passed: passed + 1 },
        (Chunked::Trailer { line, passed }, b'\r') => Chunked::Trailer { line, passed },
        (Chunked::Trailer { line, passed }, _) if passed < CHUNK_LINE_BYTES_MAX => {
            Chunked::Trailer { line: line + 1, passed: passed + 1 }
        }
        _ => return State::Lost,
    })
}

/// Count of bytes of `new` up to and including the blank line that ends the head which `held` begins.
fn head_end(held: &[u8], new: &[u8]) -> Option<usize> {
    let ends_line = |end: &[u8]| end.ends_with(b"\n\n") || end.ends_with(b"\n\r\n");
    // The blank line may begin in what is held already: the first two line ends of `new` need a look back.
    for at in memchr::memchr_iter(b'\n', new) {
        let found = if at >= 2 {
            ends_line(&new[..=at])
        } else {
            let back = &held[held.len().saturating_sub(2)..];
            let mut joined = [0u8; 4];
            let line = &new[..=at];
            joined[..back.len()].copy_from_slice(back);
            joined[back.len()..back.len() + line.len()].copy_from_slice(line);
            ends_line(&joined[..back.len() + line.len()])
        };
        if found {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_blank_line_across_any_split() {
        for head in ["GET / HTTP/1.1\r\nHost: a\r\n\r\nbody", "GET / HTTP/1.1\nHost: a\n\nbody"] {
            let end = head.find("body").unwrap();
            for split in 0..end {
                let (held, new) = head.as_bytes().split_at(split);
                assert_eq!(head_end(held, new), Some(end - split), "{split}");
            }
            assert_eq!(head_end(b"", &head.as_bytes()[..end - 1]), None);
        }
    }

    #[test]
    fn chunked_bodies_end_where_they_end() {
        let cases = [
            ("5\r\nhello\r\n0\r\n\r\nX", State::Head, "X"),
            ("5;ext=\"a\"\r\nhello\r\n000\r\nTrailer: 1\r\n\r\nX", State::Head, "X"),
            ("5\nhello\n0\n\nX", State::Head, "X"),
            ("a\r\nhello", State::Chunked(Chunked::Data(5)), ""),
            ("fffffffffffffff\r\nhello", State::Chunked(Chunked::Data(0xfff_ffff_ffff_ffff - 5)), ""),
            ("ffffffffffffffff\r\n", State::Lost, "\r\n"),
            ("-1\r\n", State::Lost, "1\r\n"),
            ("\r\n", State::Lost, "\n"),
            ("2\r\nabX", State::Lost, ""),
        ];
        for (body, state, rest) in cases {
            let mut half = Half { state: State::Chunked(Chunked::Size { value: 0, digits: 0 }), ..Half::default() };
            let mut left = body.as_bytes();
            while !left.is_empty()
                && let State::Chunked(place) = half.state
            {
                half.chunked(place, &mut left);
            }
            assert_eq!((half.state, left), (state, rest.as_bytes()), "{body:?}");
        }
    }

    #[test]
    fn endless_lines_of_a_chunked_body_are_given_up() {
        for start in ["5;", "0\r\nA: "] {
            let mut half = Half { state: State::Chunked(Chunked::Size { value: 0, digits: 0 }), ..Half::default() };
            let body = format!("{start}{}", "x".repeat(20_000));
            let mut left = body.as_bytes();
            while !left.is_empty()
                && let State::Chunked(place) = half.state
            {
                half.chunked(place, &mut left);
            }
            assert_eq!(half.state, State::Lost, "{start:?}");
        }
    }
}
