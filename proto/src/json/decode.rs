//! From JSON to the encoded message, by the rules of Go's protobuf library and without a tree of values in between.
//!
//! What that library refuses is refused here (a field twice, two alternatives at once, a number that is not whole), and
//! what it takes is taken (numbers in strings, numbers for names, camelCase), so that a line is a flow for both or for
//! neither.

use prost::encoding::{WireType, encode_key, encode_varint};
use prost::{Message, Name};

use super::lexer::{BadSyntax, Lexer, Token};
use super::schema::{self, FieldShape, Kind, MessageShape};
use super::{base64, number, time};

/// A text is not the JSON form of the message.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not a JSON object at all.
    #[error("not a JSON object: {problem} at byte {at}")]
    Syntax {
        /// Offset in the text.
        at: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// A field has a value of another type.
    #[error("{}expected {expected}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
    Field {
        /// Where, such as `flow.IP.source`.
        path: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// The values do not make up the message.
    #[error("not a {message}")]
    Message {
        /// Full name of the message.
        message: String,
        /// What is wrong.
        #[source]
        source: prost::DecodeError,
    },
}

/// Why reading stopped, and the way there from the inside out.
#[derive(Debug)]
enum Stop {
    Syntax(BadSyntax),
    Field { path: Vec<String>, expected: &'static str },
}

impl From<BadSyntax> for Stop {
    fn from(bad: BadSyntax) -> Self {
        Self::Syntax(bad)
    }
}

impl Stop {
    const fn expected(expected: &'static str) -> Self {
        Self::Field { path: Vec::new(), expected }
    }

    fn at(mut self, step: &str) -> Self {
        if let Self::Field { path, .. } = &mut self {
            path.push(step.to_owned());
        }
        self
    }

    fn into_error(self) -> JsonError {
        match self {
            Self::Syntax(BadSyntax { at, problem }) => JsonError::Syntax { at, problem },
            Self::Field { mut path, expected } => {
                path.reverse();
                JsonError::Field { path: path.join("."), expected }
            }
        }
    }
}

/// What to do with what the API does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Fields and names are refused, as is an extension of an unknown type.
    Refuse,
    /// Fields and names are left out; an extension of an unknown type is refused, for it cannot be kept.
    LeaveOut,
    /// Fields and names are left out, and an extension of an unknown type keeps its type alone.
    Keep,
}

/// Reads one message that is all the text holds. `unknown` is told of each field and name that was left out: how deep it
/// stands, and what it is called.
pub(super) fn message<M: Message + Name + Default>(
    text: &[u8],
    policy: Unknown,
    unknown: &mut dyn FnMut(u32, &str),
) -> Result<M, JsonError> {
    let mut lexer = Lexer::new(text);
    let message = next_message(&mut lexer, policy, unknown)?;
    match lexer.next() {
        Ok(Token::End) => Ok(message),
        Ok(_) => Err(JsonError::Syntax { at: lexer.position(), problem: "something follows the object" }),
        Err(bad) => Err(Stop::from(bad).into_error()),
    }
}

/// Reads messages, as many as the text holds one after the other.
pub(super) fn messages<M: Message + Name + Default>(text: &[u8], policy: Unknown) -> Result<Vec<M>, JsonError> {
    let mut lexer = Lexer::new(text);
    let mut messages = Vec::new();
    while lexer.peek().is_some() {
        messages.push(next_message(&mut lexer, policy, &mut |_, _| {})?);
    }
    Ok(messages)
}

fn next_message<M: Message + Name + Default>(
    lexer: &mut Lexer<'_>,
    policy: Unknown,
    unknown: &mut dyn FnMut(u32, &str),
) -> Result<M, JsonError> {
    let name = M::full_name();
    let shape = schema::message(&name).expect("every generated message has a descriptor");
    let mut decoder = Decoder { lexer: lexer.clone(), out: Vec::with_capacity(512), policy, unknown, depth: 0 };
    let read = decoder.message(shape, false);
    let Decoder { lexer: after, out, .. } = decoder;
    *lexer = after;
    read.map_err(Stop::into_error)?;
    M::decode(out.as_slice()).map_err(|source| JsonError::Message { message: name, source })
}

/// Messages inside of each other: more than any message of the API, and as many as `prost` reads.
const DEPTH_MAX: u32 = 100;
/// Objects and lists inside of each other in what is passed over; as many as Go's library takes.
const SKIP_DEPTH_MAX: usize = 10_000;

struct Decoder<'a, 'u> {
    lexer: Lexer<'a>,
    out: Vec<u8>,
    policy: Unknown,
    unknown: &'u mut dyn FnMut(u32, &str),
    depth: u32,
}

impl<'a> Decoder<'a, '_> {
    /// An object as a message; `in_any` leaves out the name of its type.
    fn message(&mut self, shape: &'static MessageShape, in_any: bool) -> Result<(), Stop> {
        if self.lexer.next()? != Token::ObjectOpen {
            return Err(Stop::expected("an object"));
        }
        self.depth += 1;
        let mut fields = Seen::default();
        let mut next = 0;
        let mut first = true;
        loop {
            // Nearly every name is like this, and needs neither a copy nor a check of its letters.
            let at = self.lexer.position();
            if let Some(name) = self.lexer.plain_name(!first) {
                if let Some(place) = shape.place_from(next, name) {
                    (first, next) = (false, place + 1);
                    let field = &shape.fields[place];
                    self.field(field, place, &mut fields).map_err(|stop| stop.at(&String::from_utf8_lossy(name)))?;
                    continue;
                }
                self.lexer.go_to(at);
            }
            let Some(name) = self.name(&mut first)? else { break };
            if in_any && name == "@type" {
                self.skip()?;
                continue;
            }
            let Some(place) = shape.place_from(next, name.as_bytes()) else {
                if self.policy == Unknown::Refuse {
                    return Err(Stop::expected("a field of the message").at(&name));
                }
                (self.unknown)(self.depth, &name);
                self.skip()?;
                continue;
            };
            next = place + 1;
            let field = &shape.fields[place];
            self.field(field, place, &mut fields).map_err(|stop| stop.at(&name))?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Name of the next field with the colon after it; `None` at the end of the object.
    fn name(&mut self, first: &mut bool) -> Result<Option<std::borrow::Cow<'a, str>>, Stop> {
        let at = self.lexer.position();
        let mut token = self.lexer.next()?;
        if token == Token::ObjectClose && *first {
            return Ok(None);
        }
        if !std::mem::take(first) {
            match token {
                Token::ObjectClose => return Ok(None),
                Token::Comma => token = self.lexer.next()?,
                _ => return Err(BadSyntax { at, problem: "neither a comma nor the end of the object" }.into()),
            }
        }
        let Token::Text(name) = token else { return Err(BadSyntax { at, problem: "no name of a field" }.into()) };
        if self.lexer.next()? != Token::Colon {
            return Err(BadSyntax { at, problem: "no colon after the name of a field" }.into());
        }
        Ok(Some(name))
    }

    fn field(&mut self, field: &'static FieldShape, place: usize, seen: &mut Seen) -> Result<(), Stop> {
        if !seen.mark_field(place) {
            return Err(Stop::expected("one value, not two"));
        }
        if self.lexer.peek() == Some(b'n') && self.lexer.next()? == Token::Null {
            return Ok(());
        }
        if field.repeated {
            return self.list(field);
        }
        if field.oneof.is_some_and(|group| !seen.mark_alternative(group)) {
            return Err(Stop::expected("one of the alternatives, not two"));
        }
        self.value(field)
    }

    fn list(&mut self, field: &'static FieldShape) -> Result<(), Stop> {
        if self.lexer.next()? != Token::ListOpen {
            return Err(Stop::expected("a list"));
        }
        if self.lexer.peek() == Some(b']') {
            self.lexer.next()?;
            return Ok(());
        }
        for index in 0usize.. {
            self.value(field).map_err(|stop| stop.at(&index.to_string()))?;
            let at = self.lexer.position();
            match self.lexer.next()? {
                Token::Comma => {}
                Token::ListClose => break,
                _ => return Err(BadSyntax { at, problem: "neither a comma nor the end of the list" }.into()),
            }
        }
        Ok(())
    }

    /// One value, encoded with the key of its field.
    fn value(&mut self, field: &'static FieldShape) -> Result<(), Stop> {
        match &field.kind {
            Kind::Message(_) => {
                let shape = field.message();
                self.nested(field.number, |decoder| decoder.message(shape, false))
            }
            Kind::Any => self.nested(field.number, Self::any),
            Kind::Wrapper(inner) => self.nested(field.number, |decoder| {
                let token = decoder.lexer.next()?;
                decoder.scalar(1, inner, None, &token)
            }),
            kind => {
                let token = self.lexer.next()?;
                self.scalar(field.number, kind, Some(field), &token)
            }
        }
    }

    fn scalar(
        &mut self,
        number: u32,
        kind: &Kind,
        field: Option<&'static FieldShape>,
        token: &Token<'_>,
    ) -> Result<(), Stop> {
        match (kind, token) {
            (Kind::Bool, Token::Bool(value)) => self.varint(number, u64::from(*value)),
            (Kind::Bool, _) => return Err(Stop::expected("true or false")),
            (Kind::String, Token::Text(text)) => self.delimited(number, text.as_bytes()),
            (Kind::String, _) => return Err(Stop::expected("a string")),
            (Kind::Enum(_), token) => return self.enumeration(field, token),
            (Kind::Timestamp, Token::Text(text)) => {
                let (seconds, nanos) = time::read(text).ok_or(Stop::expected("an RFC 3339 time"))?;
                self.delimited(number, &prost_types::Timestamp { seconds, nanos }.encode_to_vec());
            }
            (Kind::Timestamp, _) => return Err(Stop::expected("an RFC 3339 time")),
            (Kind::Bytes, Token::Text(text)) => {
                self.delimited(number, &base64::decode(text).ok_or(Stop::expected("base64"))?);
            }
            (Kind::Bytes, _) => return Err(Stop::expected("base64")),
            (Kind::Int32, token) => {
                let value = signed(token).filter(|value| i32::try_from(*value).is_ok());
                self.signed(number, value.ok_or(Stop::expected("a 32-bit integer"))?);
            }
            (Kind::Int64, token) => self.signed(number, signed(token).ok_or(Stop::expected("an integer"))?),
            (Kind::Uint32, token) => {
                let value = unsigned(token).filter(|value| u32::try_from(*value).is_ok());
                self.varint(number, value.ok_or(Stop::expected("an unsigned 32-bit integer"))?);
            }
            (Kind::Uint64, token) => {
                self.varint(number, unsigned(token).ok_or(Stop::expected("an unsigned integer"))?);
            }
            (Kind::Fixed64, token) => {
                self.fixed(number, unsigned(token).ok_or(Stop::expected("an unsigned integer"))?);
            }
            (Kind::Double, token) => self.fixed(number, double(token).ok_or(Stop::expected("a number"))?.to_bits()),
            (Kind::Message(_) | Kind::Any | Kind::Wrapper(_), _) => return Err(Stop::expected("an object")),
        }
        Ok(())
    }

    /// A name or a number; a name that the API does not have is left out, for there is no number to keep it by.
    fn enumeration(&mut self, field: Option<&'static FieldShape>, token: &Token<'_>) -> Result<(), Stop> {
        let field = field.ok_or(Stop::expected("a name or number"))?;
        let value = match token {
            Token::Text(name) => match field.enumeration().number(name) {
                Some(value) => value,
                None if self.policy == Unknown::Refuse => return Err(Stop::expected("a name that the field has")),
                None => {
                    // Deeper than any bare field, so that nobody takes it for one.
                    (self.unknown)(u32::MAX, name);
                    return Ok(());
                }
            },
            Token::Number(_) => {
                signed(token).and_then(|value| i32::try_from(value).ok()).ok_or(Stop::expected("a 32-bit integer"))?
            }
            _ => return Err(Stop::expected("a name or number")),
        };
        self.signed(field.number, value.into());
        Ok(())
    }

    /// `@type` names the message whose fields lie open beside it.
    fn any(&mut self) -> Result<(), Stop> {
        let mut ahead = self.lexer.clone();
        let keep = self.policy == Unknown::Keep;
        let (found, holds_bytes) = type_url(&mut ahead, keep)?;
        let Some(type_url) = found else {
            if self.policy == Unknown::Refuse && !is_empty_object(self.lexer.clone()) {
                return Err(Stop::expected("a type").at("@type"));
            }
            return self.skip();
        };
        let name = type_url.rsplit('/').next().unwrap_or_default();
        let known = schema::message(name).filter(|_| !name.starts_with("google.protobuf."));
        // What this library could not open it wrote as bytes.
        let closed = keep && holds_bytes;
        let known = known.filter(|shape| !closed || shape.fields.iter().any(|field| field.name == "value"));
        self.delimited(1, type_url.as_bytes());
        match known {
            Some(shape) => {
                // In the order of numbers, as every encoder writes, so that the bytes are the same again.
                let mut inner = Vec::new();
                std::mem::swap(&mut inner, &mut self.out);
                let read = self.message(shape, true);
                std::mem::swap(&mut inner, &mut self.out);
                read?;
                self.delimited(2, &in_order(&inner));
                Ok(())
            }
            None if keep => self.opaque(),
            None => Err(Stop::expected("a type of the API").at("@type")),
        }
    }

    /// An extension of an unknown type as this library writes it: its bytes in base64.
    fn opaque(&mut self) -> Result<(), Stop> {
        if self.lexer.next()? != Token::ObjectOpen {
            return Err(Stop::expected("an object"));
        }
        let mut first = true;
        while let Some(name) = self.name(&mut first)? {
            if name == "value" && self.lexer.peek() == Some(b'"') {
                let token = self.lexer.next()?;
                self.scalar(2, &Kind::Bytes, None, &token).map_err(|stop| stop.at("value"))?;
            } else {
                self.skip()?;
            }
        }
        Ok(())
    }

    /// Passes over a value of any type.
    fn skip(&mut self) -> Result<(), Stop> {
        skip(&mut self.lexer)
    }

    /// Encodes what `write` adds as one delimited field.
    fn nested(&mut self, number: u32, write: impl FnOnce(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        if self.depth >= DEPTH_MAX {
            return Err(Stop::expected("fewer levels"));
        }
        encode_key(number, WireType::LengthDelimited, &mut self.out);
        let start = self.out.len();
        // Room for the length of a short message; longer ones are moved once they are complete.
        self.out.push(0);
        write(self)?;
        let length = self.out.len() - start - 1;
        if let Ok(short) = u8::try_from(length)
            && short < 0x80
        {
            self.out[start] = short;
            return Ok(());
        }
        let mut prefix = [0; 10];
        let mut rest = &mut prefix[..];
        encode_varint(length as u64, &mut rest);
        let unused = rest.len();
        self.out.splice(start..=start, prefix[..10 - unused].iter().copied());
        Ok(())
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

    fn delimited(&mut self, number: u32, bytes: &[u8]) {
        encode_key(number, WireType::LengthDelimited, &mut self.out);
        encode_varint(bytes.len() as u64, &mut self.out);
        self.out.extend_from_slice(bytes);
    }
}

/// Fields and alternatives that were set, by place.
#[derive(Default)]
struct Seen {
    fields: u128,
    alternatives: u32,
}

impl Seen {
    /// False where it was set before.
    fn mark_field(&mut self, place: usize) -> bool {
        let bit = 1u128 << (place & 127);
        let fresh = self.fields & bit == 0;
        self.fields |= bit;
        fresh
    }

    fn mark_alternative(&mut self, group: u8) -> bool {
        let bit = 1u32 << (group & 31);
        let fresh = self.alternatives & bit == 0;
        self.alternatives |= bit;
        fresh
    }
}

fn skip(lexer: &mut Lexer<'_>) -> Result<(), Stop> {
    // One entry for each open object (true) or list (false).
    let mut open: Vec<bool> = Vec::new();
    // Whether a value must come next: not after a value, and not before the end of something empty.
    loop {
        let at = lexer.position();
        let mut token = lexer.next()?;
        if open.last() == Some(&true) {
            // In an object a name comes before the value.
            if let Token::Text(_) = token {
                if lexer.next()? != Token::Colon {
                    return Err(BadSyntax { at, problem: "no colon after the name of a field" }.into());
                }
                token = lexer.next()?;
            } else if token != Token::ObjectClose {
                return Err(BadSyntax { at, problem: "no name of a field" }.into());
            }
        }
        match token {
            Token::ObjectOpen | Token::ListOpen => {
                let object = token == Token::ObjectOpen;
                if open.len() >= SKIP_DEPTH_MAX {
                    return Err(Stop::expected("fewer levels"));
                }
                let closes = if object { b'}' } else { b']' };
                if lexer.peek() != Some(closes) {
                    open.push(object);
                    continue;
                }
                lexer.next()?;
            }
            Token::Null | Token::Bool(_) | Token::Number(_) | Token::Text(_) => {}
            _ => return Err(BadSyntax { at, problem: "no value" }.into()),
        }
        // A value is complete; perhaps what holds it is too.
        loop {
            let Some(object) = open.last().copied() else { return Ok(()) };
            let at = lexer.position();
            match (lexer.next()?, object) {
                (Token::Comma, _) => break,
                (Token::ObjectClose, true) | (Token::ListClose, false) => {
                    open.pop();
                }
                _ => return Err(BadSyntax { at, problem: "neither a comma nor an end" }.into()),
            }
        }
        // No end may follow a comma; the next round refuses one in a list, this one in an object.
        if open.last() == Some(&true) && lexer.peek() == Some(b'}') {
            return Err(BadSyntax { at: lexer.position(), problem: "an end after a comma" }.into());
        }
    }
}

/// The type that an object names (`None` where it names none), and whether it has a text called `value`. The empty name
/// is one for this library alone.
fn type_url(lexer: &mut Lexer<'_>, may_be_empty: bool) -> Result<(Option<String>, bool), Stop> {
    if lexer.next()? != Token::ObjectOpen {
        return Err(Stop::expected("an object"));
    }
    let mut found: Option<String> = None;
    let mut holds_bytes = false;
    if lexer.peek() == Some(b'}') {
        return Ok((None, false));
    }
    loop {
        let at = lexer.position();
        let Token::Text(name) = lexer.next()? else {
            return Err(BadSyntax { at, problem: "no name of a field" }.into());
        };
        if lexer.next()? != Token::Colon {
            return Err(BadSyntax { at, problem: "no colon after the name of a field" }.into());
        }
        if name == "@type" {
            match lexer.next()? {
                Token::Text(text) if found.is_none() && (may_be_empty || !text.is_empty()) => {
                    found = Some(text.into_owned())
                }
                _ => return Err(Stop::expected("one type").at("@type")),
            }
        } else {
            holds_bytes |= name == "value" && lexer.peek() == Some(b'"');
            skip(lexer)?;
        }
        match lexer.next()? {
            Token::Comma => {}
            Token::ObjectClose => return Ok((found, holds_bytes)),
            _ => return Err(BadSyntax { at, problem: "neither a comma nor the end of the object" }.into()),
        }
    }
}

fn is_empty_object(mut lexer: Lexer<'_>) -> bool {
    lexer.next() == Ok(Token::ObjectOpen) && lexer.next() == Ok(Token::ObjectClose)
}

/// The fields of an encoded message in the order of their numbers.
fn in_order(encoded: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut rest = encoded;
    while !rest.is_empty() {
        let before = rest;
        let Ok((number, wire_type)) = prost::encoding::decode_key(&mut rest) else { return encoded.to_vec() };
        let context = prost::encoding::DecodeContext::default();
        if prost::encoding::skip_field(wire_type, number, &mut rest, context).is_err() {
            return encoded.to_vec();
        }
        fields.push((number, &before[..before.len() - rest.len()]));
    }
    fields.sort_by_key(|(number, _)| *number);
    fields.into_iter().flat_map(|(_, bytes)| bytes).copied().collect()
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

fn double(token: &Token<'_>) -> Option<f64> {
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
