//! Time zones by name, from the database of the system.

use std::path::Path;
use std::sync::Mutex;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where systems keep the database.
const FOLDERS: [&str; 4] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"];
/// Zones that are kept once they were read; further ones are read again each time.
const KEPT_MAX: usize = 64;
/// Largest file of a zone that is read; real ones have a few thousand bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

static KEPT: Mutex<Vec<(String, Option<TimeZone>)>> = Mutex::new(Vec::new());

/// Seconds east of Greenwich at a time (in seconds since 1970) in a zone: the name of a place such as `Europe/Berlin`,
/// nothing or `UTC`, or an offset such as `-02:30`. `None` where there is no such zone.
pub(super) fn offset(zone: &str, seconds: i64) -> Option<i64> {
    let Some((hours, minutes)) = zone.split_once(':') else {
        if matches!(zone, "" | "UTC") {
            return Some(0);
        }
        // The first and the last time of the API lie a day beyond what the library takes.
        let nearest = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let time = Timestamp::from_second(nearest).ok()?;
        return named(zone).map(|zone| i64::from(zone.to_offset(time).seconds()));
    };
    let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
    let minutes = if zone.starts_with('-') { -minutes } else { minutes };
    hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)
}

fn named(name: &str) -> Option<TimeZone> {
    let mut kept = KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, zone)) = kept.iter().find(|(known, _)| known == name) {
        return zone.clone();
    }
    let zone = if name == "Local" { Some(local()) } else { from_database(name) };
    if kept.len() < KEPT_MAX {
        kept.push((name.to_owned(), zone.clone()));
    }
    zone
}

/// The name comes from a client: it may not lead out of the database.
fn from_database(name: &str) -> Option<TimeZone> {
    if name.contains("..") || name.starts_with(['/', '\\']) {
        return None;
    }
    let own = std::env::var("ZONEINFO").ok();
    own.iter().map(String::as_str).chain(FOLDERS).find_map(|folder| from_file(&Path::new(folder).join(name)))
}

fn from_file(path: &Path) -> Option<TimeZone> {
    let length = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?.len();
    if length > FILE_BYTES_MAX {
        return None;
    }
    TimeZone::tzif("", &std::fs::read(path).ok()?).ok()
}

/// The zone of this machine, or that which `TZ` names.
fn local() -> TimeZone {
    let Ok(name) = std::env::var("TZ") else {
        return from_file(Path::new("/etc/localtime")).unwrap_or(TimeZone::UTC);
    };
    let name = name.strip_prefix(':').unwrap_or(&name);
    let zone = if name.starts_with('/') { from_file(Path::new(name)) } else { from_database(name) };
    zone.filter(|_| !name.is_empty()).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_offsets_or_names() {
        let summer = 1_782_864_000; // 2026-07-01T00:00:00Z
        for (zone, expected) in [
            ("", Some(0)),
            ("UTC", Some(0)),
            ("-02:30", Some(-9_000)),
            ("+02:30", Some(9_000)),
            ("23:59", Some(86_340)),
            ("Z", None),
            ("../etc/passwd", None),
            ("/etc/localtime", None),
            ("Bogus/Zone", None),
            ("1:x", None),
        ] {
            assert_eq!(offset(zone, summer), expected, "{zone}");
        }
        if Path::new("/usr/share/zoneinfo/Europe/Berlin").exists() {
            assert_eq!(offset("Europe/Berlin", summer), Some(7_200));
            assert_eq!(offset("Europe/Berlin", summer - 180 * 86_400), Some(3_600));
            assert_eq!(offset("Europe/Berlin", -62_135_596_800), offset("Europe/Berlin", -62_135_596_000));
        }
    }
}
