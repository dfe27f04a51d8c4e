//! Times of day.
//!
//! The relay writes times as RFC 3339 in UTC and nothing else; reading just that takes a few lines, where a library for
//! every calendar would be a tenth of the module that a browser has to download.

const DAY_MILLIS: i64 = 86_400_000;

/// Milliseconds since the Unix epoch of an RFC 3339 text in UTC; `None` where it is none.
pub(crate) fn millis(rfc3339: &str) -> Option<f64> {
    let (date, time) = rfc3339.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    let is_day = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_day || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds as f64 * 1000.0 + fraction * 1000.0)
}

/// RFC 3339 in UTC, with milliseconds where there are some.
pub(crate) fn rfc3339(millis: f64) -> String {
    let millis = millis.round() as i64;
    let (year, month, day) = date(millis.div_euclid(DAY_MILLIS));
    let rest = millis.rem_euclid(DAY_MILLIS);
    let time = clock(rest / 1000);
    match rest % 1000 {
        0 => format!("{year:04}-{month:02}-{day:02}T{time}Z"),
        millis => format!("{year:04}-{month:02}-{day:02}T{time}.{millis:03}Z"),
    }
}

/// Time of day in the browser's zone, with milliseconds: `10:11:12.001`; the text itself where it is no time.
pub(crate) fn time_of_day(rfc3339: &str, offset_minutes: i32) -> String {
    match millis(rfc3339) {
        Some(millis) => {
            let here = (millis.floor() as i64 + i64::from(offset_minutes) * 60_000).rem_euclid(DAY_MILLIS);
            format!("{}.{:03}", clock(here / 1000), here % 1000)
        }
        None => rfc3339.to_owned(),
    }
}

/// Time of day without milliseconds: `10:11:12`.
pub(crate) fn seconds_of_day(rfc3339: &str, offset_minutes: i32) -> String {
    let text = time_of_day(rfc3339, offset_minutes);
    text.split_once('.').map_or(text.clone(), |(time, _)| time.to_owned())
}

/// Minutes by which the browser's zone is ahead of UTC, now.
pub(crate) fn offset_minutes() -> i32 {
    -(js_sys::Date::new_0().get_timezone_offset() as i32)
}

fn clock(second_of_day: i64) -> String {
    format!("{:02}:{:02}:{:02}", second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| part.parse::<u32>().ok().map(i64::from));
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

/// Days since the Unix epoch of a date in the Gregorian calendar. Years begin in March here, so that the leap day is
/// the last of its year; 400 years have 146,097 days.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date so many days after the Unix epoch: the reverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use flow::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_offset_moves_the_time_of_day() {
        assert_eq!(time_of_day("2026-01-15T10:11:12.001Z", 0), "10:11:12.001");
        assert_eq!(time_of_day("2026-01-15T10:11:12.123456789Z", 0), "10:11:12.123");
        assert_eq!(time_of_day("2026-01-15T23:30:00Z", 60), "00:30:00.000");
        assert_eq!(time_of_day("2026-01-15T00:10:00.5Z", -90), "22:40:00.500");
        assert_eq!(seconds_of_day("2026-01-15T10:11:12.001Z", 0), "10:11:12");
    }

    #[test]
    fn what_is_no_time_stays() {
        for text in
            ["", "soon", "2026-01-15", "2026-13-15T10:11:12Z", "2026-01-15T25:00:00Z", "2026-01-15T10:11:12+01:00"]
        {
            assert_eq!((millis(text), time_of_day(text, 0).as_str()), (None, text));
        }
    }

    proptest! {
        #[test]
        fn times_are_those_of_the_relay(seconds in -62_000_000_000_i64..9_000_000_000, thousandth in 0_i32..1000) {
            let seconds = seconds.clamp(-9_000_000_000, 9_000_000_000);
            let time = Timestamp::from_parts(seconds, thousandth * 1_000_000);
            let expected = time.0 as f64 / 1e6;
            prop_assert!((millis(&time.to_string()).unwrap() - expected).abs() < 0.01, "{time}");
            prop_assert_eq!(rfc3339(expected), time.to_string());
        }
    }
}
