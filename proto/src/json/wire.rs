//! Fields of encoded messages, as they stand on the wire.

use prost::encoding::{WireType, decode_key, decode_varint};

use super::schema::{Kind, MessageShape};

/// A value as it stands on the wire.
#[derive(Clone, Copy)]
pub(crate) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// Known fields with their place in the order of declaration.
pub(crate) fn read_fields<'a>(shape: &MessageShape, mut encoded: &'a [u8]) -> Option<Vec<(usize, Raw<'a>)>> {
    let mut values = Vec::new();
    while !encoded.is_empty() {
        let (number, raw) = read_field(&mut encoded)?;
        if let (Some((at, _)), Some(raw)) = (shape.by_number(number), raw) {
            values.push((at, raw));
        }
    }
    Some(values)
}

/// One field; its value is `None` for a 32-bit one, which no message of the API has.
pub(super) fn read_field<'a>(encoded: &mut &'a [u8]) -> Option<(u32, Option<Raw<'a>>)> {
    let (number, wire_type) = decode_key(encoded).ok()?;
    let raw = match wire_type {
        WireType::Varint => Some(Raw::Varint(decode_varint(encoded).ok()?)),
        WireType::SixtyFourBit => {
            let (head, tail) = encoded.split_first_chunk()?;
            *encoded = tail;
            Some(Raw::Fixed64(u64::from_le_bytes(*head)))
        }
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(encoded).ok()?).ok()?;
            let (head, tail) = encoded.split_at_checked(length)?;
            *encoded = tail;
            Some(Raw::Bytes(head))
        }
        WireType::ThirtyTwoBit => {
            *encoded = encoded.get(4..)?;
            None
        }
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    Some((number, raw))
}

/// Scalars of a list may come packed into one field.
pub(crate) fn unpack<'a>(kind: &Kind, raw: Raw<'a>) -> Option<Vec<Raw<'a>>> {
    let scalar = matches!(kind, Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Enum(_));
    let Raw::Bytes(mut packed) = raw else { return Some(vec![raw]) };
    if !scalar {
        return Some(vec![raw]);
    }
    let mut values = Vec::new();
    while !packed.is_empty() {
        values.push(Raw::Varint(decode_varint(&mut packed).ok()?));
    }
    Some(values)
}

/// The varint of a field, 0 where it is left out.
pub(crate) fn number_field(mut encoded: &[u8], wanted: u32) -> Option<u64> {
    let mut found = 0;
    while !encoded.is_empty() {
        if let (number, Some(Raw::Varint(value))) = read_field(&mut encoded)?
            && number == wanted
        {
            found = value;
        }
    }
    Some(found)
}
