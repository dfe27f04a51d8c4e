//! Filters on batches agree with filters on flows.

use flow::filter::{CompileExpression, FilterSet, Query};
use flow::{Flow, FlowFilter};
use proptest::prelude::*;
use table::BatchFilter;

use crate::random;
use crate::round_trip::batch;
use crate::versions::{through_ipc, with_own_keys};

fn check(seeds: &[u64], whitelist: &[u64], blacklist: &[u64]) -> Result<(), TestCaseError> {
    let flows: Vec<Flow> = seeds.iter().copied().map(random::flow).collect();
    let [whitelist, blacklist] =
        [whitelist, blacklist].map(|seeds| seeds.iter().copied().map(random::filter).collect::<Vec<FlowFilter>>());
    // The random filter may ask for a combination that is refused; both must refuse it.
    let set = FilterSet::compile(&whitelist, &blacklist);
    let filter = BatchFilter::compile(&whitelist, &blacklist);
    prop_assert_eq!(set.is_err(), filter.is_err());
    let (Ok(set), Ok(filter)) = (set, filter) else { return Ok(()) };
    let expected: Vec<bool> = flows.iter().map(|flow| set.matches(flow)).collect();
    let built = batch(&flows);
    for batch in [built.clone(), through_ipc(&built), with_own_keys(&built)] {
        let mask = filter.mask(&batch).unwrap();
        prop_assert_eq!(mask.iter().map(Option::unwrap).collect::<Vec<_>>(), expected.clone(), "{:?}", set);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_mask_marks_the_flows_that_match(
        seeds in prop::collection::vec(any::<u64>(), 0..20),
        whitelist in prop::collection::vec(any::<u64>(), 0..3),
        blacklist in prop::collection::vec(any::<u64>(), 0..2),
    ) {
        check(&seeds, &whitelist, &blacklist)?;
    }
}

#[test]
fn the_random_filters_match_some_flows_and_not_others() {
    let flows: Vec<Flow> = (0..300).map(random::flow).collect();
    let batch = batch(&flows);
    let mut telling = 0;
    for seed in 0..300 {
        let Ok(filter) = BatchFilter::compile(&[random::filter(seed)], &[]) else { continue };
        let matched = filter.mask(&batch).unwrap().true_count();
        telling += usize::from(matched > 0 && matched < flows.len());
    }
    assert!(telling > 150, "only {telling} of 300 filters tell flows apart");
}

/// Expressions mean the same asked of a flow, compiled, and asked of a batch.
#[test]
fn expressions_mark_the_rows_of_the_flows_that_they_select() {
    let flows: Vec<Flow> = (0..600).map(random::flow).collect();
    let built = batch(&flows);
    let refuse: CompileExpression = |_| unreachable!("no expression has one of CEL");
    for text in [
        "http.status != 404",
        "http.status not in (404, 5+)",
        "not http.status = 404",
        "not http.status != 404",
        "http.status >= 400 and http.status != 404",
        "http.method != get",
        "http.path !~ '^/a'",
        "port != 80",
        "src.ns != shop",
        "verdict != dropped or bytes != 0",
        "latency != 1ms or dns.ttl != 1s",
    ] {
        let query = Query::parse(text).unwrap();
        let set = query.compile_with(Vec::new(), Vec::new(), refuse).unwrap();
        let mask = BatchFilter::from(set.clone()).mask(&built).unwrap();
        for (row, flow) in flows.iter().enumerate() {
            let expected = query.matches(flow);
            assert_eq!((set.matches(flow), mask.value(row)), (expected, expected), "{text} of {flow:?}");
        }
        let matched = mask.true_count();
        assert!(matched > 0 && matched < flows.len(), "{text} selects {matched} of {}", flows.len());
    }
}

#[test]
fn no_filter_marks_all_rows() {
    let flows: Vec<Flow> = (0..9).map(random::flow).collect();
    assert_eq!(BatchFilter::everything().mask(&batch(&flows)).unwrap().true_count(), 9);
}
