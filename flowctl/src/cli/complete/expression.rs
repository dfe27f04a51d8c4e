//! Candidates for expressions of the filter language.

use flow::filter::{Measure, Query, Wanted};

use super::{AskServer, Candidate, known_values_of_condition};

/// Signs that a value can have in quotes only.
const SIGNS: &str = "()=!~<>,\"'&|";

/// The expression as typed, with each word that may stand at its end. Where there is one such word only, it comes with
/// each way to go on: a shell would end the argument after a single candidate.
pub(super) fn candidates(typed: &str, ask: &AskServer<'_>) -> Vec<Candidate> {
    let Some(completion) = Query::complete(typed) else { return Vec::new() };
    let before = &typed[..completion.start];
    let (words, ways_on): (Vec<Candidate>, &[&str]) = match &completion.wanted {
        Wanted::Key => (keys(), &["=", " in (", " > "]),
        Wanted::Operator => (words(&["=", "!=", "in (", "not in ("]), &[""]),
        Wanted::List => (words(&["("]), &[""]),
        Wanted::Join => (words(&["and ", "or "]), &[""]),
        Wanted::Value { condition, label, listed } => {
            let known = known_values_of_condition(condition).map(lower_case);
            let values = known.unwrap_or_else(|| values(ask(condition, label.as_deref())));
            (values, if *listed { &[", ", ")"] } else { &["", " and ", " or "] })
        }
    };
    let begins = |word: &str| word.trim_start_matches(['"', '\'']).starts_with(&completion.typed);
    let mut fitting: Vec<Candidate> = words.into_iter().filter(|(word, _)| begins(word)).collect();
    if let [(word, help)] = &fitting[..]
        && !word.ends_with(' ')
    {
        let is_measure = Measure::ALL.iter().any(|measure| measure.name() == word);
        let fits = |way: &&&str| completion.wanted != Wanted::Key || (**way == " > ") == is_measure;
        fitting = ways_on.iter().filter(fits).map(|way| (format!("{word}{way}"), *help)).collect();
    }
    fitting.into_iter().map(|(word, help)| (format!("{before}{word}"), help)).collect()
}

fn words(words: &[&str]) -> Vec<Candidate> {
    words.iter().map(|word| ((*word).to_owned(), "")).collect()
}

fn keys() -> Vec<Candidate> {
    let mut keys = Query::keys();
    keys.dedup_by(|a, b| a.0 == b.0);
    keys.push(("not ".to_owned(), "what follows must not be true"));
    keys
}

/// As people write them in expressions.
fn lower_case(values: Vec<Candidate>) -> Vec<Candidate> {
    values.into_iter().map(|(value, help)| (value.to_lowercase(), help)).collect()
}

/// Names in quotes where they need some.
fn values(values: Vec<String>) -> Vec<Candidate> {
    let quoted = |value: String| {
        let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || SIGNS.contains(c));
        if plain { value } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
    };
    values.into_iter().map(|value| (quoted(value), "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(condition: &str, label: Option<&str>) -> Vec<String> {
        match (condition, label) {
            ("from-namespace", None) => vec!["shop".to_owned(), "kube-system".to_owned()],
            ("from-label", Some("app")) => vec!["web".to_owned()],
            ("to-label", None) => vec!["k8s:app=web".to_owned()],
            _ => Vec::new(),
        }
    }

    #[track_caller]
    fn check(typed: &str, expected: &[&str]) {
        let words: Vec<String> = candidates(typed, &ask).into_iter().map(|(word, _)| word).collect();
        assert_eq!(words, expected, "{typed}");
    }

    #[test]
    fn each_place_has_its_words() {
        check("src.na", &[]);
        check("src.n", &["src.ns=", "src.ns in ("]);
        check("late", &["latency > "]);
        check("pod=a and not src.wo", &["pod=a and not src.workload=", "pod=a and not src.workload in ("]);
        check("verdict ", &["verdict =", "verdict !=", "verdict in (", "verdict not in ("]);
        check("verdict=dro", &["verdict=dropped", "verdict=dropped and ", "verdict=dropped or "]);
        check(
            "verdict=",
            &["forwarded", "dropped", "error", "audit", "redirected", "traced", "translated"]
                .map(|v| format!("verdict={v}"))
                .each_ref()
                .map(String::as_str),
        );
        check("src.ns in (shop, ku", &["src.ns in (shop, kube-system, ", "src.ns in (shop, kube-system)"]);
        check("src.ns=shop a", &["src.ns=shop and "]);
        check("src.label.app=w", &["src.label.app=web", "src.label.app=web and ", "src.label.app=web or "]);
        assert_eq!(candidates("dst.label=", &ask)[0].0, "dst.label=\"k8s:app=web\"");
        check("verdict verdict ", &[]);
    }
}
