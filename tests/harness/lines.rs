//! Lines of Hubble's JSON.

/// A line without the deprecated fields that our servers fill in for old clients, as agents do: `reply` and
/// `drop_reason`.
#[must_use]
pub fn without_deprecated(line: &str) -> String {
    let line = line.replace("\"reply\":true,", "");
    let Some((before, rest)) = line.split_once("\"drop_reason\":") else { return line };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(',');
    format!("{before}{rest}")
}
