//! Numbers for people: three digits, and a unit.

/// A number with a prefix: `987`, `1.2k`, `34M`.
pub(crate) fn count(value: f64) -> String {
    scaled(value, &["", "k", "M", "G", "T"])
}

/// Bytes in decimal units: `0 B`, `1.2 kB`.
pub(crate) fn bytes(value: f64) -> String {
    scaled(value, &[" B", " kB", " MB", " GB", " TB", " PB"])
}

/// Something a second: `1.2k/s`.
pub(crate) fn per_second(value: f64) -> String {
    format!("{}/s", count(value))
}

/// Bytes a second: `1.2 kB/s`.
pub(crate) fn bytes_per_second(value: f64) -> String {
    format!("{}/s", bytes(value))
}

/// A duration given in microseconds: `0.4 µs`, `12 ms`, `1.2 s`.
pub(crate) fn micros(value: f64) -> String {
    if value.is_nan() || value < 0.0 {
        return "–".to_owned();
    }
    match value {
        v if v < 999.5 => format!("{} µs", digits(v)),
        v if v < 999_500.0 => format!("{} ms", digits(v / 1e3)),
        v => seconds(v / 1e6),
    }
}

/// A duration given in seconds: `1.2 s`, `3 m 20 s`, `5 h 2 m`, `3 d 4 h`.
pub(crate) fn seconds(value: f64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    if value < 59.5 {
        return format!("{} s", digits(value.max(0.0)));
    }
    let whole = value.round() as u64;
    let (big, big_unit, small, small_unit) = match whole {
        s if s < HOUR => (s / MINUTE, "m", s % MINUTE, "s"),
        s if s < DAY => (s / HOUR, "h", s % HOUR / MINUTE, "m"),
        s => (s / DAY, "d", s % DAY / HOUR, "h"),
    };
    if small == 0 { format!("{big} {big_unit}") } else { format!("{big} {big_unit} {small} {small_unit}") }
}

/// A share of one as percent: `0 %`, `0.3 %`, `12 %`; never rounds something to nothing or to all.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 0.1 => "< 0.1 %".to_owned(),
        p if p < 9.95 => format!("{p:.1} %"),
        p if (99.5..100.0).contains(&p) => "99 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// A whole number with thin spaces between groups of three: `12 345`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn scaled(value: f64, units: &[&str]) -> String {
    let mut value = value.max(0.0);
    let mut unit = 0;
    // 999.5 would be written as "1000".
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let number = if unit == 0 && value.fract() == 0.0 { format!("{value:.0}") } else { digits(value) };
    format!("{number}{}", units[unit])
}

/// Two or three digits that mean something: `0.04`, `1.2`, `34`, `567`.
fn digits(value: f64) -> String {
    match value {
        v if v <= 0.0 => "0".to_owned(),
        v if v < 0.095 => format!("{v:.2}"),
        v if v < 9.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_bytes() {
        for (value, text) in
            [(0.0, "0"), (7.0, "7"), (0.04, "0.04"), (999.0, "999"), (999.6, "1.0k"), (1234.0, "1.2k"), (34e6, "34M")]
        {
            assert_eq!(count(value), text);
        }
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1500.0), "1.5 kB");
        assert_eq!(bytes(9.99e18), "9990 PB");
        assert_eq!(bytes_per_second(12_345.6), "12 kB/s");
        assert_eq!(per_second(0.25), "0.2/s");
    }

    #[test]
    fn durations() {
        for (value, text) in
            [(0.4, "0.4 µs"), (120.0, "120 µs"), (12_000.0, "12 ms"), (1_234_567.0, "1.2 s"), (-1.0, "–")]
        {
            assert_eq!(micros(value), text);
        }
        for (value, text) in
            [(0.0, "0 s"), (45.0, "45 s"), (200.0, "3 m 20 s"), (7200.0, "2 h"), (273_600.0, "3 d 4 h")]
        {
            assert_eq!(seconds(value), text);
        }
    }

    #[test]
    fn percents_never_hide_something() {
        for (share, text) in
            [(0.0, "0 %"), (0.0001, "< 0.1 %"), (0.034, "3.4 %"), (0.5, "50 %"), (0.9999, "99 %"), (1.0, "100 %")]
        {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn groups_of_three() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1234), "1\u{202f}234");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
