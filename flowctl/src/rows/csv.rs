//! Comma-separated values by RFC 4180, with a header; lines end with a line feed alone.
//!
//! Nothing between two commas is NULL, or what stands for nothing in a column that has no NULL. A text of length 0 in a
//! column that has NULL is `""`, so that rows come back as they were.

use std::io::{self, BufRead, BufReader, Read, Write as _};

use table::schema::Column;

use super::cell::{Cell, Cells, columns, uuid_text};
use crate::print::Escape;

/// Writes the names of the columns.
pub(super) fn write_header(out: &mut Vec<u8>) {
    let names: Vec<&str> = columns().map(|(_, column)| column.name).collect();
    out.extend_from_slice(names.join(",").as_bytes());
    out.push(b'\n');
}

/// Writes all rows; `escape` is for a terminal, which text from the network must not steer.
pub(super) fn write_rows(out: &mut Vec<u8>, cells: &Cells, escape: Option<Escape>) {
    for row in 0..cells.rows {
        for (at, (cell, (_, column))) in cells.row(row).zip(columns()).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_cell(out, cell, column, escape);
        }
        out.push(b'\n');
    }
}

const MEMORY: &str = "writing to memory cannot fail";

fn write_cell(out: &mut Vec<u8>, cell: Cell<'_>, column: &Column, escape: Option<Escape>) {
    match cell {
        Cell::Null => {}
        Cell::Text(text) | Cell::List(text) | Cell::Json(text) => {
            if !column.nullable && text == column.kind.empty_text() {
                return;
            }
            match escape {
                None => write_text(out, text),
                Some(escape) => {
                    let mut shown = Vec::with_capacity(text.len());
                    escape.put(&mut shown, text);
                    write_text(out, &String::from_utf8_lossy(&shown));
                }
            }
        }
        Cell::Number(number) => write!(out, "{number}").expect(MEMORY),
        Cell::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
        Cell::Time(time) => write!(out, "{time}").expect(MEMORY),
        Cell::Uuid(uuid) => out.extend_from_slice(uuid_text(uuid).as_bytes()),
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let needs_quotes = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    let edges = text.starts_with(' ') || text.ends_with(' ');
    if !text.is_empty() && !edges && !text.as_bytes().iter().any(needs_quotes) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for part in text.split_inclusive('"') {
        out.extend_from_slice(part.as_bytes());
        if part.ends_with('"') {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// A field of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    /// Whether it stands in quotes, so that it is a text even where it is empty.
    pub(super) quoted: bool,
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRecord {
    /// Reading failed.
    #[error("cannot read")]
    Read(#[source] io::Error),
    /// Longer than anything that is read at once.
    #[error("record is longer than {0} bytes: see --line-bytes-max")]
    TooLong(usize),
    /// A quote that is never closed.
    #[error("quoted field without end")]
    Unclosed,
    /// Bytes that are no text.
    #[error("not UTF-8")]
    NotText,
}

/// Cuts a text into records.
pub(super) struct Records<R> {
    input: R,
    /// Number of the line on which the next record begins, from 1.
    pub(super) line: u64,
    bytes_max: usize,
    bytes: Vec<u8>,
}

impl<R: Read> Records<BufReader<R>> {
    /// Whether the next record has to be waited for.
    pub(super) fn holds_nothing(&self) -> bool {
        self.input.buffer().is_empty()
    }
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R, bytes_max: usize) -> Self {
        Self { input, line: 1, bytes_max, bytes: Vec::new() }
    }

    /// Reads the next record and the line it begins on; `None` at the end.
    ///
    /// # Errors
    /// Of [`BadRecord`]; after [`BadRecord::NotText`] reading may go on.
    pub(super) fn next(&mut self, fields: &mut Vec<Field>) -> Result<Option<u64>, BadRecord> {
        self.bytes.clear();
        let begins = self.line;
        loop {
            let before = self.bytes.len();
            let most = u64::try_from(self.bytes_max.saturating_sub(before)).unwrap_or(u64::MAX);
            let mut part = (&mut self.input).take(most.saturating_add(1));
            let read = part.read_until(b'\n', &mut self.bytes).map_err(BadRecord::Read)?;
            if self.bytes.len() > self.bytes_max {
                return Err(BadRecord::TooLong(self.bytes_max));
            }
            // A line end inside of quotes belongs to the field.
            let open = self.bytes.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            if read == 0 {
                return match (before, open) {
                    (0, _) => Ok(None),
                    (_, true) => Err(BadRecord::Unclosed),
                    (_, false) => self.split(fields).map(|()| Some(begins)),
                };
            }
            self.line += 1;
            if !open {
                return self.split(fields).map(|()| Some(begins));
            }
        }
    }

    fn split(&self, fields: &mut Vec<Field>) -> Result<(), BadRecord> {
        let text = std::str::from_utf8(&self.bytes).map_err(|_| BadRecord::NotText)?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        fields.clear();
        let mut field = Field::default();
        let mut in_quotes = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if in_quotes && chars.peek() == Some(&'"') => {
                    chars.next();
                    field.text.push('"');
                }
                '"' if in_quotes => in_quotes = false,
                '"' if field.text.is_empty() && !field.quoted => (in_quotes, field.quoted) = (true, true),
                ',' if !in_quotes => fields.push(std::mem::take(&mut field)),
                c => field.text.push(c),
            }
        }
        fields.push(field);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<Vec<(String, bool)>> {
        let mut records = Records::new(text.as_bytes(), 1 << 10);
        let mut fields = Vec::new();
        let mut all = Vec::new();
        while records.next(&mut fields).unwrap().is_some() {
            all.push(fields.iter().map(|field| (field.text.clone(), field.quoted)).collect());
        }
        all
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["plain", "", " edge", "a,b", "say \"so\"", "two\nlines\r\n", "\"", "é,\u{1f600}"] {
            let mut out = Vec::new();
            write_text(&mut out, text);
            out.extend_from_slice(b",next\n");
            let read = records(&String::from_utf8(out).unwrap());
            assert_eq!(read, [[(text.to_owned(), read[0][0].1), ("next".to_owned(), false)]], "{text:?}");
        }
        assert_eq!(records("a,\"\",\n"), [[("a".into(), false), (String::new(), true), (String::new(), false)]]);
    }

    #[test]
    fn records_end_and_fail_where_they_should() {
        assert_eq!(records("a\r\nb").len(), 2);
        let mut fields = Vec::new();
        let mut check = |text: &[u8], expected: &str| {
            let error = Records::new(text, 8).next(&mut fields).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(b"\"open", "quoted field without end");
        check(b"123456789\n", "record is longer than 8 bytes");
        check(b"\xff\n", "not UTF-8");
    }
}
