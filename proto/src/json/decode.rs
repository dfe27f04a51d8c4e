//! From JSON to the encoded message, by the rules of Go's protobuf library and without a tree of values in between.
//!
//! What that library refuses is refused here (a field twice, two alternatives at once, a number that is not whole), and
//! what it takes is taken (numbers in strings, numbers for names, camelCase), so that a line is a flow for both or for
//! neither.

mod extension;
mod known;
mod scalar;
mod skip;

use prost::encoding::{WireType, encode_key, encode_varint};
use prost::{Message, Name};

use super::kept::Kept;
use super::lexer::{BadSyntax, Lexer, Token};
use super::schema::{self, FieldShape, Kind, MessageShape};
use skip::skip;

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

/// A message, and how it was written.
pub(super) struct Read<M> {
    pub(super) message: M,
    /// Whether the text is the one that [`super::to_json`] makes of the message, had all of it been kept.
    pub(super) is_as_written: bool,
}

/// Reads one message that is all the text holds. `unknown` is told of each field and name that was left out: how deep it
/// stands, and what it is called.
pub(super) fn message<M: Message + Name + Default>(
    text: &[u8],
    policy: Unknown,
    unknown: &mut dyn FnMut(u32, &str),
) -> Result<M, JsonError> {
    message_of(text, policy, &Kept::Whole, unknown).map(|read| read.message)
}

/// Reads one message as [`message`] does, and keeps a part of it.
pub(super) fn message_of<M: Message + Name + Default>(
    text: &[u8],
    policy: Unknown,
    kept: &Kept,
    unknown: &mut dyn FnMut(u32, &str),
) -> Result<Read<M>, JsonError> {
    let mut lexer = Lexer::new(text);
    let message = next_message(&mut lexer, policy, kept, unknown)?;
    match lexer.next() {
        Ok(Token::End) => Ok(Read { message, is_as_written: lexer.is_as_written() }),
        Ok(_) => Err(JsonError::Syntax { at: lexer.position(), problem: "something follows the object" }),
        Err(bad) => Err(Stop::from(bad).into_error()),
    }
}

/// Reads messages, as many as the text holds one after the other.
pub(super) fn messages<M: Message + Name + Default>(text: &[u8], policy: Unknown) -> Result<Vec<M>, JsonError> {
    let mut lexer = Lexer::new(text);
    let mut messages = Vec::new();
    while lexer.peek().is_some() {
        messages.push(next_message(&mut lexer, policy, &Kept::Whole, &mut |_, _| {})?);
    }
    Ok(messages)
}

fn next_message<M: Message + Name + Default>(
    lexer: &mut Lexer<'_>,
    policy: Unknown,
    kept: &Kept,
    unknown: &mut dyn FnMut(u32, &str),
) -> Result<M, JsonError> {
    let name = M::full_name();
    let shape = schema::message(&name).expect("every generated message has a descriptor");
    let mut decoder =
        Decoder { lexer: lexer.clone(), out: Vec::with_capacity(512), policy, unknown, depth: 0, inside_any: false };
    let read = decoder.message(shape, kept, false);
    let Decoder { lexer: after, out, .. } = decoder;
    *lexer = after;
    read.map_err(Stop::into_error)?;
    M::decode(out.as_slice()).map_err(|source| JsonError::Message { message: name, source })
}

/// Messages inside of each other: more than any message of the API, and as many as `prost` reads.
const DEPTH_MAX: u32 = 100;

struct Decoder<'a, 'u> {
    lexer: Lexer<'a>,
    out: Vec<u8>,
    policy: Unknown,
    unknown: &'u mut dyn FnMut(u32, &str),
    depth: u32,
    /// Whether this is a message inside of an extension.
    inside_any: bool,
}

impl<'a> Decoder<'a, '_> {
    /// An object as a message; `in_any` leaves out the name of its type.
    fn message(&mut self, shape: &'static MessageShape, kept: &Kept, in_any: bool) -> Result<(), Stop> {
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
                    let field = &shape.fields[place];
                    if place < next || field.name.as_bytes() != name {
                        self.lexer.mark_odd();
                    }
                    (first, next) = (false, place + 1);
                    self.field(field, place, kept, &mut fields)
                        .map_err(|stop| stop.at(&String::from_utf8_lossy(name)))?;
                    continue;
                }
                if in_any && first && name == b"@type" {
                    first = false;
                    self.skip()?;
                    continue;
                }
                self.lexer.go_to(at);
            }
            if self.lexer.object_ends() {
                break;
            }
            self.lexer.mark_odd();
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
            self.field(field, place, kept, &mut fields).map_err(|stop| stop.at(&name))?;
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

    fn field(&mut self, field: &'static FieldShape, place: usize, kept: &Kept, seen: &mut Seen) -> Result<(), Stop> {
        if !seen.mark_field(place) {
            return Err(Stop::expected("one value, not two"));
        }
        if self.lexer.peek() == Some(b'n') && self.lexer.next()? == Token::Null {
            self.lexer.mark_odd();
            return Ok(());
        }
        let start = self.out.len();
        let kept = kept.field(place);
        if field.repeated {
            self.list(field, kept)?;
        } else {
            if field.oneof.is_some_and(|group| !seen.mark_alternative(group)) {
                return Err(Stop::expected("one of the alternatives, not two"));
            }
            self.value(field, kept)?;
        }
        if matches!(kept, Kept::Nothing) {
            self.out.truncate(start);
        }
        Ok(())
    }

    fn list(&mut self, field: &'static FieldShape, kept: &Kept) -> Result<(), Stop> {
        if self.lexer.next()? != Token::ListOpen {
            return Err(Stop::expected("a list"));
        }
        if self.lexer.peek() == Some(b']') {
            self.lexer.mark_odd();
            self.lexer.next()?;
            return Ok(());
        }
        for index in 0usize.. {
            self.value(field, kept).map_err(|stop| stop.at(&index.to_string()))?;
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
    fn value(&mut self, field: &'static FieldShape, kept: &Kept) -> Result<(), Stop> {
        match &field.kind {
            Kind::Message(_) => {
                let shape = field.message();
                self.nested(field.number, |decoder| decoder.message(shape, kept, false))
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

    /// Passes over a value of any type.
    fn skip(&mut self) -> Result<(), Stop> {
        skip(&mut self.lexer, self.depth)
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
