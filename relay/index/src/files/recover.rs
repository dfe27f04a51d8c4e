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
            strays.extend(self.look_at(path)?);
        }
        let (adopted, left) = settle(strays, &catalog, recovered.rebuilt);
        if !adopted.is_empty() || recovered.rebuilt {
            let published = adopted.iter().map(|entry| entry.end_seq).max().unwrap_or_default();
            catalog.step(adopted, Vec::new(), published)?;
        }
        for entry in left {
            self.place.delete(&entry.path)?;
            recovered.deleted += 1;
        }
        let there: HashSet<&str> = there.iter().map(String::as_str).collect();
        for entry in catalog.entries().iter().filter(|entry| !there.contains(entry.path.as_str())) {
            self.note_missing(entry);
        }
        Ok((catalog, recovered))
    }

    /// What a file says of itself; `None` where it is damaged and was set aside, or is of a later version.
    fn look_at(&self, path: &str) -> io::Result<Option<FileEntry>> {
        let bytes = self.place.length(path)?;
        match Footer::read(&self.place, path, bytes) {
            Ok(footer) => Ok(Some(FileEntry { path: path.to_owned(), bytes, ..footer.about().entry.clone() })),
            Err(ReadError::Io { source, .. }) => Err(source),
            Err(error) => {
                self.meet_trouble(&FileEntry::unknown(path, bytes), &error);
                Ok(None)
            }
        }
    }

    fn note_missing(&self, entry: &FileEntry) {
        let problem = format!("{} is in the catalogue and not there", entry.path);
        let trouble = Trouble { path: entry.path.clone(), problem, range: entry.time_range(), set_aside: true };
        super::lock(&self.troubles).push(trouble);
    }
}

/// Parts files that are in no catalogue into those that belong there and those that do not.
///
/// A run that is there as a whole is taken: its rows are in the log too, unless that is lost. What does not belong is
/// what a finished step replaced or took away, what an unfinished compaction wrote, and parts of an unfinished run,
/// whose rows are in the log. Where the catalogue is lost, old runs may miss hours that expired or were compacted.
fn settle(strays: Vec<FileEntry>, catalog: &Catalog, lost: bool) -> (Vec<FileEntry>, Vec<FileEntry>) {
    let replaced: HashSet<String> = strays.iter().flat_map(|entry| entry.inputs.iter().cloned()).collect();
    let sealed = || strays.iter().filter(|entry| entry.level == 0);
    let mut parts: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    for entry in sealed() {
        *parts.entry((entry.first_seq, entry.end_seq)).or_default() += 1;
    }
    let newest = sealed().map(|entry| entry.end_seq).max().unwrap_or_default();
    let whole = |entry: &FileEntry| parts.get(&(entry.first_seq, entry.end_seq)) == Some(&entry.parts);
    let belongs = |entry: &FileEntry| match entry.level {
        0 if lost => !replaced.contains(&entry.path) && (entry.end_seq < newest || whole(entry)),
        0 => entry.first_seq >= catalog.published() && whole(entry),
        _ => lost,
    };
    strays.iter().cloned().partition(belongs)
}
