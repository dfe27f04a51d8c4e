//! Messages and enumerations of the API, as their descriptors tell.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{LazyLock, OnceLock};

use prost::{Message as _, Name};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// All messages by full name, such as `flow.Flow`.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let files =
        FileDescriptorSet::decode(crate::DESCRIPTORS).expect("the descriptors were encoded by the same codegen");
    Schema::new(&files)
});

/// By keys that all come from the descriptors, so that nobody can choose ones that collide.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<Fnv>>;

/// The hash of Fowler, Noll and Vo (1a): quick for short keys.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Default)]
struct Schema {
    messages: Map<String, MessageShape>,
    enums: Map<String, EnumShape>,
}

/// Fields of a message.
#[derive(Default)]
pub(crate) struct MessageShape {
    /// In the order of declaration, which is the order of printing.
    pub(crate) fields: Vec<FieldShape>,
    by_number: Map<u32, usize>,
    /// By the name of the .proto file and by its camelCase form.
    by_name: Map<String, usize>,
}

pub(crate) struct FieldShape {
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) repeated: bool,
    pub(crate) kind: Kind,
    /// Which of the message's alternatives it belongs to; of each only one field may be set.
    pub(crate) oneof: Option<u8>,
    message: OnceLock<&'static MessageShape>,
    enumeration: OnceLock<&'static EnumShape>,
}

impl FieldShape {
    /// Shape of the message, for a field that holds one.
    pub(crate) fn message(&self) -> &'static MessageShape {
        self.message.get_or_init(|| match &self.kind {
            Kind::Message(name) => message(name).expect("descriptors are complete"),
            _ => panic!("{} holds no message", self.name),
        })
    }

    /// Shape of the enumeration, for a field that holds one.
    pub(super) fn enumeration(&self) -> &'static EnumShape {
        self.enumeration.get_or_init(|| match &self.kind {
            Kind::Enum(name) => enumeration(name).expect("descriptors are complete"),
            _ => panic!("{} holds no enumeration", self.name),
        })
    }
}

/// Type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Fixed64,
    Double,
    String,
    Bytes,
    /// Full name of the enumeration.
    Enum(String),
    /// Full name of the message.
    Message(String),
    Timestamp,
    Any,
    /// A message around one scalar, printed as that scalar.
    Wrapper(Box<Kind>),
}

#[derive(Default)]
pub(crate) struct EnumShape {
    names: Map<i32, String>,
    numbers: Map<String, i32>,
}

impl MessageShape {
    /// The field with this number and its place in the order of declaration.
    pub(crate) fn by_number(&self, number: u32) -> Option<(usize, &FieldShape)> {
        self.by_number.get(&number).map(|at| (*at, &self.fields[*at]))
    }

    /// Place of the field with this name, found fastest where it stands at `next` or shortly after.
    pub(super) fn place_from(&self, next: usize, name: &[u8]) -> Option<usize> {
        /// Fields that are looked at one by one: those between two that a flow has.
        const NEAR: usize = 8;
        let near = self.fields.iter().enumerate().skip(next).take(NEAR);
        let near = near.map(|(place, field)| (place, field.name.as_bytes())).find(|(_, known)| *known == name);
        near.map(|(place, _)| place).or_else(|| self.by_name.get(std::str::from_utf8(name).ok()?).copied())
    }

    /// Whether a field mask may name this path: names as in the .proto file, and nothing below a list.
    pub(crate) fn has_path(&self, path: &str) -> bool {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let Some(field) = self.fields.iter().find(|field| field.name == name) else { return false };
        let Some(rest) = rest else { return true };
        match &field.kind {
            _ if field.repeated => false,
            Kind::Message(_) => field.message().has_path(rest),
            Kind::Timestamp => matches!(rest, "seconds" | "nanos"),
            Kind::Any => matches!(rest, "type_url" | "value"),
            Kind::Wrapper(_) => rest == "value",
            _ => false,
        }
    }
}

impl EnumShape {
    pub(super) fn name(&self, number: i32) -> Option<&str> {
        self.names.get(&number).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).copied()
    }
}

/// Finds a message by full name.
pub(crate) fn message(full_name: &str) -> Option<&'static MessageShape> {
    SCHEMA.messages.get(full_name)
}

/// Finds a message by full name, and the name as it is kept.
pub(crate) fn message_entry(full_name: &str) -> Option<(&'static str, &'static MessageShape)> {
    SCHEMA.messages.get_key_value(full_name).map(|(name, shape)| (name.as_str(), shape))
}

/// Finds an enumeration by full name.
pub(crate) fn enumeration(full_name: &str) -> Option<&'static EnumShape> {
    SCHEMA.enums.get(full_name)
}

/// Whether the message has a field of this name.
pub(super) fn is_field<M: Name>(name: &str) -> bool {
    message(&M::full_name()).is_some_and(|shape| shape.by_name.contains_key(name))
}

impl Schema {
    fn new(files: &FileDescriptorSet) -> Self {
        let mut schema = Self::default();
        for file in &files.file {
            for message in &file.message_type {
                schema.add_message(file.package(), message);
            }
            for enumeration in &file.enum_type {
                schema.add_enum(file.package(), enumeration);
            }
        }
        schema
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto) {
        let full_name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add_message(&full_name, nested);
        }
        for enumeration in &message.enum_type {
            self.add_enum(&full_name, enumeration);
        }
        let mut shape = MessageShape::default();
        for field in &message.field {
            let Some(shaped) = field_shape(field) else { continue };
            let at = shape.fields.len();
            shape.by_name.insert(field.name().to_owned(), at);
            shape.by_name.insert(field.json_name().to_owned(), at);
            shape.by_number.insert(shaped.number, at);
            shape.fields.push(shaped);
        }
        self.messages.insert(full_name, shape);
    }

    fn add_enum(&mut self, scope: &str, enumeration: &EnumDescriptorProto) {
        let mut shape = EnumShape::default();
        for value in &enumeration.value {
            shape.names.insert(value.number(), value.name().to_owned());
            shape.numbers.insert(value.name().to_owned(), value.number());
        }
        self.enums.insert(format!("{scope}.{}", enumeration.name()), shape);
    }
}

/// `None` for a type that no message of the API has; only protobuf's own wrappers do.
fn field_shape(field: &FieldDescriptorProto) -> Option<FieldShape> {
    Some(FieldShape {
        name: field.name().to_owned(),
        number: u32::try_from(field.number()).expect("field numbers are positive"),
        repeated: field.label() == Label::Repeated,
        kind: kind(field)?,
        oneof: field.oneof_index.and_then(|index| u8::try_from(index).ok()),
        message: OnceLock::new(),
        enumeration: OnceLock::new(),
    })
}

fn kind(field: &FieldDescriptorProto) -> Option<Kind> {
    let type_name = field.type_name().trim_start_matches('.').to_owned();
    Some(match field.r#type() {
        Type::Bool => Kind::Bool,
        Type::Int32 => Kind::Int32,
        Type::Int64 => Kind::Int64,
        Type::Uint32 => Kind::Uint32,
        Type::Uint64 => Kind::Uint64,
        Type::Fixed64 => Kind::Fixed64,
        Type::Double => Kind::Double,
        Type::String => Kind::String,
        Type::Bytes => Kind::Bytes,
        Type::Enum => Kind::Enum(type_name),
        Type::Message => message_kind(type_name),
        _ => return None,
    })
}

fn message_kind(type_name: String) -> Kind {
    let wrapper = |kind| Kind::Wrapper(Box::new(kind));
    match type_name.as_str() {
        "google.protobuf.Timestamp" => Kind::Timestamp,
        "google.protobuf.Any" => Kind::Any,
        "google.protobuf.BoolValue" => wrapper(Kind::Bool),
        "google.protobuf.Int32Value" => wrapper(Kind::Int32),
        "google.protobuf.UInt32Value" => wrapper(Kind::Uint32),
        _ => Kind::Message(type_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_api_has_a_form() {
        let files = FileDescriptorSet::decode(crate::DESCRIPTORS).unwrap();
        let ours = files.file.iter().filter(|file| file.package() != "google.protobuf");
        let mut fields = 0;
        for message in ours.flat_map(|file| &file.message_type) {
            for field in &message.field {
                assert!(field_shape(field).is_some(), "{}.{}", message.name(), field.name());
                fields += 1;
            }
        }
        assert!(fields > 250, "{fields}");
    }
}
