//! Rules that are regular expressions in RE2's language.

mod re2;

use regex::bytes::{Regex, RegexBuilder};

use super::FilterError;

/// Bytes one compiled expression may take: filters come from clients.
const COMPILED_BYTES_MAX: usize = 8 << 20;

/// Expressions, any of which may match any part of the text.
#[derive(Clone, Debug, Default)]
pub struct Regexes {
    /// On bytes, for words of ASCII have no edges in the language of texts.
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
        self.expressions.iter().any(|e| e.is_match(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_made_of_ascii_and_have_no_edge_inside_of_a_character() {
        let matches =
            |expression: &str, text: &str| Regexes::parse(&[expression.to_owned()], "test").unwrap().matches(text);
        for (expression, text, expected) in [
            (r"\B", "\u{e9}", true),
            (r"\B", "a", false),
            (r"\B", "a\u{e9}b", false),
            (r"\B", "ab", true),
            (r"^\B", "", true),
            (r"\b", "\u{e9}", false),
            (r"\Bb", "\u{e9}b", false),
            (r"\B\x{e9}", " \u{e9}", true),
        ] {
            assert_eq!(matches(expression, text), expected, "{expression} on {text:?}");
        }
    }
}
