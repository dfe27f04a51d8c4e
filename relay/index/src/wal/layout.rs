//! The columns of the batches in one file of the log, by name, so that later versions can read it.

use table::schema::{COLUMNS, ColumnKind};

/// Kinds of columns and how the log calls them.
const KINDS: [(ColumnKind, &str); 9] = [
    (ColumnKind::Time, "time"),
    (ColumnKind::Small, "small"),
    (ColumnKind::Integer, "integer"),
    (ColumnKind::Number, "number"),
    (ColumnKind::Flag, "flag"),
    (ColumnKind::Uuid, "uuid"),
    (ColumnKind::Text, "text"),
    (ColumnKind::List, "list"),
    (ColumnKind::Json, "json"),
];

/// Names and kinds of columns in the order they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    columns: Vec<(String, ColumnKind)>,
    current: bool,
}

impl Layout {
    /// The columns of this version.
    pub(crate) fn current() -> Self {
        let columns = COLUMNS.iter().map(|column| (column.name.to_owned(), column.kind)).collect();
        Self { columns, current: true }
    }

    /// The columns as a file names them; `None` where a kind is not known, so that their bytes cannot be told apart.
    pub(crate) fn read(names: &[(String, String)]) -> Option<Self> {
        let kind = |name: &str| KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind);
        let columns = names.iter().map(|(name, text)| Some((name.clone(), kind(text)?))).collect::<Option<Vec<_>>>()?;
        let current = columns == Self::current().columns;
        Some(Self { columns, current })
    }

    /// Names and kinds as a file holds them.
    pub(crate) fn names(&self) -> Vec<(String, String)> {
        let name = |kind: ColumnKind| KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, name)| *name);
        self.columns.iter().map(|(column, kind)| (column.clone(), name(*kind).to_owned())).collect()
    }

    pub(crate) fn columns(&self) -> &[(String, ColumnKind)] {
        &self.columns
    }

    /// Whether they are the columns of this version.
    pub(crate) const fn is_current(&self) -> bool {
        self.current
    }
}
