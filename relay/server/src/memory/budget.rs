//! How the memory of the process is shared out.

use relay_index::StoreConfig;

use crate::config::{Config, ConfigError};

const MIB: usize = 1 << 20;

/// The budget where none is set and the machine has enough: a relay of ten thousand flows a second keeps a quarter of an
/// hour of them at hand.
const USUAL: usize = 2048 * MIB;
/// The smallest that a relay can work in: the program, its threads and a file that is being written take half of it.
const LEAST: usize = 128 * MIB;
/// Sixteenths of the budget: flows, each of the three kinds of counts (minutes, hours, those of files), SQL. What is left
/// is for the program, what is on its way in and out, and files that are being written.
const FLOWS: usize = 8;
const COUNTS: usize = 1;
const SQL: usize = 2;
const REST: usize = 3;
const PARTS: usize = 16;
/// Part of the budget for batches that wait to be indexed: with the usual one two of the largest messages for each
/// processor of a small machine.
const WAITING: usize = 32;

/// Bytes of the budget for each row of a file that is sealed, and of one that is compacted: the usual budget has the usual
/// files, of which a row takes some 200 to 400 bytes while they are made.
const BYTES_PER_FILE_ROW: usize = 4_096;
const BYTES_PER_COMPACTED_ROW: usize = 2_048;

/// Bytes of the budget for each question that is worked on. The usual budget has room for those of 16 processors.
const BYTES_PER_QUESTION: usize = 128 * MIB;

/// Bytes the process may occupy, and how many of them its parts may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Everything.
    pub(crate) total: usize,
    /// Flows of the index.
    pub(crate) flows: usize,
    /// Counts by the minute; as many by the hour, and as many of files.
    pub(crate) counts: usize,
    /// All queries in SQL that run.
    pub(crate) sql: usize,
}

impl Budget {
    /// The budget that the settings make on a machine with so much memory (`None`: it is not known).
    ///
    /// # Errors
    /// The total that is set is less than its parts need.
    pub(crate) fn of(config: &Config, machine: Option<usize>) -> Result<Self, ConfigError> {
        let of_machine = machine.map_or(USUAL, |machine| machine / 5 * 4);
        let usual = USUAL.min(of_machine).max(LEAST);
        let base = config.memory_bytes_max.unwrap_or(usual);
        if base < LEAST {
            return Err(too_small(format!("must be at least {LEAST}")));
        }
        let parts = [
            (config.index.memory_bytes_max, FLOWS, 1),
            (config.index.rollup_bytes_max, COUNTS, 3),
            (config.sql.memory_bytes_max, SQL, 1),
        ];
        let share = |part: usize| parts[part].0.unwrap_or(base / PARTS * parts[part].1);
        let [flows, counts, sql] = [0, 1, 2].map(share);
        let set: usize = parts.iter().map(|(set, _, times)| set.unwrap_or(0).saturating_mul(*times)).sum();
        let left: usize = parts.iter().filter(|part| part.0.is_none()).map(|(_, share, times)| share * times).sum();
        if config.memory_bytes_max.is_none() {
            let all = counts.saturating_mul(3).saturating_add(flows).saturating_add(sql);
            let total = base.max((all / (PARTS - REST)).saturating_mul(PARTS));
            return Ok(Self { total, flows, counts, sql });
        }
        // Where none is set nothing is needed, whatever it is divided by.
        let needed = set.div_ceil((PARTS - REST - left).max(1)).saturating_mul(PARTS);
        if needed > base {
            return Err(too_small(format!(
                "is {base}, which leaves too little for all else beside index.memory_bytes_max ({flows}), three times \
                 index.rollup_bytes_max ({counts}) and sql.memory_bytes_max ({sql}): set it to {needed} or more, or \
                 lower them, or leave them out to give each its share"
            )));
        }
        Ok(Self { total: base, flows, counts, sql })
    }

    /// Questions that may be worked on at the same time, where so many would be without a budget: each reads some row
    /// groups at a time, with all their columns.
    pub(crate) fn questions(&self, wanted: usize) -> usize {
        wanted.min(self.total / BYTES_PER_QUESTION).max(1)
    }

    /// Bytes of batches that wait to be indexed.
    pub(crate) const fn waiting(&self) -> usize {
        self.total / WAITING
    }

    /// The settings of a store, with files no larger than can be written in what is left for all else.
    pub(crate) fn fit(&self, store: StoreConfig) -> StoreConfig {
        let file_rows = store.file_rows.min(self.total / BYTES_PER_FILE_ROW);
        let compact_rows = store.compact_rows.min((self.total / BYTES_PER_COMPACTED_ROW) as u64);
        StoreConfig { file_rows, compact_rows, ..store }
    }
}

fn too_small(problem: String) -> ConfigError {
    ConfigError { key: "memory_bytes_max".to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: usize = 1 << 30;

    fn of(change: impl FnOnce(&mut Config), machine: Option<usize>) -> Result<Budget, ConfigError> {
        let mut config = Config::default();
        change(&mut config);
        Budget::of(&config, machine)
    }

    #[test]
    fn shares_come_from_the_total_and_the_total_from_the_machine() {
        let usual = Budget { total: 2 * GIB, flows: GIB, counts: 128 * MIB, sql: 256 * MIB };
        assert_eq!(of(|_| {}, Some(64 * GIB)), Ok(usual));
        assert_eq!(of(|_| {}, None), Ok(usual));
        assert_eq!(of(|_| {}, Some(5 * 256 * MIB)).unwrap().total, GIB);
        assert_eq!(of(|_| {}, Some(MIB)).unwrap().total, LEAST);
        let small = Budget { total: 512 * MIB, flows: 256 * MIB, counts: 32 * MIB, sql: 64 * MIB };
        assert_eq!(of(|config| config.memory_bytes_max = Some(512 * MIB), Some(64 * GIB)), Ok(small));
    }

    #[test]
    fn parts_that_are_set_raise_a_total_that_is_not() {
        let large = of(|config| config.index.memory_bytes_max = Some(8 * GIB), Some(64 * GIB)).unwrap();
        assert_eq!((large.flows, large.counts, large.sql), (8 * GIB, 128 * MIB, 256 * MIB));
        assert!(large.total > 10 * GIB && large.total < 11 * GIB, "{large:?}");
        let small = of(|config| config.index.memory_bytes_max = Some(64 * MIB), Some(64 * GIB)).unwrap();
        assert_eq!((small.total, small.flows), (2 * GIB, 64 * MIB));
    }

    #[test]
    fn parts_that_do_not_fit_into_a_total_are_refused_with_one_they_fit_into() {
        let set = |total: usize| {
            move |config: &mut Config| {
                config.memory_bytes_max = Some(total);
                config.index.memory_bytes_max = Some(GIB);
            }
        };
        let error = of(set(GIB), None).unwrap_err();
        assert_eq!(error.key, "memory_bytes_max");
        let (_, after) = error.problem.split_once("set it to ").unwrap();
        let enough: usize = after.split_once(' ').unwrap().0.parse().unwrap();
        assert_eq!(of(set(enough), None).unwrap().total, enough);
        assert_eq!(of(set(enough - PARTS), None).unwrap_err().key, "memory_bytes_max");
        let error = of(|config| config.memory_bytes_max = Some(5), None).unwrap_err();
        assert_eq!(error.problem, "must be at least 134217728");
    }
}
