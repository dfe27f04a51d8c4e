//! From words to conditions.

use super::key::{self, By, Found};
use super::lexer::{Kind, Token, tokens};
use super::measure::{Comparison, Measure, Order};
use super::{LanguageError, Node, Problem, TEXT_BYTES_MAX};
use crate::filter::{CompileExpression, FilterSet, Regexes, Selection};

/// Parentheses and negations inside each other.
const DEPTH_MAX: usize = 64;

/// Reads a whole expression.
pub(super) fn parse(text: &str, expression: CompileExpression) -> Result<Node, LanguageError> {
    if text.len() > TEXT_BYTES_MAX {
        let start: String = text.chars().take(40).collect();
        return Err(error(&start, 0, Problem::TooLarge { what: "long" }));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0, expression, compiled_bytes: 0 };
    if parser.next_is(&Kind::End) {
        return Ok(Node::All(Vec::new()));
    }
    let mut node = parser.any()?;
    match parser.peek().kind {
        Kind::End => {
            let among = node.expressions();
            node.share(among);
            Ok(node)
        }
        _ => Err(parser.expected("\"and\", \"or\" or the end")),
    }
}

/// An error at a byte of the text.
pub(super) fn error(text: &str, at: usize, problem: Problem) -> LanguageError {
    let position = text[..at].chars().count() + 1;
    LanguageError { text: text.to_owned(), position, problem }
}

struct Parser<'a> {
    text: &'a str,
    /// Ends with [`Kind::End`], which is never passed.
    tokens: Vec<Token<'a>>,
    at: usize,
    depth: usize,
    /// The language of the values of `cel`.
    expression: CompileExpression,
    /// About what the regular expressions of all conditions take.
    compiled_bytes: usize,
}

/// A condition's operator.
enum Operator {
    Sign(&'static str),
    In { negated: bool },
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token<'a> {
        &self.tokens[self.at]
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn next_is(&self, kind: &Kind<'_>) -> bool {
        self.peek().kind == *kind
    }

    fn word_is(&self, at: usize, keyword: &str) -> bool {
        matches!(self.tokens.get(at).map(|t| &t.kind), Some(Kind::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    fn expected(&self, expected: &'static str) -> LanguageError {
        let token = self.peek();
        error(self.text, token.at, Problem::Expected { expected, found: token.kind.shown() })
    }

    fn any(&mut self) -> Result<Node, LanguageError> {
        let mut parts = vec![self.all()?];
        while self.next_is(&Kind::Or) || self.word_is(self.at, "or") {
            self.advance();
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Node::Any))
    }

    fn all(&mut self) -> Result<Node, LanguageError> {
        let mut parts = vec![self.factor()?];
        while self.next_is(&Kind::And) || self.word_is(self.at, "and") {
            self.advance();
            parts.push(self.factor()?);
        }
        Ok(one_or(parts, Node::All))
    }

    fn factor(&mut self) -> Result<Node, LanguageError> {
        let negated = self.next_is(&Kind::Not) || self.word_is(self.at, "not");
        if !negated && !self.next_is(&Kind::Open) {
            return self.condition();
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(error(self.text, self.peek().at, Problem::TooLarge { what: "deep" }));
        }
        self.advance();
        let node = if negated {
            Node::Not(Box::new(self.factor()?))
        } else {
            let node = self.any()?;
            if !self.next_is(&Kind::Close) {
                return Err(self.expected("\")\", \"and\" or \"or\""));
            }
            self.advance();
            node
        };
        self.depth -= 1;
        Ok(node)
    }

    fn condition(&mut self) -> Result<Node, LanguageError> {
        let key_at = self.peek().at;
        let Kind::Word(name) = self.peek().kind else { return Err(self.expected("a key")) };
        let (found, measure) = (key::find(name), Measure::find(name));
        if found.is_none() && measure.is_none() {
            let near = key::near(name);
            return Err(error(self.text, key_at, Problem::Key { key: name.to_owned(), near }));
        }
        self.advance();
        let operator_at = self.peek().at;
        let operator = self.operator()?;
        match (operator, found, measure) {
            (Operator::Sign(sign), found, Some(measure)) if found.is_none() || sign.starts_with(['<', '>']) => {
                self.comparison(measure, name, sign, operator_at)
            }
            (Operator::Sign(sign), Some(found), measure) => {
                let negated = sign.starts_with('!');
                let wanted = if sign.ends_with('~') { By::Pattern } else { By::Value };
                if sign.starts_with(['<', '>']) || (wanted == By::Pattern && found.by == By::Value) {
                    return Err(error(
                        self.text,
                        operator_at,
                        Problem::Operator { key: name.to_owned(), operator: sign },
                    ));
                }
                let (value, at) = if found.holds_commas() { self.value()? } else { self.one_value(name, sign)? };
                // Equality of a key that is a pattern is a pattern of just this text.
                let exact = found.by == By::Pattern && wanted == By::Value;
                let value = if exact { format!("^{}$", regex::escape(&value)) } else { value };
                Ok(negate(self.leaf(&found, &[value], at)?, negated, measure))
            }
            (Operator::In { negated }, Some(found), measure) => {
                let (values, at) = self.list()?;
                let exact = |value: String| match found.by {
                    By::Pattern => format!("^{}$", regex::escape(&value)),
                    By::Value => value,
                };
                let values: Vec<String> = values.into_iter().map(exact).collect();
                Ok(negate(self.leaf(&found, &values, at)?, negated, measure))
            }
            (Operator::In { .. }, None, _) | (Operator::Sign(_), None, None | Some(_)) => {
                Err(error(self.text, operator_at, Problem::Operator { key: name.to_owned(), operator: "in" }))
            }
        }
    }

    fn operator(&mut self) -> Result<Operator, LanguageError> {
        if let Kind::Operator(sign) = self.peek().kind {
            self.advance();
            return Ok(Operator::Sign(sign));
        }
        let negated = self.word_is(self.at, "not") && self.word_is(self.at + 1, "in");
        if !negated && !self.word_is(self.at, "in") {
            return Err(self.expected("an operator such as = or in"));
        }
        self.at += usize::from(negated);
        self.advance();
        Ok(Operator::In { negated })
    }

    /// A value that no others may follow.
    fn one_value(&mut self, key: &str, sign: &'static str) -> Result<(String, usize), LanguageError> {
        let first = self.at;
        let value = self.single()?;
        let comma = self.at;
        let mut values = vec![self.tokens[first].kind.as_value()];
        while self.next_is(&Kind::Comma) && !["and", "or", "not"].iter().any(|word| self.word_is(self.at + 1, word)) {
            let Some(next) = self.tokens.get(self.at + 1).filter(|next| next.kind.is_value()) else { break };
            values.push(next.kind.as_value());
            self.at += 2;
        }
        if values.len() == 1 {
            return Ok(value);
        }
        let operator = if sign.starts_with('!') { "not in" } else { "in" };
        let (key, values) = (key.to_owned(), values.join(", "));
        Err(error(self.text, self.tokens[comma].at, Problem::Several { key, sign, operator, values }))
    }

    fn single(&mut self) -> Result<(String, usize), LanguageError> {
        let token = self.peek().clone();
        let value = match token.kind {
            Kind::Word(word) => word.to_owned(),
            Kind::Quoted(text) => text,
            _ => return Err(self.expected("a value")),
        };
        self.advance();
        Ok((value, token.at))
    }

    /// A value that may have commas, as in `tcp.flags=syn,ack` and `label=a,b`.
    fn value(&mut self) -> Result<(String, usize), LanguageError> {
        let (mut value, at) = self.single()?;
        while self.next_is(&Kind::Comma) && matches!(self.tokens.get(self.at + 1).map(|t| &t.kind), Some(Kind::Word(_)))
        {
            self.advance();
            if let Kind::Word(word) = self.peek().kind {
                value.push(',');
                value.push_str(word);
            }
            self.advance();
        }
        Ok((value, at))
    }

    fn list(&mut self) -> Result<(Vec<String>, usize), LanguageError> {
        if !self.next_is(&Kind::Open) {
            return Err(self.expected("\"(\" and values"));
        }
        let at = self.peek().at;
        self.advance();
        let mut values = Vec::new();
        loop {
            match self.peek().kind.clone() {
                Kind::Word(word) => values.push(word.to_owned()),
                Kind::Quoted(text) => values.push(text),
                _ => return Err(self.expected("a value")),
            }
            self.advance();
            let ended = self.next_is(&Kind::Close);
            if !ended && !self.next_is(&Kind::Comma) {
                return Err(self.expected("\",\" or \")\""));
            }
            self.advance();
            if ended {
                return Ok((values, at));
            }
        }
    }

    fn comparison(
        &mut self,
        measure: Measure,
        name: &str,
        sign: &'static str,
        sign_at: usize,
    ) -> Result<Node, LanguageError> {
        let Some(order) = Order::of_sign(sign) else {
            return Err(error(self.text, sign_at, Problem::Operator { key: name.to_owned(), operator: sign }));
        };
        let (value, at) = self.value()?;
        let (name, units) = (measure.name(), measure.units_shown());
        let bad = || error(self.text, at, Problem::Quantity { value: value.clone(), measure: name, units });
        let quantity = measure.quantity(&value).ok_or_else(bad)?;
        Ok(Node::Measure(Comparison::new(measure, order, quantity)))
    }

    /// The filters of one condition.
    fn leaf(&mut self, found: &Found, values: &[String], at: usize) -> Result<Node, LanguageError> {
        let values: Vec<String> = values.iter().map(|value| adapted(found, value)).collect();
        let values = match &found.label {
            Some(label) if values.len() == 1 => vec![format!("{label}={}", values[0])],
            Some(label) => vec![format!("{label} in ({})", values.join(","))],
            None => values,
        };
        let mut selection = Selection::new();
        let filters = selection.add(&found.condition, &values, false).and_then(|()| selection.finish());
        let (filters, _) = filters.map_err(|problem| error(self.text, at, Problem::Value(problem)))?;
        let refused = |problem| error(self.text, at, Problem::Filter(problem));
        let set = FilterSet::compile_with(&filters, &[], self.expression).map_err(refused)?;
        self.compiled_bytes = Regexes::together(self.compiled_bytes, set.compiled_bytes()).map_err(refused)?;
        Ok(Node::Filter(filters, set))
    }
}

/// People type names of enumerations in lower case.
fn adapted(found: &Found, value: &str) -> String {
    match found.condition.as_str() {
        "verdict" | "drop-reason-desc" => value.to_ascii_uppercase(),
        _ => value.to_owned(),
    }
}

/// The condition or its contrary. That of a number is a comparison as well: it selects flows that carry the number.
fn negate(node: Node, negated: bool, measure: Option<Measure>) -> Node {
    match measure {
        _ if !negated => node,
        None => Node::Not(Box::new(node)),
        Some(measure) => Node::All(vec![Node::Not(Box::new(node)), Node::Measure(Comparison::carried(measure))]),
    }
}

/// The only part, or all of them together.
fn one_or(mut parts: Vec<Node>, together: fn(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            together(parts)
        }
        None => together(parts),
    }
}
