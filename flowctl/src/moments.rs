//! Times and durations as people type and read them: Go's layouts and durations, because Hubble's flags take them.

mod layout;
mod span;

pub(crate) use layout::{TimeLayout, is_yaml_time, parse_moment};
pub(crate) use span::{format_span, parse_go_span, parse_span};

use prost_types::Timestamp;

/// Days, hours and so on of a moment, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    /// 1 to 12.
    month: u8,
    /// 1 to 31.
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    nanos: u32,
    /// 0 is Sunday.
    weekday: u8,
}

const SECONDS_PER_DAY: i64 = 86_400;
/// From 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_SHIFT_DAYS: i64 = 719_468;
/// Days of the 400 years after which the Gregorian calendar repeats.
const ERA_DAYS: i64 = 146_097;

impl Civil {
    /// Splits a moment; `None` for what is none, or not of the years 1 to 9999.
    /// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    fn from_timestamp(time: Timestamp) -> Option<Self> {
        let Timestamp { seconds, nanos } = time;
        let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
        if !SECONDS.contains(&seconds) {
            return None;
        }
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let shifted = days + EPOCH_SHIFT_DAYS;
        let era = shifted.div_euclid(ERA_DAYS);
        let day_of_era = shifted.rem_euclid(ERA_DAYS);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Some(Self {
            year,
            month: small(month),
            day: small(day),
            hour: small(of_day / 3600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
            nanos,
            weekday: small((days + 4).rem_euclid(7)),
        })
    }

    /// Joins the parts; `None` for a day that does not exist.
    fn to_timestamp(self) -> Option<Timestamp> {
        let fits = (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        if !fits {
            return None;
        }
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * ERA_DAYS + day_of_era - EPOCH_SHIFT_DAYS;
        let of_day = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let nanos = i32::try_from(self.nanos).ok()?;
        Some(Timestamp { seconds: days * SECONDS_PER_DAY + of_day, nanos })
    }
}

/// Before, at or after: the order of two moments.
pub(crate) fn order(a: Timestamp, b: Timestamp) -> std::cmp::Ordering {
    (a.seconds, a.nanos).cmp(&(b.seconds, b.nanos))
}

/// The moment this many nanoseconds before another one.
pub(crate) fn before(moment: Timestamp, nanos: i64) -> Timestamp {
    let total = i128::from(moment.seconds) * 1_000_000_000 + i128::from(moment.nanos) - i128::from(nanos);
    Timestamp {
        seconds: i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(i64::MAX),
        nanos: i32::try_from(total.rem_euclid(1_000_000_000)).expect("below a second"),
    }
}

/// Whether a protobuf timestamp may hold it: a moment of the years 1 to 9999.
pub(crate) fn is_valid(moment: Timestamp) -> bool {
    SECONDS.contains(&moment.seconds) && (0..1_000_000_000).contains(&moment.nanos)
}

fn small(value: i64) -> u8 {
    u8::try_from(value).expect("parts of a date and of a time of day are below 256")
}

const fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_back() {
        for seconds in [0, -1, 951_825_600, 4_107_542_401, *SECONDS.start(), *SECONDS.end()] {
            let time = Timestamp { seconds, nanos: 5 };
            assert_eq!(Civil::from_timestamp(time).unwrap().to_timestamp(), Some(time), "{seconds}");
        }
        assert_eq!(Civil::from_timestamp(Timestamp::default()).unwrap().weekday, 4);
        assert!(Civil::from_timestamp(Timestamp { seconds: *SECONDS.end() + 1, nanos: 0 }).is_none());
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        let mut civil = Civil::from_timestamp(Timestamp::default()).unwrap();
        (civil.year, civil.month, civil.day) = (2025, 2, 29);
        assert_eq!(civil.to_timestamp(), None);
    }
}
