//! Whole numbers in any of JSON's forms: `17`, `17.0`, `1.7e1`, `"17"`.

use super::lexer::number_length;

/// The number as a sign and a value below 2^64; `None` for what is not whole or larger.
pub(super) fn whole(text: &[u8]) -> Option<(bool, u64)> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    if text.len() <= 18 && text.iter().all(u8::is_ascii_digit) {
        return Some((negative, text.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))));
    }
    let end = text.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(text.len());
    let (mantissa, exponent) = (&text[..end], text.get(end + 1..).unwrap_or_default());
    let point = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    let integer = mantissa[..point].strip_prefix(b"0").unwrap_or(&mantissa[..point]);
    let fraction = mantissa.get(point + 1..).unwrap_or_default();
    let fraction = &fraction[..fraction.iter().rposition(|b| *b != b'0').map_or(0, |last| last + 1)];
    if matches!(exponent, b"+" | b"-") {
        return None;
    }
    if integer.is_empty() && fraction.is_empty() {
        return Some((negative, 0));
    }
    let exponent: i32 = if exponent.is_empty() { 0 } else { std::str::from_utf8(exponent).ok()?.parse().ok()? };
    let digits = match usize::try_from(exponent) {
        Ok(shift) => {
            if fraction.len() > shift || integer.len() + shift > MOST_DIGITS {
                return None;
            }
            let zeros = std::iter::repeat_n(b'0', shift - fraction.len());
            integer.iter().chain(fraction).copied().chain(zeros).collect::<Vec<u8>>()
        }
        Err(_) => {
            let shift = usize::try_from(exponent.unsigned_abs()).ok()?;
            let kept = integer.len().checked_sub(shift).filter(|_| fraction.is_empty())?;
            if integer[kept..].iter().any(|digit| *digit != b'0') {
                return None;
            }
            integer[..kept].to_vec()
        }
    };
    // Shifting all digits out leaves nothing, which is no number.
    if digits.is_empty() {
        return None;
    }
    let value =
        digits.iter().try_fold(0u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    Some((negative, value?))
}

/// Digits of the largest 64-bit number.
const MOST_DIGITS: usize = 20;

/// The number that a string begins with: no space stands around the text, and what follows the number, if anything, does
/// not go on like one. Go's library looks no further.
pub(super) fn in_text(text: &str) -> Option<&[u8]> {
    let bytes = text.as_bytes();
    let length = number_length(bytes).filter(|_| text.trim().len() == text.len())?;
    bytes.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_in_every_form() {
        for (text, expected) in [
            ("0", Some((false, 0))),
            ("-0", Some((true, 0))),
            ("17", Some((false, 17))),
            ("17.00", Some((false, 17))),
            ("1.7e1", Some((false, 17))),
            ("170e-1", Some((false, 17))),
            ("0e5", Some((false, 0))),
            ("18446744073709551615", Some((false, u64::MAX))),
            ("18446744073709551616", None),
            ("1.5", None),
            ("1e-1", None),
            ("1e99", None),
            ("1e+", None),
            ("0e+", None),
            ("0.0e-", None),
        ] {
            assert_eq!(whole(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(in_text("12"), Some(&b"12"[..]));
        for text in ["12 x", "12,", "12\u{e9}", "12\"", "12 13"] {
            assert_eq!(in_text(text), Some(&b"12"[..]), "{text:?}");
        }
        for bad in ["", " 12", "12 ", "12\u{a0}", "12 x ", "1x", "1_", "1-", "+1", "0x1"] {
            assert_eq!(in_text(bad), None, "{bad:?}");
        }
    }
}
