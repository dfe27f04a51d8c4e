//! What an answer in a stream lacks because files of the store cannot be read.

use relay_index::{Index, ReadMark};

/// Name of the header, or of the metadata of a call, that says how many files an answer lacks the flows of.
pub(super) const DAMAGED_FILES: &str = "weir-damaged-files";

/// Files that cannot be read: those told before the first row, and those met since.
#[derive(Debug)]
pub(super) struct Damage {
    mark: ReadMark,
    told: Vec<String>,
}

impl Damage {
    /// To be taken before a query begins.
    pub(super) fn watch(index: &Index) -> Self {
        Self { mark: index.read_mark(), told: Vec::new() }
    }

    /// Files that are known now, to be told ahead of the rows.
    pub(super) fn tell(&mut self, index: &Index) -> usize {
        self.told = index.damaged_since(self.mark, None, None);
        self.told.len()
    }

    /// What is wrong with files that were met after the others were told; rows have no room for it.
    pub(super) fn untold(&self, index: &Index) -> Option<String> {
        let met = index.damaged_since(self.mark, None, None);
        let untold: Vec<String> = met.into_iter().filter(|problem| !self.told.contains(problem)).collect();
        let more = if untold.len() > 1 { format!(" (and {} more)", untold.len() - 1) } else { String::new() };
        untold.first().map(|first| format!("flows of the store are missing, ask again for the others: {first}{more}"))
    }
}
