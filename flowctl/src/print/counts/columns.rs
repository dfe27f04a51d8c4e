//! Names to the left, numbers to the right.

use std::io::{self, Write};

use crate::print::put;

/// Titles of the counts, and of the rates that may follow them.
const COUNTS: [&str; 3] = ["FLOWS", "BYTES", "DROPPED"];
const RATES: [&str; 3] = ["FLOWS/S", "BYTES/S", "DROPS/S"];
/// Characters of a name; what is longer is cut, so that one URL does not push the numbers off the screen.
const NAME_CHARS_MAX: usize = 60;
const GAP: &str = "  ";

/// Rows of names and numbers.
pub(super) struct Columns {
    /// How many columns hold names.
    names: usize,
    rows: Vec<Vec<String>>,
}

impl Columns {
    pub(super) fn new(keys: &[&str], rates: bool) -> Self {
        let titles = COUNTS.iter().chain(RATES.iter().filter(|_| rates)).map(|title| (*title).to_owned());
        let keys = keys.iter().map(|key| key.to_uppercase());
        Self { names: keys.len(), rows: vec![keys.chain(titles).collect()] }
    }

    /// Adds a row; names that are missing are empty.
    pub(super) fn row(&mut self, names: &[&str], numbers: &[String]) {
        let names = (0..self.names).map(|at| names.get(at).map_or_else(String::new, |name| shown(name)));
        self.rows.push(names.chain(numbers.iter().cloned()).collect());
    }

    /// Prints all rows.
    ///
    /// # Errors
    /// Writing failed.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width - cell.chars().count());
                let gap = if column == 0 { "" } else { GAP };
                let (before, after) = if column < self.names { ("", padding.as_str()) } else { (padding.as_str(), "") };
                line.extend([gap, before, cell, after]);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A name without what could steer the terminal; a dash for none.
fn shown(name: &str) -> String {
    if name.is_empty() {
        return "-".to_owned();
    }
    let mut bytes = Vec::new();
    put(&mut bytes, name);
    let text = String::from_utf8_lossy(&bytes);
    if text.chars().count() <= NAME_CHARS_MAX {
        return text.into_owned();
    }
    text.chars().take(NAME_CHARS_MAX - 1).chain(['\u{2026}']).collect()
}
