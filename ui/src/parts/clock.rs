//! Times as people read them.
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

/// Where and when times are read. Both are asked for each time: a page stays open past midnight, and last month's times
/// may have another offset than today's.
#[derive(Clone, Copy)]
pub(crate) struct Zone {
    /// Minutes by which the zone is ahead of UTC at a moment, in milliseconds since the Unix epoch.
    pub(crate) offset_minutes: fn(f64) -> i32,
    /// Milliseconds since the Unix epoch, now.
    pub(crate) now_millis: fn() -> f64,
}

impl Zone {
    /// The browser's.
    pub(crate) const BROWSER: Self = Self { offset_minutes: browser_offset, now_millis: js_sys::Date::now };

    /// Time of day with milliseconds, after the day where that is another than today's: `10:11:12.001`,
    /// `Jan 14 10:11:12.001`, `2024 Dec 31 10:11:12.001`; the text itself where it is no time.
    pub(crate) fn time(self, rfc3339: &str) -> String {
        self.written(rfc3339, |here| format!("{}{}", self.day(here), here.millis()))
    }

    /// The same without milliseconds.
    pub(crate) fn seconds(self, rfc3339: &str) -> String {
        self.written(rfc3339, |here| format!("{}{}", self.day(here), here.seconds()))
    }

    /// From one time to another, without milliseconds; a day that they share is said once.
    pub(crate) fn span(self, first: &str, last: &str) -> String {
        let (Some(from), Some(to)) = (self.read(first), self.read(last)) else { return format!("{first} – {last}") };
        if from.day == to.day {
            format!("{}{} – {}", self.day(from), from.seconds(), to.seconds())
        } else {
            let [from_day, to_day] = [from, to].map(|here| self.named_day(here));
            format!("{from_day}{} – {to_day}{}", from.seconds(), to.seconds())
        }
    }

    /// Whether a time is of another day than today; false for what is no time.
    pub(crate) fn is_other_day(self, rfc3339: &str) -> bool {
        self.read(rfc3339).is_some_and(|here| here.day != self.today())
    }

    fn written(self, rfc3339: &str, write: impl FnOnce(Local) -> String) -> String {
        self.read(rfc3339).map_or_else(|| rfc3339.to_owned(), write)
    }

    fn read(self, rfc3339: &str) -> Option<Local> {
        millis(rfc3339).map(|millis| self.local(millis))
    }

    fn local(self, millis: f64) -> Local {
        let here = millis.floor() as i64 + i64::from((self.offset_minutes)(millis)) * 60_000;
        Local { day: here.div_euclid(DAY_MILLIS), milli_of_day: here.rem_euclid(DAY_MILLIS) }
    }

    fn today(self) -> i64 {
        self.local((self.now_millis)()).day
    }

    /// The day and a space; nothing for today.
    fn day(self, here: Local) -> String {
        if here.day == self.today() { String::new() } else { self.named_day(here) }
    }

    /// The day and a space, with its year where it could be taken for one of another year.
    fn named_day(self, here: Local) -> String {
        let (year, month, day) = date(here.day);
        let month = MONTHS[(month - 1) as usize];
        let is_near = (here.day - self.today()).abs() < NEAR_DAYS;
        if is_near { format!("{month} {day} ") } else { format!("{year} {month} {day} ") }
    }
}

/// Half a year: days nearer than that are told apart without the year.
const NEAR_DAYS: i64 = 182;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn browser_offset(millis: f64) -> i32 {
    -(js_sys::Date::new(&millis.into()).get_timezone_offset() as i32)
}

/// A moment in a zone.
#[derive(Clone, Copy)]
struct Local {
    /// Days since the Unix epoch.
    day: i64,
    milli_of_day: i64,
}

impl Local {
    fn seconds(self) -> String {
        clock(self.milli_of_day / 1000)
    }

    fn millis(self) -> String {
        format!("{}.{:03}", self.seconds(), self.milli_of_day % 1000)
    }
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

    /// Read on 15 January 2026 at noon UTC.
    fn zone(offset_minutes: fn(f64) -> i32) -> Zone {
        Zone { offset_minutes, now_millis: || millis("2026-01-15T12:00:00Z").unwrap() }
    }

    #[test]
    fn times_of_today_are_times_of_day() {
        let utc = zone(|_| 0);
        assert_eq!(utc.time("2026-01-15T10:11:12.001Z"), "10:11:12.001");
        assert_eq!(utc.time("2026-01-15T10:11:12.123456789Z"), "10:11:12.123");
        assert_eq!(utc.seconds("2026-01-15T10:11:12.001Z"), "10:11:12");
        assert_eq!(zone(|_| 60).time("2026-01-14T23:30:00Z"), "00:30:00.000");
        assert_eq!(zone(|_| -90).time("2026-01-16T00:10:00.5Z"), "22:40:00.500");
    }

    #[test]
    fn other_times_have_their_day() {
        let utc = zone(|_| 0);
        assert_eq!(utc.time("2026-01-14T10:11:12.001Z"), "Jan 14 10:11:12.001");
        assert_eq!(utc.seconds("2026-01-16T00:00:00Z"), "Jan 16 00:00:00");
        assert_eq!(utc.seconds("2025-12-31T10:11:12Z"), "Dec 31 10:11:12");
        assert_eq!(utc.seconds("2024-12-31T10:11:12Z"), "2024 Dec 31 10:11:12");
        assert_eq!(zone(|_| 60).time("2026-01-15T23:30:00Z"), "Jan 16 00:30:00.000");
        let other_days = ["2026-01-14T23:59:59Z", "2026-01-15T00:00:00Z", "soon"].map(|time| utc.is_other_day(time));
        assert_eq!(other_days, [true, false, false]);
    }

    #[test]
    fn each_time_has_the_offset_of_its_moment() {
        // Berlin goes from two hours to one on 26 October 2025 at 01:00 UTC.
        let berlin = zone(|at| if at < millis("2025-10-26T01:00:00Z").unwrap() { 120 } else { 60 });
        assert_eq!(berlin.seconds("2025-10-25T22:30:00Z"), "Oct 26 00:30:00");
        assert_eq!(berlin.span("2025-10-26T00:30:00Z", "2025-10-26T01:30:00Z"), "Oct 26 02:30:00 – 02:30:00");
        assert_eq!(berlin.seconds("2026-01-15T10:00:00Z"), "11:00:00");
    }

    #[test]
    fn spans_say_a_common_day_once() {
        let utc = zone(|_| 0);
        assert_eq!(utc.span("2026-01-15T10:00:00Z", "2026-01-15T11:00:00.5Z"), "10:00:00 – 11:00:00");
        assert_eq!(utc.span("2026-01-14T10:00:00Z", "2026-01-14T11:00:00Z"), "Jan 14 10:00:00 – 11:00:00");
        assert_eq!(utc.span("2026-01-14T10:00:00Z", "2026-01-15T11:00:00Z"), "Jan 14 10:00:00 – Jan 15 11:00:00");
        assert_eq!(utc.span("soon", "later"), "soon – later");
    }

    #[test]
    fn what_is_no_time_stays() {
        for text in
            ["", "soon", "2026-01-15", "2026-13-15T10:11:12Z", "2026-01-15T25:00:00Z", "2026-01-15T10:11:12+01:00"]
        {
            assert_eq!((millis(text), zone(|_| 0).time(text).as_str()), (None, text));
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
