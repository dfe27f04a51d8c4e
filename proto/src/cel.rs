//! CEL expressions about flows: the variable `_flow` is a `flow.Flow`, and names of that package need no prefix.
//!
//! The text is read by the `cel` crate. Types are checked and values worked out here, against the descriptors and the
//! encoded message: fields that are not set have their defaults, `has()` tells whether they are set, and a flow is never
//! turned into a map of values.

mod check;
mod convert;
mod depth;
mod entries;
mod eval;
mod function;
mod message;
mod steps;
mod types;
mod value;
mod zone;

use std::sync::Arc;

use ::cel::common::ast::IdedExpr;
use ::cel::parser::Parser;
use ::flow::filter::{FilterError, Regexes};
use prost::Message as _;

use self::eval::Evaluator;
use self::steps::{STEPS_MAX, Steps};
use self::value::Value;
use crate::convert::{Details, flow_to_wire};
use crate::flow::Flow;

/// Name of the flow in expressions; `flow` is the name of the package.
const VARIABLE: &str = "_flow";
/// Levels of an expression: more than anyone writes, and few enough for the stack of any thread.
const DEPTH_MAX: u16 = 48;
/// Characters of an expression, as many as Hubble's parser takes.
const CHARACTERS_MAX: usize = 100_000;
/// Steps that all expressions of a request may take for a flow, however many they are.
const STEPS_TOGETHER_MAX: usize = 64_000;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    inner: Arc<Compiled>,
    /// Steps that it may take for a flow.
    steps_max: usize,
}

#[derive(Debug)]
struct Compiled {
    tree: IdedExpr,
    /// Regular expressions that stand in the text, compiled once.
    patterns: Vec<(String, Option<Regexes>)>,
    /// About what these take.
    patterns_bytes: usize,
}

/// Compiles an expression.
///
/// # Errors
/// The text is no expression, names something that a flow does not have, or does not tell true from false.
pub fn compile(text: &str) -> Result<Expression, FilterError> {
    let refused = |problem: String| FilterError::Cel { problem };
    let characters = text.chars().count();
    if characters > CHARACTERS_MAX {
        let limit = format!("size: {characters}, limit {CHARACTERS_MAX}");
        return Err(refused(format!("expression code point size exceeds limit: {limit}")));
    }
    if depth::is_too_deep(text) {
        return Err(refused("max recursion depth exceeded".to_owned()));
    }
    let tree = Parser::new().max_recursion_depth(DEPTH_MAX).parse(text).map_err(|errors| {
        let told: Vec<String> = errors.errors.iter().map(|error| error.msg.clone()).collect();
        refused(format!("{text:?}: {}", told.join("; ")))
    })?;
    let mut patterns = Vec::new();
    let kind = check::check(&tree, &mut patterns).map_err(|problem| refused(format!("{text:?}: {problem}")))?;
    if kind != types::Type::Bool {
        return Err(refused(format!("got {:?}, wanted \"bool\" result type", kind.to_string())));
    }
    let patterns_bytes =
        patterns.iter().try_fold(0, |bytes, text| Regexes::together(bytes, Regexes::held_bytes(text)))?;
    let compile = |text: String| {
        let compiled = Regexes::parse(std::slice::from_ref(&text), "CEL").ok();
        (text, compiled)
    };
    let patterns = patterns.into_iter().map(compile).collect();
    Ok(Expression { inner: Arc::new(Compiled { tree, patterns, patterns_bytes }), steps_max: STEPS_MAX })
}

/// Compiles an expression for [`flow::filter::FilterSet::compile_with`].
///
/// # Errors
/// As [`compile`].
pub fn compile_for_filter(text: &str) -> Result<Arc<dyn ::flow::filter::Expression>, FilterError> {
    compile(text).map(|expression| Arc::new(expression) as Arc<dyn ::flow::filter::Expression>)
}

/// Whether one of the expressions is true of the flow; the first that cannot be worked out ends the search.
#[must_use]
pub fn any_is_true(expressions: &[Expression], flow: Option<&Flow>) -> bool {
    let encoded = flow.map(Flow::encode_to_vec);
    for expression in expressions {
        match expression.of_encoded(encoded.as_deref()) {
            Some(true) => return true,
            Some(false) => {}
            None => return false,
        }
    }
    false
}

impl Expression {
    /// Without a flow its fields have their defaults, but it is not equal to one whose fields have them.
    fn of_encoded(&self, flow: Option<&[u8]>) -> Option<bool> {
        let Compiled { tree, patterns, .. } = &*self.inner;
        match Evaluator::new(patterns, flow, Steps::new(self.steps_max)).value(tree) {
            Ok(Value::Bool(value)) => Some(value),
            _ => None,
        }
    }
}

impl ::flow::filter::Expression for Expression {
    fn is_true_of(&self, flow: &::flow::Flow) -> Option<bool> {
        self.of_encoded(Some(&flow_to_wire(flow, Details::Omit).encode_to_vec()))
    }

    fn compiled_bytes(&self) -> usize {
        self.inner.patterns_bytes
    }

    fn share(&mut self, among: usize) {
        self.steps_max = STEPS_MAX.min(STEPS_TOGETHER_MAX / among.max(1));
    }
}
