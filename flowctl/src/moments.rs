//! Times and durations as people type and read them: Go's layouts and durations, because Hubble's flags take them.

mod layout;
mod span;

pub(crate) use layout::{TimeLayout, parse_moment};
pub(crate) use span::{format_span, parse_span};

use flow::Timestamp;

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
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_SHIFT_DAYS: i64 = 719_468;
/// Days of the 400 years after which the Gregorian calendar repeats.
const ERA_DAYS: i64 = 146_097;

impl Civil {
    /// Splits a moment. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    fn from_timestamp(time: Timestamp) -> Self {
        let (seconds, nanos) = time.parts();
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
        Self {
            year,
            month: small(month),
            day: small(day),
            hour: small(of_day / 3600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
            nanos: u32::try_from(nanos).expect("a timestamp's nanoseconds are never negative"),
            weekday: small((days + 4).rem_euclid(7)),
        }
    }

    /// Joins the parts; `None` for a day that does not exist or a moment outside of what a timestamp holds.
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
        let nanos = (days * SECONDS_PER_DAY + of_day)
            .checked_mul(Timestamp::NANOS_PER_SECOND)?
            .checked_add(i64::from(self.nanos))?;
        Some(Timestamp(nanos))
    }
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
        for text in ["1970-01-01T00:00:00Z", "1969-12-31T23:59:59.5Z", "2000-02-29T12:00:00Z", "2100-03-01T00:00:01Z"] {
            let time = Timestamp::parse_rfc3339(text).unwrap();
            assert_eq!(Civil::from_timestamp(time).to_timestamp(), Some(time), "{text}");
        }
        assert_eq!(Civil::from_timestamp(Timestamp(0)).weekday, 4);
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        let mut civil = Civil::from_timestamp(Timestamp(0));
        (civil.year, civil.month, civil.day) = (2025, 2, 29);
        assert_eq!(civil.to_timestamp(), None);
    }
}
