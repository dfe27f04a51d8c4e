//! Values of expressions.

use std::cmp::Ordering;
use std::rc::Rc;

use super::steps::{Failure, Steps};
use crate::json::schema::MessageShape;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    Timestamp {
        seconds: i64,
        nanos: i32,
    },
    /// Nanoseconds.
    Duration(i64),
    /// Name of a type.
    Type(Rc<str>),
    List(Rc<Vec<Value>>),
    Map(Rc<Vec<(Value, Value)>>),
    Message(Message),
}

/// An encoded message.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) name: &'static str,
    pub(super) shape: &'static MessageShape,
    pub(super) bytes: Rc<[u8]>,
    /// Whether there is no message, so that all of its fields have their defaults.
    pub(super) is_missing: bool,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} bytes", self.name, self.bytes.len())
    }
}

impl Value {
    /// Whether two values are equal; numbers are compared by what they are worth, and different types never are.
    pub(super) fn equals(&self, other: &Self, steps: &mut Steps) -> Result<bool, Failure> {
        steps.take_comparison()?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) | (Self::Type(a), Self::Type(b)) => same(a.as_bytes(), b.as_bytes(), steps)?,
            (Self::Bytes(a), Self::Bytes(b)) => same(a, b, steps)?,
            (Self::List(a), Self::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(b.iter()) {
                    if !a.equals(b, steps)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Self::Map(a), Self::Map(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (key, value) in a.iter() {
                    match entry(b, key, steps)? {
                        Some(other) if value.equals(other, steps)? => {}
                        _ => return Ok(false),
                    }
                }
                true
            }
            (Self::Message(a), Self::Message(b)) => a.equals(b, steps)?,
            (a, b) => a.order(b) == Some(Ordering::Equal),
        })
    }

    /// Order of two values; `None` where they have none.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) | (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Uint(a), Self::Uint(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Timestamp { seconds: a, nanos: x }, Self::Timestamp { seconds: b, nanos: y }) => {
                Some((a, x).cmp(&(b, y)))
            }
            (Self::Int(a), Self::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Uint(a), Self::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Int(a), Self::Double(b)) => whole_and_double(i128::from(*a), *b),
            (Self::Uint(a), Self::Double(b)) => whole_and_double(i128::from(*a), *b),
            (Self::Double(a), Self::Int(b)) => whole_and_double(i128::from(*b), *a).map(Ordering::reverse),
            (Self::Double(a), Self::Uint(b)) => whole_and_double(i128::from(*b), *a).map(Ordering::reverse),
            _ => None,
        }
    }

    /// Name of the type.
    pub(super) fn type_name(&self) -> &str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp { .. } => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Message(message) => message.name,
        }
    }
}

fn same(a: &[u8], b: &[u8], steps: &mut Steps) -> Result<bool, Failure> {
    if a.len() != b.len() {
        return Ok(false);
    }
    steps.take_bytes(a.len())?;
    Ok(a == b)
}

/// The value of a key.
pub(super) fn entry<'a>(
    map: &'a [(Value, Value)],
    key: &Value,
    steps: &mut Steps,
) -> Result<Option<&'a Value>, Failure> {
    for (known, value) in map {
        if known.equals(key, steps)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Compares without losing digits of the whole number.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
#[expect(clippy::cast_precision_loss, reason = "only the size matters where the double is out of range")]
fn whole_and_double(whole: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.abs() >= 2f64.powi(66) {
        return (whole as f64).partial_cmp(&double);
    }
    let floor = double.floor();
    Some(whole.cmp(&(floor as i128)).then(if double > floor { Ordering::Less } else { Ordering::Equal }))
}
