//! Candidates for expressions of the filter language.

use flow::filter::{Query, Wanted};

use super::{AskServer, Candidate, known_values_of_condition};

/// Signs that a value can have in quotes only.
const SIGNS: &str = "()=!~<>,\"'&|";

/// The expression as typed, with each word that may stand at its end.
pub(super) fn candidates(typed: &str, ask: &AskServer<'_>) -> Vec<Candidate> {
    let Some(completion) = Query::complete(typed) else { return Vec::new() };
    let before = &typed[..completion.start];
    let words = match &completion.wanted {
        Wanted::Key => keys(),
        Wanted::Operator => words(&["=", "!=", "in (", "not in ("]),
        Wanted::List => words(&["("]),
        Wanted::Join => words(&["and ", "or "]),
        Wanted::Value { condition, label } => {
            let known = known_values_of_condition(condition).map(lower_case);
            known.unwrap_or_else(|| values(ask(condition, label.as_deref())))
        }
    };
    let begins = |word: &str| word.trim_start_matches(['"', '\'']).starts_with(&completion.typed);
    words.into_iter().filter(|(word, _)| begins(word)).map(|(word, help)| (format!("{before}{word}"), help)).collect()
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

    #[track_caller]
    fn check(typed: &str, expected: &[&str]) {
        let ask = |condition: &str, label: Option<&str>| match (condition, label) {
            ("from-namespace", None) => vec!["shop".to_owned(), "kube-system".to_owned()],
            ("from-label", Some("app")) => vec!["web".to_owned()],
            ("to-label", None) => vec!["k8s:app=web".to_owned()],
            _ => Vec::new(),
        };
        let words: Vec<String> = candidates(typed, &ask).into_iter().map(|(word, _)| word).collect();
        assert_eq!(words, expected, "{typed}");
    }

    #[test]
    fn each_place_has_its_words() {
        check("src.na", &[]);
        check("src.n", &["src.ns"]);
        check("verdict=dropped and not src.wo", &["verdict=dropped and not src.workload"]);
        check("verdict ", &["verdict =", "verdict !=", "verdict in (", "verdict not in ("]);
        check("verdict=dro", &["verdict=dropped"]);
        check("src.ns in (shop, ku", &["src.ns in (shop, kube-system"]);
        check("src.ns=shop a", &["src.ns=shop and "]);
        check("src.label.app=", &["src.label.app=web"]);
        check("dst.label=", &["dst.label=\"k8s:app=web\""]);
        check("verdict verdict ", &[]);
    }
}
