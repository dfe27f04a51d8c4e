//! Verdicts: never by colour alone.

/// Class and icon of a verdict by its Hubble name.
pub(crate) fn look(verdict: &str) -> (&'static str, &'static str) {
    match verdict {
        "DROPPED" | "ERROR" => ("dropped", "drop"),
        "AUDIT" => ("audit", "eye"),
        "" | "VERDICT_UNKNOWN" => ("unknown", "dot"),
        _ => ("forwarded", "pass"),
    }
}
