//! Rules on names of pods and services.

use super::FilterError;

/// Patterns `[namespace/]prefix`, any of which may match: the namespace exactly, the name by its start.
#[derive(Clone, Debug, Default)]
pub struct NamePrefixes {
    patterns: Vec<NamePrefix>,
}

#[derive(Clone, Debug)]
struct NamePrefix {
    /// Empty for any.
    namespace: Box<str>,
    /// Empty for any.
    prefix: Box<str>,
}

/// Namespace of a pattern without a slash.
const DEFAULT_NAMESPACE: &str = "default";

impl NamePrefixes {
    /// Reads the patterns: `ns/prefix`, `ns/` (any name), `/prefix` (any namespace), `prefix` (namespace `default`).
    ///
    /// # Errors
    /// A pattern is empty.
    pub fn parse(values: &[String]) -> Result<Self, FilterError> {
        let patterns = values.iter().map(|value| NamePrefix::parse(value)).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether one of them matches; what has neither namespace nor name never does.
    #[must_use]
    pub fn matches(&self, namespace: &str, name: &str) -> bool {
        if namespace.is_empty() && name.is_empty() {
            return false;
        }
        self.patterns
            .iter()
            .any(|p| name.starts_with(&*p.prefix) && (p.namespace.is_empty() || *p.namespace == *namespace))
    }
}

impl NamePrefix {
    fn parse(value: &str) -> Result<Self, FilterError> {
        if value.is_empty() {
            return Err(FilterError::EmptyName);
        }
        let (namespace, prefix) = match value.split_once('/') {
            // What follows a second slash is ignored, as Hubble does.
            Some((namespace, rest)) => (namespace, rest.split('/').next().unwrap_or_default()),
            None => (DEFAULT_NAMESPACE, value),
        };
        Ok(Self { namespace: namespace.into(), prefix: prefix.into() })
    }
}
