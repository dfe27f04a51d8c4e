//! Rules on HTTP records.

use std::borrow::Cow;

use super::FilterError;

/// Status codes and starts of status codes, any of which may match.
#[derive(Clone, Debug, Default)]
pub struct StatusCodes {
    exact: Vec<u32>,
    /// First digits and how many.
    starts: Vec<(u32, u32)>,
}

impl StatusCodes {
    /// Reads codes (`404`) and starts (`5+`, `40+`).
    ///
    /// # Errors
    /// A value is neither.
    pub fn parse(values: &[String]) -> Result<Self, FilterError> {
        let mut codes = Self::default();
        for text in values {
            let digits = text.strip_suffix('+').unwrap_or(text);
            let well_formed =
                matches!(digits.as_bytes().first(), Some(b'1'..=b'5')) && digits.bytes().all(|b| b.is_ascii_digit());
            let number = digits.parse().ok().filter(|_| well_formed);
            match (number, text.ends_with('+'), digits.len()) {
                (Some(code), false, 3) => codes.exact.push(code),
                (Some(start), true, 1) => codes.starts.push((start, 1)),
                (Some(start), true, 2) => codes.starts.push((start, 2)),
                _ => return Err(FilterError::StatusCode { text: text.clone() }),
            }
        }
        Ok(codes)
    }

    /// Whether one of them is the code or its start. Code 0, that of a request, never matches.
    #[must_use]
    pub fn matches(&self, code: u32) -> bool {
        // Codes are written with three digits at least, and no start begins with 0.
        code >= 100
            && (self.exact.contains(&code)
                || self.starts.iter().any(|&(start, digits)| first_digits(code, digits) == start))
    }
}

/// Whether the texts are the same but for the case of letters, those of other alphabets included.
#[must_use]
pub fn equal_fold(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    // The Kelvin sign and the long s fold to letters of ASCII.
    let fold = |c: char| match c {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        c => c.to_lowercase().next().unwrap_or(c),
    };
    a.chars().map(fold).eq(b.chars().map(fold))
}

fn first_digits(mut code: u32, digits: u32) -> u32 {
    let limit = 10_u32.pow(digits);
    while code >= limit {
        code /= 10;
    }
    code
}

/// Path of the URL of a request, with its escapes resolved; `None` for what a server would not take as one.
///
/// Follows Go's `url.ParseRequestURI`, by which Hubble finds the path: an absolute URL or an absolute path, without a
/// fragment (`#` has no meaning in requests).
#[must_use]
pub fn path_of_url(url: &str) -> Option<Cow<'_, str>> {
    if url.is_empty() || url.bytes().any(|b| b < b' ' || b == 0x7f) {
        return None;
    }
    if url == "*" {
        return Some(Cow::Borrowed("*"));
    }
    let (scheme, rest) = split_scheme(url)?;
    let rest = rest.split('?').next().unwrap_or_default();
    if !rest.starts_with('/') {
        // `mailto:someone` has no path, `index.html` is not a request.
        return scheme.then_some(Cow::Borrowed(""));
    }
    let path = match rest.strip_prefix("//") {
        Some(after) if scheme => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            is_authority(authority).then_some(path)?
        }
        _ => rest,
    };
    unescape(path)
}

/// Whether there is a scheme, and what follows it; `None` where the text begins with a colon.
fn split_scheme(url: &str) -> Option<(bool, &str)> {
    let end = url.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    match end {
        Some(0) if url.starts_with(':') => None,
        Some(end) if url[end..].starts_with(':') && url.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Some((true, &url[end + 1..]))
        }
        _ => Some((false, url)),
    }
}

/// `[user@]host[:port]`: a port is decimal, and some characters no host has.
fn is_authority(authority: &str) -> bool {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = match (host.strip_prefix('['), host.rsplit_once(':')) {
        (Some(bracketed), _) => match bracketed.rsplit_once(']') {
            Some((_, "")) => "",
            Some((_, port)) if port.starts_with(':') => &port[1..],
            _ => return false,
        },
        (None, Some((_, port))) => port,
        (None, None) => "",
    };
    let strange = |c: char| c.is_ascii_whitespace() || matches!(c, '\\' | '^' | '`' | '{' | '|' | '}');
    port.bytes().all(|b| b.is_ascii_digit()) && !authority.contains(strange)
}

/// Resolves `%41`; `None` where an escape is cut off or not hexadecimal. What is not UTF-8 becomes U+FFFD.
fn unescape(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
            out.push(u8::try_from(value).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(Cow::Owned(String::from_utf8_lossy(&out).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        assert_eq!(path_of_url(url).as_deref(), expected, "{url:?}");
    }

    #[test]
    fn paths_are_found_as_a_server_finds_them() {
        check("http://example.org/a/b?c=/d", Some("/a/b"));
        check("/a/b?c", Some("/a/b"));
        check("/a#b", Some("/a#b"));
        check("/a?", Some("/a"));
        check("http://example.org", Some(""));
        check("http://user:secret@[::1]:8080/x", Some("/x"));
        check("//host/x", Some("//host/x"));
        check("*", Some("*"));
        check("mailto:someone", Some(""));
        check("/a%20b%2Fc", Some("/a b/c"));
        check("/caf%C3%A9", Some("/café"));
        check("/%ff", Some("/\u{fffd}"));
    }

    #[test]
    fn what_is_no_request_has_no_path() {
        for url in
            ["", "index.html", ":x", "/a\nb", "/a%2", "/a%zz", "/%é", "http://a:b/", "http://a b/", "http://[::1/"]
        {
            check(url, None);
        }
    }

    #[test]
    fn first_digits_are_those_of_the_written_number() {
        assert_eq!((first_digits(503, 1), first_digits(503, 2), first_digits(5_031, 2)), (5, 50, 50));
        let codes = StatusCodes::parse(&["5+".to_owned(), "40+".to_owned(), "200".to_owned()]).unwrap();
        let matching: Vec<u32> = (0..1000).filter(|code| codes.matches(*code)).collect();
        let expected: Vec<u32> = [200].into_iter().chain(400..410).chain(500..600).collect();
        assert_eq!(matching, expected);
    }
}
