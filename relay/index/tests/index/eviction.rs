//! What does not fit is evicted oldest first, and counted.

use flow::Flow;
use proptest::prelude::*;
use relay_index::{BatchOrigin, Config, Index, Search};

use crate::shop::{append, batch, second, tick};

fn flows(from: u64, n: u64) -> Vec<Flow> {
    (from..from + n).map(|i| tick("n1", second(i64::try_from(i).unwrap()), i)).collect()
}

proptest! {
    #[test]
    fn rows_seen_are_held_or_evicted_and_the_newest_stay(
        rows_max in 1_usize..400,
        batches in prop::collection::vec(0_u64..90, 1..40),
    ) {
        let index = Index::new(Config { rows_max, ..Config::default() }).unwrap();
        let mut seen = 0;
        for n in batches {
            append(&index, &flows(seen, n));
            seen += n;
            let stats = index.stats();
            let snapshot = index.snapshot();
            prop_assert_eq!(stats.rows_seen, seen);
            prop_assert_eq!(stats.rows + stats.rows_evicted, seen);
            prop_assert_eq!(stats.rows, snapshot.rows());
            prop_assert_eq!(stats.bytes, snapshot.bytes());
            prop_assert_eq!((snapshot.first_seq(), snapshot.end_seq()), (stats.rows_evicted, seen));
            // Only the newest segment may be larger than the limit.
            let newest = snapshot.segments().last().map_or(0, |s| s.rows());
            prop_assert!(usize::try_from(stats.rows).unwrap() <= rows_max.max(newest));
            let held = snapshot.first(usize::MAX, Search::default());
            let expected: Vec<u64> = (stats.rows_evicted..seen).collect();
            prop_assert_eq!(held.iter().map(|f| f.socket_cookie).collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn the_index_stays_within_its_rows_without_throwing_away_much_more() {
    let index = Index::new(Config { rows_max: 3_200, ..Config::default() }).unwrap();
    for i in 0..200 {
        append(&index, &flows(i * 50, 50));
        if i > 100 {
            let rows = index.stats().rows;
            assert!((3_000..=3_200).contains(&rows), "{rows}");
        }
    }
}

#[test]
fn the_index_stays_within_its_bytes() {
    let bytes_max = 4 << 20;
    let index = Index::new(Config { bytes_max, rows_max: 10_000_000, ..Config::default() }).unwrap();
    for i in 0..300 {
        append(&index, &flows(i * 500, 500));
        assert!(usize::try_from(index.stats().bytes).unwrap() <= bytes_max);
    }
    let stats = index.stats();
    assert!(stats.rows_evicted > 0);
    assert!(stats.bytes > u64::try_from(bytes_max / 2).unwrap(), "{stats:?}");
}

#[test]
fn merging_small_batches_saves_memory() {
    let index = Index::new(Config::default()).unwrap();
    for i in 0..64 {
        append(&index, &flows(i * 100, 100));
    }
    let stats = index.stats();
    assert!(stats.segments < 16, "{stats:?}");
    let apart = batch(&flows(0, 100));
    let apart = u64::try_from(table::memory_bytes(&apart)).unwrap() * 64;
    assert!(stats.bytes < apart / 4, "{} against {apart}", stats.bytes);
}

#[test]
fn what_is_old_is_merged_though_it_is_not_full() {
    let index = Index::new(Config::default()).unwrap();
    let origin = |n| BatchOrigin { node: "n1".to_owned(), received: second(n), ..BatchOrigin::default() };
    for i in 0..3 {
        index.append(&origin(i), &batch(&flows(u64::try_from(i).unwrap(), 1))).unwrap();
    }
    index.merge_old(second(30));
    assert_eq!(index.stats().segments, 3);
    index.merge_old(second(61));
    assert_eq!(index.stats().segments, 1);
    assert_eq!(index.snapshot().first(9, Search::default()), flows(0, 3));
}
