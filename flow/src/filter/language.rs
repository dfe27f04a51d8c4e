//! One language to select flows, short enough to type, safe in a URL: `verdict=dropped and dst.port=5432`.
//!
//! ```text
//! expression = term { "or" term }          term = factor { "and" factor }
//! factor     = "not" factor | "(" expression ")" | condition
//! condition  = key ( "=" | "!=" | "~" | "!~" ) value | key [ "not" ] "in" "(" value { "," value } ")"
//!            | measure ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) quantity
//! ```
//!
//! A key speaks of the flow (`verdict`, `http.status`), of one side (`src.ns`, `dst.port`) or of either (`pod`).
//! Conditions mean what the conditions of a [`Selection`] mean; measures (`bytes`, `latency`, ...) are numbers with a
//! unit, which Hubble's filters do not know: a comparison of one never selects a flow that does not carry it, also where
//! it is `!=` or `not in`. Those of other keys are `not` before the condition. `&&`, `||` and `!` are other words for
//! `and`, `or` and `not`.

mod complete;
mod group;
mod key;
mod lexer;
mod measure;
mod parser;
mod push;

pub use complete::{Completion, Wanted};
pub use group::{GroupKey, GroupKeyError};
pub use measure::{Comparison, Measure};
pub use push::Pushed;

use std::sync::Arc;

use super::expression::refuse;
use super::{CompileExpression, Expression, FilterError, FilterSet, FlowFilter, SelectionError};
use crate::Flow;

/// Bytes an expression may have.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// An expression that was read and checked.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    node: Node,
}

/// A part of an expression.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// All must be true.
    All(Vec<Self>),
    /// One must be true.
    Any(Vec<Self>),
    /// Must not be true.
    Not(Box<Self>),
    /// A condition that Hubble's filters know: one of these filters matches.
    Filter(Vec<FlowFilter>, FilterSet),
    /// A number of the flow.
    Measure(Comparison),
}

/// An expression that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("{problem} at character {position} of {text:?}")]
pub struct LanguageError {
    /// The expression.
    pub text: String,
    /// Number of the character, counted from 1.
    pub position: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with an expression.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The grammar asks for something else.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What may stand here.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A quoted text has no end.
    #[error("the quoted text has no end")]
    Unterminated,
    /// No key has this name.
    #[error("no key is called {key:?}, did you mean {near}?")]
    Key {
        /// As given.
        key: String,
        /// Keys that look like it.
        near: String,
    },
    /// The key does not take this operator.
    #[error("{key} cannot be compared by {operator}")]
    Operator {
        /// The key.
        key: String,
        /// The operator.
        operator: &'static str,
    },
    /// Several values stand where one may.
    #[error("{sign} takes one value: write {key} {operator} ({values}), or quotes around a value that has a comma")]
    Several {
        /// The key.
        key: String,
        /// The operator.
        sign: &'static str,
        /// The operator that takes several.
        operator: &'static str,
        /// The values.
        values: String,
    },
    /// The value is none of the key.
    #[error("{0}")]
    Value(SelectionError),
    /// The value cannot be used in a filter.
    #[error("{0}")]
    Filter(FilterError),
    /// A quantity is no number with a unit of the measure.
    #[error("{value:?} is no quantity of {measure}: write a number with one of {units}")]
    Quantity {
        /// As given.
        value: String,
        /// The measure.
        measure: &'static str,
        /// Units it takes.
        units: &'static str,
    },
    /// The expression is longer or deeper than any person writes.
    #[error("the expression is too {what}")]
    TooLarge {
        /// Long or deep.
        what: &'static str,
    },
}

impl Query {
    /// Reads an expression; empty text selects every flow. Values of the key `cel` are refused.
    ///
    /// # Errors
    /// The text is none of the language, or a value is none of its key.
    pub fn parse(text: &str) -> Result<Self, LanguageError> {
        Self::parse_with(text, refuse)
    }

    /// Reads an expression, with a language for the values of the key `cel`.
    ///
    /// # Errors
    /// The text is none of the language, or a value is none of its key.
    pub fn parse_with(text: &str, expression: CompileExpression) -> Result<Self, LanguageError> {
        let node = parser::parse(text, expression)?;
        Ok(Self { text: text.to_owned(), node })
    }

    /// The expression as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the flow is selected.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        self.node.matches(flow)
    }

    /// The part of the expression that Hubble's filters can say, for a server to run.
    #[must_use]
    pub fn push(&self) -> Pushed {
        push::push(&self.node)
    }

    /// Prepares what the query, a whitelist and a blacklist select together. What Hubble's filters can say is said by
    /// them, so that indexes help; only the rest is asked of each flow.
    ///
    /// # Errors
    /// A filter of the lists cannot be understood.
    pub fn compile_with(
        &self,
        whitelist: Vec<FlowFilter>,
        blacklist: Vec<FlowFilter>,
        expression: CompileExpression,
    ) -> Result<FilterSet, FilterError> {
        let pushed = self.push().within(whitelist, blacklist);
        let set = FilterSet::compile_with(&pushed.whitelist, &pushed.blacklist, expression)?;
        Ok(if pushed.exact { set } else { set.and(Arc::new(self.clone())) })
    }

    /// What may stand at the end of a text that is still being typed; `None` where something before is wrong already.
    #[must_use]
    pub fn complete(text: &str) -> Option<Completion> {
        complete::complete(text)
    }

    /// All keys with one line of help each, in the order to show them: what completion offers.
    #[must_use]
    pub fn keys() -> Vec<(String, &'static str)> {
        key::all()
    }
}

impl Default for Query {
    /// Selects every flow.
    fn default() -> Self {
        Self { text: String::new(), node: Node::All(Vec::new()) }
    }
}

impl Expression for Query {
    fn is_true_of(&self, flow: &Flow) -> Option<bool> {
        Some(self.matches(flow))
    }
}

impl Node {
    /// How many expressions of the key `cel` it has.
    fn expressions(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::expressions).sum(),
            Self::Not(part) => part.expressions(),
            Self::Filter(_, set) => set.expressions(),
            Self::Measure(_) => 0,
        }
    }

    /// Divides their work for a flow among so many.
    fn share(&mut self, among: usize) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter_mut().for_each(|part| part.share(among)),
            Self::Not(part) => part.share(among),
            Self::Filter(_, set) => set.share(among),
            Self::Measure(_) => {}
        }
    }

    fn matches(&self, flow: &Flow) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(flow)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(flow)),
            Self::Not(part) => !part.matches(flow),
            Self::Filter(_, set) => set.matches(flow),
            Self::Measure(comparison) => comparison.matches(flow),
        }
    }
}
