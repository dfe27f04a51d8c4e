//! Numbers as people read them.

/// Bytes in powers of ten: `532 B`, `1.4 kB`, `20 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, &["B", "kB", "MB", "GB", "TB", "PB"], 1000.0)
}

/// Microseconds: `48 µs`, `1.2 ms`, `3.4 s`.
pub(crate) fn micros(micros: f64) -> String {
    scaled(micros, &["µs", "ms", "s"], 1000.0)
}

fn scaled(value: f64, units: &[&str], step: f64) -> String {
    let (mut value, mut unit) = (value, 0);
    while value >= step && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    // Two digits are read at a glance.
    if value >= 10.0 || value.fract() == 0.0 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// A count, empty for none.
pub(crate) fn count(count: u64) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

/// A rate or another number that may be small: three digits, whole from a hundred on.
pub(crate) fn rate(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 0.005 => "<0.01".to_owned(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_and_a_unit() {
        for (value, expected) in
            [(0, "0 B"), (999, "999 B"), (1_400, "1.4 kB"), (20_000_000, "20 MB"), (u64::MAX, "18447 PB")]
        {
            assert_eq!(bytes(value), expected);
        }
        assert_eq!([0.0, 0.001, 0.5, 12.34, 1234.5].map(rate), ["0", "<0.01", "0.50", "12.3", "1234"]);
        assert_eq!((micros(48.0), micros(1_240.0), micros(3.4e6)), ("48 µs".into(), "1.2 ms".into(), "3.4 s".into()));
    }
}
