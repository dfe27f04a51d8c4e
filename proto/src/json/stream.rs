//! From a line of JSON to the encoded message without a tree of values in between, for files of flows are long.

use prost::encoding::{WireType, encode_key, encode_varint};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize as _, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::JsonError;
use super::read::{self, Mismatch};
use super::schema::{FieldShape, Kind, MessageShape};

/// Encodes the object that the text holds. `unknown` is told of each field on the outermost level that the message does
/// not have.
pub(super) fn encode(
    shape: &'static MessageShape,
    text: &str,
    unknown: &mut dyn FnMut(&str),
) -> Result<Vec<u8>, JsonError> {
    let mut encoder = Encoder { out: Vec::with_capacity(text.len() / 2), mismatch: None };
    let mut source = serde_json::Deserializer::from_str(text);
    let fields = Fields { encoder: &mut encoder, shape, unknown: Some(unknown) };
    let result = source.deserialize_map(fields).and_then(|()| source.end());
    match (result, encoder.mismatch) {
        (Ok(()), _) => Ok(encoder.out),
        (Err(_), Some(mismatch)) => Err(mismatch.into_error()),
        (Err(error), None) => Err(JsonError::Syntax(error)),
    }
}

struct Encoder {
    out: Vec<u8>,
    /// Why reading stopped, for the error of `serde_json` has no place for it.
    mismatch: Option<Mismatch>,
}

impl Encoder {
    fn refuse<E: serde::de::Error>(&mut self, mismatch: Mismatch) -> E {
        self.mismatch = Some(mismatch);
        E::custom("a value of another type")
    }

    /// Adds a step of the way to the mismatch that ended reading, if one did.
    fn at<E>(&mut self, step: &str, error: E) -> E {
        self.mismatch = self.mismatch.take().map(|mismatch| mismatch.at(step));
        error
    }

    fn scalar<E: serde::de::Error>(&mut self, field: &FieldShape, value: &Value) -> Result<(), E> {
        read::encode_value(field.number, &field.kind, value, &mut self.out).map_err(|mismatch| self.refuse(mismatch))
    }

    fn text<E: serde::de::Error>(&mut self, field: &FieldShape, text: &str) -> Result<(), E> {
        let encoded = match &field.kind {
            Kind::String => {
                read::delimited(field.number, text.as_bytes(), &mut self.out);
                return Ok(());
            }
            Kind::Enum(_) => {
                if let Some(number) = field.enumeration().number(text) {
                    encode_key(field.number, WireType::Varint, &mut self.out);
                    #[expect(clippy::cast_sign_loss, reason = "protobuf sends negative numbers as two's complement")]
                    encode_varint(i64::from(number) as u64, &mut self.out);
                }
                return Ok(());
            }
            Kind::Timestamp => read::timestamp_of(text),
            _ => return self.scalar(field, &Value::String(text.to_owned())),
        };
        let bytes = encoded.map_err(|mismatch| self.refuse(mismatch))?;
        read::delimited(field.number, &bytes, &mut self.out);
        Ok(())
    }

    /// Encodes what `write` adds as one delimited field.
    fn nested<E>(&mut self, number: u32, write: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<(), E> {
        encode_key(number, WireType::LengthDelimited, &mut self.out);
        let start = self.out.len();
        // Room for the length of a short message; longer ones are moved once they are complete.
        self.out.push(0);
        write(self)?;
        let length = self.out.len() - start - 1;
        let mut prefix = [0; 10];
        let mut rest = &mut prefix[..];
        encode_varint(length as u64, &mut rest);
        let unused = rest.len();
        self.out.splice(start..=start, prefix[..10 - unused].iter().copied());
        Ok(())
    }
}

/// The fields of an object.
struct Fields<'a> {
    encoder: &'a mut Encoder,
    shape: &'static MessageShape,
    unknown: Option<&'a mut dyn FnMut(&str)>,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        while let Some(field) = map.next_key_seed(FieldName { shape: self.shape, next, unknown: &mut self.unknown })? {
            let Some(place) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &self.shape.fields[place];
            next = place + 1;
            let form = if field.repeated { Form::List } else { Form::Single };
            map.next_value_seed(FieldValue { encoder: self.encoder, field, form })
                .map_err(|error| self.encoder.at(&field.name, error))?;
        }
        Ok(())
    }
}

/// The place of a field; `None` for one that the message does not have.
struct FieldName<'a, 'u> {
    shape: &'static MessageShape,
    /// Place of the field that comes next where fields come in the order of declaration, as they are printed.
    next: usize,
    unknown: &'a mut Option<&'u mut dyn FnMut(&str)>,
}

impl<'de> DeserializeSeed<'de> for FieldName<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let place = self.shape.place_from(self.next, name);
        if let (None, Some(unknown)) = (place, self.unknown) {
            unknown(name);
        }
        Ok(place)
    }
}

/// The value of a field.
struct FieldValue<'a> {
    encoder: &'a mut Encoder,
    field: &'static FieldShape,
    form: Form,
}

/// What is read of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Its only value.
    Single,
    /// The list of its values.
    List,
    /// One value of its list, where nothing may be left out.
    Element,
}

impl<'de> DeserializeSeed<'de> for FieldValue<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl FieldValue<'_> {
    fn scalar<E: serde::de::Error>(self, value: &Value) -> Result<(), E> {
        if self.form == Form::List {
            return Err(self.encoder.refuse(Mismatch::new("a list")));
        }
        self.encoder.scalar(self.field, value)
    }
}

impl<'de> Visitor<'de> for FieldValue<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.form == Form::Element { self.scalar(&Value::Null) } else { Ok(()) }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.scalar(&Value::from(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.scalar(&Value::from(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.scalar(&Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.scalar(&Value::from(value))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if self.form == Form::List {
            return Err(self.encoder.refuse(Mismatch::new("a list")));
        }
        self.encoder.text(self.field, text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.form != Form::List {
            return self.encoder.scalar(self.field, &Value::Array(Vec::new()));
        }
        for at in 0usize.. {
            let value = FieldValue { encoder: self.encoder, field: self.field, form: Form::Element };
            match list.next_element_seed(value) {
                Ok(Some(())) => {}
                Ok(None) => break,
                Err(error) => return Err(self.encoder.at(&at.to_string(), error)),
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let field = self.field;
        match &field.kind {
            _ if self.form == Form::List => Err(self.encoder.refuse(Mismatch::new("a list"))),
            Kind::Message(_) => self.encoder.nested(field.number, |encoder| {
                Fields { encoder, shape: field.message(), unknown: None }.visit_map(map)
            }),
            Kind::Any => {
                let object = Map::deserialize(MapAccessDeserializer::new(map))?;
                self.encoder.scalar(field, &Value::Object(object))
            }
            _ => self.encoder.scalar(field, &Value::Object(Map::new())),
        }
    }
}
