//! Values of one type as another one, and as fields of messages.

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::steps::{Failure, Steps};
use super::value::Value;
use crate::json::schema::{FieldShape, Kind};

/// Appends a field with this value; nothing for null.
///
/// # Errors
/// The value has another type, does not fit, or is too large.
pub(super) fn encode(field: &FieldShape, value: &Value, steps: &mut Steps, out: &mut Vec<u8>) -> Result<(), Failure> {
    let mut append = |value: &Value| {
        steps.take_comparison()?;
        steps.take_copy(value)?;
        encode_single(field.number, &field.kind, value, out).ok_or(Failure)
    };
    match value {
        Value::List(values) if field.repeated => values.iter().try_for_each(append),
        Value::Null => Ok(()),
        value => append(value),
    }
}

fn encode_single(number: u32, kind: &Kind, value: &Value, out: &mut Vec<u8>) -> Option<()> {
    let mut delimited = |bytes: &[u8]| {
        encode_key(number, WireType::LengthDelimited, out);
        encode_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    };
    let varint = match (kind, value) {
        (Kind::Bool, Value::Bool(value)) => u64::from(*value),
        (Kind::Int32 | Kind::Enum(_), Value::Int(value)) => i64::from(i32::try_from(*value).ok()?).cast_unsigned(),
        (Kind::Int64, Value::Int(value)) => value.cast_unsigned(),
        (Kind::Uint32, Value::Uint(value)) => u32::try_from(*value).ok()?.into(),
        (Kind::Uint64, Value::Uint(value)) => *value,
        (Kind::String, Value::Text(text)) => {
            delimited(text.as_bytes());
            return Some(());
        }
        (Kind::Bytes, Value::Bytes(bytes)) => {
            delimited(bytes);
            return Some(());
        }
        (Kind::Message(name), Value::Message(message)) if name == message.name => {
            delimited(&message.bytes);
            return Some(());
        }
        (Kind::Timestamp, Value::Timestamp { seconds, nanos }) => {
            delimited(&prost_types::Timestamp { seconds: *seconds, nanos: *nanos }.encode_to_vec());
            return Some(());
        }
        (Kind::Wrapper(inner), value) => {
            let mut wrapped = Vec::new();
            encode_single(1, inner, value, &mut wrapped)?;
            delimited(&wrapped);
            return Some(());
        }
        _ => return None,
    };
    // Scalars that have their default are left out, as protobuf does.
    if varint != 0 {
        encode_key(number, WireType::Varint, out);
        encode_varint(varint, out);
    }
    Some(())
}

/// The value as an `int`.
pub(super) fn to_int(value: &Value) -> Option<Value> {
    Some(Value::Int(match value {
        Value::Int(number) => *number,
        Value::Uint(number) => i64::try_from(*number).ok()?,
        Value::Double(number) => whole(*number).and_then(|number| i64::try_from(number).ok())?,
        Value::Text(text) => text.parse().ok()?,
        Value::Timestamp { seconds, .. } => *seconds,
        _ => return None,
    }))
}

/// The value as a `uint`.
pub(super) fn to_uint(value: &Value) -> Option<Value> {
    Some(Value::Uint(match value {
        Value::Int(number) => u64::try_from(*number).ok()?,
        Value::Uint(number) => *number,
        Value::Double(number) => whole(*number).and_then(|number| u64::try_from(number).ok())?,
        Value::Text(text) if text.starts_with('+') => return None,
        Value::Text(text) => text.parse().ok()?,
        _ => return None,
    }))
}

/// The value as a `double`.
#[expect(clippy::cast_precision_loss, reason = "that is what the conversion does")]
pub(super) fn to_double(value: &Value) -> Option<Value> {
    Some(Value::Double(match value {
        Value::Int(number) => *number as f64,
        Value::Uint(number) => *number as f64,
        Value::Double(number) => *number,
        Value::Text(text) => read_double(text)?,
        _ => return None,
    }))
}

/// Reads a number as Go does: with underscores between digits, in base 16 with an exponent, and no infinite one unless
/// it says so.
fn read_double(text: &str) -> Option<f64> {
    let (sign, size) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let size = if sign < 0.0 { size } else { size.strip_prefix('+').unwrap_or(size) };
    let lower = size.to_ascii_lowercase();
    if matches!(lower.as_str(), "inf" | "infinity") {
        return Some(sign * f64::INFINITY);
    }
    if lower == "nan" {
        return (size.len() == text.len()).then_some(f64::NAN);
    }
    let (digits, is_base_16) = lower.strip_prefix("0x").map_or((&*lower, false), |digits| (digits, true));
    // An underscore stands between two digits, or after the prefix.
    let is_digit = |b: u8| if is_base_16 { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
    let bytes = digits.as_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, b)| **b == b'_') {
        let before = if at == 0 { is_base_16 } else { is_digit(bytes[at - 1]) };
        if !before || !bytes.get(at + 1).is_some_and(|b| is_digit(*b)) {
            return None;
        }
    }
    let digits = digits.replace('_', "");
    if !digits.bytes().all(|b| is_digit(b) || matches!(b, b'.' | b'e' | b'p' | b'+' | b'-'))
        || digits.starts_with(['+', '-'])
    {
        return None;
    }
    let size = if is_base_16 { base_16(&digits)? } else { digits.parse().ok()? };
    size.is_finite().then_some(sign * size)
}

/// `1.8p1`; the exponent, of two, must be there.
fn base_16(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let exponent = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    // Digits beyond those of 128 bits are below what a number of 53 bits can tell apart.
    let value = u128::from_str_radix(&digits, 16).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "rounding is what reading a number does")]
    Some(value as f64 * 2f64.powi(exponent))
}

/// The value as a `string`.
pub(super) fn to_text(value: &Value) -> Option<Value> {
    Some(Value::Text(match value {
        Value::Bool(value) => value.to_string().into(),
        Value::Int(number) => number.to_string().into(),
        Value::Uint(number) => number.to_string().into(),
        Value::Double(number) => double_text(*number).into(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.into(),
        Value::Timestamp { seconds, nanos } => crate::json::time_text(*seconds, *nanos).into(),
        Value::Duration(nanos) => {
            let sign = if *nanos < 0 { "-" } else { "" };
            let size = nanos.unsigned_abs();
            let fraction = format!("{:09}", size % 1_000_000_000);
            let fraction = fraction.trim_end_matches('0');
            let point = if fraction.is_empty() { "" } else { "." };
            format!("{sign}{}{point}{fraction}s", size / 1_000_000_000).into()
        }
        _ => return None,
    }))
}

/// As Go's `%g` with the shortest digits.
fn double_text(number: f64) -> String {
    let size = number.abs();
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = exponent.strip_prefix('-').map_or(("+", exponent), |digits| ("-", digits));
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    number.to_string()
}

/// The number without its fraction, if a 128-bit number holds it.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn whole(number: f64) -> Option<i128> {
    (number.abs() < 2f64.powi(100)).then(|| number.trunc() as i128)
}
