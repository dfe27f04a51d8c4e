//! Fields of encoded messages, and names of the API.

use std::rc::Rc;

use super::steps::{Failure, Steps};
use super::value::{Message, Value};
use crate::json::schema::{self, FieldShape, Kind, MessageShape};
use crate::json::wire::{Raw, read_fields, unpack};

/// Package whose names need no prefix.
const PACKAGE: &str = "flow";
/// Bytes of a message that are a step for who looks for a field in it.
const BYTES_READ_PER_STEP: usize = 256;

/// The message with that name, with or without its package.
pub(super) fn find_message(name: &str) -> Option<(&'static str, &'static MessageShape)> {
    let name = name.strip_prefix('.').unwrap_or(name);
    // Other packages of the API are not known to expressions.
    let is_visible = name.starts_with("flow.") || name.starts_with("google.protobuf.");
    let whole = || is_visible.then(|| schema::message_entry(name)).flatten();
    schema::message_entry(&format!("{PACKAGE}.{name}")).or_else(whole)
}

/// The number that a name such as `Verdict.DROPPED` stands for, with or without the package.
pub(super) fn find_constant(name: &str) -> Option<i64> {
    let name = name.strip_prefix('.').unwrap_or(name);
    let number = |name: &str| {
        let (enumeration, value) = name.rsplit_once('.')?;
        schema::enumeration(enumeration)?.number(value)
    };
    number(&format!("{PACKAGE}.{name}")).or_else(|| number(name)).map(i64::from)
}

/// The field of a message with this name, as it stands in the .proto file.
pub(super) fn field(shape: &'static MessageShape, name: &str) -> Option<&'static FieldShape> {
    shape.fields.iter().find(|field| field.name == name)
}

impl Message {
    /// The value of a field: its default where it is not set, null for a scalar that may be null.
    ///
    /// `None` where the bytes are not such a message.
    pub(super) fn get(&self, field: &'static FieldShape) -> Option<Value> {
        let found = self.raw(field)?;
        if field.repeated {
            let mut values = Vec::new();
            for raw in found {
                for raw in unpack(&field.kind, raw)? {
                    values.push(value(&field.kind, Some(raw))?);
                }
            }
            return Some(Value::List(Rc::new(values)));
        }
        value(&field.kind, found.last().copied())
    }

    /// Whether a field is set: a list with elements, a scalar other than its default, a message at all.
    pub(super) fn has(&self, field: &'static FieldShape) -> Option<bool> {
        let found = self.raw(field)?;
        let Some(last) = found.last() else { return Some(false) };
        Some(match last {
            _ if field.repeated || field.oneof.is_some() => true,
            Raw::Varint(number) | Raw::Fixed64(number) => *number != 0,
            Raw::Bytes(bytes) if matches!(field.kind, Kind::String | Kind::Bytes) => !bytes.is_empty(),
            Raw::Bytes(_) => true,
        })
    }

    fn raw(&self, field: &'static FieldShape) -> Option<Vec<Raw<'_>>> {
        let place = self.shape.fields.iter().position(|known| std::ptr::eq(known, field))?;
        let fields = read_fields(self.shape, &self.bytes)?;
        Some(fields.into_iter().filter(|(at, _)| *at == place).map(|(_, raw)| raw).collect())
    }

    /// Takes what reading through the message for a field costs.
    pub(super) fn take_reading(&self, steps: &mut Steps) -> Result<(), Failure> {
        steps.take(self.bytes.len() / BYTES_READ_PER_STEP)
    }

    /// Whether all fields are equal, those of newer versions left out.
    pub(super) fn equals(&self, other: &Self, steps: &mut Steps) -> Result<bool, Failure> {
        if !std::ptr::eq(self.shape, other.shape) || self.is_missing != other.is_missing {
            return Ok(false);
        }
        for field in &self.shape.fields {
            self.take_reading(steps)?;
            other.take_reading(steps)?;
            let is_same = self.has(field) == other.has(field)
                && match (self.get(field), other.get(field)) {
                    (Some(a), Some(b)) => a.equals(&b, steps)?,
                    (a, b) => a.is_none() && b.is_none(),
                };
            if !is_same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "protobuf cuts varints down to the width of the field")]
#[expect(clippy::cast_possible_wrap, reason = "protobuf sends negative numbers as their two's complement")]
fn value(kind: &'static Kind, raw: Option<Raw<'_>>) -> Option<Value> {
    let number = match raw {
        Some(Raw::Varint(number) | Raw::Fixed64(number)) => number,
        _ => 0,
    };
    let bytes = match raw {
        Some(Raw::Bytes(bytes)) => bytes,
        _ => &[],
    };
    Some(match kind {
        Kind::Bool => Value::Bool(number != 0),
        Kind::Int32 | Kind::Enum(_) => Value::Int((number as i32).into()),
        Kind::Int64 => Value::Int(number as i64),
        Kind::Uint32 => Value::Uint((number as u32).into()),
        Kind::Uint64 | Kind::Fixed64 => Value::Uint(number),
        Kind::Double => Value::Double(f64::from_bits(number)),
        Kind::String => Value::Text(std::str::from_utf8(bytes).ok()?.into()),
        Kind::Bytes => Value::Bytes(bytes.into()),
        Kind::Message(name) => {
            Value::Message(Message { name, shape: schema::message(name)?, bytes: bytes.into(), is_missing: false })
        }
        Kind::Wrapper(_) | Kind::Any if raw.is_none() => Value::Null,
        // Where it is not set, this is the beginning of 1970.
        Kind::Timestamp => {
            let time: prost_types::Timestamp = prost::Message::decode(bytes).ok()?;
            Value::Timestamp { seconds: time.seconds, nanos: time.nanos }
        }
        Kind::Wrapper(inner) => value(inner, Some(Raw::Varint(crate::json::wire::number_field(bytes, 1)?)))?,
        Kind::Any => {
            let any: prost_types::Any = prost::Message::decode(bytes).ok()?;
            let (name, shape) = schema::message_entry(any.type_url.rsplit('/').next().unwrap_or_default())?;
            Value::Message(Message { name, shape, bytes: any.value.into(), is_missing: false })
        }
    })
}
