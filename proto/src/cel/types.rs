//! Types of expressions.

use std::fmt;

use crate::json::schema::{FieldShape, Kind};

/// Type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "CEL has a type of types")]
pub(super) enum Type {
    /// Whatever it turns out to be.
    Dyn,
    /// Of an empty list, until something is put into it.
    Free,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Timestamp,
    Duration,
    /// The type of types.
    Type,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    /// Full name of the message.
    Message(&'static str),
    /// A scalar that may be null.
    Wrapper(Box<Type>),
}

impl Type {
    /// Type of the values of a field, all of them together where it is repeated.
    pub(super) fn of_field(field: &'static FieldShape) -> Self {
        let single = Self::of_kind(&field.kind);
        if field.repeated { Self::List(Box::new(single)) } else { single }
    }

    fn of_kind(kind: &'static Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool,
            Kind::Int32 | Kind::Int64 | Kind::Enum(_) => Self::Int,
            Kind::Uint32 | Kind::Uint64 | Kind::Fixed64 => Self::Uint,
            Kind::Double => Self::Double,
            Kind::String => Self::Text,
            Kind::Bytes => Self::Bytes,
            Kind::Message(name) => Self::Message(name),
            Kind::Timestamp => Self::Timestamp,
            Kind::Any => Self::Dyn,
            Kind::Wrapper(inner) => Self::Wrapper(Box::new(Self::of_kind(inner))),
        }
    }

    /// The type that both can be taken for, the first one where either would do; `None` where they have nothing in common.
    pub(super) fn join(&self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => Self::Dyn,
            (Self::Free, known) | (known, Self::Free) => known.clone(),
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.join(b)?)),
            (Self::Map(k, v), Self::Map(l, w)) => Self::Map(Box::new(k.join(l)?), Box::new(v.join(w)?)),
            (Self::Wrapper(a), Self::Wrapper(b)) => Self::Wrapper(Box::new(a.join(b)?)),
            (first @ Self::Wrapper(inner), known) | (first @ known, Self::Wrapper(inner))
                if known.is_null() || **inner == *known =>
            {
                first.clone()
            }
            (first @ Self::Null, known) | (first @ known, Self::Null) if known.may_be_null() => first.clone(),
            (a, b) if a == b => a.clone(),
            _ => return None,
        })
    }

    /// Types it is made of, with itself.
    pub(super) fn parts(&self) -> usize {
        match self {
            Self::List(inner) | Self::Wrapper(inner) => 1 + inner.parts(),
            Self::Map(key, value) => 1 + key.parts() + value.parts(),
            _ => 1,
        }
    }

    fn is_null(&self) -> bool {
        *self == Self::Null
    }

    fn may_be_null(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Timestamp | Self::Duration | Self::Wrapper(_) | Self::Null | Self::Type)
    }

    /// Whether a value of this type can be used where the other one is wanted.
    pub(super) fn fits(&self, wanted: &Self) -> bool {
        self.join(wanted).is_some()
    }

    /// The type without the chance of null.
    pub(super) fn unwrapped(&self) -> &Self {
        match self {
            Self::Wrapper(inner) => inner,
            kind => kind,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dyn | Self::Free => "dyn",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Type => "type",
            Self::Message(name) => name,
            Self::List(inner) => return write!(f, "list({inner})"),
            Self::Map(key, value) => return write!(f, "map({key}, {value})"),
            Self::Wrapper(inner) => return write!(f, "wrapper({inner})"),
        })
    }
}
