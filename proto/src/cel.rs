//! CEL expressions about flows: the variable `_flow` is a `flow.Flow`, and names of that package need no prefix.

use ::flow::filter::FilterError;

use crate::flow::Flow;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {}

/// Compiles an expression.
///
/// # Errors
/// The text is no expression, names something that a flow does not have, or does not tell true from false.
pub fn compile(text: &str) -> Result<Expression, FilterError> {
    Err(FilterError::Cel { problem: text.to_owned() })
}

/// Whether one of the expressions is true of the flow; the first that cannot be worked out ends the search.
#[must_use]
pub fn any_is_true(_expressions: &[Expression], _flow: Option<&Flow>) -> bool {
    false
}
