//! Rules on DNS and node names, with `*` as wildcard.

use regex::Regex;

use super::FilterError;
use super::error::PatternProblem;

/// Patterns of DNS names, any of which may match.
#[derive(Clone, Debug, Default)]
pub struct NamePatterns {
    patterns: Vec<Pattern>,
}

/// Patterns of nodes as `[cluster/]node`, any of which may match.
#[derive(Clone, Debug, Default)]
pub struct NodePatterns {
    patterns: Vec<(Pattern, Pattern)>,
}

/// Cluster of a node whose name does not tell.
const DEFAULT_CLUSTER: &str = "default";

impl NamePatterns {
    /// Reads the patterns: blanks around them, one dot at the end and case do not matter; `*` stands for any number of
    /// letters, digits, dots and hyphens.
    ///
    /// # Errors
    /// A pattern is empty, ends with two dots, or has a character no name has.
    pub fn parse(values: &[String]) -> Result<Self, FilterError> {
        let patterns = values.iter().map(|value| Pattern::parse(value, value)).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether one of them matches the whole name. The name is compared as stored.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|p| p.matches(name))
    }
}

impl NodePatterns {
    /// Reads the patterns; an empty cluster or node stands for any.
    ///
    /// # Errors
    /// A pattern is empty, has more than one slash, or one of its parts is malformed.
    pub fn parse(values: &[String]) -> Result<Self, FilterError> {
        let patterns = values.iter().map(|value| node_pattern(value)).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether one of them matches the node; a name without a cluster is of the cluster `default`.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if name.is_empty() {
            return false;
        }
        let (cluster, node) = name.split_once('/').unwrap_or((DEFAULT_CLUSTER, name));
        self.patterns.iter().any(|(c, n)| c.matches(cluster) && n.matches(node))
    }
}

fn node_pattern(value: &str) -> Result<(Pattern, Pattern), FilterError> {
    let problem = |problem| FilterError::Pattern { pattern: value.to_owned(), problem };
    if value.is_empty() {
        return Err(problem(PatternProblem::Empty));
    }
    let part = |text: &str| if text.is_empty() { Ok(Pattern::AnyName) } else { Pattern::parse(text, value) };
    match value.split_once('/') {
        None => Ok((Pattern::AnyName, part(value)?)),
        Some((_, node)) if node.contains('/') => Err(problem(PatternProblem::Slashes)),
        Some((cluster, node)) => Ok((part(cluster)?, part(node)?)),
    }
}

#[derive(Clone, Debug)]
enum Pattern {
    /// Any well-formed name.
    AnyName,
    Exact(Box<str>),
    Glob(Regex),
}

impl Pattern {
    /// `whole` is what the error names.
    fn parse(value: &str, whole: &str) -> Result<Self, FilterError> {
        let problem = |problem| FilterError::Pattern { pattern: whole.to_owned(), problem };
        let trimmed = value.trim();
        let name = lower(trimmed.strip_suffix('.').unwrap_or(trimmed));
        if name.is_empty() {
            return Err(problem(PatternProblem::Empty));
        }
        if name.ends_with('.') {
            return Err(problem(PatternProblem::TrailingDots));
        }
        if let Some(c) = name.chars().find(|c| !is_name_char(*c) && !matches!(c, '.' | '*')) {
            return Err(problem(PatternProblem::Character(c)));
        }
        if !name.contains('*') {
            return Ok(Self::Exact(name.into()));
        }
        let expression = format!(r"\A{}\z", name.replace('.', r"\.").replace('*', "[-.0-9a-z]*"));
        // Only the length can be too much for the compiler.
        Regex::new(&expression).map(Self::Glob).map_err(|source| FilterError::Regex {
            of: "name",
            expression: whole.to_owned(),
            source: Box::new(source),
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::AnyName => name.split('.').all(|part| !part.is_empty() && part.chars().all(is_name_char)),
            Self::Exact(exact) => **exact == *name,
            Self::Glob(regex) => regex.is_match(name),
        }
    }
}

/// Each letter in lower case by itself, as Go has it: one letter stays one.
pub(super) fn lower(text: &str) -> String {
    text.chars().filter_map(|c| c.to_lowercase().next()).collect()
}

const fn is_name_char(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')
}
