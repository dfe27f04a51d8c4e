//! What could be meant by what was typed so far.

use flow::filter::Selection;
use ui_layout::sort_by;

use crate::app::hints::Names;

/// Suggestions shown.
const SHOWN_MAX: usize = 12;

/// Names that are offered before anything is typed.
const FIRST: [&str; 8] = ["namespace", "workload", "pod", "ip", "port", "protocol", "verdict", "type"];

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suggestion {
    /// What the input holds after it is taken.
    pub(crate) text: String,
    /// Words after it.
    pub(crate) help: String,
    /// Whether it is a whole condition; else a value is still to be typed.
    pub(crate) complete: bool,
}

/// Suggestions for a text; the sign for exclusion at its head is kept.
pub(crate) fn suggest(typed: &str, names: &Names) -> Vec<Suggestion> {
    let typed = typed.trim_start();
    let (sign, text) = match typed.strip_prefix(['-', '!']) {
        Some(rest) => ("-", rest),
        None => ("", typed),
    };
    match text.split_once('=') {
        Some((name, value)) => values(sign, name, value, names),
        None => conditions(sign, text),
    }
}

fn conditions(sign: &str, text: &str) -> Vec<Suggestion> {
    let text = text.to_ascii_lowercase();
    let mut found: Vec<&(&str, &str)> = if text.is_empty() {
        FIRST.iter().filter_map(|first| Selection::NAMES.iter().find(|(name, _)| name == first)).collect()
    } else {
        Selection::NAMES.iter().filter(|(name, _)| name.contains(&text)).collect()
    };
    // What begins so goes before what only contains it.
    let later = |name: &str| !name.starts_with(&text);
    sort_by(&mut found, |a, b| later(a.0).cmp(&later(b.0)));
    let line = |(name, help): &(&str, &str)| Suggestion {
        text: format!("{sign}{name}="),
        help: (*help).to_owned(),
        complete: false,
    };
    found.into_iter().take(SHOWN_MAX).map(line).collect()
}

fn values(sign: &str, name: &str, typed: &str, names: &Names) -> Vec<Suggestion> {
    let typed = typed.to_ascii_lowercase();
    let fixed = fixed_values(name).iter().map(|value| (*value).to_owned());
    let seen = names.of_condition(name).into_iter().flatten().cloned();
    let mut found: Vec<String> = fixed.chain(seen).filter(|v| v.to_ascii_lowercase().contains(&typed)).collect();
    let later = |value: &str| !value.to_ascii_lowercase().starts_with(&typed);
    sort_by(&mut found, |a, b| later(a).cmp(&later(b)));
    let line =
        |value: String| Suggestion { text: format!("{sign}{name}={value}"), help: String::new(), complete: true };
    found.into_iter().take(SHOWN_MAX).map(line).collect()
}

/// Values of conditions that have only a few.
fn fixed_values(name: &str) -> &'static [&'static str] {
    match name {
        "verdict" => &["FORWARDED", "DROPPED", "AUDIT", "REDIRECTED", "ERROR", "TRACED", "TRANSLATED"],
        "protocol" => &["TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6", "HTTP", "DNS", "KAFKA"],
        "type" => &["drop", "trace", "l7", "policy-verdict", "capture", "trace-sock"],
        "traffic-direction" => &["ingress", "egress"],
        "ip-version" => &["v4", "v6"],
        "http-status" => &["5+", "4+", "404", "500"],
        "http-method" => &["GET", "POST", "PUT", "DELETE"],
        "identity" | "from-identity" | "to-identity" => {
            &["world", "host", "remote-node", "kube-apiserver", "unmanaged"]
        }
        "reply" => &["true", "false"],
        // `false` would add nothing; the opposite is to exclude.
        switch if Selection::is_switch(switch) => &["true"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(typed: &str) -> Vec<String> {
        let mut names = Names::default();
        names.namespaces.extend(["shop".to_owned(), "bank".to_owned(), "workshop".to_owned()]);
        suggest(typed, &names).into_iter().map(|s| s.text).collect()
    }

    #[test]
    fn names_then_values() {
        assert_eq!(texts("").first().map(String::as_str), Some("namespace="));
        assert_eq!(texts("namesp")[..3], ["namespace=", "from-namespace=", "to-namespace="]);
        assert_eq!(texts("namespace=sh"), ["namespace=shop", "namespace=workshop"]);
        assert_eq!(
            texts("-verdict=d"),
            [
                "-verdict=DROPPED",
                "-verdict=FORWARDED",
                "-verdict=AUDIT",
                "-verdict=REDIRECTED",
                "-verdict=TRACED",
                "-verdict=TRANSLATED"
            ]
        );
        assert!(texts("to-namespace=b").contains(&"to-namespace=bank".to_owned()));
        assert!(texts("nonsense=x").is_empty());
        assert_eq!(texts("reply="), ["reply=true", "reply=false"]);
        assert_eq!(texts("-encrypted="), ["-encrypted=true"]);
        assert_eq!(texts("all-namespaces="), ["all-namespaces=true"]);
    }

    #[test]
    fn every_first_name_is_known() {
        assert_eq!(texts("").len(), FIRST.len());
    }
}
