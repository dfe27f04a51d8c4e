//! Reading label selectors.

use super::{CIDR_SOURCE, Key, Operator, Requirement, Selector, prefix_of};
use crate::filter::error::LabelError;

/// Longest part of a label key and longest label value, by Kubernetes' rules.
const NAME_BYTES_MAX: usize = 63;
/// Longest prefix of a label key, by Kubernetes' rules.
const PREFIX_BYTES_MAX: usize = 253;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(&'a str),
    End,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Token::Word(text) | Token::Symbol(text) => text,
            Token::End => "",
        }
    }
}

/// Two-character symbols come first: the longest one wins.
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Token<'a> {
        Lexer { rest: self.rest }.next()
    }

    fn next(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if self.rest.is_empty() {
            return Token::End;
        }
        if let Some(symbol) = SYMBOLS.iter().find(|s| self.rest.starts_with(**s)) {
            self.rest = &self.rest[symbol.len()..];
            return Token::Symbol(symbol);
        }
        let ends = |c: char| matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<' | ' ' | '\t' | '\r' | '\n');
        let (word, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        Token::Word(word)
    }

    fn unexpected<T>(found: Token<'_>, expected: &'static str) -> Result<T, LabelError> {
        Err(LabelError::Unexpected { found: found.text().to_owned(), expected })
    }
}

/// Reads a whole selector; the empty one has no requirements.
pub(super) fn selector(text: &str) -> Result<Selector, LabelError> {
    let mut lexer = Lexer { rest: text };
    let mut requirements = Vec::new();
    if text.is_empty() {
        return Ok(Selector { requirements });
    }
    loop {
        requirements.push(requirement(&mut lexer)?);
        match lexer.next() {
            Token::End => return Ok(Selector { requirements }),
            Token::Symbol(",") => {}
            other => return Lexer::unexpected(other, "',' or 'end of string'"),
        }
    }
}

fn requirement(lexer: &mut Lexer<'_>) -> Result<Requirement, LabelError> {
    let negated = lexer.peek() == Token::Symbol("!");
    if negated {
        lexer.next();
    }
    let key = match lexer.next() {
        Token::Word(word) => key(word)?,
        other => return Lexer::unexpected(other, "!, identifier, or 'end of string'"),
    };
    let last = matches!(lexer.peek(), Token::End | Token::Symbol(","));
    let operator = match (negated, last) {
        // Nothing may follow; who called sees to that.
        (true, _) => Operator::Missing,
        (false, true) => Operator::Exists,
        (false, false) => operator(lexer)?,
    };
    Ok(Requirement { key, operator })
}

fn operator(lexer: &mut Lexer<'_>) -> Result<Operator, LabelError> {
    match lexer.next() {
        Token::Symbol("=" | "==") => Ok(Operator::In(vec![exact_value(lexer)?.into()])),
        Token::Symbol("!=") => Ok(Operator::NotIn(vec![exact_value(lexer)?.into()])),
        Token::Symbol(">") => Ok(Operator::Above(limit(lexer)?)),
        Token::Symbol("<") => Ok(Operator::Below(limit(lexer)?)),
        Token::Word("in") => Ok(Operator::In(values(lexer)?)),
        Token::Word("notin") => Ok(Operator::NotIn(values(lexer)?)),
        other => Lexer::unexpected(other, "in, notin, =, ==, !=, >, <"),
    }
}

fn exact_value<'a>(lexer: &mut Lexer<'a>) -> Result<&'a str, LabelError> {
    match lexer.peek() {
        Token::End | Token::Symbol(",") => Ok(""),
        Token::Word(word) => {
            lexer.next();
            value(word)
        }
        other @ Token::Symbol(_) => Lexer::unexpected(other, "identifier"),
    }
}

fn limit(lexer: &mut Lexer<'_>) -> Result<i64, LabelError> {
    let text = exact_value(lexer)?;
    integer(text).ok_or_else(|| LabelError::Integer(text.to_owned()))
}

/// `(a,b)`; a value left out is the empty one.
fn values(lexer: &mut Lexer<'_>) -> Result<Vec<Box<str>>, LabelError> {
    match lexer.next() {
        Token::Symbol("(") => {}
        other => return Lexer::unexpected(other, "'('"),
    }
    let mut values = Vec::new();
    loop {
        match lexer.peek() {
            Token::Word(word) => {
                lexer.next();
                values.push(value(word)?.into());
            }
            Token::Symbol("," | ")") => values.push("".into()),
            other => return Lexer::unexpected(other, "',', ')' or identifier"),
        }
        match lexer.next() {
            Token::Symbol(",") => {}
            Token::Symbol(")") => return Ok(values),
            other => return Lexer::unexpected(other, "',' or ')'"),
        }
    }
}

/// Hubble writes the key with a dot for its first colon and `any.` where there is none, and splits at the first dot:
/// so `a.b:c` is the source `a` and the name `b.c`. The source `unspec` is any, too.
fn key(word: &str) -> Result<Key, LabelError> {
    let dotted = if word.contains(':') { word.replacen(':', ".", 1) } else { format!("any.{word}") };
    if !is_qualified_name(&dotted) {
        return Err(LabelError::Key(word.to_owned()));
    }
    let (source, name) = dotted.split_once('.').unwrap_or(("any", &dotted));
    let prefix = if source == CIDR_SOURCE { prefix_of(name) } else { None };
    Ok(Key { source: (!matches!(source, "any" | "unspec")).then(|| source.into()), name: name.into(), prefix })
}

fn value(word: &str) -> Result<&str, LabelError> {
    if word.is_empty() || is_name(word) { Ok(word) } else { Err(LabelError::Value(word.to_owned())) }
}

/// Decimal with an optional sign.
pub(super) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// `[prefix/]name`.
fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
    }
}

/// Letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= NAME_BYTES_MAX
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Lower-case DNS labels joined by dots.
fn is_subdomain(text: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= PREFIX_BYTES_MAX
        && text.split('.').map(str::as_bytes).all(|label| {
            label.first().is_some_and(alphanumeric)
                && label.last().is_some_and(alphanumeric)
                && label.iter().all(|b| alphanumeric(b) || *b == b'-')
        })
}
