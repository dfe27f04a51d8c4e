//! Values of flags in the forms that Go's standard library reads, for Hubble's flags take those.

/// Reads a truth value.
///
/// # Errors
/// The text is none of the twelve forms; the message is the reason.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// Reads an unsigned number of at most `max`: decimal, `0x`, `0o` or `0`, `0b`, with underscores between digits.
///
/// # Errors
/// The text is no number, or a larger one; the message is the reason.
pub(crate) fn unsigned(text: &str, max: u64) -> Result<u64, String> {
    let problem = |what: &str| Err(format!("strconv.ParseUint: parsing {text:?}: {what}"));
    match flow::filter::parse_prefixed(text) {
        None => problem("invalid syntax"),
        Some(Some(number)) if number <= max => Ok(number),
        Some(_) => problem("value out of range"),
    }
}

/// Reads one record of comma-separated values, with quotes around those that hold commas (RFC 4180).
///
/// # Errors
/// A quote stands where none may; the message is the reason.
pub(crate) fn comma_separated(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    // A record ends with its line, and blank lines before it are no records.
    let mut rest = text.trim_start_matches(['\n', '\r']);
    if rest.is_empty() {
        return if text.is_empty() { Ok(fields) } else { Err("EOF".to_owned()) };
    }
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find([',', '\n']).unwrap_or(rest.len());
            let field =
                rest[..end].strip_suffix('\r').filter(|_| !rest[end..].starts_with(',')).unwrap_or(&rest[..end]);
            if field.contains('"') {
                return Err("parse error on line 1: bare \" in non-quoted field".to_owned());
            }
            fields.push(field.to_owned());
            match rest[end..].strip_prefix(',') {
                Some(next) => rest = next,
                None => return Ok(fields),
            }
            continue;
        };
        let (field, after) = quoted_field(quoted)?;
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() || after.starts_with('\n') || after.starts_with("\r\n") => return Ok(fields),
            None => return Err("parse error on line 1: extraneous or missing \" in quoted-field".to_owned()),
        }
    }
}

/// What stands between the quotes, and what follows them; two quotes in a row are one of the text.
fn quoted_field(mut rest: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    loop {
        let Some(at) = rest.find('"') else {
            return Err("parse error on line 1: extraneous or missing \" in quoted-field".to_owned());
        };
        field.push_str(&rest[..at]);
        match rest[at + 1..].strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, &rest[at + 1..])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_base() {
        for (text, number) in [("0", 0), ("007", 7), ("0x10", 16), ("0b101", 5), ("0o17", 15), ("1_000", 1_000)] {
            assert_eq!(unsigned(text, u64::MAX), Ok(number), "{text}");
        }
        for text in ["", "-1", "+1", "08", "_1", "1_", "1__0", "0x", "x", "1.0"] {
            assert!(unsigned(text, u64::MAX).unwrap_err().ends_with("invalid syntax"), "{text}");
        }
        for text in ["65536", "18446744073709551616"] {
            assert!(unsigned(text, 65_535).unwrap_err().ends_with("value out of range"), "{text}");
        }
    }

    #[test]
    fn records_are_split_at_commas() {
        let read = |text: &str| comma_separated(text);
        assert_eq!(read("a,b"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(read("\"a,\"\"b\"\"\",c"), Ok(vec!["a,\"b\"".to_owned(), "c".to_owned()]));
        assert_eq!(read(""), Ok(Vec::new()));
        assert_eq!(read(","), Ok(vec![String::new(), String::new()]));
        assert_eq!(read("a\nb"), Ok(vec!["a".to_owned()]));
        assert!(read("a\"b").is_err());
        assert!(read("\"a").is_err());
        assert!(read("\"a\"b").is_err());
    }
}
