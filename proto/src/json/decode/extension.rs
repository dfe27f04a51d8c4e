//! Extensions: messages whose type stands beside their fields.

use super::super::kept::Kept;
use super::super::known::Known;
use super::super::lexer::{BadSyntax, Lexer, Token};
use super::super::schema::{self, Kind};
use super::skip::skip;
use super::{Decoder, Stop, Unknown};

impl Decoder<'_, '_> {
    /// `@type` names the message whose fields lie open beside it.
    pub(super) fn any(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        let mut ahead = self.lexer.clone();
        let keep = self.policy == Unknown::Keep;
        let (found, holds_bytes) = type_url(&mut ahead, keep, self.depth)?;
        let Some(type_url) = found else {
            self.lexer.mark_odd();
            if !is_empty_object(self.lexer.clone()) {
                if self.policy == Unknown::Refuse {
                    return Err(Stop::expected("a type").at("@type"));
                }
                (self.unknown)(self.depth, "@type");
            }
            self.skip()?;
            self.depth -= 1;
            return Ok(());
        };
        let name = type_url.rsplit('/').next().unwrap_or_default();
        if let Some(known) = Known::by_name(name) {
            self.delimited(1, type_url.as_bytes());
            let inner = self.known(known)?;
            self.delimited(2, &inner);
            self.depth -= 1;
            return Ok(());
        }
        let known = schema::message(name).filter(|_| !name.starts_with("google.protobuf."));
        // What this library could not open it wrote as bytes.
        let closed = keep && holds_bytes;
        let known = known.filter(|shape| !closed || shape.fields.iter().any(|field| field.name == "value"));
        self.delimited(1, type_url.as_bytes());
        if known.is_none() || self.inside_any {
            self.lexer.mark_odd();
        }
        match known {
            Some(shape) => {
                // In the order of numbers, as every encoder writes, so that the bytes are the same again.
                let outer = std::mem::replace(&mut self.inside_any, true);
                let inner = self.apart(|decoder| decoder.message(shape, &Kept::Whole, true))?;
                self.inside_any = outer;
                self.delimited(2, &in_order(&inner));
            }
            None if keep => self.opaque()?,
            None => return Err(Stop::expected("a type of the API").at("@type")),
        }
        self.depth -= 1;
        Ok(())
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
}

/// The type that an object names (`None` where it names none), and whether it has a text called `value`. The empty name
/// is one for this library alone.
fn type_url(lexer: &mut Lexer<'_>, may_be_empty: bool, depth: u32) -> Result<(Option<String>, bool), Stop> {
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
            skip(lexer, depth)?;
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
