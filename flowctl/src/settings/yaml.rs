//! YAML as Hubble's command line writes it: four spaces a level, texts bare where they can be, else quoted.

use std::fmt::Write as _;

use serde_norway::Value as Yaml;

const MEMORY: &str = "writing to memory cannot fail";

/// Columns of a level; the content of a list's item stands behind its `- `.
const LEVEL: usize = 4;
const ITEM: usize = 2;

/// A mapping, sorted by name.
pub(super) fn mapping(mut entries: Vec<(String, Yaml)>) -> String {
    if entries.is_empty() {
        return "{}\n".to_owned();
    }
    entries.sort_by(|(a, _), (b, _)| natural(a, b));
    let mut out = String::new();
    write_mapping(&mut out, &entries, 0);
    out
}

/// A whole document with this value.
pub(crate) fn to_text(value: &Yaml) -> String {
    match value {
        Yaml::Mapping(entries) => mapping(named(entries)),
        Yaml::Sequence(items) if !items.is_empty() => {
            let mut out = String::new();
            write_items(&mut out, items, 0);
            out
        }
        value => format!("{}\n", scalar(value, LEVEL)),
    }
}

fn named(entries: &serde_norway::Mapping) -> Vec<(String, Yaml)> {
    let mut entries: Vec<_> =
        entries.iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value.clone()))).collect();
    entries.sort_by(|(a, _), (b, _)| natural(a, b));
    entries
}

/// Letters before other characters, numbers by value: the order in which mappings are written.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    for (x, y) in a.iter().zip(&b) {
        if x == y {
            continue;
        }
        return match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            _ => x.cmp(y),
        };
    }
    a.len().cmp(&b.len())
}

/// Entries of a mapping in this column, where the first one begins: the writer stands there.
fn write_mapping(out: &mut String, entries: &[(String, Yaml)], column: usize) {
    // Levels below a list's item are where they would be without it.
    let below = (column + LEVEL) / LEVEL * LEVEL;
    for (at, (name, value)) in entries.iter().enumerate() {
        let indent = if at == 0 { 0 } else { column };
        write!(out, "{:indent$}{}:", "", text(name, below)).expect(MEMORY);
        match value {
            Yaml::Mapping(inner) if !inner.is_empty() => {
                write!(out, "\n{:below$}", "").expect(MEMORY);
                write_mapping(out, &named(inner), below);
            }
            Yaml::Sequence(items) if !items.is_empty() => {
                write!(out, "\n{:below$}", "").expect(MEMORY);
                write_items(out, items, below);
            }
            value => writeln!(out, " {}", scalar(value, below)).expect(MEMORY),
        }
    }
}

/// Items of a list in this column, where the first one begins.
fn write_items(out: &mut String, items: &[Yaml], column: usize) {
    let below = column + ITEM;
    for (at, item) in items.iter().enumerate() {
        let indent = if at == 0 { 0 } else { column };
        write!(out, "{:indent$}- ", "").expect(MEMORY);
        match item {
            Yaml::Mapping(inner) if !inner.is_empty() => write_mapping(out, &named(inner), below),
            Yaml::Sequence(items) if !items.is_empty() => write_items(out, items, below),
            item => writeln!(out, "{}", scalar(item, below)).expect(MEMORY),
        }
    }
}

/// A value on one line, but for texts of several, whose lines begin in this column.
fn scalar(value: &Yaml, column: usize) -> String {
    match value {
        Yaml::Null => "null".to_owned(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Number(number) if number.is_f64() => number.as_f64().map_or_else(String::new, float),
        Yaml::Number(number) => number.to_string(),
        Yaml::String(value) => text(value, column),
        Yaml::Sequence(_) => "[]".to_owned(),
        _ => "{}".to_owned(),
    }
}

/// A number as Go's `%g` has it: an exponent from a million on, and below a ten-thousandth.
fn float(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            ".nan"
        } else if value > 0.0 {
            ".inf"
        } else {
            "-.inf"
        }
        .to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    match exponent.parse::<i32>().expect("it is a number") {
        -4..=5 => value.to_string(),
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
    }
}

/// A text: bare, else in single quotes, else as a block of lines, else in double quotes.
fn text(value: &str, column: usize) -> String {
    let form = Form::of(value);
    if value.contains('\n') {
        return if form.block { literal(value, column) } else { double_quoted(value) };
    }
    if means_something_else(value) {
        return double_quoted(value);
    }
    match form {
        Form { plain: true, .. } => value.to_owned(),
        Form { single: true, .. } => format!("'{}'", value.replace('\'', "''")),
        _ => double_quoted(value),
    }
}

/// In which forms a text can stand.
struct Form {
    plain: bool,
    single: bool,
    block: bool,
}

impl Form {
    fn of(value: &str) -> Self {
        let chars: Vec<char> = value.chars().collect();
        let blank_after = |at: usize| chars.get(at + 1).is_none_or(|c| matches!(c, ' ' | '\t'));
        let mut indicators = value.starts_with("---") || value.starts_with("...");
        let (mut special, mut space_before_break, mut space_after_break) = (false, false, false);
        for (at, c) in chars.iter().enumerate() {
            indicators |= match (at, c) {
                (0, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`') => {
                    true
                }
                (0, '?' | '-') | (_, ':') => blank_after(at),
                (_, '#') => at > 0 && matches!(chars[at - 1], ' ' | '\t' | '\n'),
                _ => false,
            };
            special |= !is_printable(*c);
            let before = at.checked_sub(1).map(|before| chars[before]);
            space_before_break |= is_break(*c) && before == Some(' ');
            space_after_break |= *c == ' ' && before.is_some_and(is_break);
        }
        let edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
        let tabs = value.contains('\t');
        let breaks = chars.iter().any(|c| is_break(*c));
        let quotable = !(space_before_break || tabs || special);
        Self {
            plain: quotable
                && !space_after_break
                && !breaks
                && !indicators
                && !edge(chars.first())
                && !edge(chars.last()),
            single: quotable && !space_after_break,
            block: !(space_before_break || special) && chars.last() != Some(&' '),
        }
    }
}

const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

const fn is_printable(c: char) -> bool {
    matches!(c, '\n' | '\t' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Whether a bare text would be read as a number, a truth value, a time or nothing.
fn means_something_else(value: &str) -> bool {
    const WORDS: [&str; 26] = [
        "", "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", ".nan", ".NaN", ".NAN",
        ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", "y", "Y", "n",
    ];
    const OLD_BOOLS: [&str; 13] = ["N", "yes", "Yes", "YES", "on", "On", "ON", "no", "No", "NO", "off", "Off", "OFF"];
    if WORDS.contains(&value) || OLD_BOOLS.contains(&value) {
        return true;
    }
    let plain = value.replace('_', "");
    let numeric = value.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    numeric && (is_integer(&plain) || is_float(&plain) || is_date(value) || is_base_60(value))
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let of = |digits: &str, radix: u32| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    match digits.get(..2) {
        Some("0x" | "0X") => of(&digits[2..], 16),
        Some("0b" | "0B") => of(&digits[2..], 2),
        Some("0o" | "0O") => of(&digits[2..], 8),
        _ => of(digits, 10),
    }
}

fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(n, e)| (n, Some(e)));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let good_exponent = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    let well_formed = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && good_exponent;
    // What is too large for a number is a text.
    well_formed && text.parse().is_ok_and(f64::is_finite)
}

/// `190:20:30` was a number once.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = unsigned.split_once('.').map_or(unsigned, |(whole, _)| whole);
    whole.contains(':')
        && whole.split(':').enumerate().all(|(i, part)| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || (i == 0 && b == b'_'));
            digits && (i == 0 || (part.len() <= 2 && part.parse::<u8>().is_ok_and(|n| n < 60)))
        })
}

/// `2001-01-01`, with or without a time.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    (0..4).all(digit) && bytes.get(4) == Some(&b'-') && crate::moments::is_yaml_time(text)
}

fn literal(value: &str, column: usize) -> String {
    let trimmed = value.trim_end_matches('\n');
    let chomp = match value.len() - trimmed.len() {
        0 => "-",
        1 if !trimmed.is_empty() => "",
        _ => "+",
    };
    let hint = if value.starts_with([' ', '\n']) { "4" } else { "" };
    let mut out = format!("|{hint}{chomp}");
    let body = value.strip_suffix('\n').unwrap_or(value);
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            write!(out, "{:column$}{line}", "").expect(MEMORY);
        }
    }
    out
}

fn double_quoted(value: &str) -> String {
    let mut out = "\"".to_owned();
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if is_printable(c) && c != '\u{feff}' => out.push(c),
            c if u32::from(c) <= 0xff => write!(out, "\\x{:02X}", u32::from(c)).expect(MEMORY),
            c if u32::from(c) <= 0xffff => write!(out, "\\u{:04X}", u32::from(c)).expect(MEMORY),
            c => write!(out, "\\U{:08X}", u32::from(c)).expect(MEMORY),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_only_where_they_must_be() {
        for (value, expected) in [
            ("localhost:4245", "localhost:4245"),
            ("", "\"\""),
            ("true", "\"true\""),
            ("yes", "\"yes\""),
            ("4245", "\"4245\""),
            ("1e3", "\"1e3\""),
            ("1e400", "1e400"),
            ("<<", "<<"),
            ("1.2.3", "1.2.3"),
            ("5s", "5s"),
            ("a: b", "'a: b'"),
            ("{\"a\":1}", "'{\"a\":1}'"),
            ("it's", "it's"),
            ("'it's", "'''it''s'"),
            ("a\tb", "\"a\\tb\""),
            (" a", "' a'"),
            ("a\u{7f}", "\"a\\x7F\""),
            ("a #b", "'a #b'"),
        ] {
            assert_eq!(text(value, 0), expected, "{value:?}");
        }
    }

    #[test]
    fn mappings_are_sorted_and_lists_indented() {
        let entries = vec![
            ("b".to_owned(), Yaml::from(vec!["x", "1"])),
            ("a".to_owned(), Yaml::Bool(false)),
            ("c".to_owned(), Yaml::Sequence(Vec::new())),
        ];
        assert_eq!(mapping(entries), "a: false\nb:\n    - x\n    - \"1\"\nc: []\n");
        assert_eq!(mapping(Vec::new()), "{}\n");
    }

    #[test]
    fn lists_and_mappings_stand_in_each_other_as_hubble_writes_them() {
        let lists: Yaml = serde_norway::from_str("[[a, [b]], {x: 1, k: [2, {z: \"p\\nq\"}]}, \"m\\nn\", []]").unwrap();
        let written = "l:\n    - - a\n      - - b\n    - k:\n        - 2\n        - z: |-\n            p\n            q\n      x: 1\n    - |-\n      m\n      n\n    - []\n";
        assert_eq!(mapping(vec![("l".to_owned(), lists)]), written);
        assert_eq!(to_text(&Yaml::from("a\nb")), "|-\n    a\n    b\n");
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, expected) in [
            (-0.0, "-0"),
            (1.0, "1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1.25e300, "1.25e+300"),
            (f64::NAN, ".nan"),
            (f64::INFINITY, ".inf"),
        ] {
            assert_eq!(float(value), expected);
        }
    }
}
