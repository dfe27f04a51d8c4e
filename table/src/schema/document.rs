//! The table as a page for people.

use std::fmt::Write as _;

use super::{COLUMNS, ColumnKind};

/// Lists the columns as a Markdown table: column, type, unit and meaning.
#[must_use]
pub fn document() -> String {
    let mut text = String::from("| column | type | unit | meaning |\n|---|---|---|---|\n");
    for column in COLUMNS {
        let null = if column.nullable { ", nullable" } else { "" };
        writeln!(
            text,
            "| `{}` | {}{null} | {} | {} |",
            column.name,
            sql_type(column.kind),
            column.unit,
            column.meaning
        )
        .expect("writing into a string cannot fail");
    }
    text
}

/// Type of a column as SQL users see it.
const fn sql_type(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Time => "timestamp (UTC)",
        ColumnKind::Small => "smallint",
        ColumnKind::Integer => "integer",
        ColumnKind::Number => "bigint",
        ColumnKind::Flag => "boolean",
        ColumnKind::Uuid => "16 bytes",
        ColumnKind::Text => "text",
        ColumnKind::List => "text (JSON array)",
        ColumnKind::Json => "text (JSON)",
    }
}
