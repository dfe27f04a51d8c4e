//! Page headers: Thrift's compact protocol.
//!
//! Source: <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift> and
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

use super::hybrid::{take, varint};

/// Structures in structures that are passed over.
const DEPTH_MAX: u32 = 4;

/// What kind of page follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dictionary,
    /// Version 1, with the encoding of its definition levels.
    Data {
        levels: i64,
    },
    Other,
}

/// What is said before a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes of the page as it is unpacked.
    pub(super) bytes: usize,
    /// Bytes of the page as it stands in the file.
    pub(super) packed_bytes: usize,
    /// Values, with those that are NULL.
    pub(super) values: usize,
    pub(super) encoding: i64,
}

/// Values of the fields 1 to 3 of a structure.
#[derive(Clone, Copy, Debug, Default)]
struct Fields([i64; 3]);

impl Header {
    /// Takes a header from the beginning of these bytes; `None` where there is none that can be understood.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (mut of_page, mut inside) = (Fields::default(), None);
        fields(bytes, |id, kind, bytes| match (id, kind) {
            (1..=3, 5) => {
                of_page.0[usize::from(id) - 1] = zigzag(bytes)?;
                Some(())
            }
            (5 | 7, 12) => {
                let mut found = Fields::default();
                fields(bytes, |id, kind, bytes| match (id, kind) {
                    (1..=3, 5) => {
                        found.0[usize::from(id) - 1] = zigzag(bytes)?;
                        Some(())
                    }
                    _ => skip(bytes, kind, 0),
                })?;
                inside = Some((id, found));
                Some(())
            }
            _ => skip(bytes, kind, 0),
        })?;
        let Fields([kind, size, packed]) = of_page;
        let (kind, Fields([values, encoding, _])) = match (kind, inside) {
            (0, Some((5, found))) => (Kind::Data { levels: found.0[2] }, found),
            (2, Some((7, found))) => (Kind::Dictionary, found),
            _ => (Kind::Other, Fields::default()),
        };
        let length = |number| usize::try_from(number).ok();
        Some(Self { kind, bytes: length(size)?, packed_bytes: length(packed)?, values: length(values)?, encoding })
    }
}

/// Hands each field of a structure to `read`: its number, its type, and the bytes that begin with its value.
fn fields(bytes: &mut &[u8], mut read: impl FnMut(u8, u8, &mut &[u8]) -> Option<()>) -> Option<()> {
    let mut id = 0_u8;
    loop {
        let byte = *take(bytes, 1)?.first()?;
        if byte == 0 {
            return Some(());
        }
        id = match byte >> 4 {
            0 => u8::try_from(zigzag(bytes)?).ok()?,
            delta => id.checked_add(delta)?,
        };
        read(id, byte & 0xf, bytes)?;
    }
}

/// Passes over a value of a type.
fn skip(bytes: &mut &[u8], kind: u8, depth: u32) -> Option<()> {
    match kind {
        // Truth values are in their type.
        1 | 2 => Some(()),
        3 => take(bytes, 1).map(|_| ()),
        4..=6 => varint(bytes).map(|_| ()),
        7 => take(bytes, 8).map(|_| ()),
        8 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            take(bytes, length).map(|_| ())
        }
        12 if depth < DEPTH_MAX => fields(bytes, |_, kind, bytes| skip(bytes, kind, depth + 1)),
        _ => None,
    }
}

/// Reads a number whose sign is its last bit.
pub(super) fn zigzag(bytes: &mut &[u8]) -> Option<i64> {
    let number = varint(bytes)?;
    Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}
