//! Rules that are expressions of a language this crate does not know.

use std::fmt::Debug;
use std::sync::Arc;

use super::{FilterError, Regexes};
use crate::Flow;

/// A compiled expression about a flow.
pub trait Expression: Debug + Send + Sync {
    /// Whether it is true of the flow; `None` where it cannot be worked out, which is an error of the expression.
    fn is_true_of(&self, flow: &Flow) -> Option<bool>;

    /// About how many bytes its regular expressions take, as [`super::Regexes::held_bytes`] guesses them.
    fn compiled_bytes(&self) -> usize {
        0
    }

    /// Tells it among how many expressions of a request the work for a flow is divided.
    fn share(&mut self, _among: usize) {}
}

/// Turns the text of an expression into one that can be asked.
///
/// # Errors
/// The text is no expression, or one without a truth value.
pub type CompileExpression = fn(&str) -> Result<Arc<dyn Expression>, FilterError>;

/// Expressions, any of which may be true; the first that cannot be worked out ends the search.
#[derive(Clone, Debug, Default)]
pub struct Expressions {
    expressions: Vec<Arc<dyn Expression>>,
}

impl Expressions {
    /// Compiles the expressions.
    ///
    /// # Errors
    /// One of them cannot be compiled, or their regular expressions are too large together.
    pub fn compile(texts: &[String], compile: CompileExpression) -> Result<Self, FilterError> {
        let mut bytes = 0;
        let one = |text: &String| {
            let expression = compile(text)?;
            bytes = Regexes::together(bytes, expression.compiled_bytes())?;
            Ok(expression)
        };
        Ok(Self { expressions: texts.iter().map(one).collect::<Result<_, FilterError>>()? })
    }

    /// About how many bytes their regular expressions take.
    pub(super) fn compiled_bytes(&self) -> usize {
        self.expressions.iter().map(|expression| expression.compiled_bytes()).fold(0, usize::saturating_add)
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.expressions.len()
    }

    /// Divides the work for a flow. Those that others hold as well are left as they are.
    pub(super) fn share(&mut self, among: usize) {
        for expression in self.expressions.iter_mut().filter_map(Arc::get_mut) {
            expression.share(among);
        }
    }

    /// A single expression that was compiled already.
    pub(super) fn one(expression: Arc<dyn Expression>) -> Self {
        Self { expressions: vec![expression] }
    }

    /// Whether one of them is true of the flow.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        for expression in &self.expressions {
            match expression.is_true_of(flow) {
                Some(true) => return true,
                Some(false) => {}
                None => return false,
            }
        }
        false
    }
}

/// Stands in where no language is at hand: every expression is refused.
///
/// # Errors
/// Always.
pub(super) fn refuse(text: &str) -> Result<Arc<dyn Expression>, FilterError> {
    Err(FilterError::Cel { problem: format!("no expressions can be compiled here, {text:?} is one") })
}
