//! Filters prepared for matching.

use super::compile::compile;
use std::sync::Arc;

use super::expression::{CompileExpression, Expression, Expressions, refuse};
use super::{FilterError, FlowFilter, Regexes, Rule};
use crate::Flow;

/// Bytes that all CEL expressions of one request may have: more than two of the longest that Hubble takes.
const CEL_BYTES_MAX: usize = 256 << 10;

/// A whitelist and a blacklist, checked and prepared: regular expressions compiled, addresses parsed.
#[derive(Clone, Debug, Default)]
pub struct FilterSet {
    whitelist: Vec<Filter>,
    blacklist: Vec<Filter>,
    /// About what regular expressions take.
    compiled_bytes: usize,
}

/// One filter, checked and prepared.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    rules: Vec<Rule>,
}

impl FilterSet {
    /// Checks and prepares the filters.
    ///
    /// # Errors
    /// A value of any filter cannot be understood; nothing is ignored.
    pub fn compile(whitelist: &[FlowFilter], blacklist: &[FlowFilter]) -> Result<Self, FilterError> {
        Self::compile_with(whitelist, blacklist, refuse)
    }

    /// Checks and prepares the filters, with a language for their expressions.
    ///
    /// # Errors
    /// A value or an expression of any filter cannot be understood; nothing is ignored.
    pub fn compile_with(
        whitelist: &[FlowFilter],
        blacklist: &[FlowFilter],
        expression: CompileExpression,
    ) -> Result<Self, FilterError> {
        let mut compiled_bytes = check_size(whitelist.iter().chain(blacklist))?;
        let mut all = |filters: &[FlowFilter]| {
            let one = |filter: &FlowFilter| {
                let filter = Filter::compile_with(filter, expression)?;
                let of_expressions = filter.expressions().map(Expressions::compiled_bytes).sum();
                compiled_bytes = Regexes::together(compiled_bytes, of_expressions)?;
                Ok(filter)
            };
            filters.iter().map(one).collect::<Result<Vec<_>, FilterError>>()
        };
        let (whitelist, blacklist) = (all(whitelist)?, all(blacklist)?);
        let mut set = Self { whitelist, blacklist, compiled_bytes };
        set.share(set.expressions());
        Ok(set)
    }

    /// How many expressions it has.
    pub(super) fn expressions(&self) -> usize {
        self.whitelist.iter().chain(&self.blacklist).flat_map(Filter::expressions).map(Expressions::len).sum()
    }

    /// Divides the work of its expressions for a flow among so many.
    pub(super) fn share(&mut self, among: usize) {
        let rules = self.whitelist.iter_mut().chain(&mut self.blacklist).flat_map(|filter| &mut filter.rules);
        for rule in rules {
            if let Rule::Expressions(expressions) = rule {
                expressions.share(among);
            }
        }
    }

    /// About how many bytes its regular expressions take.
    pub(super) const fn compiled_bytes(&self) -> usize {
        self.compiled_bytes
    }

    /// Whether the flow is asked for: it matches one filter of the whitelist (or that is empty) and none of the
    /// blacklist.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        (self.whitelist.is_empty() || self.whitelist.iter().any(|f| f.matches(flow)))
            && !self.blacklist.iter().any(|f| f.matches(flow))
    }

    /// The flows of this set for which an expression is true as well.
    #[must_use]
    pub fn and(mut self, expression: Arc<dyn Expression>) -> Self {
        if self.whitelist.is_empty() {
            self.whitelist.push(Filter::default());
        }
        for filter in &mut self.whitelist {
            filter.rules.push(Rule::Expressions(Expressions::one(Arc::clone(&expression))));
        }
        self
    }

    /// Whether every flow passes, so that matching can be left out.
    #[must_use]
    pub fn passes_everything(&self) -> bool {
        self.blacklist.is_empty() && (self.whitelist.is_empty() || self.whitelist.iter().any(|f| f.rules.is_empty()))
    }

    /// Filters of which one must match; empty lets everything pass.
    #[must_use]
    pub fn whitelist(&self) -> &[Filter] {
        &self.whitelist
    }

    /// Filters of which none may match.
    #[must_use]
    pub fn blacklist(&self) -> &[Filter] {
        &self.blacklist
    }
}

/// Refuses filters whose expressions would take more memory and time than one request may have; gives about what their
/// regular expressions take.
fn check_size<'a>(filters: impl Iterator<Item = &'a FlowFilter>) -> Result<usize, FilterError> {
    let (mut compiled, mut cel) = (0, 0usize);
    for filter in filters {
        for expression in filter.dns_query.iter().chain(&filter.http_path).chain(&filter.http_url) {
            compiled = Regexes::together(compiled, Regexes::held_bytes(expression))?;
        }
        cel = cel.saturating_add(filter.cel_expression.iter().map(String::len).sum());
    }
    if cel > CEL_BYTES_MAX { Err(FilterError::TooManyExpressions) } else { Ok(compiled) }
}

impl Filter {
    /// Checks and prepares one filter.
    ///
    /// # Errors
    /// A value cannot be understood.
    pub fn compile(filter: &FlowFilter) -> Result<Self, FilterError> {
        Self::compile_with(filter, refuse)
    }

    /// Checks and prepares one filter, with a language for its expressions.
    ///
    /// # Errors
    /// A value or an expression cannot be understood.
    pub fn compile_with(filter: &FlowFilter, expression: CompileExpression) -> Result<Self, FilterError> {
        Ok(Self { rules: compile(filter, expression)? })
    }

    /// Whether every rule matches; a filter without rules matches every flow.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        self.rules.iter().all(|rule| rule.matches(flow))
    }

    fn expressions(&self) -> impl Iterator<Item = &Expressions> {
        self.rules.iter().filter_map(|rule| match rule {
            Rule::Expressions(expressions) => Some(expressions),
            _ => None,
        })
    }

    /// The rules, in Hubble's order of evaluation: one for each field that was set.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_are_too_many_for_one_request_are_refused() {
        let filter = |count: usize| FlowFilter {
            http_url: (0..count).map(|n| format!(r"\w{{900}}x{n}")).collect(),
            ..FlowFilter::default()
        };
        let compile = |filters: &[FlowFilter]| FilterSet::compile(filters, &[]).map(drop);
        assert!(compile(&[filter(20), filter(10)]).is_ok());
        let error = compile(&vec![filter(10); 20]).unwrap_err();
        assert!(matches!(error, FilterError::TooManyExpressions), "{error}");
        let cel = FlowFilter { cel_expression: vec!["x".repeat(1000); 300], ..FlowFilter::default() };
        assert!(matches!(compile(&[cel]).unwrap_err(), FilterError::TooManyExpressions));
    }
}
