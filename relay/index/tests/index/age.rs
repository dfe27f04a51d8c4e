//! What time does to rows: they become files, files of an hour become one, old ones go.

use std::time::Duration;

use flow::{Flow, Timestamp};
use relay_index::{Config, Index, MapBy, Search, StoreConfig};

use crate::shop::{Talk, pod, second, tick};
use crate::store::{flows, held, open, parquet_files, push};

#[test]
fn rows_wait_for_their_age_and_a_clock_that_jumps_back_does_not_keep_them() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 10_000);
    push(&index, 50, &flows(0, 10));
    assert_eq!(index.upkeep(second(60)).unwrap().rows_sealed, 0);
    assert_eq!(index.upkeep(second(50).after(Duration::from_secs(301))).unwrap().rows_sealed, 10);
    push(&index, 1_000, &flows(10, 10));
    assert_eq!(index.upkeep(second(1_001)).unwrap().rows_sealed, 0);
    assert_eq!(index.upkeep(second(900)).unwrap().rows_sealed, 10);
    assert_eq!(held(&index), (0..20).collect::<Vec<_>>());
}

#[test]
fn the_files_of_an_hour_become_one_and_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreConfig { grace: Duration::from_secs(60), ..StoreConfig::new(folder.path().to_owned()) };
    let all: Vec<Flow> = (0..300)
        .map(|n| {
            let name = ["web", "api", "db"][usize::try_from(n % 3).unwrap()];
            let flow = Talk::new(pod(name, 1), pod("db", 2)).flow(second(n));
            Flow { socket_cookie: u64::try_from(n).unwrap(), ..flow }
        })
        .collect();
    {
        let (index, _) = Index::open(Config::default(), store.clone()).unwrap();
        for (n, flows) in (1..).zip(all.chunks(50)) {
            push(&index, n, flows);
            index.seal_all(second(i64::try_from(n).unwrap())).unwrap();
        }
        assert_eq!(parquet_files(folder.path()).len(), 6);
        assert_eq!(index.upkeep(second(5_000)).unwrap().files_compacted, 0, "the rows are in memory");
    }
    let (index, _) = Index::open(Config::default(), store.clone()).unwrap();
    let before = index.snapshot();
    assert_eq!(index.upkeep(second(1_000)).unwrap().files_compacted, 0, "the hour is not over");
    assert_eq!(index.upkeep(second(5_000)).unwrap().files_compacted, 6);
    let after = index.snapshot();
    for snapshot in [&before, &after] {
        assert_eq!(snapshot.first(1_000, Search::default()), all);
    }
    assert_eq!((after.chunks().count(), after.all_rows()), (1, 300));
    assert_eq!(parquet_files(folder.path()).len(), 7);
    index.upkeep(second(5_061)).unwrap();
    assert_eq!(parquet_files(folder.path()).len(), 7, "an answer still reads them");
    assert_eq!(before.first(1_000, Search::default()), all);
    assert!(index.completeness(None, None).damaged.is_empty());
    drop(before);
    index.upkeep(second(5_062)).unwrap();
    assert_eq!(parquet_files(folder.path()).len(), 1);
    // A catalogue made from the footers knows the same.
    drop((after, index));
    std::fs::remove_file(folder.path().join("catalog.jsonl")).unwrap();
    let (index, _) = Index::open(Config::default(), store).unwrap();
    assert_eq!(index.snapshot().first(1_000, Search::default()), all);
    assert!(push(&index, 6, &all[..1]).repeated);
}

#[test]
fn old_files_go_by_age_and_by_budget_the_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreConfig {
        keep: Duration::from_secs(10 * 3_600),
        grace: Duration::ZERO,
        compact: false,
        ..StoreConfig::new(folder.path().to_owned())
    };
    let hour = |n: u64| second(i64::try_from(n * 3_600).unwrap());
    {
        let (index, _) = Index::open(Config::default(), store.clone()).unwrap();
        for n in 0..8 {
            push(&index, n + 1, &[tick("n1", hour(n), n)]);
            index.seal_all(hour(n)).unwrap();
        }
    }
    let (index, _) = Index::open(Config::default(), store.clone()).unwrap();
    index.upkeep(hour(12)).unwrap();
    assert_eq!(held(&index), (2..8).collect::<Vec<_>>());
    assert_eq!(parquet_files(folder.path()).len(), 6);
    // Room for three of them and a half: they differ by some bytes.
    let bytes_max = (index.store_stats().file_bytes + index.store_stats().rollup_bytes) * 7 / 12;
    drop(index);
    let (index, _) = Index::open(Config::default(), StoreConfig { bytes_max, ..store.clone() }).unwrap();
    index.upkeep(hour(12)).unwrap();
    assert_eq!(held(&index), (5..8).collect::<Vec<_>>());
    let stats = index.store_stats();
    assert_eq!((stats.files_expired, stats.rows_expired), (3, 3));
    assert!(stats.file_bytes + stats.rollup_bytes <= bytes_max);
    // What expired does not come back from the log or the footers, and its batches are known still.
    assert!(push(&index, 1, &flows(0, 1)).repeated);
    drop(index);
    assert_eq!(held(&Index::open(Config::default(), store).unwrap().0), (5..8).collect::<Vec<_>>());
}

/// A clock that is ten years ahead for a while, and flows of any time.
#[test]
fn times_that_cannot_be_do_no_harm() {
    const YEAR: u64 = 365 * 86_400;
    let folder = tempfile::tempdir().unwrap();
    let store = StoreConfig {
        keep: Duration::from_secs(10 * 3_600),
        grace: Duration::ZERO,
        ..StoreConfig::new(folder.path().to_owned())
    };
    let open = |bytes_max| Index::open(Config::default(), StoreConfig { bytes_max, ..store.clone() }).unwrap().0;
    let ahead = |n: i64| second(n).after(Duration::from_secs(10 * YEAR));
    let index = open(u64::MAX);
    // Ahead of time, with the flows' clocks; then corrected, with a few flows that have no time, or one of the far future.
    push(&index, 1, &(0..10).map(|n| tick("n1", ahead(i64::try_from(n).unwrap()), n)).collect::<Vec<_>>());
    index.seal_all(ahead(20)).unwrap();
    let odd = [(10, Timestamp(0)), (11, Timestamp(i64::MAX)), (12, Timestamp(i64::MIN)), (13, second(1))];
    push(&index, 2, &odd.map(|(n, time)| tick("n1", time, n)));
    index.seal_all(second(30)).unwrap();
    push(&index, 3, &flows(14, 6));
    index.seal_all(second(40)).unwrap();
    let mut all = held(&index);
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    let map = index.service_map_of_rollups(&Search::default(), MapBy::Workload);
    assert_eq!(map.edges, index.snapshot().service_map(&Search::default(), MapBy::Workload).edges);
    drop(index);
    // Each is in the folder of its hour, and a time range finds it.
    let folders: Vec<String> = parquet_files(folder.path()).iter().map(|path| path.display().to_string()).collect();
    assert!(folders.iter().any(|path| path.contains("date=1970-01-01/hour=00")), "{folders:?}");
    let index = open(u64::MAX);
    let found = |since, until| {
        index.snapshot().first(100, Search { since: Some(since), until: Some(until), ..Search::default() }).len()
    };
    assert_eq!(
        (found(Timestamp(0), Timestamp(0)), found(ahead(0), ahead(9)), found(second(0), second(40))),
        (1, 10, 7)
    );
    // Nothing expires too soon, and what was written by the wrong clock not ten years too late.
    index.upkeep(second(60)).unwrap();
    assert_eq!(index.snapshot().all_rows(), 20);
    let half = index.store_stats().file_bytes / 2;
    index.upkeep(second(11 * 3_600)).unwrap();
    assert_eq!((index.snapshot().all_rows(), parquet_files(folder.path()).len()), (0, 0));
    drop(index);
    // Where the budget is full, what arrived last stays, not what claims to be the latest.
    let index = open(half);
    push(&index, 4, &[tick("n1", ahead(50), 50)]);
    index.seal_all(ahead(50)).unwrap();
    for n in 51..80 {
        push(&index, n, &[tick("n1", second(i64::try_from(n).unwrap()), n)]);
        index.seal_all(second(i64::try_from(n).unwrap())).unwrap();
    }
    drop(index);
    let kept = held(&open(half));
    assert!(kept.contains(&79) && !kept.contains(&50), "{kept:?}");
}
