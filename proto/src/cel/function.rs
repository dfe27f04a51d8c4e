//! Operators and functions of the language: what they take, and what they give.

use std::cmp::Ordering;
use std::rc::Rc;

use ::cel::common::ast::operators as op;
use ::flow::filter::Regexes;

use super::convert::{to_double, to_int, to_text, to_uint};
use super::steps::{Failure, Steps};
use super::types::Type;
use super::value::{Value, entry};
use super::zone;
use crate::json;

/// Names of types that are values too.
const TYPE_NAMES: [&str; 12] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
];

/// Functions that look at a part of a time, or of a duration where the second is true.
const PARTS: [(&str, bool); 10] = [
    ("getFullYear", false),
    ("getMonth", false),
    ("getDayOfYear", false),
    ("getDayOfMonth", false),
    ("getDate", false),
    ("getDayOfWeek", false),
    ("getHours", true),
    ("getMinutes", true),
    ("getSeconds", true),
    ("getMilliseconds", true),
];

/// Functions that are no operators.
const FUNCTIONS: [&str; 15] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// Whether the name is that of a type.
pub(super) fn is_type_name(name: &str) -> bool {
    TYPE_NAMES.contains(&name)
}

/// Whether there is such an operator or function, for whatever types.
pub(super) fn exists(name: &str) -> bool {
    let is_operator = name.contains('_') || name.starts_with(['!', '-', '@']);
    is_operator || FUNCTIONS.contains(&name) || PARTS.iter().any(|(part, _)| *part == name)
}

/// Type of the result; `None` where there is no such function of these types. `member` tells `a.f(b)` from `f(a, b)`.
pub(super) fn result(name: &str, member: bool, arguments: &[Type]) -> Option<Type> {
    let plain: Vec<&Type> = arguments.iter().map(Type::unwrapped).collect();
    match (name, plain.as_slice()) {
        (op::CONDITIONAL, [condition, _, _]) => {
            condition.fits(&Type::Bool).then(|| arguments[1].join(&arguments[2])).flatten()
        }
        (op::LOGICAL_AND | op::LOGICAL_OR, all) => all.iter().all(|kind| kind.fits(&Type::Bool)).then_some(Type::Bool),
        (op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, [kind]) => kind.fits(&Type::Bool).then_some(Type::Bool),
        (op::EQUALS | op::NOT_EQUALS, [_, _]) => arguments[0].fits(&arguments[1]).then_some(Type::Bool),
        (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [a, b]) => {
            (a.fits(b) && is_ordered(a) && is_ordered(b)).then_some(Type::Bool)
        }
        (op::IN, [element, holder]) => match holder {
            Type::List(inner) | Type::Map(inner, _) => element.fits(inner).then_some(Type::Bool),
            Type::Dyn | Type::Free => Some(Type::Bool),
            _ => None,
        },
        (op::INDEX, [holder, index]) => match holder {
            Type::List(inner) => index.fits(&Type::Int).then(|| (**inner).clone()),
            Type::Map(key, value) => index.fits(key).then(|| (**value).clone()),
            Type::Dyn | Type::Free => Some(Type::Dyn),
            _ => None,
        },
        (op::NEGATE, [Type::Free]) => Some(Type::Double),
        (op::NEGATE, [kind]) => matches!(kind, Type::Int | Type::Double | Type::Dyn).then(|| (*kind).clone()),
        (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [a, b]) => arithmetic(name, a, b),
        ("size", [kind]) => {
            let sized =
                matches!(kind, Type::Text | Type::Bytes | Type::List(_) | Type::Map(..) | Type::Dyn | Type::Free);
            sized.then_some(Type::Int)
        }
        ("contains" | "startsWith" | "endsWith", [a, b]) if member => {
            (a.fits(&Type::Text) && b.fits(&Type::Text)).then_some(Type::Bool)
        }
        ("matches", [a, b]) => (a.fits(&Type::Text) && b.fits(&Type::Text)).then_some(Type::Bool),
        (name, [kind]) if !member => conversion(name, kind),
        (name, [kind, rest @ ..]) if member => {
            let (_, of_duration) = PARTS.iter().find(|(part, _)| *part == name)?;
            let zone = rest.is_empty() || (rest.len() == 1 && rest[0].fits(&Type::Text));
            let of_time = kind.fits(&Type::Timestamp) && zone;
            (of_time || (*of_duration && rest.is_empty() && kind.fits(&Type::Duration))).then_some(Type::Int)
        }
        _ => None,
    }
}

/// Whether this compares two numbers, of whatever types.
pub(super) fn orders_numbers(name: &str, arguments: &[Type]) -> bool {
    let number = |kind: &Type| matches!(kind.unwrapped(), Type::Int | Type::Uint | Type::Double);
    matches!(name, op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS) && arguments.iter().all(number)
}

fn is_ordered(kind: &Type) -> bool {
    // Null passes for a time, but has no order once it is worked out.
    !matches!(kind, Type::List(_) | Type::Map(..) | Type::Message(_) | Type::Type | Type::Wrapper(_))
}

/// Type of a sum, a product and the like. What may be anything takes part in all the operations that it fits into: if
/// they agree on the result that is it, else the result may be anything too.
fn arithmetic(name: &str, a: &Type, b: &Type) -> Option<Type> {
    use Type::{Bytes, Double, Duration, Dyn, Free, Int, List, Text, Timestamp, Uint};
    let list = List(Box::new(Dyn));
    // In the order in which they are tried.
    let operations = match name {
        op::ADD => vec![
            (Bytes, Bytes, Bytes),
            (Double, Double, Double),
            (Duration, Duration, Duration),
            (Duration, Timestamp, Timestamp),
            (Timestamp, Duration, Timestamp),
            (Int, Int, Int),
            (list.clone(), list.clone(), list),
            (Text, Text, Text),
            (Uint, Uint, Uint),
        ],
        op::SUBSTRACT => vec![
            (Double, Double, Double),
            (Duration, Duration, Duration),
            (Int, Int, Int),
            (Timestamp, Duration, Timestamp),
            (Timestamp, Timestamp, Duration),
            (Uint, Uint, Uint),
        ],
        op::MODULO => vec![(Int, Int, Int), (Uint, Uint, Uint)],
        _ => vec![(Double, Double, Double), (Int, Int, Int), (Uint, Uint, Uint)],
    };
    let mut results = operations.into_iter().filter(|(x, y, _)| a.fits(x) && b.fits(y)).map(|(.., result)| result);
    let first = results.next()?;
    match (a, b) {
        (List(_), List(_)) => a.join(b),
        (Dyn, list @ List(_)) | (list @ List(_), Dyn) => Some(list.clone()),
        // What nothing is known of becomes what the first operation wants.
        (Free, _) | (_, Free) => Some(first),
        _ => Some(if results.all(|result| result == first) { first } else { Dyn }),
    }
}

fn conversion(name: &str, kind: &Type) -> Option<Type> {
    use Type::{Bool, Bytes, Double, Duration, Dyn, Int, Text, Timestamp, Uint};
    // Null passes for a time, and comes to nothing once it is worked out.
    let null = |kinds: &[Type]| *kind == Type::Null && kinds.iter().any(|k| matches!(k, Timestamp | Duration));
    let from = |kinds: &[Type], to: Type| {
        (matches!(kind, Dyn | Type::Free) || kinds.contains(kind) || null(kinds)).then_some(to)
    };
    match name {
        "int" => from(&[Int, Uint, Double, Text, Timestamp, Duration], Int),
        "uint" => from(&[Int, Uint, Double, Text], Uint),
        "double" => from(&[Int, Uint, Double, Text], Double),
        "string" => from(&[Bool, Int, Uint, Double, Text, Bytes, Timestamp, Duration], Text),
        "bytes" => from(&[Text, Bytes], Bytes),
        "bool" => from(&[Bool, Text], Bool),
        "timestamp" => from(&[Text, Int, Timestamp], Timestamp),
        "duration" => from(&[Text, Int, Duration], Duration),
        "dyn" => Some(Dyn),
        "type" => Some(Type::Type),
        _ => None,
    }
}

/// Calls an operator or a function.
///
/// # Errors
/// There is none for these values, or it has no result for them.
pub(super) fn call(
    name: &str,
    values: &[Value],
    patterns: &[(String, Option<Regexes>)],
    steps: &mut Steps,
) -> Result<Value, Failure> {
    let found = match (name, values) {
        (op::LOGICAL_NOT, [Value::Bool(value)]) => Some(Value::Bool(!value)),
        (op::EQUALS, [a, b]) => Some(Value::Bool(a.equals(b, steps)?)),
        (op::NOT_EQUALS, [a, b]) => Some(Value::Bool(!a.equals(b, steps)?)),
        (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [a, b]) => compare(name, a, b),
        (op::IN, [element, Value::List(list)]) => {
            let mut values = list.iter();
            let is_in = loop {
                match values.next() {
                    Some(value) if value.equals(element, steps)? => break true,
                    Some(_) => {}
                    None => break false,
                }
            };
            Some(Value::Bool(is_in))
        }
        (op::IN, [element, Value::Map(map)]) => Some(Value::Bool(entry(map, element, steps)?.is_some())),
        (op::INDEX, [Value::List(list), index]) => to_int(index).and_then(|index| match index {
            Value::Int(index) => list.get(usize::try_from(index).ok()?).cloned(),
            _ => None,
        }),
        (op::INDEX, [Value::Map(map), key]) => entry(map, key, steps)?.cloned(),
        (op::NEGATE, [Value::Int(number)]) => number.checked_neg().map(Value::Int),
        (op::NEGATE, [Value::Double(number)]) => Some(Value::Double(-number)),
        (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [a, b]) => work_out(name, a, b),
        ("size", [value]) => size(value).and_then(|size| i64::try_from(size).ok()).map(Value::Int),
        ("contains", [Value::Text(a), Value::Text(b)]) => Some(Value::Bool(a.contains(&**b))),
        ("startsWith", [Value::Text(a), Value::Text(b)]) => Some(Value::Bool(a.starts_with(&**b))),
        ("endsWith", [Value::Text(a), Value::Text(b)]) => Some(Value::Bool(a.ends_with(&**b))),
        ("matches", [Value::Text(text), Value::Text(pattern)]) => matches(text, pattern, patterns),
        (name, [value]) => convert(name, value).or_else(|| part(name, value, 0)),
        (name, [value @ Value::Timestamp { seconds, .. }, Value::Text(zone)]) => {
            zone::offset(zone, *seconds).and_then(|offset| part(name, value, offset))
        }
        _ => None,
    };
    found.ok_or(Failure)
}

fn compare(name: &str, a: &Value, b: &Value) -> Option<Value> {
    let comparable = std::mem::discriminant(a) == std::mem::discriminant(b)
        || [a, b].iter().all(|value| matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_)));
    if !comparable {
        return None;
    }
    let order = a.order(b);
    // Nothing is smaller or larger than what is not a number.
    let holds = |wanted: &[Ordering]| order.is_some_and(|order| wanted.contains(&order));
    Some(Value::Bool(match name {
        op::LESS => holds(&[Ordering::Less]),
        op::LESS_EQUALS => holds(&[Ordering::Less, Ordering::Equal]),
        op::GREATER => holds(&[Ordering::Greater]),
        _ => holds(&[Ordering::Greater, Ordering::Equal]),
    }))
}

fn work_out(name: &str, a: &Value, b: &Value) -> Option<Value> {
    Some(match (name, a, b) {
        (op::ADD, Value::Int(a), Value::Int(b)) => Value::Int(a.checked_add(*b)?),
        (op::SUBSTRACT, Value::Int(a), Value::Int(b)) => Value::Int(a.checked_sub(*b)?),
        (op::MULTIPLY, Value::Int(a), Value::Int(b)) => Value::Int(a.checked_mul(*b)?),
        (op::DIVIDE, Value::Int(a), Value::Int(b)) => Value::Int(a.checked_div(*b)?),
        (op::MODULO, Value::Int(a), Value::Int(b)) => Value::Int(a.checked_rem(*b)?),
        (op::ADD, Value::Uint(a), Value::Uint(b)) => Value::Uint(a.checked_add(*b)?),
        (op::SUBSTRACT, Value::Uint(a), Value::Uint(b)) => Value::Uint(a.checked_sub(*b)?),
        (op::MULTIPLY, Value::Uint(a), Value::Uint(b)) => Value::Uint(a.checked_mul(*b)?),
        (op::DIVIDE, Value::Uint(a), Value::Uint(b)) => Value::Uint(a.checked_div(*b)?),
        (op::MODULO, Value::Uint(a), Value::Uint(b)) => Value::Uint(a.checked_rem(*b)?),
        (op::ADD, Value::Double(a), Value::Double(b)) => Value::Double(a + b),
        (op::SUBSTRACT, Value::Double(a), Value::Double(b)) => Value::Double(a - b),
        (op::MULTIPLY, Value::Double(a), Value::Double(b)) => Value::Double(a * b),
        (op::DIVIDE, Value::Double(a), Value::Double(b)) => Value::Double(a / b),
        (op::ADD, Value::Text(a), Value::Text(b)) => Value::Text(format!("{a}{b}").into()),
        (op::ADD, Value::Bytes(a), Value::Bytes(b)) => Value::Bytes([&**a, &**b].concat().into()),
        (op::ADD, Value::List(a), Value::List(b)) => Value::List(Rc::new(a.iter().chain(b.iter()).cloned().collect())),
        (op::ADD, Value::Duration(a), Value::Duration(b)) => Value::Duration(a.checked_add(*b)?),
        (op::SUBSTRACT, Value::Duration(a), Value::Duration(b)) => Value::Duration(a.checked_sub(*b)?),
        (op::ADD, Value::Timestamp { seconds, nanos }, Value::Duration(span))
        | (op::ADD, Value::Duration(span), Value::Timestamp { seconds, nanos }) => {
            moved(*seconds, *nanos, i128::from(*span))?
        }
        (op::SUBSTRACT, Value::Timestamp { seconds, nanos }, Value::Duration(span)) => {
            moved(*seconds, *nanos, -i128::from(*span))?
        }
        (op::SUBSTRACT, a @ Value::Timestamp { .. }, b @ Value::Timestamp { .. }) => {
            Value::Duration(i64::try_from(since_epoch(a)? - since_epoch(b)?).ok()?)
        }
        _ => return None,
    })
}

const NANOS: i128 = 1_000_000_000;

/// Nanoseconds since 1970.
fn since_epoch(time: &Value) -> Option<i128> {
    match time {
        Value::Timestamp { seconds, nanos } => Some(i128::from(*seconds) * NANOS + i128::from(*nanos)),
        _ => None,
    }
}

fn moved(seconds: i64, nanos: i32, span: i128) -> Option<Value> {
    let total = i128::from(seconds) * NANOS + i128::from(nanos) + span;
    let seconds = i64::try_from(total.div_euclid(NANOS)).ok().filter(|seconds| json::is_time(*seconds))?;
    Some(Value::Timestamp { seconds, nanos: i32::try_from(total.rem_euclid(NANOS)).ok()? })
}

fn size(value: &Value) -> Option<usize> {
    Some(match value {
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => return None,
    })
}

fn matches(text: &str, pattern: &str, patterns: &[(String, Option<Regexes>)]) -> Option<Value> {
    if let Some((_, compiled)) = patterns.iter().find(|(known, _)| known == pattern) {
        return compiled.as_ref().map(|compiled| Value::Bool(compiled.matches(text)));
    }
    let compiled = Regexes::parse(&[pattern.to_owned()], "CEL").ok()?;
    Some(Value::Bool(compiled.matches(text)))
}

fn convert(name: &str, value: &Value) -> Option<Value> {
    match (name, value) {
        ("dyn", value) => Some(value.clone()),
        ("type", value) => Some(Value::Type(value.type_name().into())),
        ("int", Value::Duration(nanos)) => Some(Value::Int(*nanos)),
        ("int", value) => to_int(value),
        ("uint", value) => to_uint(value),
        ("double", value) => to_double(value),
        ("string", value) => to_text(value),
        ("bytes", Value::Text(text)) => Some(Value::Bytes(text.as_bytes().into())),
        ("bytes", Value::Bytes(bytes)) => Some(Value::Bytes(bytes.clone())),
        ("bool", Value::Bool(value)) => Some(Value::Bool(*value)),
        ("bool", Value::Text(text)) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Some(Value::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        ("timestamp", Value::Text(text)) => {
            json::read_time(text).map(|(seconds, nanos)| Value::Timestamp { seconds, nanos })
        }
        ("timestamp", Value::Int(seconds)) => moved(*seconds, 0, 0),
        ("timestamp", time @ Value::Timestamp { .. }) => Some(time.clone()),
        ("duration", Value::Text(text)) => flow::go_duration::parse(text, &[]).ok().map(Value::Duration),
        // Types allow a whole number, but it is worth no duration.
        ("duration", Value::Duration(nanos)) => Some(Value::Duration(*nanos)),
        _ => None,
    }
}

/// A part of a time in a zone so many seconds east of Greenwich, or of a duration.
fn part(name: &str, value: &Value, offset: i64) -> Option<Value> {
    let number = match value {
        Value::Duration(nanos) => match name {
            "getHours" => nanos / 3_600_000_000_000,
            "getMinutes" => nanos / 60_000_000_000,
            "getSeconds" => nanos / 1_000_000_000,
            "getMilliseconds" => nanos / 1_000_000,
            _ => return None,
        },
        Value::Timestamp { seconds, nanos } => {
            let local = seconds + offset;
            let [year, month, day, day_of_year] = json::date_of(local.div_euclid(86_400));
            let of_day = local.rem_euclid(86_400);
            match name {
                "getFullYear" => year,
                "getMonth" => month - 1,
                "getDayOfYear" => day_of_year,
                "getDayOfMonth" => day - 1,
                "getDate" => day,
                "getDayOfWeek" => (local.div_euclid(86_400) + 4).rem_euclid(7),
                "getHours" => of_day / 3600,
                "getMinutes" => of_day / 60 % 60,
                "getSeconds" => of_day % 60,
                "getMilliseconds" => i64::from(*nanos) / 1_000_000,
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Value::Int(number))
}
