//! Filters from named conditions as people type them: the flags of `flowctl` and the query parameters of the HTTP API.

use super::FlowFilter;

/// Conditions gathered one by one and turned into a whitelist and a blacklist.
#[derive(Debug, Default)]
pub struct Selection {
    whitelist: Vec<FlowFilter>,
    blacklist: Vec<FlowFilter>,
}

/// A condition that cannot be understood or contradicts another one.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// No condition has this name.
    #[error("no condition is called {name:?}")]
    UnknownName {
        /// The name as given.
        name: String,
    },
}

impl Selection {
    /// Names of all conditions with one line of help each, in the order to show them.
    pub const NAMES: &'static [(&'static str, &'static str)] = &[];

    /// A selection without conditions: every flow passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition: the flow must have one of `values`, or with `negated` none of them.
    ///
    /// # Errors
    /// No condition has this name, a value cannot be understood, or it contradicts a condition added before.
    pub fn add<V: AsRef<str>>(&mut self, name: &str, values: &[V], negated: bool) -> Result<(), SelectionError> {
        let _ = (values, negated);
        Err(SelectionError::UnknownName { name: name.to_owned() })
    }

    /// The filters: whitelist, blacklist.
    ///
    /// # Errors
    /// Conditions contradict each other.
    pub fn finish(self) -> Result<(Vec<FlowFilter>, Vec<FlowFilter>), SelectionError> {
        Ok((self.whitelist, self.blacklist))
    }
}
