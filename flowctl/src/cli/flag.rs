//! What a flag is.

use super::value;
use crate::moments::parse_go_span;

/// A flag as it is declared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) kind: FlagKind,
    /// Value where the flag is not given, in the form of the flag.
    pub(crate) default: &'static str,
    /// Value of the flag given without one; `None` where it wants one.
    pub(crate) bare: Option<&'static str>,
    /// One sentence or more; further lines stand below the first.
    pub(crate) help: &'static str,
}

/// Type of a flag's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagKind {
    Bool,
    Text,
    Uint,
    /// A port.
    Uint16,
    Duration,
    /// Texts separated by commas.
    Strings,
    /// A text each time it is given.
    StringArray,
    /// A condition on flows; its values are checked by the selection.
    Filter,
}

impl Flag {
    /// A flag that is on or off.
    pub(crate) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { name, short: None, kind: FlagKind::Bool, default: "false", bare: Some("true"), help }
    }

    /// A flag with a text.
    pub(crate) const fn text(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self { name, short: None, kind: FlagKind::Text, default, bare: None, help }
    }

    /// A flag with a value of another kind.
    pub(crate) const fn new(name: &'static str, kind: FlagKind, default: &'static str, help: &'static str) -> Self {
        Self { name, short: None, kind, default, bare: None, help }
    }

    /// With a short form.
    pub(crate) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    /// On unless said otherwise.
    pub(crate) const fn on(mut self) -> Self {
        self.default = "true";
        self
    }

    /// With the value that it has when given without one.
    pub(crate) const fn bare(mut self, value: &'static str) -> Self {
        self.bare = Some(value);
        self
    }

    /// Both forms, as messages name the flag.
    pub(crate) fn names(&self) -> String {
        match self.short {
            Some(short) => format!("-{short}, --{}", self.name),
            None => format!("--{}", self.name),
        }
    }

    /// Whether the value has the type of the flag.
    ///
    /// # Errors
    /// The reason why not.
    pub(crate) fn check(&self, text: &str) -> Result<(), String> {
        match self.kind {
            FlagKind::Bool => value::boolean(text).map(drop),
            FlagKind::Uint => value::unsigned(text, u64::MAX).map(drop),
            FlagKind::Uint16 => value::unsigned(text, u16::MAX.into()).map(drop),
            FlagKind::Duration => parse_go_span(text).map(drop),
            FlagKind::Strings => value::comma_separated(text).map(drop),
            FlagKind::Text | FlagKind::StringArray | FlagKind::Filter => Ok(()),
        }
    }

    /// Name of the value's type in help; empty for switches.
    pub(crate) const fn value_name(&self) -> &'static str {
        match self.kind {
            FlagKind::Bool => "",
            FlagKind::Text => "string",
            FlagKind::Uint => "uint",
            FlagKind::Uint16 => "uint16",
            FlagKind::Duration => "duration",
            FlagKind::Strings => "strings",
            FlagKind::StringArray => "stringArray",
            FlagKind::Filter => "filter",
        }
    }

    /// Name of the type in messages about settings.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self.kind {
            FlagKind::Bool => "bool",
            FlagKind::Strings => "stringSlice",
            FlagKind::Uint => "uint64",
            _ => self.value_name(),
        }
    }
}
