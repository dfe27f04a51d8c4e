//! Times of the whole range of protobuf (the years 1 to 9999), which is wider than that of [`flow::Timestamp`].

use std::fmt::Write;

const SECONDS_PER_DAY: i64 = 86_400;
/// Seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
pub(super) const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Writes RFC 3339 in UTC with 0, 3, 6 or 9 digits after the second. Times out of range are moved to its edge.
pub(super) fn write(seconds: i64, nanos: i32, out: &mut String) {
    let seconds = seconds.clamp(*RANGE.start(), *RANGE.end());
    let nanos = nanos.clamp(0, 999_999_999);
    let (year, month, day) = date(seconds.div_euclid(SECONDS_PER_DAY));
    let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").expect(TEXT);
    match nanos {
        0 => Ok(()),
        n if n % 1_000_000 == 0 => write!(out, ".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => write!(out, ".{:06}", n / 1_000),
        n => write!(out, ".{n:09}"),
    }
    .expect(TEXT);
    out.push('Z');
}

const TEXT: &str = "writing to a String cannot fail";

/// Reads RFC 3339 with any offset and at most nine digits after the second, as leniently as Go does: the hour may have
/// one digit, and the fraction may begin with a comma.
pub(super) fn read(text: &str) -> Option<(i64, i32)> {
    let mut rest = text.as_bytes();
    let mut number = |width: usize, before: &[u8]| {
        let (head, tail) = rest.strip_prefix(before)?.split_at_checked(width)?;
        let value = digits(head)?;
        rest = tail;
        Some(value)
    };
    let (year, month, day) = (number(4, b"")?, number(2, b"-")?, number(2, b"-")?);
    let hour = number(2, b"T").or_else(|| number(1, b"T"))?;
    let (minute, second) = (number(2, b":")?, number(2, b":")?);
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) || hour > 23 || minute > 59 || second > 59
    {
        return None;
    }
    let (fraction, offset) = match rest {
        [mark @ (b'.' | b','), after @ ..] => {
            let length = after.iter().take_while(|b| b.is_ascii_digit()).count();
            if length == 0 || (*mark == b'.' && length > 9) {
                return None;
            }
            after.split_at(length)
        }
        rest => (&[][..], rest),
    };
    let nanos = (0..9).fold(0, |nanos, at| nanos * 10 + fraction.get(at).map_or(0, |digit| i32::from(digit - b'0')));
    let seconds =
        days(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset_seconds(offset)?;
    RANGE.contains(&seconds).then_some((seconds, nanos))
}

/// Whether a text that [`read`] reads is the one that [`write`] makes of the time.
pub(super) fn is_as_written(text: &str) -> bool {
    let text = text.as_bytes();
    // Without a fraction, or with one that needs all of its digits.
    let fraction = match text.len() {
        20 => true,
        24 | 27 | 30 => text[19] == b'.' && &text[text.len() - 4..] != b"000Z",
        _ => false,
    };
    // The hour has two digits where the colons are here, and the offset one letter.
    fraction && text[13] == b':' && text[16] == b':' && text[text.len() - 1] == b'Z'
}

/// `Z` or `+01:00`; people do write 24 hours and 60 minutes.
fn offset_seconds(bytes: &[u8]) -> Option<i64> {
    if bytes == b"Z" {
        return Some(0);
    }
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if bytes.len() != 6 || bytes[3] != b':' {
        return None;
    }
    let (hours, minutes) = (digits(&bytes[1..3])?, digits(&bytes[4..6])?);
    (hours <= 24 && minutes <= 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |number, b| b.is_ascii_digit().then(|| number * 10 + i64::from(b - b'0')))
}

const fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01. Years begin in March here, so that the leap day is the last one.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
pub(super) const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day since 1970-01-01.
pub(super) const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(i64, i32)>) {
        assert_eq!(read(text), expected, "{text}");
    }

    #[test]
    fn times_are_read() {
        check("1970-01-01T00:00:00Z", Some((0, 0)));
        check("2026-01-15T10:11:12.005000015Z", Some((1_768_471_872, 5_000_015)));
        check("2026-01-15T11:11:12+01:00", Some((1_768_471_872, 0)));
        check("2026-01-15T09:41:12.5-00:30", Some((1_768_471_872, 500_000_000)));
        check("2026-01-15T9:11:12,0000000019+24:60", Some((1_768_378_272, 1)));
        check("0001-01-01T00:00:00Z", Some((-62_135_596_800, 0)));
        check("9999-12-31T23:59:59.999999999Z", Some((253_402_300_799, 999_999_999)));
        check("2024-02-29T00:00:00Z", Some((1_709_164_800, 0)));
        for bad in [
            "",
            "2026-01-15",
            "2023-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-15T24:00:00Z",
            "2026-01-15T10:11:12",
            "2026-01-15T10:11:12.Z",
            "2026-01-15T10:11:12.0000000001Z",
            "2026-01-15T10:11:12+1:00",
            "2026-01-15T10:11:12+é0",
            "0000-01-01T00:00:00Z",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for seconds in (*RANGE.start()..=*RANGE.end()).step_by(86_400 * 13 + 3_607) {
            for nanos in [0, 1, 5_000, 7_000_000, 999_999_999] {
                let mut text = String::new();
                write(seconds, nanos, &mut text);
                assert_eq!(read(&text), Some((seconds, nanos)), "{text}");
                assert!(is_as_written(&text), "{text}");
            }
        }
    }

    #[test]
    fn times_out_of_range_are_moved_to_its_edge() {
        let mut text = String::new();
        write(i64::MIN, -5, &mut text);
        write(i64::MAX, i32::MAX, &mut text);
        assert_eq!(text, "0001-01-01T00:00:00Z9999-12-31T23:59:59.999999999Z");
    }
}
