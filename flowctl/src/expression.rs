//! Expressions of the filter language as people type them, and where they went wrong.

use anyhow::{Result, anyhow};
use flow::filter::{LanguageError, Query};

/// Reads an expression; the error shows it with a mark below the place of the mistake.
///
/// # Errors
/// The text is none of the language, or a value is none of its key.
pub(crate) fn parse(text: &str) -> Result<Query> {
    Query::parse_with(text, proto::cel::compile_for_filter).map_err(|error| anyhow!(marked(&error)))
}

/// What is wrong, the expression, and a mark below its place.
fn marked(error: &LanguageError) -> String {
    // A line end or a control character in the text would move the mark away from its place, or the cursor.
    let shown: String = error.text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let before: usize = error.position.saturating_sub(1);
    format!("{}\n  {shown}\n  {}^", error.problem, " ".repeat(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_below_the_mistake() {
        let refused = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(
            refused("verdict=dropped and prot=tcp"),
            "no key is called \"prot\", did you mean protocol, pod, port?\n  \
             verdict=dropped and prot=tcp\n                      ^"
        );
        assert!(refused("pod=é\nand").ends_with("\n  pod=é and\n           ^"), "{}", refused("pod=é\nand"));
        assert!(parse("cel='_flow.verdict == Verdict.DROPPED'").is_ok());
        assert!(refused("cel='1'").contains("wanted \"bool\""));
    }
}
