//! Values of expressions.

use std::cmp::Ordering;
use std::rc::Rc;

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
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) | (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b)),
            (Self::Map(a), Self::Map(b)) => {
                let in_b = |key: &Self| b.iter().find(|(k, _)| k.equals(key)).map(|(_, value)| value);
                a.len() == b.len() && a.iter().all(|(key, value)| in_b(key).is_some_and(|other| other.equals(value)))
            }
            (Self::Message(a), Self::Message(b)) => a.equals(b),
            (a, b) => a.order(b) == Some(Ordering::Equal),
        }
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

/// Reads a duration in Go's form, such as `1h30m` or `-1.5s`, into nanoseconds.
pub(super) fn duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, u64); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("\u{3bc}s", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    rest = rest.strip_prefix('+').filter(|_| !negative).unwrap_or(rest);
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0u64;
    loop {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|end| *end > 0)?;
        let (number, tail) = rest.split_at(number);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len()));
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(span(number, *length)?).filter(|total| *total <= 1 << 63)?;
        if tail.is_empty() {
            let total = i128::from(total);
            return i64::try_from(if negative { -total } else { total }).ok();
        }
        rest = tail;
    }
}

/// Nanoseconds of so many units of a length; of the fraction as many digits count as a number holds.
fn span(number: &str, length: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let (mut digits, mut scale) = (0u64, 1.0);
    for digit in fraction.bytes() {
        let Some(longer) = digits.checked_mul(10).and_then(|d| d.checked_add(u64::from(digit - b'0'))) else { break };
        if longer > 1 << 63 {
            break;
        }
        (digits, scale) = (longer, scale * 10.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "Go works a fraction out like this, with the same loss")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is less than one unit")]
    let part = (digits as f64 * (length as f64 / scale)) as u64;
    whole.checked_mul(length)?.checked_add(part)
}
