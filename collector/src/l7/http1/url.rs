//! URLs of requests as Hubble writes them: absolute, and with what Go escapes.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// The absolute URL of a request.
///
/// Where the client named no host, the server's address stands for it.
pub(super) fn absolute(method: &str, target: &str, host: Option<&[u8]>, server: SocketAddr) -> String {
    if target.contains("://") && !target.starts_with('/') {
        return target.to_owned();
    }
    if method == "CONNECT" {
        return format!("http://{target}");
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    match host.map(|host| String::from_utf8_lossy(host.trim_ascii())) {
        Some(host) if !host.is_empty() => format!("http://{host}{slash}{target}"),
        _ => format!("http://{server}{slash}{target}"),
    }
}

/// An absolute URL as Go's `net/url`, and so Hubble, writes it: bytes that may not stand in a path or a fragment are
/// escaped, and a URL with a broken escape is taken for a path without a query. Queries stay as they were sent.
pub(super) fn escaped(url: String) -> String {
    let Some(host) = url.find("://").map(|at| at + 3) else { return url };
    let Some(start) = url[host..].find(['/', '?', '#']).map(|at| host + at) else { return url };
    if url.as_bytes()[start..].iter().all(|byte| (may_stand(*byte) && *byte != b'%') || *byte == b'?') {
        return url;
    }
    let (front, target) = url.split_at(start);
    let (before, fragment) = target.split_once('#').unwrap_or((target, ""));
    let (path, query) = before.split_at(before.find('?').unwrap_or(before.len()));
    match (part(path, ""), part(fragment, "!()*?")) {
        (Some(path), Some(fragment)) => {
            let hash = if fragment.is_empty() { "" } else { "#" };
            format!("{front}{path}{query}{hash}{fragment}")
        }
        _ => {
            let mut whole = front.to_owned();
            target.bytes().for_each(|byte| push(&mut whole, byte, ""));
            whole
        }
    }
}

/// A path or fragment as it was sent, where it has no byte that must be escaped; else decoded and escaped anew, also
/// what was. `None` where an escape is broken. `more` are bytes that need no escape beyond those of a path.
fn part<'a>(sent: &'a str, more: &str) -> Option<Cow<'a, str>> {
    let mut decoded = Vec::with_capacity(sent.len());
    let mut rest = sent.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, length) = if *first == b'%' { (hexadecimal(after)?, 3) } else { (*first, 1) };
        decoded.push(byte);
        rest = &rest[length..];
    }
    if sent.bytes().all(|byte| may_stand(byte) || more.as_bytes().contains(&byte)) {
        return Some(Cow::Borrowed(sent));
    }
    let mut text = String::with_capacity(sent.len() + 8);
    decoded.iter().for_each(|byte| push(&mut text, *byte, more));
    Some(Cow::Owned(text))
}

/// Value of the two digits at the start.
fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

/// Whether a byte may stand in a path as it is, or begin an escape: RFC 3986, section 3.3, and the brackets.
const fn may_stand(byte: u8) -> bool {
    is_plain(byte) || matches!(byte, b'!' | b'\'' | b'(' | b')' | b'*' | b'[' | b']' | b'%')
}

/// Whether Go leaves a byte of a path alone when it escapes all that it can.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@')
}

fn push(text: &mut String, byte: u8, more: &str) {
    if is_plain(byte) || more.as_bytes().contains(&byte) {
        text.push(char::from(byte));
    } else {
        write!(text, "%{byte:02X}").expect("writing to memory cannot fail");
    }
}

/// Cuts off the query and the fragment of a URL.
pub(super) fn cut_query(url: &mut String) {
    if let Some(at) = url.find(['?', '#']) {
        url.truncate(at);
    }
}

/// Cuts a URL to a number of bytes; returns whether it had more.
pub(super) fn cut(url: &mut String, bytes_max: usize) -> bool {
    if url.len() <= bytes_max {
        return false;
    }
    let end = (0..=bytes_max).rev().find(|at| url.is_char_boundary(*at)).unwrap_or(0);
    url.truncate(end);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::without_password;

    #[test]
    fn urls_are_absolute() {
        let cases = [
            ("GET", "/v1?a=b", Some("shop:8080"), "http://shop:8080/v1?a=b"),
            ("GET", "/v1", Some(" "), "http://[fd00::1]:80/v1"),
            ("GET", "/v1", None, "http://[fd00::1]:80/v1"),
            ("OPTIONS", "*", Some("shop"), "http://shop/*"),
            ("CONNECT", "example.org:443", Some("example.org:443"), "http://example.org:443"),
            ("GET", "https://example.org/x", Some("proxy"), "https://example.org/x"),
            ("GET", "/?next=http://u:p@x/", Some("shop"), "http://shop/?next=http://u:p@x/"),
            ("GET", "http://u:p@x/y", None, "http://u:HUBBLE_REDACTED@x/y"),
            ("GET", "http://u:p@q:r@x?y", None, "http://u:HUBBLE_REDACTED@x?y"),
            ("GET", "http://u@x/y", None, "http://u@x/y"),
            ("GET", "/y", Some("u:p@x"), "http://u:HUBBLE_REDACTED@x/y"),
            ("CONNECT", "u:p@x:443", None, "http://u:HUBBLE_REDACTED@x:443"),
        ];
        let server = "[fd00::1]:80".parse().unwrap();
        for (method, target, host, expected) in cases {
            let url = absolute(method, target, host.map(str::as_bytes), server);
            assert_eq!(without_password(&url), expected);
        }
        for full in ["http://shop/a?token=1#x", "http://shop/a#x?y", "http://shop/a"] {
            let mut url = full.to_owned();
            cut_query(&mut url);
            assert_eq!(url, "http://shop/a", "{full}");
        }
    }

    /// What Hubble 1.19.4 makes of these, asked of its own function.
    #[test]
    fn bytes_are_escaped_as_go_does() {
        for (target, expected) in [
            ("/a|b", "/a%7Cb"),
            ("/%7Ea%2fb", "/%7Ea%2fb"),
            ("/%7Ea|%2Fb", "/~a%7C/b"),
            ("/ü?q=ü|%zz", "/%C3%BC?q=ü|%zz"),
            ("/a%zz?x=1", "/a%25zz%3Fx=1"),
            ("/a%", "/a%25"),
            ("*", "/*"),
            ("/!$&'()*+,;=:@[]", "/!$&'()*+,;=:@[]"),
            ("/!(|)", "/%21%28%7C%29"),
            ("/a??b", "/a??b"),
            ("/x#f|(g?", "/x#f%7C(g?"),
            ("/x#", "/x"),
            ("/x?y#%", "/x%3Fy%23%25"),
            ("//a//x", "//a//x"),
            ("/a\"b<c>d\\e^f`g{h}", "/a%22b%3Cc%3Ed%5Ce%5Ef%60g%7Bh%7D"),
            ("/%E4|%bd", "/%E4%7C%BD"),
        ] {
            let url = absolute("GET", target, Some(b"shop"), "10.0.0.2:80".parse().unwrap());
            assert_eq!(escaped(url), format!("http://shop{expected}"), "{target}");
        }
        assert_eq!(escaped("http://example.org:443".into()), "http://example.org:443");
    }

    #[test]
    fn cuts_at_a_character() {
        let mut url = "http://a/äöü".to_owned();
        assert!(cut(&mut url, 10) && url == "http://a/");
        assert!(!cut(&mut url, 10));
    }
}
