//! Things that many rows share are built once.

use std::sync::OnceLock;

/// What the entries of one group of columns mean, built when first asked for.
#[derive(Debug)]
pub(crate) struct Cache<T> {
    entries: OnceLock<Option<Box<[OnceLock<T>]>>>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { entries: OnceLock::new() }
    }
}

impl<T: Clone> Cache<T> {
    /// What entry `key` means. `entries` tells how many there are, or `None` where the columns of the group do not
    /// share their keys, so that nothing can be kept by key.
    pub(crate) fn get(&self, key: usize, entries: impl FnOnce() -> Option<usize>, build: impl FnOnce() -> T) -> T {
        let slots = self.entries.get_or_init(|| entries().map(|n| (0..n).map(|_| OnceLock::new()).collect()));
        match slots.as_ref().and_then(|slots| slots.get(key)) {
            Some(slot) => slot.get_or_init(build).clone(),
            None => build(),
        }
    }
}
