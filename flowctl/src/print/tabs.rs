//! Columns aligned with spaces, by the rules of Go's `text/tabwriter`.

use std::io::{self, Write};

/// Spaces between a column's longest cell and the next column.
const PADDING: usize = 3;
/// Narrowest column.
const MIN_WIDTH: usize = 2;

/// Gathers text whose cells end with tabs, and prints it in columns: each as wide as its longest cell and three spaces. The
/// last cell of a line belongs to no column, and lines share a column only where all lines between them have it too.
///
/// Everything is held in memory until the end, for the last line may be the widest. Tabs and line ends in the data count
/// like those of the layout, as they do in Hubble's output.
#[derive(Debug, Default)]
pub(crate) struct Tabs {
    text: Vec<u8>,
}

impl Tabs {
    /// Adds a cell that is followed by another one.
    pub(crate) fn cell(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.text.push(b'\t');
    }

    /// Adds a cell of plain text that is followed by another one.
    pub(crate) fn text(&mut self, text: &str) {
        self.cell(|out| out.extend_from_slice(text.as_bytes()));
    }

    /// Adds the last cell of a line.
    pub(crate) fn last_cell(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.text.push(b'\n');
    }

    /// Prints all lines and starts anew.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        let mut lines: Vec<Vec<&[u8]>> = vec![Vec::new()];
        let mut start = 0;
        for (at, byte) in text.iter().enumerate() {
            if !matches!(byte, b'\t' | 0x0b | b'\n' | 0x0c) {
                continue;
            }
            let line = lines.last_mut().expect("there is always a line");
            line.push(&text[start..at]);
            start = at + 1;
            if matches!(byte, b'\n' | 0x0c) {
                // What comes after a line of one cell, or after a form feed, is aligned by itself.
                let is_end = *byte == 0x0c || line.len() == 1;
                lines.push(Vec::new());
                if is_end {
                    lines.pop();
                    write_block(out, &lines)?;
                    lines = vec![Vec::new()];
                }
            }
        }
        lines.pop();
        write_block(out, &lines)
    }
}

/// Prints lines that are aligned with each other.
fn write_block(out: &mut dyn Write, lines: &[Vec<&[u8]>]) -> io::Result<()> {
    let columns = lines.iter().map(|line| line.len().saturating_sub(1)).max().unwrap_or(0);
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|line| Vec::with_capacity(line.len())).collect();
    for column in 0..columns {
        let has = |line: &Vec<&[u8]>| column + 1 < line.len();
        let mut at = 0;
        while at < lines.len() {
            let run = lines[at..].iter().take_while(|line| has(line)).count();
            let widest = lines[at..at + run].iter().map(|line| chars(line[column]) + PADDING).max();
            for widths in &mut widths[at..at + run] {
                widths.push(widest.unwrap_or(0).max(MIN_WIDTH));
            }
            at += run.max(1);
        }
    }
    let most = widths.iter().flatten().copied().max().unwrap_or(0);
    let spaces = vec![b' '; most];
    for (line, widths) in lines.iter().zip(&widths) {
        for (column, cell) in line.iter().enumerate() {
            out.write_all(cell)?;
            if let Some(width) = widths.get(column) {
                out.write_all(&spaces[..width.saturating_sub(chars(cell))])?;
            }
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Characters of a cell: every byte but those that continue a character.
fn chars(cell: &[u8]) -> usize {
    cell.iter().filter(|b| **b & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned(text: &str) -> String {
        let mut tabs = Tabs { text: text.as_bytes().to_vec() };
        let mut out = Vec::new();
        tabs.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        assert_eq!(
            aligned("NAME\tAGE\tX\n\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\t\ta long last cell\n"),
            "NAME     AGE   X\n\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}         a long last cell\n"
        );
    }

    #[test]
    fn a_line_without_columns_ends_the_alignment() {
        assert_eq!(aligned("a\tb\nalone\nlonger\tb\n"), "a   b\nalone\nlonger   b\n");
        assert_eq!(aligned("a\tb\tc\nlonger\td\n\t\te\n"), "a        b   c\nlonger   d\n            e\n");
    }
}
