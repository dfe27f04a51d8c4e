//! Errors as text for the other side of a wire.

/// Text of an error with all its causes, shortened to what fits into a header.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    proto::raw::shorten(&mut text);
    text
}
