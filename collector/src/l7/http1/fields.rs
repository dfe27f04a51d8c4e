//! Header fields: what frames the message, what names it, and what is kept.

use httparse::Header;

use crate::redact::REDACTED;

/// Bytes of one header value that are kept.
const VALUE_BYTES_MAX: usize = 1_024;

/// Parts of header names that say that the value is a credential.
const SECRET_MARKS: [&str; 8] =
    ["authorization", "authenticat", "cookie", "token", "secret", "password", "api-key", "apikey"];

/// Which headers are kept.
#[derive(Debug)]
pub(super) struct HeaderRules {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// As Go writes it, `X-Request-Id`: clients filter by exact name, whatever the sender's taste.
    name: String,
    secret: bool,
}

impl HeaderRules {
    /// Keeps the headers with these names, in any case.
    pub(super) fn new(names: &[String]) -> Self {
        let kept = names.iter().map(|name| Kept { name: canonical(name), secret: is_secret(name) }).collect();
        Self { kept }
    }

    fn find(&self, name: &str) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.name.eq_ignore_ascii_case(name))
    }
}

/// How the length of a body is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// Not at all.
    None,
    /// In bytes.
    Known(u64),
    /// By chunks.
    Chunked,
    /// By a transfer coding other than chunks.
    OtherCoding,
    /// In ways that exclude each other.
    Contradictory,
}

/// What the parser wants of all header lines.
#[derive(Debug)]
pub(super) struct Fields<'h> {
    /// Value of the first `Host`.
    pub(super) host: Option<&'h [u8]>,
    /// Length of the body.
    pub(super) body: BodyLength,
    /// Id in `traceparent`, empty for none.
    pub(super) trace_id: String,
    /// The lines that are kept, by name; those of one name in the order in which they were sent.
    pub(super) kept: Vec<(String, String)>,
}

impl<'h> Fields<'h> {
    /// Reads header lines.
    pub(super) fn read(lines: &[Header<'h>], rules: &HeaderRules) -> Self {
        let mut fields = Self { host: None, body: BodyLength::None, trace_id: String::new(), kept: Vec::new() };
        let mut coding = None;
        for line in lines {
            match line.name.len() {
                4 if line.name.eq_ignore_ascii_case("host") => fields.host = fields.host.or(Some(line.value)),
                14 if line.name.eq_ignore_ascii_case("content-length") => {
                    fields.body = with_length(fields.body, line.value);
                }
                17 if line.name.eq_ignore_ascii_case("transfer-encoding") => coding = Some(line.value),
                11 if line.name.eq_ignore_ascii_case("traceparent") && fields.trace_id.is_empty() => {
                    fields.trace_id = trace_id(line.value).unwrap_or_default();
                }
                _ => {}
            }
            if let Some(kept) = rules.find(line.name) {
                fields.kept.push((kept.name.clone(), if kept.secret { REDACTED.to_owned() } else { text(line.value) }));
            }
        }
        // As Hubble has them.
        fields.kept.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(coding) = coding {
            // Chunks win over a length: RFC 9112, section 6.3. `chunked` is always the last coding.
            let last = coding.rsplit(|b| *b == b',').next().unwrap_or_default();
            let chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            fields.body = if chunked { BodyLength::Chunked } else { BodyLength::OtherCoding };
        }
        fields
    }
}

/// Adds a `Content-Length` line to what earlier ones said.
fn with_length(before: BodyLength, value: &[u8]) -> BodyLength {
    value.split(|b| *b == b',').fold(before, |before, part| {
        let part = part.trim_ascii();
        let digits = !part.is_empty() && part.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(part).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match (before, length) {
            (BodyLength::None, Some(length)) => BodyLength::Known(length),
            (BodyLength::Known(known), Some(length)) if known == length => before,
            _ => BodyLength::Contradictory,
        }
    })
}

/// Trace id of a W3C `traceparent` header.
fn trace_id(value: &[u8]) -> Option<String> {
    let mut parts = value.trim_ascii().split(|b| *b == b'-');
    let version = parts.next()?;
    let id = parts.next()?;
    let hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    let valid = version.len() == 2
        && version != b"ff"
        && id.len() == 32
        && id.iter().all(hex)
        && id.iter().any(|b| *b != b'0')
        && parts.next().is_some();
    if valid { String::from_utf8(id.to_vec()).ok() } else { None }
}

/// A value as text of bounded length.
fn text(value: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(&value[..value.len().min(VALUE_BYTES_MAX)]).into_owned();
    if text.contains(char::is_control) {
        text = text.replace(char::is_control, " ");
    }
    text
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_MARKS.iter().any(|mark| name.contains(mark))
}

fn canonical(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| {
            let c = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            start = c == '-';
            c
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&'static str, &'static str)], keep: &[&str]) -> Fields<'static> {
        let lines: Vec<_> = lines.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        let keep: Vec<_> = keep.iter().map(|name| (*name).to_owned()).collect();
        Fields::read(&lines, &HeaderRules::new(&keep))
    }

    #[test]
    fn body_length() {
        let cases: [(&[_], BodyLength); 12] = [
            (&[], BodyLength::None),
            (&[("Content-Length", "5")], BodyLength::Known(5)),
            (&[("content-length", " 5 , 5 ")], BodyLength::Known(5)),
            (&[("Content-Length", "5"), ("Content-Length", "5")], BodyLength::Known(5)),
            (&[("Content-Length", "5"), ("Content-Length", "6")], BodyLength::Contradictory),
            (&[("Content-Length", "+5")], BodyLength::Contradictory),
            (&[("Content-Length", "")], BodyLength::Contradictory),
            (&[("Content-Length", "99999999999999999999")], BodyLength::Contradictory),
            (&[("Transfer-Encoding", "chunked")], BodyLength::Chunked),
            (&[("Transfer-Encoding", "gzip, Chunked"), ("Content-Length", "5")], BodyLength::Chunked),
            (&[("Transfer-Encoding", "gzip")], BodyLength::OtherCoding),
            (&[("Transfer-Encoding", "chunked, gzip")], BodyLength::OtherCoding),
        ];
        for (lines, expected) in cases {
            assert_eq!(read(lines, &[]).body, expected, "{lines:?}");
        }
    }

    #[test]
    fn keeps_what_is_allowed_and_never_credentials() {
        let lines = [
            ("HOST", "shop"),
            ("x-request-id", "7"),
            ("Authorization", "Basic c2VjcmV0"),
            ("Cookie", "session=secret"),
            ("X-Api-Key", "secret"),
            ("Accept", "*/*"),
        ];
        let keep = ["host", "X-REQUEST-ID", "authorization", "cookie", "x-api-key"];
        let kept = read(&lines, &keep).kept;
        let expected = [
            ("Authorization", REDACTED),
            ("Cookie", REDACTED),
            ("Host", "shop"),
            ("X-Api-Key", REDACTED),
            ("X-Request-Id", "7"),
        ];
        assert_eq!(kept, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(read(&lines, &[]).kept, []);
    }

    #[test]
    fn trace_ids() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let cases = [
            (format!("00-{id}-b7ad6b7169203331-01"), id),
            (format!("00-{}-b7ad6b7169203331-01", id.to_uppercase()), ""),
            (format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), ""),
            (format!("ff-{id}-b7ad6b7169203331-01"), ""),
            (format!("00-{id}"), ""),
            (String::from("-"), ""),
        ];
        for (value, expected) in cases {
            assert_eq!(trace_id(value.as_bytes()).unwrap_or_default(), expected, "{value}");
        }
    }

    #[test]
    fn values_are_harmless_text() {
        assert_eq!(text(b"a\tb\xffc"), "a b\u{fffd}c");
        assert_eq!(text(&[b'x'; 5_000]).len(), VALUE_BYTES_MAX);
    }
}
