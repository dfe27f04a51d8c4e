//! Texts of statuses: what one side of a wire tells the other about an error.

/// Bytes of the text of a status. It travels in a header, of which clients take a few thousand bytes; an error that
/// names what was asked for could have millions.
const TEXT_BYTES_MAX: usize = 2 << 10;

/// Shortens the text of a status to what fits into a header.
pub fn shorten(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str("...");
    }
}

/// Text of an error with all its causes, shortened to what fits into a header.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    shorten(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Failure {
        text: String,
        source: Option<Box<Self>>,
    }

    #[test]
    fn causes_follow_their_errors() {
        let cause = Failure { text: "no such file".to_owned(), source: None };
        let error = Failure { text: "cannot open it".to_owned(), source: Some(Box::new(cause)) };
        assert_eq!(with_causes(&error), "cannot open it: no such file");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut text = "\u{e9}".repeat(TEXT_BYTES_MAX);
        text.insert(0, 'x');
        shorten(&mut text);
        assert_eq!(text.len(), TEXT_BYTES_MAX - 1 + "...".len());
        let mut short = "short".to_owned();
        shorten(&mut short);
        assert_eq!(short, "short");
    }
}
