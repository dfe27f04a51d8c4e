//! Durations in Go's form: `1h30m`, `1.5s`, `-200ms`.

use flow::go_duration;

/// Go knows no days; where a person asks for a part of the history, we do.
const DAY: (&str, u64) = ("d", 86_400_000_000_000);

/// Reads a duration as Go does, into nanoseconds.
///
/// # Errors
/// The text is none, or does not fit; the message is Go's.
pub(crate) fn parse_go_span(text: &str) -> Result<i64, String> {
    go_duration::parse(text, &[])
}

/// Reads a duration into nanoseconds, days included; `None` for what is not one, or does not fit.
pub(crate) fn parse_span(text: &str) -> Option<i64> {
    go_duration::parse(text, &[DAY]).ok()
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
