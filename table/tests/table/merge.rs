//! Merged batches hold the same flows in less memory.

use flow::Flow;
use proptest::prelude::*;
use table::column::Texts;
use table::{Col, MAX_BATCH_ROWS, RowReader, SchemaError, memory_bytes, merge, tidy};

use crate::random;
use crate::round_trip::batch;
use crate::versions::{through_ipc, with_own_keys};

proptest! {
    #[test]
    fn merging_keeps_every_flow_in_order(
        seeds in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..12), 0..5),
        repeat in 0_usize..3,
    ) {
        let mut batches = Vec::new();
        let mut flows: Vec<Flow> = Vec::new();
        for (i, seeds) in seeds.iter().enumerate() {
            let mut part: Vec<Flow> = seeds.iter().copied().map(random::flow).collect();
            for _ in 0..repeat {
                part.extend(seeds.iter().copied().map(random::flow));
            }
            let built = batch(&part);
            batches.push(match i % 3 {
                0 => built,
                1 => through_ipc(&built),
                _ => with_own_keys(&built),
            });
            flows.extend(part);
        }
        let merged = merge(&batches).unwrap();
        prop_assert_eq!(merged.schema(), table::schema());
        let reader = RowReader::new(&merged).unwrap();
        prop_assert_eq!(reader.len(), flows.len());
        for (row, flow) in flows.iter().enumerate() {
            prop_assert_eq!(&reader.flow(row), flow);
        }
        let twice = merge(&[merged]).unwrap();
        let reader = RowReader::new(&twice).unwrap();
        for (row, flow) in flows.iter().enumerate() {
            prop_assert_eq!(&reader.flow(row), flow);
        }
    }
}

#[test]
fn columns_that_are_the_same_in_all_rows_cost_nothing() {
    let flows = |n: usize| vec![Flow::default(); n];
    let [small, large] = [100, MAX_BATCH_ROWS].map(|n| memory_bytes(&merge(&[batch(&flows(n))]).unwrap()));
    let per_row = (large - small) / (MAX_BATCH_ROWS - 100);
    // What is left are time (8 + 2), the empty id (16) and a few bits.
    assert!((26..=28).contains(&per_row), "{per_row} bytes a row");
}

#[test]
fn too_many_rows_are_refused() {
    let half = batch(&vec![Flow::default(); MAX_BATCH_ROWS / 2 + 1]);
    assert!(matches!(merge(&[half.clone(), half]), Err(SchemaError::TooManyRows { .. })));
}

#[test]
fn a_tidy_batch_is_left_as_it_is_and_any_other_is_made_so() {
    let flows: Vec<Flow> = (0..30).map(random::flow).collect();
    let built = batch(&flows);
    let untouched = tidy(&built).unwrap();
    assert!(untouched.columns().iter().zip(built.columns()).all(|(a, b)| std::sync::Arc::ptr_eq(a, b)));
    let tidied = tidy(&with_own_keys(&built)).unwrap();
    let [verdict, phase] = [Col::Verdict, Col::Phase].map(|col| Texts::of(&tidied, col).unwrap());
    assert_eq!(verdict.keys(), phase.keys());
    let reader = RowReader::new(&tidied).unwrap();
    for (row, flow) in flows.iter().enumerate() {
        assert_eq!(reader.flow(row), *flow);
    }
}
