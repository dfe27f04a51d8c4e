//! From JSON to the encoded message.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost::{Message, Name};
use serde_json::{Map, Value};

use super::schema::{self, FieldShape, Kind, MessageShape};
use super::{base64, time};

/// A text is not the JSON form of the message.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not a JSON object at all.
    #[error("not a JSON object")]
    Syntax(#[source] serde_json::Error),
    /// A field has a value of another type.
    #[error("{path}: expected {expected}")]
    Field {
        /// Where, such as `flow.IP.source`.
        path: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// The values do not make up the message.
    #[error("not a {message}")]
    Message {
        /// Full name of the message.
        message: String,
        /// What is wrong.
        #[source]
        source: prost::DecodeError,
    },
}

/// Reads a message from its object.
pub(super) fn from_object<M: Message + Name + Default>(object: &Map<String, Value>) -> Result<M, JsonError> {
    let message = M::full_name();
    let shape = schema::message(&message).expect("every generated message has a descriptor");
    let encoded = encode(shape, object).map_err(|mismatch| mismatch.into_error())?;
    M::decode(encoded.as_slice()).map_err(|source| JsonError::Message { message, source })
}

/// A value of another type, and the way to it from the inside out.
pub(super) struct Mismatch {
    path: Vec<String>,
    expected: &'static str,
}

impl Mismatch {
    pub(super) const fn new(expected: &'static str) -> Self {
        Self { path: Vec::new(), expected }
    }

    pub(super) fn at(mut self, step: &str) -> Self {
        self.path.push(step.to_owned());
        self
    }

    pub(super) fn into_error(mut self) -> JsonError {
        self.path.reverse();
        JsonError::Field { path: self.path.join("."), expected: self.expected }
    }
}

/// Encodes in the order of numbers, as every other encoder does: bytes inside of an `Any` are then the same again.
fn encode(shape: &MessageShape, object: &Map<String, Value>) -> Result<Vec<u8>, Mismatch> {
    let known = object.iter().filter(|(_, value)| !value.is_null());
    let mut fields: Vec<_> = known.filter_map(|(key, value)| Some((shape.by_name(key)?, key, value))).collect();
    fields.sort_by_key(|(field, _, _)| field.number);
    let mut out = Vec::new();
    for (field, key, value) in fields {
        encode_field(field, value, &mut out).map_err(|m| m.at(key))?;
    }
    Ok(out)
}

fn encode_field(field: &FieldShape, value: &Value, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    if !field.repeated {
        return encode_value(field.number, &field.kind, value, out);
    }
    let list = value.as_array().ok_or(Mismatch::new("a list"))?;
    for (at, value) in list.iter().enumerate() {
        encode_value(field.number, &field.kind, value, out).map_err(|m| m.at(&at.to_string()))?;
    }
    Ok(())
}

/// A value as it stands on the wire.
enum Encoded {
    Varint(u64),
    Fixed64(u64),
    Bytes(Vec<u8>),
    /// There is nothing to send.
    Nothing,
}

/// Appends a field of any type.
pub(super) fn encode_value(number: u32, kind: &Kind, value: &Value, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    match encoded(kind, value)? {
        Encoded::Varint(value) => {
            encode_key(number, WireType::Varint, out);
            encode_varint(value, out);
        }
        Encoded::Fixed64(bits) => {
            encode_key(number, WireType::SixtyFourBit, out);
            out.extend_from_slice(&bits.to_le_bytes());
        }
        Encoded::Bytes(bytes) => delimited(number, &bytes, out),
        Encoded::Nothing => {}
    }
    Ok(())
}

/// Appends a field of bytes.
pub(super) fn delimited(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[expect(clippy::cast_sign_loss, reason = "protobuf sends negative numbers as their two's complement")]
fn encoded(kind: &Kind, value: &Value) -> Result<Encoded, Mismatch> {
    Ok(match kind {
        Kind::Bool => Encoded::Varint(value.as_bool().ok_or(Mismatch::new("true or false"))?.into()),
        Kind::Int32 => Encoded::Varint(i64::from(int32(signed(value)?)?) as u64),
        Kind::Int64 => Encoded::Varint(signed(value)? as u64),
        Kind::Uint32 => {
            let number = u32::try_from(unsigned(value)?).map_err(|_| Mismatch::new("an unsigned 32-bit integer"))?;
            Encoded::Varint(number.into())
        }
        Kind::Uint64 => Encoded::Varint(unsigned(value)?),
        // For a newer peer's name there is no number to keep it by.
        Kind::Enum(name) => {
            enum_number(name, value)?.map_or(Encoded::Nothing, |number| Encoded::Varint(i64::from(number) as u64))
        }
        Kind::Fixed64 => Encoded::Fixed64(unsigned(value)?),
        Kind::Double => Encoded::Fixed64(double(value)?.to_bits()),
        Kind::String => Encoded::Bytes(text(value)?.as_bytes().to_vec()),
        Kind::Bytes => Encoded::Bytes(base64::decode(text(value)?).ok_or(Mismatch::new("base64"))?),
        Kind::Message(name) => {
            let shape = schema::message(name).expect("descriptors are complete");
            Encoded::Bytes(encode(shape, object(value)?)?)
        }
        Kind::Timestamp => Encoded::Bytes(timestamp(value)?),
        Kind::Any => Encoded::Bytes(any(object(value)?)?),
        Kind::Wrapper(inner) => {
            let mut wrapped = Vec::new();
            encode_value(1, inner, value, &mut wrapped)?;
            Encoded::Bytes(wrapped)
        }
    })
}

fn int32(number: i64) -> Result<i32, Mismatch> {
    i32::try_from(number).map_err(|_| Mismatch::new("a 32-bit integer"))
}

fn text(value: &Value) -> Result<&str, Mismatch> {
    value.as_str().ok_or(Mismatch::new("a string"))
}

fn object(value: &Value) -> Result<&Map<String, Value>, Mismatch> {
    value.as_object().ok_or(Mismatch::new("an object"))
}

/// A number, or a string that holds one.
fn unsigned(value: &Value) -> Result<u64, Mismatch> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64().or_else(|| whole(number).and_then(|n| u64::try_from(n).ok())),
        _ => None,
    }
    .ok_or(Mismatch::new("an unsigned integer"))
}

fn signed(value: &Value) -> Result<i64, Mismatch> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64().or_else(|| whole(number)),
        _ => None,
    }
    .ok_or(Mismatch::new("an integer"))
}

/// `1.0` and `1e3` are integers too.
#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in the range that f64 holds exactly")]
fn whole(number: &serde_json::Number) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= EXACT_MAX).map(|n| n as i64)
}

fn double(value: &Value) -> Result<f64, Mismatch> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        _ => None,
    }
    .ok_or(Mismatch::new("a number"))
}

/// `None` for a name this version does not know.
fn enum_number(enumeration: &str, value: &Value) -> Result<Option<i32>, Mismatch> {
    match value {
        Value::String(name) => Ok(schema::enumeration(enumeration).and_then(|e| e.number(name))),
        Value::Number(_) => int32(signed(value)?).map(Some),
        _ => Err(Mismatch::new("a name or number")),
    }
}

fn timestamp(value: &Value) -> Result<Vec<u8>, Mismatch> {
    timestamp_of(text(value)?)
}

/// Encodes a time in its text form.
pub(super) fn timestamp_of(text: &str) -> Result<Vec<u8>, Mismatch> {
    let (seconds, nanos) = time::read(text).ok_or(Mismatch::new("an RFC 3339 time"))?;
    Ok(prost_types::Timestamp { seconds, nanos }.encode_to_vec())
}

/// `@type` names the message; one of ours lies open, any other came as it was.
fn any(object: &Map<String, Value>) -> Result<Vec<u8>, Mismatch> {
    let type_url = object.get("@type").map_or(Ok(""), |url| text(url).map_err(|m| m.at("@type")))?;
    let shape = schema::message(type_url.rsplit('/').next().unwrap_or_default());
    let value = match (shape, object.get("value")) {
        (_, Some(Value::String(value))) => base64::decode(value).ok_or_else(|| Mismatch::new("base64").at("value"))?,
        (Some(shape), _) => encode(shape, object)?,
        (None, _) => Vec::new(),
    };
    Ok(prost_types::Any { type_url: type_url.to_owned(), value }.encode_to_vec())
}
