//! Encoded messages, field by field: which fields are unknown, and where they belong.
//!
//! Unknown fields are kept as a message of the same shape that has nothing else: a list has as many elements as it needs
//! to tell which one a field belongs to.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};

use crate::json::schema::{FieldShape, Kind, MessageShape};

/// One field of an encoded message.
struct Field<'a> {
    number: u32,
    /// With its key.
    whole: &'a [u8],
    /// The value of a field that has its length before it.
    value: Option<&'a [u8]>,
}

/// Fields of an encoded message. What cannot be read is the end: messages were decoded once already.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let begin = self.0;
        let mut rest = begin;
        let (number, kind) = decode_key(&mut rest).ok()?;
        let mut value = None;
        if kind == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
            let (head, tail) = rest.split_at_checked(length)?;
            (value, rest) = (Some(head), tail);
        } else {
            skip_field(kind, number, &mut rest, DecodeContext::default()).ok()?;
        }
        self.0 = rest;
        Some(Field { number, whole: &begin[..begin.len() - rest.len()], value })
    }
}

/// The values of a field of an encoded message.
pub(super) fn messages(encoded: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    Fields(encoded).filter(move |field| field.number == number).filter_map(|field| field.value)
}

/// The shape of the message that a field holds; `None` for other fields, and for messages that never grow.
fn message_of(field: &FieldShape) -> Option<&'static MessageShape> {
    matches!(field.kind, Kind::Message(_)).then(|| field.message())
}

/// Appends a field that has its length before it.
pub(super) fn put(number: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Appends the unknown fields of a message, those of messages in it below their places.
pub(super) fn unknown(shape: &MessageShape, encoded: &[u8], out: &mut Vec<u8>) {
    // Elements before this one had no unknown field; they are told once one has.
    let mut empty: Vec<(u32, usize)> = Vec::new();
    for field in Fields(encoded) {
        let Some((_, known)) = shape.by_number(field.number) else {
            out.extend_from_slice(field.whole);
            continue;
        };
        let (Some(inner), Some(value)) = (message_of(known), field.value) else { continue };
        let mut found = Vec::new();
        unknown(inner, value, &mut found);
        let before = empty.iter().position(|(number, _)| *number == field.number);
        if found.is_empty() {
            if let (true, Some(before)) = (known.repeated, before) {
                empty[before].1 += 1;
            } else if known.repeated {
                empty.push((field.number, 1));
            }
            continue;
        }
        let before = before.map_or(0, |at| empty.swap_remove(at).1);
        (0..before).for_each(|_| put(field.number, &[], out));
        put(field.number, &found, out);
    }
}

/// Appends an encoded message with unknown fields where they belong. Those of elements that a list has not are left out.
pub(super) fn graft(shape: &MessageShape, encoded: &[u8], unknown: &[u8], out: &mut Vec<u8>) {
    let is_message =
        |number| shape.by_number(number).and_then(|(_, known)| message_of(known).map(|inner| (known, inner)));
    let mut grafts: Vec<(Field<'_>, bool)> =
        Fields(unknown).filter(|field| is_message(field.number).is_some()).map(|field| (field, false)).collect();
    for field in Fields(encoded) {
        let mut ours = grafts.iter_mut().filter(|(graft, used)| graft.number == field.number && !used);
        let (Some((_, inner)), Some(value), Some((graft, used))) = (is_message(field.number), field.value, ours.next())
        else {
            out.extend_from_slice(field.whole);
            continue;
        };
        *used = true;
        let mut whole = Vec::with_capacity(value.len() + graft.whole.len());
        self::graft(inner, value, graft.value.unwrap_or_default(), &mut whole);
        put(field.number, &whole, out);
    }
    // A message that the vocabulary has no use for is one all the same.
    let left = grafts.iter().filter(|(_, used)| !used).map(|(graft, _)| graft);
    for graft in left.filter(|graft| is_message(graft.number).is_some_and(|(known, _)| !known.repeated)) {
        out.extend_from_slice(graft.whole);
    }
    for field in Fields(unknown).filter(|field| is_message(field.number).is_none()) {
        out.extend_from_slice(field.whole);
    }
}
