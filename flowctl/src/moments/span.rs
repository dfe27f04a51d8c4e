//! Durations in Go's form: `1h30m`, `1.5s`, `-200ms`.

/// Units with their length in nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Go knows no days; where a person asks for a part of the history, we do.
const DAY: (&str, u64) = ("d", 86_400_000_000_000);
/// Length of the longest negative duration.
const NANOS_MAX: u64 = 1 << 63;

/// Reads a duration as Go does, into nanoseconds.
///
/// # Errors
/// The text is none, or does not fit; the message is Go's.
pub(crate) fn parse_go_span(text: &str) -> Result<i64, String> {
    parse(text, &[])
}

/// Reads a duration into nanoseconds, days included; `None` for what is not one, or does not fit.
pub(crate) fn parse_span(text: &str) -> Option<i64> {
    parse(text, &[DAY]).ok()
}

fn parse(text: &str, more_units: &[(&str, u64)]) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, tail) = rest.split_at(digits(rest));
        let (fraction, tail) = match tail.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", tail),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let (unit, tail) = tail.split_at(tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len()));
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let (_, length) = UNITS
            .iter()
            .chain(more_units)
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        let part = scaled(whole, fraction, *length).ok_or_else(invalid)?;
        total = total.checked_add(part).filter(|total| *total <= NANOS_MAX).ok_or_else(invalid)?;
        rest = tail;
    }
    if negative {
        return Ok(0i64.checked_sub_unsigned(total).unwrap_or(i64::MIN));
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// The number times the unit, cut to whole nanoseconds; `None` where it does not fit.
fn scaled(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let whole = whole.checked_mul(unit).filter(|nanos| *nanos <= NANOS_MAX)?;
    // What is further behind the point does not reach a nanosecond.
    let (mut value, mut scale) = (0u64, 1f64);
    for digit in fraction.bytes().take(18) {
        value = value * 10 + u64::from(digit - b'0');
        scale *= 10.0;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as Go does"
    )]
    let part = (value as f64 * (unit as f64 / scale)) as u64;
    whole.checked_add(part).filter(|nanos| *nanos <= NANOS_MAX)
}

/// Writes nanoseconds as Go does: `1h0m3s`, `1.5s`, `200ms`, `0s`; what does not fit Go's type as `<n>ns`.
pub(crate) fn format_span(nanos: u64) -> String {
    let Ok(signed) = i64::try_from(nanos) else { return format!("{nanos}ns") };
    match signed {
        0 => "0s".to_owned(),
        1..1_000 => format!("{signed}ns"),
        1_000..1_000_000 => format!("{}\u{b5}s", decimal(signed, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(signed, 1_000_000)),
        _ => {
            let minutes = signed / 60_000_000_000;
            let seconds = decimal(signed % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// `value / unit` with the digits needed; `unit` is a power of ten.
fn decimal(value: i64, unit: i64) -> String {
    let width = usize::try_from(unit.ilog10()).expect("at most 18");
    let fraction = format!("{:0width$}", value % unit);
    match fraction.trim_end_matches('0') {
        "" => (value / unit).to_string(),
        fraction => format!("{}.{fraction}", value / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", Some(0)),
            ("5s", Some(5_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("-200ms", Some(-200_000_000)),
            (".5s", Some(500_000_000)),
            ("3\u{b5}s", Some(3_000)),
            ("1d", Some(86_400_000_000_000)),
            ("5", None),
            ("", None),
            ("s", None),
            (".s", None),
            ("5x", None),
            ("-", None),
            ("99999999999h", None),
        ] {
            assert_eq!(parse_span(text), nanos, "{text}");
        }
        assert_eq!(parse_go_span("1d").unwrap_err(), "time: unknown unit \"d\" in duration \"1d\"");
        assert_eq!(parse_go_span("5").unwrap_err(), "time: missing unit in duration \"5\"");
        assert_eq!(parse_go_span("-9223372036854775808ns"), Ok(i64::MIN));
    }

    #[test]
    fn spans_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (17, "17ns"),
            (1_100, "1.1\u{b5}s"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (3_600_000_000_000, "1h0m0s"),
            (5_001_000_000, "5.001s"),
            (u64::MAX, "18446744073709551615ns"),
        ] {
            assert_eq!(format_span(nanos), text);
        }
    }
}
