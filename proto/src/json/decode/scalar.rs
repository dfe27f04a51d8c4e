//! Single values.

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::super::lexer::Token;
use super::super::schema::{FieldShape, Kind};
use super::super::{base64, number, time};
use super::{Decoder, Stop, Unknown};

impl Decoder<'_, '_> {
    /// A value that is no message. `field` is the one that it stands in, or none for what always shows.
    pub(super) fn scalar(
        &mut self,
        number: u32,
        kind: &Kind,
        field: Option<&'static FieldShape>,
        token: &Token<'_>,
    ) -> Result<(), Stop> {
        // Of other fields a value that is the default is not written.
        let always_shows = field.is_none_or(|field| field.repeated || field.oneof.is_some());
        let as_written = match (kind, token) {
            (Kind::Bool, Token::Bool(value)) => {
                self.varint(number, u64::from(*value));
                always_shows || *value
            }
            (Kind::Bool, _) => return Err(Stop::expected("true or false")),
            (Kind::String, Token::Text(text)) => {
                self.delimited(number, text.as_bytes());
                always_shows || !text.is_empty()
            }
            (Kind::String, _) => return Err(Stop::expected("a string")),
            (Kind::Enum(_), token) => self.enumeration(field, token)?.is_some_and(|value| always_shows || value != 0),
            (Kind::Timestamp, Token::Text(text)) => {
                let (seconds, nanos) = time::read(text).ok_or(Stop::expected("an RFC 3339 time"))?;
                self.delimited(number, &prost_types::Timestamp { seconds, nanos }.encode_to_vec());
                time::is_as_written(text)
            }
            (Kind::Timestamp, _) => return Err(Stop::expected("an RFC 3339 time")),
            (Kind::Bytes, Token::Text(text)) => {
                self.delimited(number, &base64::decode(text).ok_or(Stop::expected("base64"))?);
                false
            }
            (Kind::Bytes, _) => return Err(Stop::expected("base64")),
            (Kind::Int32, token) => {
                let value = signed(token).filter(|value| i32::try_from(*value).is_ok());
                let value = value.ok_or(Stop::expected("a 32-bit integer"))?;
                self.signed(number, value);
                is_plain_number(token) && (always_shows || value != 0)
            }
            (Kind::Int64, token) => {
                let value = signed(token).ok_or(Stop::expected("an integer"))?;
                self.signed(number, value);
                is_plain_text(token) && (always_shows || value != 0)
            }
            (Kind::Uint32, token) => {
                let value = unsigned(token).filter(|value| u32::try_from(*value).is_ok());
                let value = value.ok_or(Stop::expected("an unsigned 32-bit integer"))?;
                self.varint(number, value);
                is_plain_number(token) && (always_shows || value != 0)
            }
            (Kind::Uint64, token) => {
                let value = unsigned(token).ok_or(Stop::expected("an unsigned integer"))?;
                self.varint(number, value);
                is_plain_text(token) && (always_shows || value != 0)
            }
            (Kind::Fixed64, token) => {
                self.fixed(number, unsigned(token).ok_or(Stop::expected("an unsigned integer"))?);
                false
            }
            (Kind::Double, token) => {
                self.fixed(number, double(token).ok_or(Stop::expected("a number"))?.to_bits());
                false
            }
            (Kind::Message(_) | Kind::Any | Kind::Wrapper(_), _) => return Err(Stop::expected("an object")),
        };
        if !as_written {
            self.lexer.mark_odd();
        }
        Ok(())
    }

    /// A name or a number; a name that the API does not have is left out, for there is no number to keep it by. Gives the
    /// value where it stands as it is written.
    fn enumeration(&mut self, field: Option<&'static FieldShape>, token: &Token<'_>) -> Result<Option<i32>, Stop> {
        let field = field.ok_or(Stop::expected("a name or number"))?;
        match token {
            Token::Text(name) => {
                let shape = field.enumeration();
                if let Some(value) = shape.number(name) {
                    self.signed(field.number, value.into());
                    // Of several names for a number one is written.
                    return Ok(Some(value).filter(|value| shape.name(*value) == Some(name)));
                }
                if self.policy == Unknown::Refuse {
                    return Err(Stop::expected("a name that the field has"));
                }
                // Deeper than any bare field, so that nobody takes it for one.
                (self.unknown)(u32::MAX, name);
                Ok(None)
            }
            Token::Number(_) => {
                let value = signed(token).and_then(|value| i32::try_from(value).ok());
                self.signed(field.number, value.ok_or(Stop::expected("a 32-bit integer"))?.into());
                Ok(None)
            }
            _ => Err(Stop::expected("a name or number")),
        }
    }

    fn varint(&mut self, number: u32, value: u64) {
        encode_key(number, WireType::Varint, &mut self.out);
        encode_varint(value, &mut self.out);
    }

    #[expect(clippy::cast_sign_loss, reason = "protobuf sends negative numbers as their two's complement")]
    fn signed(&mut self, number: u32, value: i64) {
        self.varint(number, value as u64);
    }

    fn fixed(&mut self, number: u32, bits: u64) {
        encode_key(number, WireType::SixtyFourBit, &mut self.out);
        self.out.extend_from_slice(&bits.to_le_bytes());
    }

    pub(super) fn delimited(&mut self, number: u32, bytes: &[u8]) {
        encode_key(number, WireType::LengthDelimited, &mut self.out);
        encode_varint(bytes.len() as u64, &mut self.out);
        self.out.extend_from_slice(bytes);
    }
}

/// The digits of a number, or of a string that holds one.
fn digits<'t>(token: &'t Token<'_>) -> Option<&'t [u8]> {
    match token {
        Token::Number(text) => Some(text),
        Token::Text(text) => number::in_text(text),
        _ => None,
    }
}

fn unsigned(token: &Token<'_>) -> Option<u64> {
    match number::whole(digits(token)?)? {
        (true, value) => (value == 0).then_some(0),
        (false, value) => Some(value),
    }
}

fn signed(token: &Token<'_>) -> Option<i64> {
    match number::whole(digits(token)?)? {
        (true, value) => 0i64.checked_sub_unsigned(value),
        (false, value) => i64::try_from(value).ok(),
    }
}

pub(super) fn double(token: &Token<'_>) -> Option<f64> {
    let text = match token {
        Token::Text(text) => match &**text {
            "NaN" => return Some(f64::NAN),
            "Infinity" => return Some(f64::INFINITY),
            "-Infinity" => return Some(f64::NEG_INFINITY),
            text => number::in_text(text)?,
        },
        token => digits(token)?,
    };
    std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Whether the digits are those that are written for their number: no sign of zero, no point, no exponent.
fn are_plain(digits: &[u8]) -> bool {
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    unsigned.iter().all(u8::is_ascii_digit) && digits != b"-0"
}

/// Whether it is a number as 32-bit ones are written.
fn is_plain_number(token: &Token<'_>) -> bool {
    matches!(token, Token::Number(digits) if are_plain(digits))
}

/// Whether it is a number as 64-bit ones are written.
fn is_plain_text(token: &Token<'_>) -> bool {
    matches!(token, Token::Text(digits) if are_plain(digits.as_bytes()))
}
