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
/// Length of the longest negative duration.
const NANOS_MAX: u64 = 1 << 63;

/// Reads a duration in Go's form into nanoseconds; further units have their length in nanoseconds.
///
/// # Errors
/// The text is none, or does not fit; the message is Go's.
pub fn parse(text: &str, more_units: &[(&str, u64)]) -> Result<i64, String> {
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
    // As many digits count as a number holds.
    let (mut digits, mut scale) = (0u64, 1f64);
    for digit in fraction.bytes() {
        let longer = digits.checked_mul(10).and_then(|d| d.checked_add(u64::from(digit - b'0')));
        let Some(longer) = longer.filter(|longer| *longer <= NANOS_MAX) else { break };
        (digits, scale) = (longer, scale * 10.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "Go works a fraction out like this, with the same loss")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is less than one unit")]
    let part = (digits as f64 * (unit as f64 / scale)) as u64;
    whole.checked_add(part).filter(|nanos| *nanos <= NANOS_MAX)
}
