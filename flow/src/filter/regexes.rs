//! Rules that are regular expressions in RE2's language.

use regex::{Regex, RegexBuilder};

use super::FilterError;

/// Bytes one compiled expression may take: filters come from clients.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Expressions, any of which may match any part of the text.
#[derive(Clone, Debug, Default)]
pub struct Regexes {
    expressions: Vec<Regex>,
}

impl Regexes {
    /// Compiles the expressions; `of` names the field in the error.
    ///
    /// # Errors
    /// One is malformed or too large.
    pub fn parse(values: &[String], of: &'static str) -> Result<Self, FilterError> {
        let compile = |value: &String| {
            RegexBuilder::new(&from_re2(value))
                .size_limit(COMPILED_BYTES_MAX)
                .build()
                .map_err(|source| FilterError::Regex { of, expression: value.clone(), source: Box::new(source) })
        };
        Ok(Self { expressions: values.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// Whether one of them matches somewhere in the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.expressions.iter().any(|e| e.is_match(text))
    }
}

/// RE2 quotes text between `\Q` and `\E`, which the regex crate does not know.
fn from_re2(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        if let Some(quoted) = escape.strip_prefix(r"\Q") {
            let (text, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            out.push_str(&regex::escape(text));
            rest = after;
        } else {
            let end = escape.char_indices().nth(2).map_or(escape.len(), |(i, _)| i);
            out.push_str(&escape[..end]);
            rest = &escape[end..];
        }
    }
    out.push_str(rest);
    out
}
