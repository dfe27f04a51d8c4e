//! Query parameters: the range of time, how many, and conditions on flows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use flow::filter::Selection;
use flow::{FlowFilter, Timestamp};
use relay_index::Search;
use table::BatchFilter;

use super::problem::Refusal;
use proto::status::with_causes;

/// Parameters one request may have: more than there are conditions.
const PARAMETERS_MAX: usize = 200;
/// Prefix that excludes what a condition selects.
const NOT: &str = "not-";

/// Parameters of a request as they were given.
#[derive(Debug, Default)]
pub(super) struct Params {
    own: HashMap<&'static str, String>,
    conditions: Vec<(String, String)>,
}

/// Parameters that are no conditions on flows.
const OWN: [&str; 7] = ["since", "until", "last", "first", "by", "edges", "where"];

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = query.map_err(|e| Refusal::bad(format!("the query string cannot be read: {e}"), ""))?;
        Self::read(pairs)
    }
}

impl Params {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        if pairs.len() > PARAMETERS_MAX {
            let error = format!("{} parameters were given where {PARAMETERS_MAX} are allowed", pairs.len());
            return Err(Refusal::bad(error, "separate the values of one parameter by commas"));
        }
        let mut params = Self::default();
        for (name, value) in pairs {
            let Some(own) = OWN.into_iter().find(|own| *own == name) else {
                params.conditions.push((name, value));
                continue;
            };
            if params.own.insert(own, value).is_some() {
                return Err(Refusal::bad(format!("{own} was given twice"), "give it once"));
            }
        }
        Ok(params)
    }

    /// Value of one of [`OWN`]; an empty one counts as not given.
    pub(super) fn own(&self, name: &str) -> Option<&str> {
        self.own.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// Refuses parameters of [`OWN`] that mean nothing to this route.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.own.keys().find(|given| **given != "where" && !known.contains(*given)) {
            Some(given) => Err(Refusal::bad(format!("{given} means nothing here"), "leave it out")),
            None => Ok(()),
        }
    }

    /// A count, at least 1 and at most `max`.
    pub(super) fn count(&self, name: &'static str, max: usize) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.own(name) else { return Ok(None) };
        match text.parse::<usize>() {
            Ok(count) if (1..=max).contains(&count) => Ok(Some(count)),
            _ => Err(Refusal::bad(format!("{name} is {text:?}"), &format!("give a number from 1 to {max}"))),
        }
    }

    /// A moment: RFC 3339, a duration back from `now`, or `now`.
    pub(super) fn moment(&self, name: &'static str, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        self.own(name).map(|text| parse_moment(name, text, now)).transpose()
    }

    /// Which flows are asked for: the conditions, and the range between `since` and `until`.
    pub(super) fn search(&self, now: Timestamp) -> Result<Search, Refusal> {
        let (since, until) = (self.moment("since", now)?, self.moment("until", now)?);
        if let (Some(from), Some(to)) = (since, until)
            && from > to
        {
            return Err(Refusal::bad("since lies after until", "give the earlier moment as since"));
        }
        Ok(Search { filter: Arc::new(self.filter()?), since, until, ..Search::default() })
    }

    fn filter(&self) -> Result<BatchFilter, Refusal> {
        let (whitelist, blacklist) = self.conditions()?;
        let text = self.own("where").unwrap_or_default();
        let query = flow::filter::Query::parse_with(text, proto::cel::compile_for_filter)
            .map_err(|error| Refusal::bad(error.to_string(), WHERE_REMEDY))?;
        let filters = query.compile_with(whitelist, blacklist, proto::cel::compile_for_filter);
        filters.map(BatchFilter::from).map_err(|error| Refusal::bad(with_causes(&error), CONDITIONS_REMEDY))
    }

    fn conditions(&self) -> Result<(Vec<FlowFilter>, Vec<FlowFilter>), Refusal> {
        let refuse = |error| Refusal::bad(with_causes(&error), CONDITIONS_REMEDY);
        let mut selection = Selection::new();
        for (name, value) in &self.conditions {
            let known = Selection::NAMES.iter().any(|(known, _)| name.strip_prefix(NOT).unwrap_or(name) == *known);
            if !known {
                return Err(Refusal::bad(format!("there is no parameter {name:?}"), CONDITIONS_REMEDY));
            }
            selection.add_parameter(name, value).map_err(refuse)?;
        }
        selection.finish().map_err(refuse)
    }
}

const WHERE_REMEDY: &str =
    "write conditions such as verdict=dropped and dst.port=5432; docs/filters.md has the language";
const CONDITIONS_REMEDY: &str = "see /api/openapi.json for the conditions and their values";

fn parse_moment(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    if text == "now" {
        return Ok(now);
    }
    if let Some(back) = parse_duration(text.strip_prefix('-').unwrap_or(text)) {
        return Ok(now.before(back));
    }
    Timestamp::parse_rfc3339(text).map_err(|_| {
        let remedy =
            "give an RFC 3339 time such as 2026-01-15T10:11:12Z, or a duration back from now such as 15m or 2h";
        Refusal::bad(format!("{name} is {text:?}, which is no moment"), remedy)
    })
}

/// Reads `90s`, `1h30m`, `250ms`, `2d`; `None` for anything else.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);

    fn params(pairs: &[(&str, &str)]) -> Result<Params, Refusal> {
        Params::read(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn moments_are_absolute_or_back_from_now() {
        for (text, expected) in [
            ("now", Some(NOW)),
            ("90s", Some(NOW.before(Duration::from_secs(90)))),
            ("-1h30m", Some(NOW.before(Duration::from_secs(5400)))),
            ("2d", Some(NOW.before(Duration::from_secs(172_800)))),
            ("250ms", Some(NOW.before(Duration::from_millis(250)))),
            ("2026-01-15T10:11:12Z", Timestamp::parse_rfc3339("2026-01-15T10:11:12Z").ok()),
            ("yesterday", None),
            ("5", None),
            ("m", None),
            ("5x", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(parse_moment("since", text, NOW).ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |pairs: &[(&str, &str)]| match params(pairs) {
            Ok(params) => params.search(NOW).unwrap_err().problem.error,
            Err(refusal) => refusal.problem.error,
        };
        assert_eq!(error(&[("since", "1m"), ("until", "2m")]), "since lies after until");
        assert_eq!(error(&[("since", "1m"), ("since", "2m")]), "since was given twice");
        assert_eq!(error(&[("colour", "red")]), "there is no parameter \"colour\"");
        assert!(error(&[("port", "http")]).contains("http"));
        assert!(params(&vec![("port", "80"); 201]).unwrap_err().problem.error.contains("201"));
        assert_eq!(params(&[("last", "0")]).unwrap().count("last", 10).unwrap_err().problem.error, "last is \"0\"");
        assert!(params(&[("by", "pod")]).unwrap().only(&["since"]).is_err());
    }

    #[test]
    fn conditions_become_filters() {
        let params = params(&[("port", "80,443"), ("not-verdict", "DROPPED"), ("last", "5")]).unwrap();
        let (whitelist, blacklist) = params.conditions().unwrap();
        assert_eq!(whitelist.len(), 2, "either side");
        assert_eq!(blacklist.len(), 1);
        assert_eq!(params.count("last", 10), Ok(Some(5)));
        assert_eq!(params.count("first", 10), Ok(None));
    }
}
