//! The catalogue: which files there are.
//!
//! A file of lines, each the CRC-32C of a JSON record and the record: files that were added, files that were taken
//! away, and up to which row everything is in files. One line is one step, there as a whole or not at all. It can be
//! made again from the footers of the files.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::FileEntry;
use crate::home::write_whole;

/// Lines beyond which the catalogue is written anew when it has many more than files.
const LINES_MAX: usize = 1_000;

/// One step.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Step {
    published: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    add: Vec<Arc<FileEntry>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remove: Vec<String>,
}

/// The files, and the file that names them.
#[derive(Debug)]
pub(crate) struct Catalog {
    path: PathBuf,
    bytes: u64,
    lines: usize,
    published: u64,
    entries: Arc<Vec<Arc<FileEntry>>>,
}

/// What was found at a start.
#[derive(Debug)]
pub(crate) enum Found {
    /// A good catalogue, a last line that was not written to its end cut off.
    Good(Catalog),
    /// None, or one that is damaged.
    Damaged,
}

impl Catalog {
    /// An empty one; nothing is written yet.
    pub(crate) fn empty(path: PathBuf) -> Self {
        Self { path, bytes: 0, lines: 0, published: 0, entries: Arc::default() }
    }

    /// Reads the catalogue.
    pub(crate) fn load(path: &Path) -> io::Result<Found> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Damaged),
            Err(error) => return Err(error),
        };
        let mut catalog = Self::empty(path.to_owned());
        let mut entries = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(step) = read_line(line) else {
                let is_last = catalog.bytes + line.len() as u64 == bytes.len() as u64;
                if is_last && !line.ends_with(b"\n") {
                    break;
                }
                return Ok(Found::Damaged);
            };
            apply(&mut entries, &step);
            catalog.published = catalog.published.max(step.published);
            catalog.bytes += line.len() as u64;
            catalog.lines += 1;
        }
        if catalog.lines == 0 {
            return Ok(Found::Damaged);
        }
        catalog.entries = Arc::new(entries);
        Ok(Found::Good(catalog))
    }

    /// All files.
    pub(crate) const fn entries(&self) -> &Arc<Vec<Arc<FileEntry>>> {
        &self.entries
    }

    /// Sequence number up to which every row is, or was, in a file.
    pub(crate) const fn published(&self) -> u64 {
        self.published
    }

    /// Takes one step, durably.
    ///
    /// # Errors
    /// Nothing has changed.
    pub(crate) fn step(&mut self, add: Vec<FileEntry>, remove: Vec<String>, published: u64) -> io::Result<()> {
        let published = published.max(self.published);
        let step = Step { published, add: add.into_iter().map(Arc::new).collect(), remove };
        let mut entries = self.entries.to_vec();
        apply(&mut entries, &step);
        if self.lines >= LINES_MAX.max(entries.len() * 4) || self.bytes == 0 {
            let whole = Step { published, add: entries.clone(), remove: Vec::new() };
            let line = line(&whole)?;
            write_whole(&self.path, &line)?;
            (self.bytes, self.lines) = (line.len() as u64, 1);
        } else {
            let line = line(&step)?;
            self.append(&line)?;
            self.bytes += line.len() as u64;
            self.lines += 1;
        }
        self.published = published;
        self.entries = Arc::new(entries);
        Ok(())
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut file = File::options().append(true).open(&self.path)?;
        // What a failed step left, or a torn last line, must not stand before this one.
        file.set_len(self.bytes)?;
        let written = file.write_all(line).and_then(|()| file.sync_data());
        if written.is_err() {
            drop(file.set_len(self.bytes));
        }
        written
    }
}

fn apply(entries: &mut Vec<Arc<FileEntry>>, step: &Step) {
    let gone: HashSet<&str> =
        step.remove.iter().map(String::as_str).chain(step.add.iter().map(|e| e.path.as_str())).collect();
    if !gone.is_empty() {
        entries.retain(|entry| !gone.contains(entry.path.as_str()));
    }
    entries.extend(step.add.iter().cloned());
}

fn line(step: &Step) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(step).map_err(io::Error::other)?;
    let mut line = format!("{:08x} ", crc32c::crc32c(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    Ok(line)
}

fn read_line(line: &[u8]) -> Option<Step> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, json) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(&sum[..8]).ok()?, 16).ok()?;
    if sum != crc32c::crc32c(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}
