//! The nine layouts of `--time-format`, and the times `--since` and `--until` take.

use std::io::Write as _;

use anyhow::{Result, anyhow};
use prost_types::Timestamp;

use super::Civil;

/// Layout of a time in text output; all are in UTC, as in Hubble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimeLayout {
    /// `Jan 15 10:11:12.001`
    #[default]
    StampMilli,
    /// `2026-01-15`
    YearMonthDay,
    /// `2026-01-15T10Z`
    YearMonthDayHour,
    /// `2026-01-15T10:11Z`
    YearMonthDayHourMinute,
    /// `2026-01-15T10:11:12Z`
    Rfc3339,
    /// `2026-01-15T10:11:12.001Z`, zeros at the end left out.
    Rfc3339Milli,
    /// `2026-01-15T10:11:12.001002Z`, zeros at the end left out.
    Rfc3339Micro,
    /// `2026-01-15T10:11:12.001002003Z`, zeros at the end left out.
    Rfc3339Nano,
    /// `Thu, 15 Jan 2026 10:11:12 +0000`
    Rfc1123Z,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl TimeLayout {
    /// Names and examples, in the order of the help text.
    pub(crate) const NAMES: [(&'static str, Self, &'static str); 9] = [
        ("StampMilli", Self::StampMilli, "Jan 15 10:11:12.001"),
        ("YearMonthDay", Self::YearMonthDay, "2026-01-15"),
        ("YearMonthDayHour", Self::YearMonthDayHour, "2026-01-15T10Z"),
        ("YearMonthDayHourMinute", Self::YearMonthDayHourMinute, "2026-01-15T10:11Z"),
        ("RFC3339", Self::Rfc3339, "2026-01-15T10:11:12Z"),
        ("RFC3339Milli", Self::Rfc3339Milli, "2026-01-15T10:11:12.001Z"),
        ("RFC3339Micro", Self::Rfc3339Micro, "2026-01-15T10:11:12.001002Z"),
        ("RFC3339Nano", Self::Rfc3339Nano, "2026-01-15T10:11:12.001002003Z"),
        ("RFC1123Z", Self::Rfc1123Z, "Thu, 15 Jan 2026 10:11:12 +0000"),
    ];

    /// Finds a layout by name, in any case; an unknown name is the default layout, as in Hubble.
    pub(crate) fn from_name(name: &str) -> Self {
        Self::NAMES.iter().find(|(n, ..)| n.eq_ignore_ascii_case(name)).map_or_else(Self::default, |(_, l, _)| *l)
    }

    /// Appends a time, or `N/A` where there is none.
    pub(crate) fn write(self, out: &mut Vec<u8>, time: Option<Timestamp>) {
        let Some(civil) = time.and_then(Civil::from_timestamp) else {
            out.extend_from_slice(b"N/A");
            return;
        };
        let Civil { year, month, day, hour, minute, second, nanos, weekday } = civil;
        let month_name = MONTHS[usize::from(month) - 1];
        match self {
            Self::StampMilli => {
                // The layout of most lines, so without the machinery of formatting.
                let digit = |number: u32| b'0' + u8::try_from(number % 10).expect("a digit");
                let millis = nanos / 1_000_000;
                out.extend_from_slice(month_name.as_bytes());
                out.extend_from_slice(&[b' ', if day < 10 { b' ' } else { b'0' + day / 10 }, b'0' + day % 10]);
                for (before, part) in [(b' ', hour), (b':', minute), (b':', second)] {
                    out.extend_from_slice(&[before, b'0' + part / 10, b'0' + part % 10]);
                }
                out.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis)]);
            }
            Self::YearMonthDay => put(out, format_args!("{year:04}-{month:02}-{day:02}")),
            Self::YearMonthDayHour => put(out, format_args!("{year:04}-{month:02}-{day:02}T{hour:02}Z")),
            Self::YearMonthDayHourMinute => {
                put(out, format_args!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}Z"));
            }
            Self::Rfc3339 => write_rfc3339(out, civil, 0),
            Self::Rfc3339Milli => write_rfc3339(out, civil, 3),
            Self::Rfc3339Micro => write_rfc3339(out, civil, 6),
            Self::Rfc3339Nano => write_rfc3339(out, civil, 9),
            Self::Rfc1123Z => {
                let name = WEEKDAYS[usize::from(weekday)];
                put(
                    out,
                    format_args!("{name}, {day:02} {month_name} {year:04} {hour:02}:{minute:02}:{second:02} +0000"),
                );
            }
        }
    }

    /// The text of a time, or `N/A` where there is none.
    pub(crate) fn text(self, time: Option<Timestamp>) -> String {
        let mut out = Vec::with_capacity(32);
        self.write(&mut out, time);
        String::from_utf8(out).expect("times are ASCII")
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory cannot fail");
}

/// At most `digits` digits of the fraction; zeros at its end, and a fraction of zero, are left out.
fn write_rfc3339(out: &mut Vec<u8>, civil: Civil, digits: usize) {
    let Civil { year, month, day, hour, minute, second, nanos, .. } = civil;
    put(out, format_args!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"));
    let fraction = format!("{nanos:09}");
    let fraction = fraction[..digits].trim_end_matches('0');
    if !fraction.is_empty() {
        put(out, format_args!(".{fraction}"));
    }
    out.push(b'Z');
}

/// Reads a time: a duration back from `now` (`5m`, `1h30m`), or one of the layouts above with any offset.
///
/// # Errors
/// The text is neither; the message names the forms that are understood.
pub(crate) fn parse_moment(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Some(back) = super::parse_span(text) {
        // The longest span back has no counterpart: it wraps, and reaches as far back once more.
        return Ok(super::before(now, if back == i64::MIN { i64::MAX } else { back }));
    }
    parse_layouts(text, now).ok_or_else(|| {
        anyhow!(
            "failed to convert {text} to time: give a duration back from now (30s, 5m, 1h30m), or a time such as \
             2026-01-15, 2026-01-15T10:11Z, 2026-01-15T10:11:12.001+01:00 or \"Jan 15 10:11:12.001\""
        )
    })
}

fn parse_layouts(text: &str, now: Timestamp) -> Option<Timestamp> {
    let scan = Scan(text.as_bytes());
    parse_iso(scan).or_else(|| parse_rfc1123z(scan)).or_else(|| parse_stamp(scan, now))
}

/// Whether YAML takes the text for a time: a date, alone or with a time of day.
pub(crate) fn is_yaml_time(text: &str) -> bool {
    let mut scan = Scan(text.as_bytes());
    let date = |scan: &mut Scan<'_>| {
        let mut civil = Civil { year: scan.number(4)?, ..MIDNIGHT };
        scan.literal("-")?;
        civil.month = scan.one_or_two()?;
        scan.literal("-")?;
        civil.day = scan.one_or_two()?;
        civil.to_timestamp()
    };
    if date(&mut scan).is_none() {
        return false;
    }
    let zoned = scan.literal("T").or_else(|| scan.literal("t")).is_some();
    if !zoned && scan.literal(" ").is_none() {
        return scan.0.is_empty();
    }
    let time = |scan: &mut Scan<'_>| {
        scan.one_or_two().filter(|hour| *hour < 24)?;
        scan.literal(":")?;
        scan.one_or_two().filter(|minute| *minute < 60)?;
        scan.literal(":")?;
        scan.one_or_two().filter(|second| *second < 60)?;
        scan.fraction()
    };
    time(&mut scan).is_some() && (!zoned || scan.offset(":").is_some()) && scan.0.is_empty()
}

/// What is left to read; every step takes from the front or fails. Lenient where Go's reader is.
#[derive(Clone, Copy)]
struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (head, tail) = self.0.split_at_checked(digits)?;
        let value = head.iter().try_fold(0i64, |value, byte| match byte {
            b'0'..=b'9' => Some(value * 10 + i64::from(byte - b'0')),
            _ => None,
        })?;
        self.0 = tail;
        Some(value)
    }

    fn part(&mut self, digits: usize) -> Option<u8> {
        u8::try_from(self.number(digits)?).ok()
    }

    /// Hours may have one digit.
    fn one_or_two(&mut self) -> Option<u8> {
        self.part(2).or_else(|| self.part(1))
    }

    fn literal(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text.as_bytes())?;
        Some(())
    }

    /// Any number of spaces, at least one.
    fn spaces(&mut self) -> Option<()> {
        self.literal(" ")?;
        while self.literal(" ").is_some() {}
        Some(())
    }

    /// A name in any case.
    fn one_of(&mut self, names: &[&str]) -> Option<u8> {
        let head =
            |name: &&str| self.0.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()));
        let at = names.iter().position(head)?;
        self.0 = &self.0[names[at].len()..];
        u8::try_from(at).ok()
    }

    /// A fraction such as `.001` or `,001`; none reads as zero. Digits beyond nanoseconds are cut off.
    fn fraction(&mut self) -> Option<u32> {
        let Some(rest) = self.0.strip_prefix(b".").or_else(|| self.0.strip_prefix(b",")) else { return Some(0) };
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let (digits, tail) = rest.split_at(digits);
        self.0 = tail;
        Some((0..9).fold(0, |nanos, i| nanos * 10 + digits.get(i).map_or(0, |d| u32::from(d - b'0'))))
    }

    /// `Z` or `+01:00` (without the colon where `colon` is empty), in seconds east of Greenwich.
    fn offset(&mut self, colon: &str) -> Option<i64> {
        if colon == ":" && self.literal("Z").is_some() {
            return Some(0);
        }
        let sign = match self.one_of(&["+", "-"])? {
            0 => 1,
            _ => -1,
        };
        let hours = self.number(2)?;
        self.literal(colon)?;
        let minutes = self.number(2)?;
        // People do write 24 hours and 60 minutes.
        (hours <= 24 && minutes <= 60).then_some(sign * (hours * 3600 + minutes * 60))
    }

    fn end(self, civil: Civil, offset_seconds: i64) -> Option<Timestamp> {
        if !self.0.is_empty() {
            return None;
        }
        let local = civil.to_timestamp()?;
        Some(Timestamp { seconds: local.seconds - offset_seconds, ..local })
    }
}

const MIDNIGHT: Civil = Civil { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0, nanos: 0, weekday: 0 };

fn parse_iso(mut scan: Scan<'_>) -> Option<Timestamp> {
    let mut civil = Civil { year: scan.number(4)?, ..MIDNIGHT };
    scan.literal("-")?;
    civil.month = scan.part(2)?;
    scan.literal("-")?;
    civil.day = scan.part(2)?;
    if scan.0.is_empty() {
        return scan.end(civil, 0);
    }
    scan.literal("T")?;
    civil.hour = scan.one_or_two()?;
    if scan.literal(":").is_some() {
        civil.minute = scan.part(2)?;
        if scan.literal(":").is_some() {
            civil.second = scan.part(2)?;
            civil.nanos = scan.fraction()?;
        }
    }
    let offset = scan.offset(":")?;
    scan.end(civil, offset)
}

fn parse_rfc1123z(mut scan: Scan<'_>) -> Option<Timestamp> {
    scan.one_of(&WEEKDAYS)?;
    scan.literal(",")?;
    scan.spaces()?;
    let day = scan.part(2)?;
    scan.spaces()?;
    let month = scan.one_of(&MONTHS)? + 1;
    scan.spaces()?;
    let mut civil = Civil { year: scan.number(4)?, month, day, ..MIDNIGHT };
    scan.spaces()?;
    time_of_day(&mut scan, &mut civil)?;
    scan.spaces()?;
    let offset = scan.offset("")?;
    scan.end(civil, offset)
}

/// Without a year: the last such moment that is not in the future, so that a time copied from the output works.
fn parse_stamp(mut scan: Scan<'_>, now: Timestamp) -> Option<Timestamp> {
    let month = scan.one_of(&MONTHS)? + 1;
    scan.spaces()?;
    let day = scan.one_or_two()?;
    scan.spaces()?;
    let mut civil = Civil { year: Civil::from_timestamp(now)?.year, month, day, ..MIDNIGHT };
    time_of_day(&mut scan, &mut civil)?;
    let this_year = scan.end(civil, 0)?;
    if super::order(this_year, now).is_le() {
        return Some(this_year);
    }
    civil.year -= 1;
    scan.end(civil, 0)
}

fn time_of_day(scan: &mut Scan<'_>, civil: &mut Civil) -> Option<()> {
    civil.hour = scan.one_or_two()?;
    scan.literal(":")?;
    civil.minute = scan.part(2)?;
    scan.literal(":")?;
    civil.second = scan.part(2)?;
    civil.nanos = scan.fraction()?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        parse_iso(Scan(text.as_bytes())).unwrap()
    }

    #[test]
    fn every_layout_writes_its_example() {
        let time = at("2026-01-15T10:11:12.001002003Z");
        for (name, layout, example) in TimeLayout::NAMES {
            assert_eq!(layout.text(Some(time)), example, "{name}");
            assert_eq!(TimeLayout::from_name(&name.to_lowercase()), layout);
        }
        assert_eq!(TimeLayout::StampMilli.text(None), "N/A");
        assert_eq!(TimeLayout::Rfc3339Nano.text(Some(at("2026-01-05T10:11:12.100Z"))), "2026-01-05T10:11:12.1Z");
        assert_eq!(TimeLayout::Rfc3339Milli.text(Some(at("2026-01-05T10:11:12.0004Z"))), "2026-01-05T10:11:12Z");
        assert_eq!(TimeLayout::StampMilli.text(Some(at("2026-01-05T10:11:12.0019Z"))), "Jan  5 10:11:12.001");
    }

    #[test]
    fn times_are_read_in_every_form() {
        let now = at("2026-03-01T00:00:00Z");
        for (text, expected) in [
            ("5m", "2026-02-28T23:55:00Z"),
            ("1h30m", "2026-02-28T22:30:00Z"),
            ("-1h", "2026-03-01T01:00:00Z"),
            ("2026-01-15", "2026-01-15T00:00:00Z"),
            ("2026-01-15T10Z", "2026-01-15T10:00:00Z"),
            ("2026-01-15T10+02:00", "2026-01-15T08:00:00Z"),
            ("2026-01-15T10:11-01:30", "2026-01-15T11:41:00Z"),
            ("2026-01-15T9:11:12,5Z", "2026-01-15T09:11:12.5Z"),
            ("thu,  15 jan 2026 10:11:12 +2460", "2026-01-14T09:11:12Z"),
            ("2026-01-15T10:11:12Z", "2026-01-15T10:11:12Z"),
            ("2026-01-15T10:11:12.001002003+00:00", "2026-01-15T10:11:12.001002003Z"),
            ("Thu, 15 Jan 2026 10:11:12 +0100", "2026-01-15T09:11:12Z"),
            ("Jan 15 10:11:12.001", "2026-01-15T10:11:12.001Z"),
            ("Feb  2 10:11:12", "2026-02-02T10:11:12Z"),
            ("Apr 15 10:11:12.001", "2025-04-15T10:11:12.001Z"),
        ] {
            assert_eq!(parse_moment(text, now).unwrap(), at(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "2026-02-30", "2026-01-15T25Z", "2026-01-15T10", "2026-01-15T10:11:12.Z", "5"] {
            let error = parse_moment(text, Timestamp::default()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("failed to convert {text} to time")), "{error}");
        }
    }
}
