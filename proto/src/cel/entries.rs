//! Entries of a map that is being made.

use std::collections::HashMap;
use std::rc::Rc;

use super::steps::Failure;
use super::value::Value;

/// Entries, each key once: the last of equal ones counts.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: Vec<(Value, Value)>,
    places: HashMap<Id, usize>,
}

/// What a key has in common with those that are the same.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Id {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    /// Its bits.
    Double(u64),
    Text(Rc<str>),
    Timestamp(i64, i32),
    Duration(i64),
    Type(Rc<str>),
}

impl Id {
    /// `None` for a key that is like no other.
    fn of(key: &Value) -> Option<Self> {
        Some(match key {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(number) => Self::Int(*number),
            Value::Uint(number) => Self::Uint(*number),
            // Both zeros are the same, and what is no number is not even like itself.
            Value::Double(number) if number.is_nan() => return None,
            Value::Double(number) => Self::Double((number + 0.0).to_bits()),
            Value::Text(text) => Self::Text(text.clone()),
            Value::Timestamp { seconds, nanos } => Self::Timestamp(*seconds, *nanos),
            Value::Duration(nanos) => Self::Duration(*nanos),
            Value::Type(name) => Self::Type(name.clone()),
            // In Go each of these is a key for itself.
            Value::Bytes(_) | Value::List(_) | Value::Map(_) | Value::Message(_) => return None,
        })
    }
}

impl Entries {
    /// Puts a value under a key.
    ///
    /// # Errors
    /// Go cannot hash the key.
    pub(super) fn put(&mut self, key: Value, value: Value) -> Result<(), Failure> {
        if matches!(key, Value::Bytes(_)) {
            return Err(Failure);
        }
        let place = self.entries.len();
        match Id::of(&key).map(|id| *self.places.entry(id).or_insert(place)) {
            Some(earlier) if earlier < place => self.entries[earlier].1 = value,
            _ => self.entries.push((key, value)),
        }
        Ok(())
    }

    /// The map.
    pub(super) fn into_value(self) -> Value {
        Value::Map(Rc::new(self.entries))
    }
}
