//! Field masks: which fields of a flow a client wants.

mod fields;

use prost::Name as _;

use self::fields::{Field, Masked};
use crate::flow::Flow;

/// Paths of `flow.Flow` to keep, in Hubble's spelling (`source.pod_name`, `IP`, `Type`, `Summary`).
///
/// Paths that name no field are ignored: a client may know a newer API. Of a mask in which no path is known, nothing is
/// kept.
#[derive(Clone, Debug)]
pub struct FieldMask {
    keep: Keep,
}

/// What is kept of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Keep {
    Nothing,
    /// These of its fields, in the order of [`Masked::FIELDS`].
    Part(Vec<Keep>),
    All,
}

impl Default for FieldMask {
    fn default() -> Self {
        Self { keep: Keep::All }
    }
}

impl FieldMask {
    /// A mask of these paths; no path at all keeps everything.
    #[must_use]
    pub fn new<P: AsRef<str>>(paths: &[P]) -> Self {
        let mut mask = Self { keep: if paths.is_empty() { Keep::All } else { Keep::nothing_of(Flow::FIELDS) } };
        for path in paths {
            mask.keep.add(Flow::FIELDS, path.as_ref());
        }
        mask
    }

    /// Whether every field is kept, so that applying can be left out.
    #[must_use]
    pub fn keeps_everything(&self) -> bool {
        self.keep == Keep::All
    }

    /// Clears every field of the flow that no path names.
    pub fn apply(&self, flow: &mut Flow) {
        if let Keep::Part(parts) = &self.keep {
            flow.keep(parts);
        }
    }
}

/// Whether the path names a field of a flow; below lists there is nothing to name.
#[must_use]
pub fn is_path(path: &str) -> bool {
    crate::json::schema::message(&Flow::full_name()).is_some_and(|shape| shape.has_path(path))
}

impl Keep {
    fn nothing_of(fields: &[Field]) -> Self {
        Self::Part(vec![Self::Nothing; fields.len()])
    }

    /// Adds what the path names below a message with these fields.
    fn add(&mut self, fields: &'static [Field], path: &str) {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let Some(at) = fields.iter().position(|field| field.name == name) else { return };
        let Self::Part(parts) = self else { return };
        let part = &mut parts[at];
        match (rest, fields[at].fields) {
            // Times, wrappers and lists are kept whole.
            (None, _) | (Some(_), []) => *part = Self::All,
            (Some(rest), nested) => {
                let mut below = if *part == Self::Nothing { Self::nothing_of(nested) } else { part.clone() };
                below.add(nested, rest);
                // A path that names nothing below must not leave an empty message behind.
                if below != Self::nothing_of(nested) {
                    *part = below;
                }
            }
        }
    }
}
