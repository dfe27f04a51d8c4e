//! Following has neither gap nor repeat, and tells exactly what was missed.

use std::sync::Arc;
use std::time::Duration;

use flow::{Flow, FlowFilter};
use proptest::prelude::*;
use relay_index::{Config, Index, Order, Search};
use table::BatchFilter;

use crate::shop::{append, index, second, tick};

fn flows(from: u64, n: u64) -> Vec<Flow> {
    (from..from + n).map(|i| tick("n1", second(i64::try_from(i).unwrap()), i)).collect()
}

fn cookies(followed: &relay_index::Followed) -> Vec<u64> {
    followed.matching(&BatchFilter::everything()).iter().map(|hit| hit.flow().socket_cookie).collect()
}

proptest! {
    /// A reader takes a snapshot at any moment and follows from there, reading now and then.
    #[test]
    fn a_snapshot_and_what_follows_are_all_rows_once(
        before in prop::collection::vec(1_u64..30, 0..20),
        after in prop::collection::vec((1_u64..30, any::<bool>()), 0..40),
        rows_max in prop::sample::select(vec![60_usize, 200, 100_000]),
    ) {
        let index = Index::new(Config { rows_max, ..Config::default() }).unwrap();
        let mut written = 0;
        for n in before {
            append(&index, &flows(written, n));
            written += n;
        }
        let snapshot = index.snapshot();
        let mut read: Vec<u64> = snapshot
            .scan(Search::default(), Order::OldestFirst)
            .map(|hit| hit.seq())
            .collect();
        let missed_before = snapshot.first_seq();
        let mut follower = index.follow(snapshot.end_seq());
        let mut missed = 0;
        let reads = after.iter().map(|(_, read)| *read).chain([true]);
        let writes = after.iter().map(|(n, _)| *n).chain([1]);
        for (n, reads) in writes.zip(reads) {
            append(&index, &flows(written, n));
            written += n;
            if reads {
                let followed = follower.try_next().unwrap();
                missed += followed.missed;
                let got = cookies(&followed);
                prop_assert_eq!(u64::try_from(got.len()).unwrap(), followed.rows());
                prop_assert_eq!(followed.end_seq, written);
                read.extend(got);
                prop_assert!(follower.try_next().is_none());
            }
        }
        // Every row was read or missed, none twice: cookies count rows as sequence numbers do.
        prop_assert!(read.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(u64::try_from(read.len()).unwrap() + missed + missed_before, written);
    }
}

#[tokio::test]
async fn a_follower_waits_for_rows_and_ends_with_the_index() {
    let index = Arc::new(index());
    append(&index, &flows(0, 3));
    let mut follower = index.follow(index.snapshot().end_seq());
    let reader = tokio::spawn(async move {
        let mut read = Vec::new();
        while let Some(followed) = follower.next().await {
            read.extend(cookies(&followed));
        }
        read
    });
    for i in 0..10 {
        append(&index, &flows(3 + i, 1));
        tokio::task::yield_now().await;
    }
    drop(index);
    let read = tokio::time::timeout(Duration::from_secs(10), reader).await.unwrap().unwrap();
    assert_eq!(read, (3..13).collect::<Vec<_>>());
}

#[test]
fn a_follower_that_lags_too_far_skips_and_counts() {
    let index = index();
    let mut follower = index.follow(0).lag_max(10);
    append(&index, &flows(0, 35));
    let followed = follower.try_next().unwrap();
    assert_eq!((followed.missed, followed.rows()), (25, 10));
    assert_eq!(cookies(&followed), (25..35).collect::<Vec<_>>());
    assert_eq!(follower.next_seq(), 35);
}

#[test]
fn a_follower_sees_only_what_matches_in_order_of_time() {
    let index = index();
    let mut follower = index.follow(0);
    append(&index, &[tick("b", second(9), 1), tick("a", second(8), 2)]);
    append(&index, &[tick("a", second(7), 3), tick("b", second(7), 4), tick("a", second(7), 5)]);
    let followed = follower.try_next().unwrap();
    assert_eq!(cookies(&followed), [3, 5, 4, 2, 1]);
    let of_a = FlowFilter { node_name: vec!["a".to_owned()], ..FlowFilter::default() };
    let hits = followed.matching(&BatchFilter::compile(&[of_a], &[]).unwrap());
    assert_eq!(hits.iter().map(|hit| hit.flow().socket_cookie).collect::<Vec<_>>(), [3, 5, 2]);
}
