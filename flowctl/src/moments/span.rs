//! Durations in Go's form: `1h30m`, `1.5s`, `-200ms`.

/// Units with their length in nanoseconds; Go knows no days, we do.
const UNITS: [(&str, i64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads a duration into nanoseconds; `None` for what is not one, or does not fit.
pub(crate) fn parse_span(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0i64;
    while !rest.is_empty() {
        let number_len = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, tail) = rest.split_at(number_len);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scaled(number, *length)?)?;
        rest = tail;
    }
    Some(if negative { -total } else { total })
}

/// `number` times `unit`, cut to whole nanoseconds.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit)?;
    // More digits than this are below a nanosecond for every unit.
    let digits = fraction.get(..fraction.len().min(15))?;
    if !digits.is_empty() {
        let value: i128 = digits.parse().ok()?;
        let scale = 10i128.pow(u32::try_from(digits.len()).expect("at most 15"));
        total = total.checked_add(i64::try_from(value * i128::from(unit) / scale).ok()?)?;
    }
    Some(total)
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
