//! Finds what reading would leave out: fields and enumeration names that the API does not have.

use serde_json::{Map, Value};

use super::JsonError;
use super::schema::{self, Kind, MessageShape};

/// Refuses an object with a field or a name, at any depth, that the message does not know.
pub(super) fn refuse(shape: &MessageShape, object: &Map<String, Value>, place: &str) -> Result<(), JsonError> {
    for (key, value) in object {
        let path = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
        let Some(field) = shape.by_name(key) else {
            return Err(JsonError::Field { path, expected: "a field of the filter" });
        };
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            match (&field.kind, value) {
                (Kind::Message(name), Value::Object(object)) => {
                    refuse(schema::message(name).expect("descriptors are complete"), object, &path)?;
                }
                (Kind::Enum(name), Value::String(text))
                    if schema::enumeration(name).is_none_or(|e| e.number(text).is_none()) =>
                {
                    return Err(JsonError::Field { path, expected: "a name that the field has" });
                }
                _ => {}
            }
        }
    }
    Ok(())
}
