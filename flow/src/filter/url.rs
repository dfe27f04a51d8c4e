//! The path of a URL, as a server finds it.

use std::borrow::Cow;
use std::net::Ipv6Addr;

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
    let is_absolute = !scheme.is_empty();
    let rest = rest.split('?').next().unwrap_or_default();
    if !rest.starts_with('/') {
        // `mailto:someone` has no path, `index.html` is not a request.
        return is_absolute.then_some(Cow::Borrowed(""));
    }
    let path = match rest.strip_prefix("//") {
        Some(after) if is_absolute => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            is_authority(authority).then_some(path)?
        }
        _ => rest,
    };
    unescape(path)
}

/// The scheme, empty where there is none, and what follows it; `None` where the text begins with a colon.
fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let end = url.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    match end {
        Some(0) if url.starts_with(':') => None,
        Some(end) if url[end..].starts_with(':') && url.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Some((&url[..end], &url[end + 1..]))
        }
        _ => Some(("", url)),
    }
}

/// `[user[:password]@]host[:port]`, or an IPv6 address in brackets for the host.
fn is_authority(authority: &str) -> bool {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    is_user(user) && is_host(host)
}

fn is_user(user: &str) -> bool {
    user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b)) && unescape(user).is_some()
}

fn is_host(host: &str) -> bool {
    match host.rfind('[') {
        Some(0) => {
            let Some((address, port)) = host[1..].rsplit_once(']') else { return false };
            is_port(port) && is_address(address)
        }
        Some(_) => false,
        None => {
            // Colons may stand in the host: newer versions of Go refuse them, but not in programs of Cilium's age.
            is_port(host.rfind(':').map_or("", |colon| &host[colon..])) && is_name(host)
        }
    }
}

/// Nothing, or a colon and decimal digits.
fn is_port(port: &str) -> bool {
    port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

/// An IPv6 address, and its zone after an escaped percent sign.
fn is_address(address: &str) -> bool {
    let (address, zone) = address.split_once("%25").map_or((address, None), |(address, zone)| (address, Some(zone)));
    let is_zone = |zone: &str| !zone.is_empty() && is_written_with(zone, |b| b == b'%' || b == b' ' || is_of_name(b));
    address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_zone)
}

/// The name of a host: of ASCII some characters, which are not escaped.
fn is_name(name: &str) -> bool {
    is_written_with(name, |byte| !byte.is_ascii() || byte == b'%')
}

/// Whether a text has only characters of a host's name, and escapes of what may be escaped.
fn is_written_with(text: &str, may_be_escaped: impl Fn(u8) -> bool) -> bool {
    let may_be = |(byte, escaped): (u8, bool)| {
        if escaped { may_be_escaped(byte) } else { !byte.is_ascii() || is_of_name(byte) }
    };
    escapes(text).is_some_and(|mut bytes| bytes.all(may_be))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

/// Resolves `%41`; `None` where an escape is cut off or not hexadecimal. What is not UTF-8 becomes U+FFFD.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let bytes: Vec<u8> = escapes(text)?.map(|(byte, _)| byte).collect();
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The bytes of a text, and of each whether it was escaped; `None` where an escape is cut off or not hexadecimal.
fn escapes(text: &str) -> Option<impl Iterator<Item = (u8, bool)>> {
    let mut resolved = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        resolved.push(match byte {
            b'%' => (u8::try_from(digit()? * 16 + digit()?).ok()?, true),
            byte => (byte, false),
        });
    }
    Some(resolved.into_iter())
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
        for authority in [
            "",
            "h:",
            "a:1:2",
            "::",
            "u%41:p%3a@h",
            "a@b@h",
            "hé",
            "h%c3%a9",
            "h%25",
            "a<b>\"c\"",
            "[::ffff:1.2.3.4]:1",
            "[fe80::1%25e%20n]",
            "[fe80::1%25%25]",
        ] {
            check(&format!("http://{authority}/x"), Some("/x"));
        }
        check("mongodb://a:1,b:2/x", Some("/x"));
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
        for authority in [
            "u%zz@h",
            "u@u%2",
            "u\"@h",
            "ü@h",
            "a[::1]",
            "[::1]x",
            "[::1]:x",
            "[1.2.3.4]",
            "[fe80::1%]",
            "[fe80::1%25]",
            "[fe80::1%25a%0a]",
            "[::1%41]",
            "h%41",
            "h%2",
            "h{",
            "h#x",
        ] {
            check(&format!("http://{authority}/x"), None);
        }
    }
}
