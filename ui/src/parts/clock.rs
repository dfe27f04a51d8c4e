//! Times of day.

use flow::Timestamp;

/// Milliseconds since the Unix epoch of an RFC 3339 text; `None` where it is none.
pub(crate) fn millis(rfc3339: &str) -> Option<f64> {
    Timestamp::parse_rfc3339(rfc3339).ok().map(|time| time.0 as f64 / 1e6)
}

/// Time of day in the browser's zone, with milliseconds: `10:11:12.001`; the text itself where it is no time.
pub(crate) fn time_of_day(rfc3339: &str, offset_minutes: i32) -> String {
    match Timestamp::parse_rfc3339(rfc3339) {
        Ok(time) => {
            let millis_of_day = time.0.div_euclid(1_000_000) + i64::from(offset_minutes) * 60_000;
            let (day_millis, millis) = (millis_of_day.rem_euclid(86_400_000), millis_of_day.rem_euclid(1000));
            let seconds = day_millis / 1000;
            format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        Err(_) => rfc3339.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_moves_the_time_of_day() {
        assert_eq!(time_of_day("2026-01-15T10:11:12.001Z", 0), "10:11:12.001");
        assert_eq!(time_of_day("2026-01-15T23:30:00Z", 60), "00:30:00.000");
        assert_eq!(time_of_day("2026-01-15T00:10:00.5Z", -90), "22:40:00.500");
        assert_eq!(seconds_of_day("2026-01-15T10:11:12.001Z", 0), "10:11:12");
        assert_eq!(time_of_day("soon", 0), "soon");
    }

    #[test]
    fn millis_since_the_epoch() {
        assert_eq!(millis("1970-01-01T00:00:01.5Z"), Some(1500.0));
        assert_eq!(millis(""), None);
    }
}
