//! Filters from named conditions as people type them: the flags of `flowctl` and the query parameters of the HTTP API.
//!
//! Names, meaning and refusals are those of the flags of Hubble's CLI. A condition on "either side" (`pod`, `ip`, ...)
//! makes two filters, one for each side; what is said about the flow itself goes into both.

mod conflict;
mod names;
mod sides;
mod value;

use self::sides::Sides;
pub use self::value::parse_prefixed;
use super::FlowFilter;

/// Conditions gathered one by one and turned into a whitelist and a blacklist.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    whitelist: Sides,
    blacklist: Sides,
}

/// A condition that cannot be understood or contradicts another one. Texts are those of Hubble's CLI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No condition has this name.
    #[error("no condition is called {name:?}")]
    UnknownName {
        /// The name as given.
        name: String,
    },
    /// Two conditions exclude each other.
    #[error("filters --{first} and --{second} cannot be combined")]
    Conflict {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A pod or service is in another namespace than the one asked for.
    #[error("namespace conflict: {namespace:?} does not contain {name:?}")]
    Namespace {
        /// The namespace asked for.
        namespace: String,
        /// The pod or service.
        name: String,
    },
    /// A service is in another namespace than a pod of the same side.
    #[error("namespace of service {service:?} conflict with pod {namespace:?}")]
    ServiceNamespace {
        /// The service.
        service: String,
        /// Namespace of the pod.
        namespace: String,
    },
    /// Namespaces contradict each other in more than one way, one a line.
    #[error("{first}\n{more}")]
    Several {
        /// What was found first; it may be several itself.
        first: Box<SelectionError>,
        /// What was found after it.
        more: Box<SelectionError>,
    },
    /// A value is none of those the condition has.
    #[error("invalid --{name} value: {value}")]
    Value {
        /// Name of the condition.
        name: &'static str,
        /// The value as given.
        value: String,
    },
    /// Trace ids begin at 1.
    #[error("invalid --ip-trace-id value; must be greater than 0")]
    ZeroTraceId,
    /// A header has no colon.
    #[error("invalid http-header value {value:?}, expected name:value")]
    Header {
        /// The value as given.
        value: String,
    },
    /// An event type is neither a name nor a number.
    #[error("unable to parse type '{value}', not a known type name and unable to parse as numeric value")]
    Type {
        /// The value as given.
        value: String,
    },
    /// A sub type is neither a name nor a number.
    #[error("unable to parse event sub-type '{value}', not a known sub-type name and unable to parse as numeric value")]
    SubType {
        /// The value as given.
        value: String,
    },
    /// An identity is neither a reserved name nor a number.
    #[error("invalid security identity {value:?}, expected one of {names} or a numeric value")]
    Identity {
        /// The value as given.
        value: String,
        /// The reserved names.
        names: String,
    },
    /// A TCP flag has an unknown name.
    #[error("unknown tcp flag: {value}")]
    TcpFlag {
        /// The value as given.
        value: String,
    },
    /// A direction is neither in nor out.
    #[error("{value}: invalid traffic direction, expected ingress or egress")]
    Direction {
        /// The value as given.
        value: String,
    },
}

impl Selection {
    /// Names of all conditions with one line of help each, in the order to show them.
    pub const NAMES: &'static [(&'static str, &'static str)] = names::NAMES;

    /// A selection without conditions: every flow passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition: the flow must have one of `values`, or with `negated` none of them. Conditions that have no
    /// value (`ipv4`, `all-namespaces`, `encrypted`, ...) take none, or `true`, or `false`, which adds nothing.
    ///
    /// # Errors
    /// No condition has this name, a value cannot be understood, or it contradicts a condition added before.
    pub fn add<V: AsRef<str>>(&mut self, name: &str, values: &[V], negated: bool) -> Result<(), SelectionError> {
        let name = known(name)?;
        let sides = if negated { &mut self.blacklist } else { &mut self.whitelist };
        if names::is_switch(name) && values.is_empty() {
            return sides.set(name, "true");
        }
        values.iter().try_for_each(|value| sides.set(name, value.as_ref()))
    }

    /// Adds a condition from a query parameter: the name may begin with `not-`, and commas separate values where no
    /// value can hold one.
    ///
    /// # Errors
    /// As [`Selection::add`].
    pub fn add_parameter(&mut self, name: &str, text: &str) -> Result<(), SelectionError> {
        let (plain, negated) = name.strip_prefix("not-").map_or((name, false), |plain| (plain, true));
        if names::may_hold_commas(known(plain)?) {
            return self.add(plain, &[text], negated);
        }
        let values: Vec<&str> = text.split(',').filter(|value| !value.is_empty()).collect();
        // An empty parameter is a bad value, not the absence of a condition: refuse it like any other.
        if values.is_empty() && !names::is_switch(plain) {
            return self.add(plain, &[""], negated);
        }
        self.add(plain, &values, negated)
    }

    /// Whether two conditions, each a name and one value, are refused together though neither is alone. Both include, or
    /// both exclude: other pairs never are.
    #[must_use]
    pub fn clash(one: (&str, &str), other: (&str, &str)) -> bool {
        conflict::clash(one, other)
    }

    /// Whether this condition has no value of its own: `true` stands for it, and `false` adds nothing.
    #[must_use]
    pub fn is_switch(name: &str) -> bool {
        names::is_switch(name)
    }

    /// Whether a comma may be part of one value of this condition, so that a parameter holds a single value.
    #[must_use]
    pub fn may_hold_commas(name: &str) -> bool {
        names::may_hold_commas(name)
    }

    /// The filters: whitelist, blacklist.
    ///
    /// # Errors
    /// None at present: contradictions are found when conditions are added.
    pub fn finish(self) -> Result<(Vec<FlowFilter>, Vec<FlowFilter>), SelectionError> {
        Ok((self.whitelist.filters(), self.blacklist.filters()))
    }
}

fn known(name: &str) -> Result<&'static str, SelectionError> {
    names::NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(known, _)| *known)
        .ok_or_else(|| SelectionError::UnknownName { name: name.to_owned() })
}
