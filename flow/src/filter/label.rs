//! Rules on labels, in the language of Kubernetes' label selectors.

mod parse;

use ipnet::IpNet;

use super::error::LabelError;

/// Label selectors, any of which may match.
#[derive(Clone, Debug, Default)]
pub struct LabelSelectors {
    selectors: Vec<Selector>,
}

/// Requirements, all of which must be met.
#[derive(Clone, Debug, Default)]
struct Selector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug)]
struct Requirement {
    key: Key,
    operator: Operator,
}

/// What a label must be called.
#[derive(Clone, Debug)]
struct Key {
    /// `k8s`, `reserved`, ...; `None` for any.
    source: Option<Box<str>>,
    name: Box<str>,
    /// Labels of the source `cidr` are met by every prefix inside.
    prefix: Option<IpNet>,
}

#[derive(Clone, Debug)]
enum Operator {
    Exists,
    Missing,
    In(Vec<Box<str>>),
    NotIn(Vec<Box<str>>),
    Above(i64),
    Below(i64),
}

/// Source of labels that stand for address ranges.
const CIDR_SOURCE: &str = "cidr";
/// Source of labels that stand for reserved identities.
const RESERVED_SOURCE: &str = "reserved";

impl LabelSelectors {
    /// Reads the selectors: `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, `k`, `!k`, `k>1`, `k<1`, joined by
    /// commas that mean "and". A key may name its source (`k8s:app`, `reserved:world`); else it is met by any.
    ///
    /// # Errors
    /// A selector is malformed; the error comes with it.
    pub fn parse(values: &[String]) -> Result<Self, (String, LabelError)> {
        let parse = |text: &String| parse::selector(text).map_err(|error| (text.clone(), error));
        Ok(Self { selectors: values.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// Whether one of them matches the labels, given as `source:key=value`.
    #[must_use]
    pub fn matches(&self, labels: &[String]) -> bool {
        self.selectors.iter().any(|s| s.requirements.iter().all(|r| r.matches(labels)))
    }
}

impl Requirement {
    fn matches(&self, labels: &[String]) -> bool {
        let value = labels.iter().find_map(|label| self.key.value_in(label));
        let number = || value.and_then(parse::integer);
        match &self.operator {
            Operator::Exists => value.is_some(),
            Operator::Missing => value.is_none(),
            Operator::In(values) => value.is_some_and(|v| values.iter().any(|wanted| **wanted == *v)),
            Operator::NotIn(values) => value.is_none_or(|v| values.iter().all(|unwanted| **unwanted != *v)),
            Operator::Above(limit) => number().is_some_and(|n| n > *limit),
            Operator::Below(limit) => number().is_some_and(|n| n < *limit),
        }
    }
}

impl Key {
    /// Value of the label if it has this key.
    fn value_in<'a>(&self, label: &'a str) -> Option<&'a str> {
        let (source, rest) = split_source(label);
        if self.source.as_deref().is_some_and(|wanted| wanted != source) {
            return None;
        }
        let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
        let same = match &self.prefix {
            Some(outer) => prefix_of(name).is_some_and(|inner| outer.contains(&inner)),
            None => *self.name == *name,
        };
        same.then_some(value)
    }
}

/// Source of a label and the rest. Reserved labels have two short forms.
fn split_source(label: &str) -> (&str, &str) {
    if let Some(name) = label.strip_prefix('$') {
        return (RESERVED_SOURCE, name);
    }
    match label.split_once(':') {
        Some(split) => split,
        None => match label.strip_prefix("reserved.") {
            Some(name) => (RESERVED_SOURCE, name),
            None => ("", label),
        },
    }
}

/// Prefix a `cidr` label stands for; keys cannot hold colons, so IPv6 is written with hyphens.
fn prefix_of(name: &str) -> Option<IpNet> {
    if name.contains('-') { name.replace('-', ":").parse().ok() } else { name.parse().ok() }
}
