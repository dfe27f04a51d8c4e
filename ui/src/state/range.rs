//! The time range.

/// Ranges the picker offers: the text of the parameter and what the button says.
pub(crate) const CHOICES: [(&str, &str); 4] = [("5m", "5m"), ("15m", "15m"), ("1h", "1h"), (ALL, "All")];

/// Everything that is still held.
const ALL: &str = "all";
/// Short enough to be about now, long enough to show who talks to whom.
const DEFAULT: &str = "15m";

/// From when to when: durations back from now (`5m`) or RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    since: String,
    until: String,
}

impl Default for Range {
    fn default() -> Self {
        Self { since: DEFAULT.to_owned(), until: String::new() }
    }
}

impl Range {
    /// A range from `since` (`all`, a duration, a moment) until now.
    pub(crate) fn since(since: &str) -> Self {
        if since.is_empty() { Self::default() } else { Self { since: since.to_owned(), until: String::new() } }
    }

    /// The same start with an end; empty for now.
    pub(crate) fn until(self, until: &str) -> Self {
        Self { until: until.to_owned(), ..self }
    }

    /// The start as in the address bar.
    pub(crate) fn start(&self) -> &str {
        &self.since
    }

    /// The end as in the address bar, empty for now.
    pub(crate) fn end(&self) -> &str {
        &self.until
    }

    /// In words, for "no flows in ...".
    pub(crate) fn words(&self) -> String {
        match (self.since.as_str(), self.until.as_str()) {
            (ALL, "") => "all that is held".to_owned(),
            (since, "") if since.contains('T') => format!("the time since {since}"),
            (since, "") => format!("the last {since}"),
            (since, until) => format!("{since} to {until}"),
        }
    }

    /// Parameters of the address bar; the default range needs none.
    pub(crate) fn to_view(&self) -> Vec<(String, String)> {
        let since = Some(&self.since).filter(|since| *since != DEFAULT);
        named([("since", since), ("until", Some(&self.until).filter(|until| !until.is_empty()))])
    }

    /// Parameters of the relay's API, which has no word for everything.
    pub(crate) fn to_api(&self) -> Vec<(String, String)> {
        let since = Some(&self.since).filter(|since| *since != ALL);
        named([("since", since), ("until", Some(&self.until).filter(|until| !until.is_empty()))])
    }
}

fn named(pairs: [(&str, Option<&String>); 2]) -> Vec<(String, String)> {
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &Range, view: &[(&str, &str)], api: &[(&str, &str)]) {
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        assert_eq!(range.to_view(), owned(view));
        assert_eq!(range.to_api(), owned(api));
    }

    #[test]
    fn parameters() {
        check(&Range::default(), &[], &[("since", "15m")]);
        check(&Range::since("all"), &[("since", "all")], &[]);
        check(
            &Range::since("1h").until("5m"),
            &[("since", "1h"), ("until", "5m")],
            &[("since", "1h"), ("until", "5m")],
        );
    }
}
