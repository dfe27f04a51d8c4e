//! Rows in aligned columns, numbers to the right.

use std::io::{self, Write};

use flow::view::{SqlAnswer, SqlColumn};
use serde_json::Value;

use crate::print::put;

/// Spaces between columns.
const GAP: usize = 2;

/// Prints the titles, a rule and the rows.
///
/// # Errors
/// Writing failed.
pub(super) fn write(answer: &SqlAnswer, out: &mut dyn Write) -> io::Result<()> {
    let titles: Vec<String> = answer.columns.iter().map(|column| shown(&column.name)).collect();
    let rows: Vec<Vec<String>> = answer.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let mut widths: Vec<usize> = titles.iter().map(|title| title.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let right: Vec<bool> = answer.columns.iter().map(is_number).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    for row in [titles, rule].iter().chain(&rows) {
        write_row(row, &widths, &right, out)?;
    }
    Ok(())
}

fn write_row(row: &[String], widths: &[usize], right: &[bool], out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for ((cell, width), right) in row.iter().zip(widths).zip(right) {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        let (before, after) = if *right { (padding.as_str(), "") } else { ("", padding.as_str()) };
        line += before;
        line += cell;
        line += after;
        line += &" ".repeat(GAP);
    }
    writeln!(out, "{}", line.trim_end())
}

/// Whether the Arrow type holds numbers.
fn is_number(column: &SqlColumn) -> bool {
    ["Int", "UInt", "Float", "Decimal"].iter().any(|kind| column.kind.starts_with(kind))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

fn shown(text: &str) -> String {
    let mut bytes = Vec::new();
    put(&mut bytes, text);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let column = |name: &str, kind: &str| SqlColumn { name: name.to_owned(), kind: kind.to_owned() };
        let answer = SqlAnswer {
            columns: vec![column("verdict", "Utf8"), column("n", "Int64")],
            rows: vec![vec![json!("DROPPED"), json!(17)], vec![json!(null), json!(12_345)]],
            ..SqlAnswer::default()
        };
        let mut out = Vec::new();
        write(&answer, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "verdict      n\n-------  -----\nDROPPED     17\n         12345\n");
    }
}
