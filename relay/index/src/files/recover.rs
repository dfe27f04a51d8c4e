//! Making catalogue and files agree at a start.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use super::entry::{FLOWS, FileEntry};
use super::{Catalog, Files, Footer, Found, ReadError, Trouble};

/// What a start found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Whether the catalogue had to be made from the footers.
    pub(crate) rebuilt: bool,
    /// Files that a crash left behind and that were deleted; their rows are in the log or in other files.
    pub(crate) deleted: u64,
}

impl Files {
    /// Reads the catalogue, or makes it from the footers where it is missing or damaged, and deletes files of `relay`
    /// that belong to no finished step.
    ///
    /// # Errors
    /// The folder or the object store cannot be read or written.
    pub(crate) fn recover(&self, root: &Path, relay: &str) -> io::Result<(Catalog, Recovered)> {
        let path = root.join("catalog.jsonl");
        let there: Vec<String> = self
            .place
            .list(FLOWS)?
            .into_iter()
            .filter(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with(relay)))
            .collect();
        let mut recovered = Recovered::default();
        let mut catalog = match Catalog::load(&path)? {
            Found::Good(catalog) => catalog,
            Found::Damaged => {
                recovered.rebuilt = path.exists() || !there.is_empty();
                if path.exists() {
                    std::fs::rename(&path, root.join("catalog.jsonl.damaged"))?;
                }
                Catalog::empty(path)
            }
        };
        let known: HashSet<&str> = catalog.entries().iter().map(|entry| entry.path.as_str()).collect();
        let unknown: Vec<&String> = there.iter().filter(|path| !known.contains(path.as_str())).collect();
        let mut strays = Vec::new();
        for path in unknown {
            strays.extend(self.look_at(path, recovered.rebuilt)?);
        }
        let (adopted, left) = settle(strays, &catalog, recovered.rebuilt);
        if !adopted.is_empty() || recovered.rebuilt {
            let published = adopted.iter().map(|entry| entry.end_seq).max().unwrap_or_default();
            catalog.step(adopted, Vec::new(), published)?;
        }
        for entry in left {
            self.delete(&entry.path)?;
            recovered.deleted += 1;
        }
        self.delete_stray_rollups(relay, catalog.entries())?;
        let there: HashSet<&str> = there.iter().map(String::as_str).collect();
        for entry in catalog.entries().iter().filter(|entry| !there.contains(entry.path.as_str())) {
            self.note_missing(entry);
        }
        Ok((catalog, recovered))
    }

    /// What a file says of itself; `None` where it is damaged and was set aside, or is of a later version.
    fn look_at(&self, path: &str, rebuilding: bool) -> io::Result<Option<FileEntry>> {
        let bytes = self.place.length(path)?;
        match Footer::read(&self.place, path, bytes) {
            Ok(footer) => Ok(Some(FileEntry { path: path.to_owned(), bytes, ..footer.about().entry.clone() })),
            Err(ReadError::Io { source, .. }) => Err(source),
            // A catalogue without it would tell the later version to delete it.
            Err(error @ ReadError::Later { .. }) if rebuilding => {
                Err(io::Error::other(format!("the catalogue is lost, and {error} once, which makes it again")))
            }
            Err(error) => {
                self.meet_trouble(&FileEntry::unknown(path, bytes), &error);
                Ok(None)
            }
        }
    }

    fn note_missing(&self, entry: &FileEntry) {
        let problem = format!("{} is in the catalogue and not there", entry.path);
        let trouble = Trouble { path: entry.path.clone(), problem, range: entry.time_range(), set_aside: true };
        let mut troubles = super::lock(&self.troubles);
        if !troubles.meet(&entry.path) {
            troubles.note(trouble);
        }
    }
}

/// Parts files that are in no catalogue into those that belong there and those that do not.
///
/// A run that is there as a whole is taken: its rows are in the log too, unless that is lost. What does not belong is
/// what a finished step replaced or took away, what an unfinished compaction wrote, and parts of an unfinished run,
/// whose rows are in the log. Where the catalogue is lost, old runs may miss hours that expired or were compacted.
fn settle(strays: Vec<FileEntry>, catalog: &Catalog, lost: bool) -> (Vec<FileEntry>, Vec<FileEntry>) {
    let (compacted, replaced) = compactions(&strays);
    let runs = runs(&strays);
    let newest = runs.keys().map(|run| run.end_seq).max().unwrap_or_default();
    let tried_again = tried_again(&runs);
    let belongs = |entry: &FileEntry| {
        let run = Run::of(entry);
        let whole = runs.get(&run) == Some(&entry.parts);
        match entry.level {
            0 if lost => {
                !replaced.contains(entry.path.as_str())
                    && !tried_again.contains(&run)
                    && (entry.end_seq < newest || whole)
            }
            0 => entry.first_seq >= catalog.published() && whole && !tried_again.contains(&run),
            _ => lost && compacted.iter().any(|kept| kept.path == entry.path),
        }
    };
    let belong: Vec<bool> = strays.iter().map(belongs).collect();
    let (adopted, left): (Vec<_>, Vec<_>) = strays.into_iter().zip(belong).partition(|(_, belongs)| *belongs);
    let entries = |pairs: Vec<(FileEntry, bool)>| pairs.into_iter().map(|(entry, _)| entry).collect();
    (entries(adopted), entries(left))
}

/// One try to write a run of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Run {
    first_seq: u64,
    end_seq: u64,
    written: i64,
}

impl Run {
    const fn of(entry: &FileEntry) -> Self {
        Self { first_seq: entry.first_seq, end_seq: entry.end_seq, written: entry.written }
    }
}

/// Runs as they were sealed, and how many files of each are there.
fn runs(strays: &[FileEntry]) -> BTreeMap<Run, u32> {
    let mut runs: BTreeMap<Run, u32> = BTreeMap::new();
    for entry in strays.iter().filter(|entry| entry.level == 0) {
        *runs.entry(Run::of(entry)).or_default() += 1;
    }
    runs
}

/// Tries after which there was another: an object store may have taken files though it said that it failed. Runs do not
/// overlap otherwise, and a later try has all rows of the one before.
fn tried_again(runs: &BTreeMap<Run, u32>) -> HashSet<Run> {
    let overlaps = |run: &&Run| {
        runs.keys()
            .any(|other| other.first_seq < run.end_seq && run.first_seq < other.end_seq && other.written > run.written)
    };
    runs.keys().filter(overlaps).copied().collect()
}

/// Compacted files, of each the last try, and all files that they stand for: one may have become part of another.
fn compactions(strays: &[FileEntry]) -> (Vec<FileEntry>, HashSet<String>) {
    let mut compacted: Vec<&FileEntry> = strays.iter().filter(|entry| entry.level > 0).collect();
    // Names of one relay sort in the order they were given.
    compacted.sort_by(|a, b| b.path.rsplit('/').next().cmp(&a.path.rsplit('/').next()));
    let mut taken: HashSet<String> = HashSet::new();
    let mut kept = Vec::new();
    for entry in compacted {
        let is_part = taken.contains(&entry.path);
        if is_part || entry.inputs.iter().all(|input| !taken.contains(input)) {
            taken.extend(entry.inputs.iter().cloned());
            kept.extend((!is_part).then(|| entry.clone()));
        }
    }
    (kept, taken)
}
