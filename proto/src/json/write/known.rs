//! Messages of protobuf itself, in their own forms.

use prost::Message as _;
use prost_types::value::Kind as ValueKind;
use prost_types::{Duration, FieldMask, ListValue, Struct, Timestamp, Value};

use super::super::known::{Known, camel_path, duration_text};
use super::super::time;
use super::Writer;

impl Writer {
    /// `None` where the bytes are not such a message.
    pub(super) fn known(&mut self, known: Known, encoded: &[u8]) -> Option<()> {
        match known {
            Known::Any => self.any(encoded)?,
            Known::Empty => self.out.push_str("{}"),
            Known::Timestamp => {
                let time = Timestamp::decode(encoded).ok()?;
                let mut text = String::new();
                time::write(time.seconds, time.nanos, &mut text);
                self.string(&text);
            }
            Known::Duration => {
                let span = Duration::decode(encoded).ok()?;
                self.string(&duration_text(span.seconds, span.nanos));
            }
            Known::FieldMask => {
                let paths = FieldMask::decode(encoded).ok()?.paths;
                self.string(&paths.iter().map(|path| camel_path(path)).collect::<Vec<_>>().join(","));
            }
            Known::Struct => self.structure(&Struct::decode(encoded).ok()?),
            Known::List => self.values(&ListValue::decode(encoded).ok()?),
            Known::Value => self.free_value(&Value::decode(encoded).ok()?)?,
            Known::Bool => self.out.push_str(if bool::decode(encoded).ok()? { "true" } else { "false" }),
            Known::Int32 => self.out.push_str(&i32::decode(encoded).ok()?.to_string()),
            Known::Uint32 => self.out.push_str(&u32::decode(encoded).ok()?.to_string()),
            Known::Int64 => self.string(&i64::decode(encoded).ok()?.to_string()),
            Known::Uint64 => self.string(&u64::decode(encoded).ok()?.to_string()),
            Known::Float => self.float(f32::decode(encoded).ok()?),
            Known::Double => self.double(f64::decode(encoded).ok()?),
            Known::String => self.string(&String::decode(encoded).ok()?),
            Known::Bytes => self.base64(&Vec::<u8>::decode(encoded).ok()?),
        }
        Some(())
    }

    fn structure(&mut self, structure: &Struct) {
        self.out.push('{');
        for (place, (name, value)) in structure.fields.iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            self.string(name);
            self.out.push(':');
            self.part(value);
        }
        self.out.push('}');
    }

    fn values(&mut self, list: &ListValue) {
        self.out.push('[');
        for (place, value) in list.values.iter().enumerate() {
            if place > 0 {
                self.out.push(',');
            }
            self.part(value);
        }
        self.out.push(']');
    }

    /// A value that must be something, and a value of none of its kinds is not.
    fn part(&mut self, value: &Value) {
        if self.free_value(value).is_none() {
            self.out.push_str("null");
        }
    }

    fn free_value(&mut self, value: &Value) -> Option<()> {
        match value.kind.as_ref()? {
            ValueKind::NullValue(_) => self.out.push_str("null"),
            ValueKind::NumberValue(number) => self.double(*number),
            ValueKind::StringValue(text) => self.string(text),
            ValueKind::BoolValue(value) => self.out.push_str(if *value { "true" } else { "false" }),
            ValueKind::StructValue(structure) => self.structure(structure),
            ValueKind::ListValue(list) => self.values(list),
        }
        Some(())
    }

    /// With the digits that a 32-bit number needs.
    fn float(&mut self, number: f32) {
        // The shortest text of the narrow number, read as a wide one, has no more digits.
        let wide = number.to_string().parse().unwrap_or_else(|_| f64::from(number));
        self.double(wide);
    }
}
