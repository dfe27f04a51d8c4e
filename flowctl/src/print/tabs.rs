//! Columns aligned with spaces.

use std::io::{self, Write};

/// Spaces between a column's longest cell and the next column.
const PADDING: usize = 3;
/// Narrowest column.
const MIN_WIDTH: usize = 2;

/// Gathers cells and prints them in columns: each as wide as its longest cell and three spaces. The last cell of a line
/// is not padded.
///
/// Everything is held in memory until the end, for the last line may be the widest.
#[derive(Debug, Default)]
pub(crate) struct Tabs {
    /// Columns that are padded; lines may end before the last of them.
    columns: usize,
    bytes: Vec<u8>,
    /// End of each cell in `bytes`, and whether it ends its line.
    cells: Vec<(usize, bool)>,
}

impl Tabs {
    /// Columns aligned over all lines; `columns` of them are followed by another one.
    pub(crate) fn new(columns: usize) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Adds a cell that is followed by another one.
    pub(crate) fn cell(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.cells.push((self.bytes.len(), false));
    }

    /// Adds a cell of plain text that is followed by another one.
    pub(crate) fn text(&mut self, text: &str) {
        self.cell(|out| out.extend_from_slice(text.as_bytes()));
    }

    /// Adds the last cell of a line.
    pub(crate) fn last_cell(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.cells.push((self.bytes.len(), true));
    }

    /// Prints all lines and starts anew.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut widths = vec![MIN_WIDTH; self.columns];
        self.each(|column, cell, ends| {
            if !ends && let Some(width) = widths.get_mut(column) {
                *width = (*width).max(chars(cell) + PADDING);
            }
            Ok(())
        })?;
        let most = widths.iter().copied().max().unwrap_or(0);
        let spaces = vec![b' '; most];
        self.each(|column, cell, ends| {
            out.write_all(cell)?;
            match widths.get(column) {
                _ if ends => out.write_all(b"\n"),
                Some(width) => out.write_all(&spaces[..width.saturating_sub(chars(cell))]),
                None => Ok(()),
            }
        })?;
        self.bytes.clear();
        self.cells.clear();
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(usize, &[u8], bool) -> io::Result<()>) -> io::Result<()> {
        let (mut start, mut column) = (0, 0);
        for &(end, ends_line) in &self.cells {
            visit(column, &self.bytes[start..end], ends_line)?;
            start = end;
            column = if ends_line { 0 } else { column + 1 };
        }
        Ok(())
    }
}

/// Characters of a cell: every byte but those that continue a character.
fn chars(cell: &[u8]) -> usize {
    cell.iter().filter(|b| **b & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let mut tabs = Tabs::new(2);
        for line in [["NAME", "AGE", "X"], ["\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", "", "a long last cell"]] {
            tabs.text(line[0]);
            tabs.text(line[1]);
            tabs.last_cell(|out| out.extend_from_slice(line[2].as_bytes()));
        }
        let mut out = Vec::new();
        tabs.write(&mut out).unwrap();
        let expected = "NAME     AGE   X\n\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}         a long last cell\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
