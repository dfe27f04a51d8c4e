//! JSON in pieces, by the rules of Go's protobuf library.

use std::borrow::Cow;

use super::write;

/// A piece of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// As it stands in the text.
    Number(&'a [u8]),
    Text(Cow<'a, str>),
    ObjectOpen,
    ObjectClose,
    ListOpen,
    ListClose,
    Comma,
    Colon,
    End,
}

#[cfg(test)]
impl Token<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::ObjectOpen => "{",
            Self::ObjectClose => "}",
            Self::ListOpen => "[",
            Self::ListClose => "]",
            Self::Comma => ",",
            Self::Colon => ":",
            Self::End => "the end",
        }
    }
}

/// The text is not JSON from this byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadSyntax {
    pub(super) at: usize,
    pub(super) problem: &'static str,
}

/// Cuts a text into pieces.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    /// The same as text, where all of it is UTF-8.
    utf8: Option<&'a str>,
    at: usize,
    /// Whether something so far stands otherwise than it would be written.
    odd: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, utf8: std::str::from_utf8(text).ok(), at: 0, odd: false }
    }

    /// Notes that something stands otherwise than it would be written.
    pub(super) const fn mark_odd(&mut self) {
        self.odd = true;
    }

    /// Whether everything read stands as it would be written: nothing was marked, there is no space between pieces, and
    /// strings are escaped where they are written with escapes, and only there.
    pub(super) fn is_as_written(&self) -> bool {
        /// First byte of the two characters beyond ASCII that are escaped, and of some thousand others.
        const LEAD: u8 = 0xe2;
        let found = |found, byte: &u8| found | matches!(*byte, b'<' | b'>' | b'&' | LEAD);
        !self.odd
            && (!self.text.iter().fold(false, found)
                || self.utf8.is_some_and(|text| !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}'])))
    }

    /// Reads the end of an object that is next without a space before it.
    pub(super) fn object_ends(&mut self) -> bool {
        let ends = self.text.get(self.at) == Some(&b'}');
        self.at += usize::from(ends);
        ends
    }

    /// Offset of the next piece.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// First byte of the next piece; `None` at the end.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => {
                    self.at += 1;
                    self.odd = true;
                }
                byte => return Some(*byte),
            }
        }
        None
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Result<Token<'a>, BadSyntax> {
        let Some(first) = self.peek() else { return Ok(Token::End) };
        let single = |token| (token, 1);
        let (token, length) = match first {
            b'"' => return self.string().map(Token::Text),
            b'{' => single(Token::ObjectOpen),
            b'}' => single(Token::ObjectClose),
            b'[' => single(Token::ListOpen),
            b']' => single(Token::ListClose),
            b',' => single(Token::Comma),
            b':' => single(Token::Colon),
            b'n' => (Token::Null, self.word(b"null")?),
            b't' => (Token::Bool(true), self.word(b"true")?),
            b'f' => (Token::Bool(false), self.word(b"false")?),
            b'-' | b'0'..=b'9' => {
                let length = number_length(&self.text[self.at..]).ok_or_else(|| self.bad("a malformed number"))?;
                (Token::Number(&self.text[self.at..self.at + length]), length)
            }
            _ => return Err(self.bad("no value begins like this")),
        };
        self.at += length;
        Ok(token)
    }

    /// The name of a field as writers leave it: after `,`, where `separated`, without spaces or escapes, and with its
    /// colon. `None`, and nothing read, where it is not like that.
    pub(super) fn plain_name(&mut self, separated: bool) -> Option<&'a [u8]> {
        let mut rest = &self.text[self.at..];
        if separated {
            rest = rest.strip_prefix(b",")?;
        }
        let rest = rest.strip_prefix(b"\"")?;
        let (name, after) = rest.split_at(plain_length(rest));
        let after = after.strip_prefix(b"\":")?;
        self.at = self.text.len() - after.len();
        Some(name)
    }

    /// Goes back, or on, to this offset.
    pub(super) const fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    const fn bad(&self, problem: &'static str) -> BadSyntax {
        BadSyntax { at: self.at, problem }
    }

    fn word(&self, word: &[u8]) -> Result<usize, BadSyntax> {
        let rest = &self.text[self.at..];
        let ends = rest.get(word.len()).is_none_or(|next| !continues(*next));
        if rest.starts_with(word) && ends { Ok(word.len()) } else { Err(self.bad("an unknown word")) }
    }

    /// A string whose opening quote is next.
    fn string(&mut self) -> Result<Cow<'a, str>, BadSyntax> {
        let start = self.at + 1;
        let plain = plain_length(&self.text[start..]);
        if self.text.get(start + plain) == Some(&b'"') {
            let text = match self.utf8 {
                Some(utf8) => &utf8[start..start + plain],
                None => std::str::from_utf8(&self.text[start..start + plain]).map_err(|_| self.bad("invalid UTF-8"))?,
            };
            self.at = start + plain + 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut out = self.text[start..start + plain].to_vec();
        self.at = start + plain;
        loop {
            match self.text.get(self.at) {
                None => return Err(self.bad("a string without end")),
                Some(b'"') => {
                    self.at += 1;
                    return String::from_utf8(out).map(Cow::Owned).map_err(|_| self.bad("invalid UTF-8"));
                }
                Some(b'\\') => {
                    let (from, escape) = (out.len(), self.at);
                    self.escape(&mut out)?;
                    self.odd |= !is_written_like(&out[from..], &self.text[escape..self.at]);
                }
                Some(0..=0x1f) => return Err(self.bad("a control character in a string")),
                Some(_) => {
                    let plain = plain_length(&self.text[self.at..]);
                    out.extend_from_slice(&self.text[self.at..self.at + plain]);
                    self.at += plain;
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), BadSyntax> {
        let plain = match self.text.get(self.at + 1) {
            Some(c @ (b'"' | b'\\' | b'/')) => *c,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let c = self.unicode_escape()?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.bad("an unknown escape")),
        };
        out.push(plain);
        self.at += 2;
        Ok(())
    }

    /// `\u0041`, or two of them for a character beyond the first plane.
    fn unicode_escape(&mut self) -> Result<char, BadSyntax> {
        let first = self.unit()?;
        if let Some(c) = char::from_u32(first) {
            return Ok(c);
        }
        let second = self.unit()?;
        let pair = char::decode_utf16([first, second].map(|unit| u16::try_from(unit).unwrap_or(0))).next();
        pair.and_then(Result::ok).ok_or_else(|| self.bad("half a surrogate pair"))
    }

    fn unit(&mut self) -> Result<u32, BadSyntax> {
        let digits = self.text.get(self.at..self.at + 6).filter(|escape| escape.starts_with(b"\\u"));
        let digits = digits.ok_or_else(|| self.bad("an escape that is cut off"))?;
        let mut unit = 0;
        for digit in &digits[2..] {
            let value = char::from(*digit).to_digit(16).ok_or_else(|| self.bad("an escape that is not hexadecimal"))?;
            unit = unit * 16 + value;
        }
        self.at += 6;
        Ok(unit)
    }
}

/// Whether a character, in UTF-8, is written as this escape.
fn is_written_like(utf8: &[u8], escape: &[u8]) -> bool {
    let c = std::str::from_utf8(utf8).ok().and_then(|text| text.chars().next());
    c.is_some_and(|c| {
        let mut text = String::new();
        write::escape(c, &mut text);
        write::needs_escape(c) && text.as_bytes() == escape
    })
}

/// Bytes before the first quote, backslash or control character.
fn plain_length(text: &[u8]) -> usize {
    /// One in the lowest, or the highest, bit of each byte.
    const LOW: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = LOW << 7;
    let mut at = 0;
    // Eight bytes at a time, by the well-known test for a zero byte.
    while let Some(chunk) = text.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("a slice of eight bytes"));
        let equals = |byte: u8| {
            let difference = word ^ (LOW * u64::from(byte));
            difference.wrapping_sub(LOW) & !difference
        };
        let control = word.wrapping_sub(LOW * 0x20) & !word;
        let found = (equals(b'"') | equals(b'\\') | control) & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + text[at..].iter().position(|b| matches!(b, 0..=0x1f | b'"' | b'\\')).unwrap_or(text.len() - at)
}

/// Whether the byte cannot follow a number or a word.
const fn continues(byte: u8) -> bool {
    matches!(byte, b'-' | b'+' | b'.' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')
}

/// Length of the number at the start.
pub(super) fn number_length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    match text.get(at)? {
        b'0' => at += 1,
        b'1'..=b'9' => at += digits(at),
        _ => return None,
    }
    if text.get(at) == Some(&b'.') && text.get(at + 1).is_some_and(u8::is_ascii_digit) {
        at += 1 + digits(at + 1);
    }
    if matches!(text.get(at), Some(b'e' | b'E')) && at + 1 < text.len() {
        at += 1;
        if matches!(text[at], b'+' | b'-') {
            at += 1;
            if at == text.len() {
                return None;
            }
        }
        at += digits(at);
    }
    (!text.get(at).is_some_and(|next| continues(*next))).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<String>, &'static str> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut tokens = Vec::new();
        loop {
            match lexer.next().map_err(|bad| bad.problem)? {
                Token::End => return Ok(tokens),
                Token::Text(text) => tokens.push(text.into_owned()),
                Token::Number(text) => tokens.push(String::from_utf8(text.to_vec()).unwrap()),
                token => tokens.push(token.name().to_owned()),
            }
        }
    }

    #[test]
    fn pieces_are_cut_at_their_ends() {
        assert_eq!(
            tokens(" {\"a\" : [ null,true , -1.5e+3 ]}\t").unwrap().join(" "),
            "{ a : [ null , true or false , -1.5e+3 ] }"
        );
        for bad in ["nul", "nullx", "01", "1.", "-", "1e", "+1", "'a'", "\u{feff}{}"] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn strings_are_read_with_their_escapes() {
        for (text, expected) in [
            (r#""plain text of more than eight bytes""#, "plain text of more than eight bytes"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""Aé😀""#, "A\u{e9}\u{1f600}"),
            ("\"\u{e9}\u{1f600} and a long tail after it\"", "\u{e9}\u{1f600} and a long tail after it"),
        ] {
            assert_eq!(tokens(text).unwrap(), [expected]);
        }
        for bad in [r#"""#, r#""\""#, r#""\x""#, r#""\u12""#, r#""\ud800""#, r#""\ud800A""#, "\"a\u{1}\"", "\"a\nb\""] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
        assert!(Lexer::new(b"\"\xff\"").next().is_err());
    }
}
