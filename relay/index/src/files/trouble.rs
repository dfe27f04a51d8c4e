//! Files that could not be read, as answers have to tell of them.

use std::sync::Arc;

use flow::Timestamp;

use super::FileEntry;

/// Troubles remembered; what comes beyond them is only counted.
const TROUBLES_MAX: usize = 1_000;

/// A file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Path below the root of the store.
    pub(crate) path: String,
    /// What is wrong and what became of it, for people.
    pub(crate) problem: String,
    /// Time of the oldest and of the newest row that are missing.
    pub(crate) range: (Timestamp, Timestamp),
    /// Whether the file was set aside, so that it has to leave the catalogue.
    pub(super) set_aside: bool,
}

/// A moment in the reading of files: what could not be read after it is missing from an answer that was begun then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadMark(u64);

/// Troubles, and those that may have passed.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    now: Vec<(ReadMark, Trouble)>,
    /// One a file, with the last time it was met.
    passed: Vec<(ReadMark, Trouble)>,
    met: u64,
    /// When the newest trouble was met that is not remembered.
    forgotten: ReadMark,
}

impl Troubles {
    /// Notes that a file could not be read; whether that was known.
    pub(super) fn meet(&mut self, path: &str) -> bool {
        self.met += 1;
        let known = self.now.iter_mut().find(|(_, trouble)| trouble.path == path);
        known.map(|(met, _)| *met = ReadMark(self.met)).is_some()
    }

    /// Remembers what was just met.
    pub(super) fn note(&mut self, trouble: Trouble) {
        let met = ReadMark(self.met);
        if self.now.len() < TROUBLES_MAX {
            self.now.push((met, trouble));
        } else {
            self.forgotten = met;
        }
    }

    /// What is wrong now.
    pub(super) fn now(&self) -> impl Iterator<Item = &Trouble> {
        self.now.iter().map(|(_, trouble)| trouble)
    }

    /// This moment.
    pub(super) const fn mark(&self) -> ReadMark {
        ReadMark(self.met)
    }

    /// What is wrong now, and what was since a moment.
    pub(super) fn since(&self, mark: ReadMark) -> Vec<Trouble> {
        let mut all: Vec<Trouble> = self.now().cloned().collect();
        let passed = self.passed.iter().filter(|(met, _)| *met > mark).map(|(_, trouble)| trouble);
        let passed: Vec<Trouble> =
            passed.filter(|passed| self.now().all(|now| now.path != passed.path)).cloned().collect();
        all.extend(passed);
        if self.forgotten > mark {
            let problem = format!("more than {TROUBLES_MAX} files could not be read");
            let range = (Timestamp(i64::MIN), Timestamp(i64::MAX));
            all.push(Trouble { path: String::new(), problem, range, set_aside: false });
        }
        all
    }

    /// Takes troubles that may have passed from those of now.
    pub(super) fn try_again(&mut self) {
        let (stay, pass): (Vec<_>, Vec<_>) = self.now.drain(..).partition(|(_, trouble)| trouble.set_aside);
        self.now = stay;
        for (met, trouble) in pass {
            self.passed.retain(|(_, other)| other.path != trouble.path);
            self.passed.push((met, trouble));
        }
        self.passed.sort_by_key(|(met, _)| *met);
        let over = self.passed.len().saturating_sub(TROUBLES_MAX);
        self.forgotten = self.passed.drain(..over).map(|(met, _)| met).fold(self.forgotten, Ord::max);
    }

    /// Files that were set aside or are gone, of these.
    pub(super) fn lost(&self, entries: &[Arc<FileEntry>]) -> Vec<String> {
        let lost = |path: &str| self.now().any(|trouble| trouble.set_aside && trouble.path == path);
        entries.iter().filter(|entry| lost(&entry.path)).map(|entry| entry.path.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(path: &str, set_aside: bool) -> Trouble {
        Trouble { path: path.to_owned(), problem: path.to_owned(), range: Default::default(), set_aside }
    }

    fn meet(troubles: &mut Troubles, path: &str, set_aside: bool) {
        if !troubles.meet(path) {
            troubles.note(trouble(path, set_aside));
        }
    }

    fn since(troubles: &Troubles, mark: ReadMark) -> Vec<String> {
        troubles.since(mark).into_iter().map(|trouble| trouble.problem).collect()
    }

    #[test]
    fn what_passed_is_told_to_answers_that_met_it() {
        let mut troubles = Troubles::default();
        let before = troubles.mark();
        meet(&mut troubles, "a", false);
        meet(&mut troubles, "b", true);
        let between = troubles.mark();
        assert_eq!(since(&troubles, between), ["a", "b"], "what is wrong now concerns all");
        troubles.try_again();
        assert_eq!(
            (since(&troubles, before), since(&troubles, between)),
            (vec!["b".into(), "a".into()], vec!["b".into()])
        );
        // Met again, and known: the second answer lacks its rows too.
        meet(&mut troubles, "a", false);
        meet(&mut troubles, "a", false);
        troubles.try_again();
        assert_eq!(since(&troubles, between), ["b", "a"]);
        assert_eq!(since(&troubles, troubles.mark()), ["b"]);
    }

    #[test]
    fn what_is_not_remembered_is_told_as_such() {
        let mut troubles = Troubles::default();
        let before = troubles.mark();
        for round in 0..3 {
            (0..600).for_each(|n| meet(&mut troubles, &format!("{round} {n}"), false));
            troubles.try_again();
        }
        let told = since(&troubles, before);
        assert_eq!(told.len(), TROUBLES_MAX + 1);
        assert!(told[TROUBLES_MAX].contains("more than 1000 files"), "{}", told[TROUBLES_MAX]);
        assert!(since(&troubles, troubles.mark()).is_empty());
    }
}
