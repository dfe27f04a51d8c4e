//! Messages of protobuf itself inside of an extension, in the field `value` beside the name of their type.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::value::Kind as ValueKind;
use prost_types::{Duration, FieldMask, ListValue, Struct, Timestamp, Value};

use super::super::known::{self, Known};
use super::super::lexer::{BadSyntax, Token};
use super::super::schema::Kind;
use super::super::time;
use super::scalar::double;
use super::{DEPTH_MAX, Decoder, Stop, Unknown};

impl Decoder<'_, '_> {
    /// The whole object of the extension; gives the encoded message.
    pub(super) fn known(&mut self, known: Known) -> Result<Vec<u8>, Stop> {
        if self.lexer.next()? != Token::ObjectOpen {
            return Err(Stop::expected("an object"));
        }
        if self.depth >= DEPTH_MAX {
            return Err(Stop::expected("fewer levels"));
        }
        self.lexer.mark_odd();
        let mut found = None;
        let mut first = true;
        while let Some(name) = self.name(&mut first)? {
            match &*name {
                "@type" => self.skip()?,
                "value" if found.is_some() => return Err(Stop::expected("one value, not two").at("value")),
                "value" => found = Some(self.known_value(known).map_err(|stop| stop.at("value"))?),
                name if self.policy == Unknown::Refuse => return Err(Stop::expected("the field value").at(name)),
                name => {
                    (self.unknown)(self.depth, name);
                    self.skip()?;
                }
            }
        }
        found.or((known == Known::Empty).then(Vec::new)).ok_or(Stop::expected("a value").at("value"))
    }

    fn known_value(&mut self, known: Known) -> Result<Vec<u8>, Stop> {
        Ok(match known {
            Known::Any => self.apart(Self::any)?,
            Known::Empty => {
                self.empty()?;
                Vec::new()
            }
            Known::Struct => self.structure(0)?.encode_to_vec(),
            Known::List => self.values(0)?.encode_to_vec(),
            Known::Value => self.free_value(0)?.encode_to_vec(),
            Known::Duration => {
                let text = self.text("a duration in seconds")?;
                let span = known::read_duration(&text).ok_or(Stop::expected("a duration in seconds"))?;
                Duration { seconds: span.0, nanos: span.1 }.encode_to_vec()
            }
            Known::FieldMask => {
                let text = self.text("paths joined by commas")?;
                let paths = known::read_paths(&text).ok_or(Stop::expected("paths joined by commas"))?;
                FieldMask { paths }.encode_to_vec()
            }
            Known::Timestamp => {
                let text = self.text("an RFC 3339 time")?;
                let (seconds, nanos) = time::read(&text).ok_or(Stop::expected("an RFC 3339 time"))?;
                Timestamp { seconds, nanos }.encode_to_vec()
            }
            Known::Float => {
                let token = self.lexer.next()?;
                let number = double(&token).ok_or(Stop::expected("a number"))?;
                #[expect(clippy::cast_possible_truncation, reason = "what does not fit is refused in the next line")]
                let narrow = number as f32;
                if narrow.is_infinite() && number.is_finite() {
                    return Err(Stop::expected("a number"));
                }
                narrow.encode_to_vec()
            }
            Known::Double => self.wrapped(&Kind::Double)?,
            Known::Bool => self.wrapped(&Kind::Bool)?,
            Known::Int32 => self.wrapped(&Kind::Int32)?,
            Known::Int64 => self.wrapped(&Kind::Int64)?,
            Known::Uint32 => self.wrapped(&Kind::Uint32)?,
            Known::Uint64 => self.wrapped(&Kind::Uint64)?,
            Known::String => self.wrapped(&Kind::String)?,
            Known::Bytes => self.wrapped(&Kind::Bytes)?,
        })
    }

    /// What `write` adds, by itself.
    pub(super) fn apart(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Stop>) -> Result<Vec<u8>, Stop> {
        let outer = std::mem::take(&mut self.out);
        let written = write(self);
        let inner = std::mem::replace(&mut self.out, outer);
        written.map(|()| inner)
    }

    fn wrapped(&mut self, kind: &Kind) -> Result<Vec<u8>, Stop> {
        self.apart(|decoder| {
            let token = decoder.lexer.next()?;
            decoder.scalar(1, kind, None, &token)
        })
    }

    fn text(&mut self, expected: &'static str) -> Result<String, Stop> {
        match self.lexer.next()? {
            Token::Text(text) => Ok(text.into_owned()),
            _ => Err(Stop::expected(expected)),
        }
    }

    fn empty(&mut self) -> Result<(), Stop> {
        if self.lexer.next()? != Token::ObjectOpen {
            return Err(Stop::expected("an object"));
        }
        let mut first = true;
        while let Some(name) = self.name(&mut first)? {
            if self.policy == Unknown::Refuse {
                return Err(Stop::expected("no field").at(&name));
            }
            (self.unknown)(self.depth, &name);
            self.skip()?;
        }
        Ok(())
    }

    /// Any JSON object, by the names of its fields.
    fn structure(&mut self, level: u32) -> Result<Struct, Stop> {
        if self.lexer.next()? != Token::ObjectOpen {
            return Err(Stop::expected("an object"));
        }
        let mut fields = BTreeMap::new();
        let mut first = true;
        while let Some(name) = self.name(&mut first)? {
            let value = self.free_value(level + 1).map_err(|stop| stop.at(&name))?;
            if fields.insert(name.into_owned(), value).is_some() {
                return Err(Stop::expected("one value, not two"));
            }
        }
        Ok(Struct { fields })
    }

    fn values(&mut self, level: u32) -> Result<ListValue, Stop> {
        if self.lexer.next()? != Token::ListOpen {
            return Err(Stop::expected("a list"));
        }
        let mut values = Vec::new();
        if self.lexer.peek() == Some(b']') {
            self.lexer.next()?;
            return Ok(ListValue { values });
        }
        loop {
            values.push(self.free_value(level + 1)?);
            let at = self.lexer.position();
            match self.lexer.next()? {
                Token::Comma => {}
                Token::ListClose => return Ok(ListValue { values }),
                _ => return Err(BadSyntax { at, problem: "neither a comma nor the end of the list" }.into()),
            }
        }
    }

    /// Any JSON value.
    fn free_value(&mut self, level: u32) -> Result<Value, Stop> {
        // Each level is up to three messages, and `prost` must be able to read them.
        if level * 3 >= DEPTH_MAX - 1 {
            return Err(Stop::expected("fewer levels"));
        }
        let kind = match self.lexer.peek() {
            Some(b'{') => ValueKind::StructValue(self.structure(level)?),
            Some(b'[') => ValueKind::ListValue(self.values(level)?),
            _ => match self.lexer.next()? {
                Token::Null => ValueKind::NullValue(0),
                Token::Bool(value) => ValueKind::BoolValue(value),
                Token::Text(text) => ValueKind::StringValue(text.into_owned()),
                token @ Token::Number(_) => ValueKind::NumberValue(double(&token).ok_or(Stop::expected("a number"))?),
                _ => return Err(Stop::expected("a value")),
            },
        };
        Ok(Value { kind: Some(kind) })
    }
}
