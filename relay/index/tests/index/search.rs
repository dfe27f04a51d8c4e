//! Searching gives what sorting and filtering all flows would give.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flow::filter::{Expression, FilterSet};
use flow::{Flow, FlowFilter, Timestamp, Verdict};
use proptest::prelude::*;
use relay_index::{Asker, Config, Index, MapBy, Order, Search};
use table::BatchFilter;

use crate::shop::{append, index, second, tick};

/// Flows in small batches, late ones among them.
fn batches() -> impl Strategy<Value = Vec<Vec<Flow>>> {
    let flow = (0_i64..40, 0_usize..3).prop_map(|(time, node)| (time, ["a", "b", "c"][node]));
    prop::collection::vec(prop::collection::vec(flow, 0..9), 0..40).prop_map(|batches| {
        let mut cookie = 0;
        let mut flow = |(time, node)| {
            cookie += 1;
            tick(node, second(time), cookie)
        };
        batches.into_iter().map(|batch| batch.into_iter().map(&mut flow).collect()).collect()
    })
}

fn filled(batches: &[Vec<Flow>]) -> Index {
    // Small limits, so that few flows make many segments; nothing is evicted.
    let index = Index::new(Config { rows_max: 32 * 50, ..Config::default() }).unwrap();
    for batch in batches {
        append(&index, batch);
    }
    index
}

/// What the index should answer: all flows by time, node and arrival.
fn sorted(batches: &[Vec<Flow>]) -> Vec<Flow> {
    let mut flows: Vec<Flow> = batches.iter().flatten().cloned().collect();
    flows.sort_by(|a, b| (a.time, &a.node_name).cmp(&(b.time, &b.node_name)));
    flows
}

fn search(filter: FlowFilter, since: Option<i64>, until: Option<i64>) -> Search {
    Search {
        filter: Arc::new(BatchFilter::compile(&[filter], &[]).unwrap()),
        since: since.map(second),
        until: until.map(second),
        ..Search::default()
    }
}

fn cookies(flows: &[Flow]) -> Vec<u64> {
    flows.iter().map(|flow| flow.socket_cookie).collect()
}

proptest! {
    #[test]
    fn first_and_last_are_the_ends_of_the_sorted_flows(
        batches in batches(),
        n in 0_usize..50,
        node in 0_usize..4,
        since in prop::option::of(0_i64..40),
        until in prop::option::of(0_i64..40),
    ) {
        let filter = FlowFilter {
            node_name: ["a", "b", "c"].get(node).map(|node| (*node).to_owned()).into_iter().collect(),
            ..FlowFilter::default()
        };
        let set = FilterSet::compile(std::slice::from_ref(&filter), &[]).unwrap();
        let inside = |flow: &Flow| {
            since.is_none_or(|since| flow.time >= second(since)) && until.is_none_or(|until| flow.time <= second(until))
        };
        let expected: Vec<Flow> =
            sorted(&batches).into_iter().filter(|flow| set.matches(flow) && inside(flow)).collect();
        let snapshot = filled(&batches).snapshot();
        let search = search(filter, since, until);

        let first = snapshot.first(n, search.clone());
        prop_assert_eq!(cookies(&first), cookies(&expected[..n.min(expected.len())]));
        let last = snapshot.last(n, search.clone());
        prop_assert_eq!(cookies(&last), cookies(&expected[expected.len() - n.min(expected.len())..]));
        let all: Vec<Flow> = snapshot.scan(search, Order::OldestFirst).map(|hit| hit.flow()).collect();
        prop_assert_eq!(all, expected);
    }
}

#[test]
fn a_snapshot_never_changes() {
    let index = index();
    append(&index, &[tick("a", second(1), 1)]);
    let before = index.snapshot();
    append(&index, &[tick("a", second(2), 2)]);
    assert_eq!(before.rows(), 1);
    assert_eq!(before.newest(), Some(second(1)));
    assert_eq!(index.snapshot().rows(), 2);
}

#[test]
fn an_empty_index_answers() {
    let snapshot = index().snapshot();
    assert!(snapshot.last(5, Search::default()).is_empty());
    assert_eq!((snapshot.rows(), snapshot.oldest(), snapshot.newest()), (0, None, None));
    assert!(snapshot.service_map(&Search::default(), MapBy::default()).nodes.is_empty());
    assert_eq!(snapshot.drop_summary(&Search::default(), 9).total, 0);
}

#[test]
fn hits_know_time_and_node_without_reading_the_flow() {
    let index = index();
    let time = Timestamp(second(1).0 + 123);
    append(&index, &[tick("a", time, 1)]);
    let hit = index.snapshot().scan(Search::default(), Order::NewestFirst).next().unwrap();
    assert_eq!((hit.time(), hit.node(), hit.seq()), (time, "a", 0));
}

#[test]
fn a_walk_ends_with_whoever_asks() {
    let index = index();
    for (time, cookie) in (1..=9).zip(1..) {
        append(&index, &[tick("a", second(time), cookie)]);
    }
    let asker = Arc::new(());
    let search = Search { asker: Asker::of(&asker), ..Search::default() };
    let mut walk = index.snapshot().scan(search, Order::OldestFirst);
    assert_eq!((walk.next().unwrap().time(), walk.next().unwrap().time()), (second(1), second(2)));
    drop(asker);
    assert_eq!(walk.count(), 0, "each flow is a segment of its own");
}

/// Is true of every flow, and lets whoever asks go once it was asked of so many.
#[derive(Debug)]
struct Leaving {
    asker: Mutex<Option<Arc<()>>>,
    asked: AtomicUsize,
    leaves_at: usize,
}

impl Expression for Leaving {
    fn is_true_of(&self, _flow: &Flow) -> Option<bool> {
        if self.asked.fetch_add(1, Ordering::Relaxed) + 1 == self.leaves_at {
            *self.asker.lock().unwrap() = None;
        }
        Some(true)
    }
}

/// How often an expression was asked, in a question whose asker leaves at some row.
fn asked_of(index: &Index, leaves_at: usize, question: impl Fn(&Index, Search)) -> usize {
    let presence = Arc::new(());
    let asker = Asker::of(&presence);
    let leaving = Arc::new(Leaving { asker: Mutex::new(Some(presence)), asked: AtomicUsize::new(0), leaves_at });
    let filter = Arc::new(FilterSet::default().and(leaving.clone()).into());
    question(index, Search { filter, asker, ..Search::default() });
    leaving.asked.load(Ordering::Relaxed)
}

/// Expressions take long, so within a segment, too, they are asked for nobody only for a while.
#[test]
fn an_expression_is_not_asked_of_all_rows_for_nobody() {
    let (rows, index) = (5_000, index());
    append(&index, &(0..rows).map(|cookie| tick("a", second(1), cookie)).collect::<Vec<_>>());
    let finds = |expected| {
        move |index: &Index, search: Search| {
            assert_eq!(index.snapshot().scan(search, Order::NewestFirst).count(), expected);
        }
    };
    assert_eq!(asked_of(&index, usize::MAX, finds(5_000)), 5_000);
    let asked = asked_of(&index, 100, finds(0));
    assert!((100..2_500).contains(&asked), "asked of {asked}");
}

/// A map or a summary of drops is made of many segments, by several threads.
#[test]
fn sums_for_nobody_end() {
    let index = index();
    for cookie in 0..200 {
        let dropped = Flow { verdict: Verdict::DROPPED, ..tick("a", second(1), cookie) };
        append(&index, &vec![dropped; 100]);
    }
    let map = |index: &Index, search: Search| drop(index.service_map(&search, MapBy::Workload));
    let drops = |index: &Index, search: Search| drop(index.snapshot().drop_summary(&search, 10));
    for question in [&map as &dyn Fn(&Index, Search), &drops] {
        assert_eq!(asked_of(&index, usize::MAX, question), 20_000);
        let asked = asked_of(&index, 1_000, question);
        assert!((1_000..10_000).contains(&asked), "asked of {asked}");
    }
}
