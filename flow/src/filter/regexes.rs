//! Rules that are regular expressions in RE2's language.

mod re2;

use regex::bytes::{Regex, RegexBuilder};

use super::FilterError;

/// Bytes one compiled expression may take: filters come from clients.
const COMPILED_BYTES_MAX: usize = 8 << 20;
/// Bytes of an expression; a longer one takes seconds to find out that it is too large.
const EXPRESSION_BYTES_MAX: usize = 64 << 10;
/// About what the smallest compiled expression takes.
const LEAST_BYTES: usize = 16 << 10;
/// About what one character of an expression takes, and a class of characters by its Unicode name.
const CHARACTER_BYTES: usize = 16;
const UNICODE_CLASS_BYTES: usize = 48 << 10;
/// Bytes of what a search of one expression keeps of the states it was in. Where they do not suffice it is slower.
const STATES_BYTES_MAX: usize = 64 << 10;

/// Bytes that all expressions of one request may take, as [`Regexes::held_bytes`] guesses them.
const TOGETHER_BYTES_MAX: usize = 32 << 20;

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
            if value.len() > EXPRESSION_BYTES_MAX {
                return Err(FilterError::LongExpression { of, bytes: value.len(), bytes_max: EXPRESSION_BYTES_MAX });
            }
            let (translated, _) =
                re2::translate(value).map_err(|problem| FilterError::Re2 { of, expression: value.clone(), problem })?;
            let mut builder = RegexBuilder::new(&translated);
            let compiled = builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(STATES_BYTES_MAX).build();
            compiled.map_err(|source| FilterError::Regex { of, expression: value.clone(), source: Box::new(source) })
        };
        Ok(Self { expressions: values.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// Whether one of them matches somewhere in the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.expressions.iter().any(|e| e.is_match(text.as_bytes()))
    }

    /// Bytes that expressions of one request take, with more of them.
    ///
    /// # Errors
    /// They are more than one request may have.
    pub fn together(bytes: usize, more: usize) -> Result<usize, FilterError> {
        let together = bytes.saturating_add(more);
        if together > TOGETHER_BYTES_MAX { Err(FilterError::TooManyExpressions) } else { Ok(together) }
    }

    /// About what an expression takes, with what a search keeps; one that cannot be compiled takes nothing.
    #[must_use]
    pub fn held_bytes(expression: &str) -> usize {
        match Self::compiled_bytes(expression) {
            0 => 0,
            compiled => compiled + STATES_BYTES_MAX,
        }
    }

    /// About what an expression takes once it is compiled; one that cannot be takes nothing.
    #[must_use]
    pub fn compiled_bytes(expression: &str) -> usize {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return 0;
        }
        let Ok((translated, repetitions)) = re2::translate(expression) else { return 0 };
        let classes = translated.matches(r"\p").count() + translated.matches(r"\P").count();
        let once = translated.len() * CHARACTER_BYTES + classes * UNICODE_CLASS_BYTES;
        once.saturating_mul(repetitions as usize).clamp(LEAST_BYTES, COMPILED_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_expression_is_told_before_it_is_compiled() {
        assert_eq!(Regexes::compiled_bytes("^/api/"), LEAST_BYTES);
        assert_eq!(Regexes::compiled_bytes("("), 0);
        assert!(Regexes::compiled_bytes(r"\w{900}") > 100 << 10);
        assert!(Regexes::compiled_bytes(r"\pL{100}") > 1 << 20);
        assert_eq!(Regexes::compiled_bytes(r"(\pL\pN){900}"), COMPILED_BYTES_MAX);
        let long = "a?".repeat(EXPRESSION_BYTES_MAX);
        let error = Regexes::parse(&[long], "http url").unwrap_err().to_string();
        assert_eq!(error, "invalid http url filter: an expression of 131072 bytes, 65536 are the most");
    }

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
