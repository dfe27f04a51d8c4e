//! Upkeep with clocks that are wrong, flows that are late and files that cannot be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flow::Timestamp;
use relay_index::{Config, Index, StoreConfig};

use crate::shop::{second, tick};
use crate::store::{flows, held, parquet_files, push};

const HOUR: Duration = Duration::from_secs(3_600);

fn settings(folder: &Path) -> StoreConfig {
    StoreConfig { grace: Duration::ZERO, ..StoreConfig::new(folder.to_owned()) }
}

/// Opens the store with nothing in memory.
fn open(store: &StoreConfig) -> Index {
    Index::open(Config::default(), store.clone()).unwrap().0
}

fn upkeep(index: &Index, now: Timestamp) {
    while index.upkeep(now).unwrap().more {}
}

#[test]
fn a_clock_that_was_behind_costs_no_flow() {
    let hour = |n: u64| second(i64::try_from(n * 3_600).unwrap());
    for behind in [second(0).before(20 * HOUR), Timestamp::from_parts(100, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreConfig { keep: 10 * HOUR, compact: false, ..settings(folder.path()) };
        let index = open(&store);
        for n in 0..3 {
            push(&index, n + 1, &[tick("n1", hour(n), n)]);
            index.seal_all(hour(n)).unwrap();
        }
        push(&index, 4, &[tick("n1", hour(2), 3)]);
        index.seal_all(behind).unwrap();
        upkeep(&index, behind);
        upkeep(&index, hour(3));
        assert_eq!(index.store_stats().file_rows, 4, "{behind}");
        push(&index, 5, &[tick("n1", hour(3), 4)]);
        index.seal_all(hour(3)).unwrap();
        drop(index);
        let index = open(&store);
        upkeep(&index, hour(4));
        assert_eq!(held(&index), (0..5).collect::<Vec<_>>());
        // Each has its time, and what the wrong clock wrote that of the file before it.
        for (now, kept) in [(10, 4), (11, 3), (12, 1), (13, 0)] {
            upkeep(&index, hour(now).after(Duration::from_secs(1)));
            assert_eq!(index.store_stats().file_rows, kept, "{now}");
        }
    }
}

#[test]
fn late_flows_become_part_of_the_file_of_their_hour() {
    let folder = tempfile::tempdir().unwrap();
    let store = settings(folder.path());
    let mut seen: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut see = || {
        for path in parquet_files(folder.path()) {
            seen.insert(path.clone(), std::fs::read(path).unwrap());
        }
    };
    for late in 0..4_u64 {
        let now = second(i64::try_from(late * 10_000).unwrap());
        let index = open(&store);
        push(&index, late + 1, &flows(late * 10, 10));
        index.seal_all(now).unwrap();
        see();
        drop(index);
        let index = open(&store);
        upkeep(&index, now.after(Duration::from_secs(9_000)));
        see();
        assert_eq!(held(&index), (0..(late + 1) * 10).collect::<Vec<_>>());
        assert_eq!(parquet_files(folder.path()).len(), 1, "{late}");
    }
    // A catalogue made from the footers knows which became part of which, though all are there still.
    std::fs::remove_file(folder.path().join("catalog.jsonl")).unwrap();
    assert!(seen.len() >= 8, "{}", seen.len());
    for (path, bytes) in &seen {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let index = open(&store);
    assert_eq!(held(&index), (0..40).collect::<Vec<_>>());
    assert_eq!(parquet_files(folder.path()).len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = settings(folder.path());
    let index = open(&store);
    for (sequence, first) in [(1, 0), (2, 4_000), (3, 8_000)] {
        push(&index, sequence, &flows(first, 10));
        index.seal_all(second(1)).unwrap();
    }
    drop(index);
    let files = parquet_files(folder.path());
    assert_eq!(files.len(), 3);
    let whole = std::fs::read(&files[0]).unwrap();
    std::fs::remove_file(&files[0]).unwrap();
    std::os::unix::fs::symlink(&files[0], &files[0]).unwrap();
    let index = open(&store);
    upkeep(&index, second(20_000));
    assert_eq!(index.store_stats().files_compacted, 2);
    let named = index.not_compacted();
    let name = files[0].file_name().unwrap().to_str().unwrap();
    assert!(named.len() == 1 && named[0].contains(name), "{named:?}");
    // Once it can be read its turn comes.
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&files[0], whole).unwrap();
    upkeep(&index, second(20_601));
    assert_eq!(index.store_stats().files_compacted, 3);
    assert!(index.not_compacted().is_empty());
    assert_eq!(held(&index).len(), 30);
}
