//! Flows of a store become one Parquet file.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use flow::Timestamp;
use table::Col;

use super::Archive;
use crate::files::{FileEntry, Files, Footer, GroupEntry, PlainWriter, ReadError};
use crate::{Search, Segment};

/// What an export did.
#[derive(Debug, Default)]
pub struct Exported {
    /// Rows written.
    pub rows: u64,
    /// Files of the range that could not be read, or not all of them.
    pub unread: Vec<Unread>,
}

/// A file whose rows are missing from an export.
#[derive(Debug)]
pub struct Unread {
    /// Path below the root of the store.
    pub path: String,
    /// Rows of the row groups that could not be read; those of the range are missing.
    pub rows: u64,
    /// Why the first of them could not.
    pub error: ReadError,
}

impl Archive {
    /// Copies the flows of a range of time, both ends inclusive, into one Parquet file. What is damaged or cannot be read
    /// is passed over and named; files outside the range are not opened. `progress` is told the rows looked at.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn export(
        &self,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        to: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<Exported> {
        let mut temporary = to.as_os_str().to_owned();
        temporary.push(".tmp");
        let search = Search { since, until, ..Search::default() };
        let written = self.export_rows(search, Path::new(&temporary), progress);
        // What is left of a file that could not be written only takes room; the cause is what matters.
        let done = written.inspect_err(|_| drop(std::fs::remove_file(&temporary)))?;
        std::fs::rename(&temporary, to)?;
        Ok(done)
    }

    fn export_rows(&self, search: Search, to: &Path, progress: &mut dyn FnMut(u64)) -> io::Result<Exported> {
        let (writer, done) = (PlainWriter::new(File::create(to)?)?, Exported::default());
        let mut export = Export { files: &self.files, search, writer, done };
        let mut entries: Vec<&Arc<FileEntry>> = self.entries.iter().collect();
        entries.sort_by_key(|entry| entry.time_range().0);
        for entry in entries {
            export.add(entry)?;
            progress(entry.rows);
        }
        export.writer.finish()?;
        Ok(export.done)
    }
}

/// An export under way.
struct Export<'a> {
    files: &'a Files,
    search: Search,
    writer: PlainWriter,
    done: Exported,
}

impl Export<'_> {
    /// Copies what can be read of a file and is in the range.
    fn add(&mut self, entry: &FileEntry) -> io::Result<()> {
        let groups: Vec<usize> = (0..entry.groups.len()).filter(|n| overlaps(entry.groups[*n], &self.search)).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let unread = |rows, error| Unread { path: entry.path.clone(), rows, error };
        let rows_of = |group: usize| u64::from(entry.groups[group].rows());
        let footer = match self.files.read_footer(entry) {
            Ok(footer) => footer,
            Err(error) => {
                self.done.unread.push(unread(groups.iter().map(|group| rows_of(*group)).sum(), error));
                return Ok(());
            }
        };
        let mut missing: Option<Unread> = None;
        for group in groups {
            match self.rows_within(entry, &footer, group) {
                Ok(Some(batch)) => {
                    self.done.rows += batch.num_rows() as u64;
                    self.writer.add(&batch)?;
                }
                Ok(None) => {}
                Err(error) => missing.get_or_insert_with(|| unread(0, error)).rows += rows_of(group),
            }
        }
        self.done.unread.extend(missing);
        Ok(())
    }

    /// The rows of a row group in the range; `None` where there are none.
    fn rows_within(&self, entry: &FileEntry, footer: &Footer, group: usize) -> Result<Option<RecordBatch>, ReadError> {
        let batch = footer.rows(self.files.place(), group, Col::ALL, None)?;
        let damaged = |problem: String| ReadError::Damaged { path: entry.path.clone(), problem };
        let segment = Segment::new(batch, 0).map_err(|error| damaged(error.to_string()))?;
        let marked = segment.matching(&self.search);
        if marked.count_set_bits() == segment.rows() {
            return Ok(Some(segment.batch().clone()));
        }
        if !marked.has_true() {
            return Ok(None);
        }
        let kept = arrow::compute::filter_record_batch(segment.batch(), &marked.into());
        kept.map(Some).map_err(|error| damaged(error.to_string()))
    }
}

/// Whether a row group may have rows in the range of a search.
fn overlaps(group: GroupEntry, search: &Search) -> bool {
    let (oldest, newest) = group.time_range();
    search.since.is_none_or(|since| newest >= since) && search.until.is_none_or(|until| oldest <= until)
}
