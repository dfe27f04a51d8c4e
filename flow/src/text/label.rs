//! Label values of Hubble's metrics. Clients choose methods and types, so those without a name share one value: else a
//! single client could make as many series as a metric may have, and nobody else would get one.

use super::dns_rcode_text;

/// What stands for methods and types without a name.
const UNKNOWN: &str = "Unknown";

/// Methods of HTTP that have a name, in order.
///
/// Source: IANA, Hypertext Transfer Protocol (HTTP) Method Registry; UPnP Device Architecture 2.0; `PURGE` of caches.
const METHODS: [&str; 45] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "M-SEARCH",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "NOTIFY",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SUBSCRIBE",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Method of HTTP as the label `method`: `Unknown` for one without a name, empty where the request was not seen.
#[must_use]
pub fn method_label(method: &str) -> &str {
    if method.is_empty() || METHODS.contains(&method) { method } else { UNKNOWN }
}

/// Type of DNS records as the labels `qtypes` and `type`: `Unknown` for one without a name, such as `TYPE65534`, as
/// Hubble calls it too.
#[must_use]
pub fn dns_type_label(name: &str) -> &str {
    let number = name.strip_prefix("TYPE");
    if number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) { UNKNOWN } else { name }
}

/// Response code of DNS as the label `rcode`, which Hubble does not name everywhere as in its texts; empty for numbers
/// without a name.
#[must_use]
pub const fn dns_rcode_label(number: u32) -> &'static str {
    match number {
        9 => "Not Authorized",
        11 => "DSO-TYPE Not Implemented",
        23 => "Bad/missing Server Cookie",
        0..=22 if !matches!(number, 12..=15) => dns_rcode_text(number),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_choose_becomes_few_values() {
        for method in ["GET", "QUERY", "VERSION-CONTROL", "M-SEARCH", ""] {
            assert_eq!(method_label(method), method);
        }
        for method in ["AAA", "get", "GETX", "overflow"] {
            assert_eq!(method_label(method), "Unknown");
        }
        for name in ["A", "CAA", "NSEC3PARAM"] {
            assert_eq!(dns_type_label(name), name);
        }
        assert_eq!(dns_type_label("TYPE65534"), "Unknown");
    }

    /// Hubble 1.19.4, `pkg/hubble/metrics/dns/rcode.go`.
    #[test]
    fn response_codes_are_named_as_in_hubbles_metrics() {
        let names = [
            (0, "No Error"),
            (3, "Non-Existent Domain"),
            (9, "Not Authorized"),
            (10, "Name not contained in zone"),
            (11, "DSO-TYPE Not Implemented"),
            (12, ""),
            (15, ""),
            (16, "Bad OPT Version"),
            (22, "Bad Truncation"),
            (23, "Bad/missing Server Cookie"),
            (24, ""),
        ];
        for (number, name) in names {
            assert_eq!(dns_rcode_label(number), name, "{number}");
        }
    }
}
