//! Which protocol a connection speaks, from the first bytes of its writes.

use flow::Timestamp;

use super::Chunk;
use super::stream::Addition;

/// Writes of one direction that are looked at.
const TRIES_MAX: u8 = 3;
/// Bytes within which every start of a message is told from anything else.
const START_BYTES_MAX: usize = 40;
/// Longest method name, `VERSION-CONTROL`, with some room.
const METHOD_BYTES_MAX: usize = 20;

/// Whether bytes are the start of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// They are.
    Yes,
    /// They may be; more bytes are needed.
    Maybe,
    /// They are not.
    No,
}

/// What a connection turned out to be.
#[derive(Debug)]
pub(super) enum Finding {
    /// Not known yet.
    Unknown,
    /// HTTP/1; whether the owner of the socket is the client, and the bytes held back so far.
    Http1 {
        /// Whether the owner of the socket is the client.
        local_is_client: bool,
        /// Held bytes in the order of their arrival.
        held: Vec<Held>,
    },
    /// HTTP/2, which is not read.
    Http2,
    /// Nothing known.
    Opaque,
}

/// Bytes held back until the protocol is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// Whether the owner of the socket sent them.
    pub(super) sent: bool,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// When they came.
    pub(super) time: Timestamp,
}

/// A connection of unknown protocol.
#[derive(Debug, Default)]
pub(super) struct Detector {
    sent: Direction,
    received: Direction,
}

#[derive(Debug, Default)]
struct Direction {
    held: Option<Held>,
    tries: u8,
}

impl Detector {
    /// Bytes held back.
    pub(super) fn bytes_held(&self) -> usize {
        [&self.sent, &self.received].iter().filter_map(|d| d.held.as_ref()).map(|h| h.bytes.capacity()).sum()
    }

    /// Looks at what a chunk adds.
    pub(super) fn look(&mut self, chunk: &Chunk<'_>, addition: &Addition<'_>) -> Finding {
        let direction = if chunk.sent { &mut self.sent } else { &mut self.received };
        if addition.gap > 0 && direction.held.take().is_some() {
            direction.tries += 1;
        }
        if !addition.bytes.is_empty() && (addition.at_start || direction.held.is_some()) {
            match direction.look(chunk, addition.bytes) {
                Found::Nothing => {}
                Found::Http1 { is_request } => return self.http1(chunk.sent == is_request, chunk.sent),
                Found::Other(finding) => return finding,
            }
        }
        let direction = if chunk.sent { &mut self.sent } else { &mut self.received };
        if addition.skip > 0 && direction.held.take().is_some() {
            direction.tries += 1;
        }
        let exhausted = |d: &Direction| d.tries >= TRIES_MAX;
        let client = match chunk.local_is_server {
            Some(true) => Some(&self.received),
            Some(false) => Some(&self.sent),
            None => None,
        };
        // Every protocol read here lets the client speak first, so a client that speaks something else settles it.
        if client.is_some_and(exhausted) || (exhausted(&self.sent) && exhausted(&self.received)) {
            return Finding::Opaque;
        }
        Finding::Unknown
    }

    /// Hands out what was held, in order; the bytes being looked at follow.
    fn http1(&mut self, local_is_client: bool, current_sent: bool) -> Finding {
        let mut held: Vec<_> = [self.sent.held.take(), self.received.held.take()].into_iter().flatten().collect();
        held.sort_by_key(|h| (h.time, h.sent == current_sent));
        Finding::Http1 { local_is_client, held }
    }
}

enum Found {
    Nothing,
    Http1 { is_request: bool },
    Other(Finding),
}

impl Direction {
    fn look(&mut self, chunk: &Chunk<'_>, bytes: &[u8]) -> Found {
        if self.tries >= TRIES_MAX {
            return Found::Nothing;
        }
        let joined;
        let start = match &self.held {
            None => bytes,
            Some(held) => {
                joined = [&held.bytes, &bytes[..bytes.len().min(START_BYTES_MAX)]].concat();
                &joined
            }
        };
        // The side that accepted the connection answers, the other one asks; where that is not known, either may.
        let may_ask = chunk.local_is_server != Some(chunk.sent);
        let may_answer = chunk.local_is_server != Some(!chunk.sent);
        let asks = if may_ask { request_start(start) } else { Fit::No };
        let answers = if may_answer { response_start(start) } else { Fit::No };
        if asks == Fit::Yes && start.starts_with(b"PRI * HTTP/2") {
            return Found::Other(Finding::Http2);
        }
        match (asks, answers) {
            (Fit::Yes, _) => Found::Http1 { is_request: true },
            (_, Fit::Yes) => Found::Http1 { is_request: false },
            (Fit::No, Fit::No) => {
                self.held = None;
                self.tries += 1;
                if start.starts_with(&[0x16, 0x03]) { Found::Other(Finding::Opaque) } else { Found::Nothing }
            }
            _ => {
                let held =
                    self.held.get_or_insert_with(|| Held { sent: chunk.sent, bytes: Vec::new(), time: chunk.time });
                held.bytes.extend_from_slice(bytes);
                Found::Nothing
            }
        }
    }
}

/// Whether bytes are the start of an HTTP/1 message of this side.
pub(super) fn message_start(from_client: bool, bytes: &[u8]) -> Fit {
    if from_client { request_start(bytes) } else { response_start(bytes) }
}

/// `METHOD` in capitals, a space, and a target that no other protocol has there.
fn request_start(bytes: &[u8]) -> Fit {
    let method = bytes.iter().take_while(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_')).count();
    if method > METHOD_BYTES_MAX {
        return Fit::No;
    }
    match bytes.get(method) {
        None => Fit::Maybe,
        Some(b' ') if method >= 3 => target_start(&bytes[..method], &bytes[method + 1..]),
        Some(_) => Fit::No,
    }
}

fn target_start(method: &[u8], target: &[u8]) -> Fit {
    match target.first() {
        None => Fit::Maybe,
        Some(b'/') => Fit::Yes,
        // The preface of HTTP/2 has the form of a request; so that it is recognised, all of it must be there.
        Some(b'*') if method == b"PRI" => prefix(target, b"* HTTP/2"),
        Some(b'*') => prefix(target, b"* HTTP/1"),
        Some(_) if method == b"CONNECT" => Fit::Yes,
        Some(_) => match prefix(target, b"http://") {
            Fit::No => prefix(target, b"https://"),
            fit => fit,
        },
    }
}

/// `HTTP/1.0` or `HTTP/1.1` and a space.
fn response_start(bytes: &[u8]) -> Fit {
    match (prefix(bytes, b"HTTP/1."), bytes.get(7), bytes.get(8)) {
        (Fit::Yes, Some(b'0' | b'1'), Some(b' ')) => Fit::Yes,
        (Fit::Yes, None | Some(b'0' | b'1'), None) | (Fit::Maybe, ..) => Fit::Maybe,
        _ => Fit::No,
    }
}

/// Whether bytes begin with `wanted`.
fn prefix(bytes: &[u8], wanted: &[u8]) -> Fit {
    if bytes.starts_with(wanted) {
        Fit::Yes
    } else if wanted.starts_with(bytes) {
        Fit::Maybe
    } else {
        Fit::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_a_start_may_become_one() {
        let starts = [
            (true, "GET /"),
            (true, "VERSION-CONTROL /"),
            (true, "M-SEARCH * HTTP/1"),
            (true, "GET http://"),
            (true, "GET https://"),
            (true, "CONNECT e"),
            (true, "PRI * HTTP/2"),
            (false, "HTTP/1.0 "),
            (false, "HTTP/1.1 "),
        ];
        for (from_client, start) in starts {
            assert!(start.len() <= START_BYTES_MAX);
            assert_eq!(message_start(from_client, start.as_bytes()), Fit::Yes, "{start}");
            for end in 0..start.len() {
                assert_eq!(message_start(from_client, &start.as_bytes()[..end]), Fit::Maybe, "{start} {end}");
            }
        }
    }

    #[test]
    fn other_protocols_are_not_http() {
        let others = [
            "GET key\r\n",
            "GET hello\r\n",
            "get foo\r\n",
            "*2\r\n$3\r\nGET\r\n",
            "OPTIONS sip:a",
            "SSH-2.0-OpenSSH",
            "HTTP/2 200",
            "HTTP/1.2 200",
            "EHLO mail",
            "A /",
            "\u{16}\u{3}\u{1}",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ];
        for other in others {
            assert_eq!(message_start(true, other.as_bytes()), Fit::No, "{other:?}");
            if !other.starts_with("HTTP/1") {
                assert_eq!(message_start(false, other.as_bytes()), Fit::No, "{other:?}");
            }
        }
    }
}
