//! Messages of protobuf itself with a JSON form of their own: in an extension that form stands in a field `value`.

/// A message of the package `google.protobuf` that is not printed field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Any,
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    List,
    Value,
    Empty,
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Float,
    Double,
    String,
    Bytes,
}

impl Known {
    /// By the full name of the message.
    pub(super) fn by_name(full_name: &str) -> Option<Self> {
        Some(match full_name.strip_prefix("google.protobuf.")? {
            "Any" => Self::Any,
            "Timestamp" => Self::Timestamp,
            "Duration" => Self::Duration,
            "FieldMask" => Self::FieldMask,
            "Struct" => Self::Struct,
            "ListValue" => Self::List,
            "Value" => Self::Value,
            "Empty" => Self::Empty,
            "BoolValue" => Self::Bool,
            "Int32Value" => Self::Int32,
            "Int64Value" => Self::Int64,
            "UInt32Value" => Self::Uint32,
            "UInt64Value" => Self::Uint64,
            "FloatValue" => Self::Float,
            "DoubleValue" => Self::Double,
            "StringValue" => Self::String,
            "BytesValue" => Self::Bytes,
            _ => return None,
        })
    }
}

/// Longest duration, in seconds: some 10,000 years.
const DURATION_SECONDS_MAX: i64 = 315_576_000_000;

/// Reads a duration, such as `1.5s` or `-.1s`, with at most nine digits after the point.
pub(super) fn read_duration(text: &str) -> Option<(i64, i32)> {
    let text = text.strip_suffix('s')?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let text = if negative { text } else { text.strip_prefix('+').unwrap_or(text) };
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let padded = whole.len() > 1 && whole.starts_with('0');
    let nothing = whole.is_empty() && fraction.is_none();
    if nothing || padded || !are_digits(whole) || fraction.is_some_and(|f| f.len() > 9 || !are_digits(f)) {
        return None;
    }
    let seconds: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nanos: i32 = format!("{:0<9}", fraction.unwrap_or_default()).parse().ok()?;
    let sign = if negative { -1 } else { 1 };
    (seconds <= DURATION_SECONDS_MAX).then_some((i64::from(sign) * seconds, sign * nanos))
}

/// The text of a duration, with 0, 3, 6 or 9 digits after the point.
pub(super) fn duration_text(seconds: i64, nanos: i32) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let (seconds, nanos) = (seconds.unsigned_abs(), nanos.unsigned_abs());
    match nanos {
        0 => format!("{sign}{seconds}s"),
        n if n % 1_000_000 == 0 => format!("{sign}{seconds}.{:03}s", n / 1_000_000),
        n if n % 1_000 == 0 => format!("{sign}{seconds}.{:06}s", n / 1_000),
        n => format!("{sign}{seconds}.{n:09}s"),
    }
}

/// Paths of a field mask, which JSON has in camelCase and joined by commas.
pub(super) fn read_paths(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Vec::new());
    }
    let path = |camel: &str| {
        let mut snake = String::with_capacity(camel.len() + 4);
        for c in camel.chars() {
            if c.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        let is_name = |part: &str| {
            part.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
                && part.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        };
        (!camel.contains('_') && snake.split('.').all(is_name)).then_some(snake)
    };
    text.split(',').map(path).collect()
}

/// The form of a path that [`read_paths`] reads.
pub(super) fn camel_path(snake: &str) -> String {
    let mut camel = String::with_capacity(snake.len());
    let mut after_underscore = false;
    for c in snake.chars() {
        if c != '_' {
            camel.push(if after_underscore { c.to_ascii_uppercase() } else { c });
        }
        after_underscore = c == '_';
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_protobuf_writes_them() {
        for (text, expected) in [
            ("1s", Some((1, 0))),
            ("-1.5s", Some((-1, -500_000_000))),
            ("+1.s", Some((1, 0))),
            (".000000001s", Some((0, 1))),
            ("-0s", Some((0, 0))),
            ("315576000000s", Some((315_576_000_000, 0))),
            ("315576000001s", None),
            ("01s", None),
            ("1.0000000000s", None),
            ("1", None),
            ("s", None),
            ("+-1s", None),
            ("1h", None),
            ("1.5.5s", None),
        ] {
            assert_eq!(read_duration(text), expected, "{text}");
        }
        assert_eq!(duration_text(-1, -500_000_000), "-1.500s");
        assert_eq!(duration_text(0, 1), "0.000000001s");
        assert_eq!(duration_text(90, 0), "90s");
        assert_eq!(duration_text(0, -1_000), "-0.000001s");
    }

    #[test]
    fn paths_change_their_case() {
        assert_eq!(read_paths(" a.bC,d "), Some(vec!["a.b_c".to_owned(), "d".to_owned()]));
        assert_eq!(read_paths(""), Some(vec![]));
        for bad in ["a_b", "a,", "a..b", "1", "a b"] {
            assert_eq!(read_paths(bad), None, "{bad}");
        }
        assert_eq!(camel_path("a.b_c"), "a.bC");
    }
}
