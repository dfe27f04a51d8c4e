//! Rules that are regular expressions in RE2's language.

mod re2;

use regex::{Regex, RegexBuilder};

use super::FilterError;

/// Bytes one compiled expression may take: filters come from clients.
const COMPILED_BYTES_MAX: usize = 8 << 20;

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
            let translated =
                re2::translate(value).map_err(|problem| FilterError::Re2 { of, expression: value.clone(), problem })?;
            RegexBuilder::new(&translated).size_limit(COMPILED_BYTES_MAX).build().map_err(|source| FilterError::Regex {
                of,
                expression: value.clone(),
                source: Box::new(source),
            })
        };
        Ok(Self { expressions: values.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// Whether one of them matches somewhere in the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.expressions.iter().any(|e| e.is_match(text))
    }
}
