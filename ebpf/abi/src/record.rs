//! Bytes of a ring become a record, or an error: never a panic.

use core::fmt;

use zerocopy::FromBytes;

use crate::{ABI_VERSION, DataHead, DnsHead, DropRecord, FlowRecord, Header, ProcRecord, SockRecord, kind};

/// One record out of a ring.
///
/// The fixed parts are copied out, so the bytes need no alignment; payload is borrowed from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// News of a flow.
    Flow(FlowRecord),
    /// First drop, reset, retransmission or ICMP error of a kind on a tuple.
    Drop(DropRecord),
    /// A socket and its owner.
    Sock(SockRecord),
    /// Chunk of a TCP stream and its captured bytes (`head.captured` of them).
    Data(DataHead, &'a [u8]),
    /// DNS datagram and as much of it as was captured (at most `head.len`).
    Dns(DnsHead, &'a [u8]),
    /// A process that began or ended.
    Proc(ProcRecord),
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Fewer bytes than the kind needs.
    Short {
        /// Bytes the record needs.
        needed: usize,
        /// Bytes there are.
        got: usize,
    },
    /// Layout of another version of the programs.
    Version(u8),
    /// A kind this version does not know.
    Kind(u8),
    /// The head claims more captured payload than the record has, or more than was sent.
    Payload {
        /// Captured bytes claimed.
        claimed: usize,
        /// Bytes that can be there.
        room: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { needed, got } => write!(f, "record of {got} bytes, {needed} needed"),
            Self::Version(version) => write!(f, "record of layout version {version}, {ABI_VERSION} expected"),
            Self::Kind(kind) => write!(f, "unknown kind of record {kind}"),
            Self::Payload { claimed, room } => write!(f, "record claims {claimed} bytes of payload and has {room}"),
        }
    }
}

impl core::error::Error for ParseError {}

impl<'a> Record<'a> {
    /// Reads a record from the bytes of one ring entry; bytes behind it are ignored.
    ///
    /// # Errors
    /// [`ParseError`] for bytes no program of this version sends. No input panics.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (header, _) = prefix::<Header>(bytes)?;
        if header.version != ABI_VERSION {
            return Err(ParseError::Version(header.version));
        }
        Ok(match header.kind {
            kind::FLOW => Self::Flow(prefix(bytes)?.0),
            kind::DROP => Self::Drop(prefix(bytes)?.0),
            kind::SOCK => Self::Sock(prefix(bytes)?.0),
            kind::PROC => Self::Proc(prefix(bytes)?.0),
            kind::DATA => {
                let (head, rest) = prefix::<DataHead>(bytes)?;
                let claimed = head.captured as usize;
                let room = rest.len().min(head.len as usize);
                let payload = rest.get(..claimed).filter(|_| claimed <= room);
                Self::Data(head, payload.ok_or(ParseError::Payload { claimed, room })?)
            }
            kind::DNS => {
                let (head, rest) = prefix::<DnsHead>(bytes)?;
                let held = usize::from(head.header.len).saturating_sub(size_of::<DnsHead>());
                let captured = rest.len().min(held).min(usize::from(head.len));
                Self::Dns(head, rest.get(..captured).unwrap_or_default())
            }
            other => return Err(ParseError::Kind(other)),
        })
    }

    /// The header of the record.
    #[must_use]
    pub const fn header(&self) -> &Header {
        match self {
            Self::Flow(record) => &record.header,
            Self::Drop(record) => &record.header,
            Self::Sock(record) => &record.header,
            Self::Data(head, _) => &head.header,
            Self::Dns(head, _) => &head.header,
            Self::Proc(record) => &record.header,
        }
    }
}

fn prefix<T: FromBytes>(bytes: &[u8]) -> Result<(T, &[u8]), ParseError> {
    T::read_from_prefix(bytes).map_err(|_| ParseError::Short { needed: size_of::<T>(), got: bytes.len() })
}
