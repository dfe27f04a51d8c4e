//! URLs of requests as Hubble writes them: absolute, without passwords.

use std::net::SocketAddr;

use super::fields::REDACTED;

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

/// Replaces the password of a URL and, if asked to, cuts off its query and fragment.
pub(super) fn without_secrets(mut url: String, without_query: bool) -> String {
    if without_query && let Some(at) = url.find(['?', '#']) {
        url.truncate(at);
    }
    let Some(start) = url.find("://").map(|at| at + 3) else { return url };
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    let Some(user_end) = url[start..end].rfind('@').map(|at| start + at) else { return url };
    if let Some(colon) = url[start..user_end].find(':').map(|at| start + at) {
        url.replace_range(colon + 1..user_end, REDACTED);
    }
    url
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

    #[test]
    fn urls_are_absolute_and_without_passwords() {
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
            assert_eq!(without_secrets(url, false), expected);
        }
        assert_eq!(without_secrets("http://shop/a?token=1#x".into(), true), "http://shop/a");
        assert_eq!(without_secrets("http://shop/a#x?y".into(), true), "http://shop/a");
    }

    #[test]
    fn cuts_at_a_character() {
        let mut url = "http://a/äöü".to_owned();
        assert!(cut(&mut url, 10) && url == "http://a/");
        assert!(!cut(&mut url, 10));
    }
}
