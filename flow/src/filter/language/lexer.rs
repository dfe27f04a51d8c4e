//! From text to words.

use super::{LanguageError, Problem};

/// A word of the language and where it begins, as a number of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// The word.
    pub(super) kind: Kind<'a>,
    /// Where it begins.
    pub(super) at: usize,
}

/// Kinds of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A name, a value or a keyword.
    Word(&'a str),
    /// A value in quotes, without them.
    Quoted(String),
    /// `=`, `!=`, `~`, `!~`, `<`, `<=`, `>`, `>=`.
    Operator(&'static str),
    /// `(`.
    Open,
    /// `)`.
    Close,
    /// `,`.
    Comma,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `!`.
    Not,
    /// The text ends.
    End,
}

impl Kind<'_> {
    pub(super) const fn is_value(&self) -> bool {
        matches!(self, Self::Word(_) | Self::Quoted(_))
    }

    /// How it is written as a value.
    pub(super) fn as_value(&self) -> String {
        match self {
            Self::Word(word) => (*word).to_owned(),
            other => other.shown(),
        }
    }

    /// How an error shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Word(word) => format!("{word:?}"),
            Self::Quoted(text) => format!("{text:?}"),
            Self::Operator(text) => format!("{text:?}"),
            Self::Open => "\"(\"".to_owned(),
            Self::Close => "\")\"".to_owned(),
            Self::Comma => "\",\"".to_owned(),
            Self::And => "\"&&\"".to_owned(),
            Self::Or => "\"||\"".to_owned(),
            Self::Not => "\"!\"".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Signs in the order to try them: longer ones first.
const SIGNS: [(&str, Kind<'static>); 16] = [
    ("&&", Kind::And),
    ("||", Kind::Or),
    ("==", Kind::Operator("=")),
    ("=~", Kind::Operator("~")),
    ("!=", Kind::Operator("!=")),
    ("!~", Kind::Operator("!~")),
    ("<=", Kind::Operator("<=")),
    (">=", Kind::Operator(">=")),
    ("=", Kind::Operator("=")),
    ("~", Kind::Operator("~")),
    ("<", Kind::Operator("<")),
    (">", Kind::Operator(">")),
    ("!", Kind::Not),
    ("(", Kind::Open),
    (")", Kind::Close),
    (",", Kind::Comma),
];

/// Splits the text; the last token is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, LanguageError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        let (kind, bytes) = token(text, at)?;
        tokens.push(Token { kind, at });
        at += bytes;
    }
    tokens.push(Token { kind: Kind::End, at });
    Ok(tokens)
}

/// The token at `at` and its length in bytes.
fn token(text: &str, at: usize) -> Result<(Kind<'_>, usize), LanguageError> {
    let rest = &text[at..];
    if let Some((sign, kind)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok((kind.clone(), sign.len()));
    }
    if rest.starts_with(['"', '\'']) {
        let (value, bytes) = quoted(rest).ok_or_else(|| super::parser::error(text, at, Problem::Unterminated))?;
        return Ok((Kind::Quoted(value), bytes));
    }
    let ends = |c: char| c.is_whitespace() || "()=!~<>,\"'&|".contains(c);
    let bytes = rest.find(ends).unwrap_or(rest.len());
    if bytes == 0 {
        // A single `&` or `|`.
        let found = rest.chars().next().map(|c| format!("{c:?}")).unwrap_or_default();
        return Err(super::parser::error(text, at, Problem::Expected { expected: "a key", found }));
    }
    Ok((Kind::Word(&rest[..bytes]), bytes))
}

/// A text that begins with a quote: its value, where a backslash makes the next character plain, and its length.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    let mut value = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next()?.1 {
                next if next == quote || next == '\\' => value.push(next),
                // Regular expressions keep their backslashes.
                next => value.extend(['\\', next]),
            },
            c if c == quote => return Some((value, at + c.len_utf8())),
            c => value.push(c),
        }
    }
    None
}
