//! From the encoded message to JSON.

mod known;

use std::fmt::Write;

use super::known::Known;
use super::schema::{self, Kind, MessageShape};
use super::time;
use super::wire::{Raw, number_field, read_field, read_fields, unpack};

/// Writes an encoded message.
pub(super) fn to_json(full_name: &str, encoded: &[u8]) -> String {
    let shape = schema::message(full_name).expect("every generated message has a descriptor");
    let mut writer = Writer { out: String::with_capacity(encoded.len() * 3), level: 0 };
    writer.out.push('{');
    writer.fields(shape, encoded).expect("prost encodes what the descriptors describe");
    writer.out.push('}');
    writer.out
}

struct Writer {
    out: String,
    /// How many `Any` this stands in.
    level: u32,
}

/// An `Any` in so many others is not opened: a chain of them could be as deep as a request is long.
const LEVELS_MAX: u32 = 16;

const TEXT: &str = "writing to a String cannot fail";

impl Writer {
    /// Writes the fields without the braces; `None` where the bytes are not such a message, which happens only inside of
    /// a foreign `Any`.
    fn fields(&mut self, shape: &MessageShape, encoded: &[u8]) -> Option<()> {
        let mut values = read_fields(shape, encoded)?;
        // The wire is in the order of numbers, print is in the order of declaration.
        values.sort_by_key(|(at, _)| *at);
        let mut first = true;
        for group in values.chunk_by(|(a, _), (b, _)| a == b) {
            let field = &shape.fields[group[0].0];
            if !first {
                self.out.push(',');
            }
            first = false;
            write!(self.out, "\"{}\":", field.name).expect(TEXT);
            if field.repeated {
                self.list(&field.kind, group)?;
            } else {
                // Of a scalar sent twice the last one counts.
                self.value(&field.kind, group[group.len() - 1].1)?;
            }
        }
        Some(())
    }

    fn list(&mut self, kind: &Kind, values: &[(usize, Raw<'_>)]) -> Option<()> {
        self.out.push('[');
        let mut first = true;
        for (_, raw) in values {
            for raw in unpack(kind, *raw)? {
                if !first {
                    self.out.push(',');
                }
                first = false;
                self.value(kind, raw)?;
            }
        }
        self.out.push(']');
        Some(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "protobuf cuts varints down to the width of the field")]
    #[expect(clippy::cast_possible_wrap, reason = "protobuf sends negative numbers as their two's complement")]
    fn value(&mut self, kind: &Kind, raw: Raw<'_>) -> Option<()> {
        match (kind, raw) {
            (Kind::Bool, Raw::Varint(n)) => self.out.push_str(if n == 0 { "false" } else { "true" }),
            (Kind::Int32, Raw::Varint(n)) => write!(self.out, "{}", n as i32).expect(TEXT),
            (Kind::Uint32, Raw::Varint(n)) => write!(self.out, "{}", n as u32).expect(TEXT),
            (Kind::Int64, Raw::Varint(n)) => write!(self.out, "\"{}\"", n as i64).expect(TEXT),
            (Kind::Uint64, Raw::Varint(n)) | (Kind::Fixed64, Raw::Fixed64(n)) => {
                write!(self.out, "\"{n}\"").expect(TEXT);
            }
            (Kind::Double, Raw::Fixed64(bits)) => self.double(f64::from_bits(bits)),
            (Kind::String, Raw::Bytes(bytes)) => self.string(std::str::from_utf8(bytes).ok()?),
            (Kind::Bytes, Raw::Bytes(bytes)) => self.base64(bytes),
            (Kind::Enum(name), Raw::Varint(n)) => {
                match schema::enumeration(name).and_then(|e| e.name(n as i32)) {
                    Some(name) => write!(self.out, "\"{name}\"").expect(TEXT),
                    // A newer peer's value; protobuf prints those as numbers.
                    None => write!(self.out, "{}", n as i32).expect(TEXT),
                }
            }
            (Kind::Message(name), Raw::Bytes(bytes)) => {
                self.out.push('{');
                self.fields(schema::message(name)?, bytes)?;
                self.out.push('}');
            }
            (Kind::Timestamp, Raw::Bytes(bytes)) => {
                let (seconds, nanos) = (number_field(bytes, 1)?, number_field(bytes, 2)?);
                self.out.push('"');
                time::write(seconds as i64, nanos as i32, &mut self.out);
                self.out.push('"');
            }
            (Kind::Wrapper(inner), Raw::Bytes(bytes)) => self.value(inner, Raw::Varint(number_field(bytes, 1)?))?,
            (Kind::Any, Raw::Bytes(bytes)) => self.any(bytes)?,
            _ => return None,
        }
        Some(())
    }

    /// A message of ours is opened, any other is shown as it came.
    fn any(&mut self, encoded: &[u8]) -> Option<()> {
        let [type_url, value] = any_parts(encoded)?;
        let type_url = std::str::from_utf8(type_url).ok()?;
        if type_url.is_empty() && value.is_empty() {
            self.out.push_str("{}");
            return Some(());
        }
        self.out.push_str("{\"@type\":");
        self.string(type_url);
        if self.level < LEVELS_MAX {
            let mut inner = Self { out: String::new(), level: self.level + 1 };
            if inner.opened(type_url.rsplit('/').next().unwrap_or_default(), value).is_some() {
                if !inner.out.is_empty() {
                    self.out.push(',');
                    self.out.push_str(&inner.out);
                }
                self.out.push('}');
                return Some(());
            }
        }
        self.out.push_str(",\"value\":");
        self.base64(value);
        self.out.push('}');
        Some(())
    }

    /// What stands beside the type of an extension; `None` where it is of a foreign type, or damaged.
    fn opened(&mut self, full_name: &str, value: &[u8]) -> Option<()> {
        if let Some(known) = Known::by_name(full_name) {
            self.out.push_str("\"value\":");
            return self.known(known, value);
        }
        self.fields(schema::message(full_name)?, value)
    }

    /// Escapes what Go's encoder escapes.
    fn string(&mut self, text: &str) {
        self.out.push('"');
        let mut rest = text;
        while let Some(at) = rest.find(needs_escape) {
            let (plain, special) = rest.split_at(at);
            self.out.push_str(plain);
            let mut chars = special.chars();
            if let Some(c) = chars.next() {
                escape(c, &mut self.out);
            }
            rest = chars.as_str();
        }
        self.out.push_str(rest);
        self.out.push('"');
    }

    fn double(&mut self, number: f64) {
        if number.is_finite() {
            self.finite(number);
        } else if number.is_nan() {
            self.out.push_str("\"NaN\"");
        } else {
            self.out.push_str(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
        }
    }

    /// The shortest digits that read back, with an exponent where Go's encoder has one.
    fn finite(&mut self, number: f64) {
        let size = number.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{number:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            write!(self.out, "{mantissa}e{sign}{exponent}").expect(TEXT);
        } else {
            write!(self.out, "{number}").expect(TEXT);
        }
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.out.push('"');
        super::base64::encode(bytes, &mut self.out);
        self.out.push('"');
    }
}

/// Whether a character of a string is written with an escape.
pub(super) const fn needs_escape(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

/// Writes the escape of a character.
pub(super) fn escape(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c => write!(out, "\\u{:04x}", u32::from(c)).expect(TEXT),
    }
}

/// Type URL and value.
fn any_parts(mut encoded: &[u8]) -> Option<[&[u8]; 2]> {
    let mut parts: [&[u8]; 2] = [&[], &[]];
    while !encoded.is_empty() {
        match read_field(&mut encoded)? {
            (1, Some(Raw::Bytes(bytes))) => parts[0] = bytes,
            (2, Some(Raw::Bytes(bytes))) => parts[1] = bytes,
            _ => {}
        }
    }
    Some(parts)
}
