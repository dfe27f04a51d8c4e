//! Flow → row → flow loses nothing.

use flow::Flow;
use proptest::prelude::*;
use table::{FlowBatchBuilder, MAX_BATCH_ROWS, RowReader};

use crate::random;

pub(crate) fn batch(flows: &[Flow]) -> arrow::record_batch::RecordBatch {
    let mut builder = FlowBatchBuilder::new();
    for flow in flows {
        builder.push(flow).unwrap();
    }
    builder.finish()
}

proptest! {
    #[test]
    fn every_flow_comes_back(seeds in prop::collection::vec(any::<u64>(), 0..40)) {
        let flows: Vec<Flow> = seeds.iter().copied().map(random::flow).collect();
        let batch = batch(&flows);
        prop_assert_eq!(batch.schema(), table::schema());
        let reader = RowReader::new(&batch).unwrap();
        prop_assert_eq!(reader.len(), flows.len());
        for (row, flow) in flows.iter().enumerate() {
            prop_assert_eq!(&reader.flow(row), flow);
        }
    }

    #[test]
    fn a_builder_starts_over_after_each_batch(a in any::<u64>(), b in any::<u64>()) {
        let mut builder = FlowBatchBuilder::new();
        for seed in [a, b, a] {
            let flow = random::flow(seed);
            builder.push(&flow).unwrap();
            let batch = builder.finish();
            prop_assert!(builder.is_empty());
            prop_assert_eq!(RowReader::new(&batch).unwrap().flow(0), flow);
        }
    }
}

#[test]
fn a_full_batch_refuses_the_next_flow_and_holds_any_number_of_distinct_values() {
    let mut builder = FlowBatchBuilder::new();
    let flows: Vec<Flow> = (0..MAX_BATCH_ROWS)
        .map(|i| Flow { summary: format!("flow {i}"), socket_cookie: u64::try_from(i).unwrap(), ..Flow::default() })
        .collect();
    for flow in &flows {
        builder.push(flow).unwrap();
    }
    assert!(builder.is_full());
    assert_eq!(builder.push(&flows[0]), Err(table::BatchFull));
    let batch = builder.finish();
    let reader = RowReader::new(&batch).unwrap();
    for row in [0, 1, MAX_BATCH_ROWS / 2, MAX_BATCH_ROWS - 1] {
        assert_eq!(reader.flow(row), flows[row]);
    }
}

#[test]
fn flows_of_one_reader_share_their_endpoints() {
    let flow = (0..).map(random::flow).find(|f| f.source.is_some()).unwrap();
    let batch = batch(&[flow.clone(), flow]);
    let reader = RowReader::new(&batch).unwrap();
    let [a, b] = [0, 1].map(|row| reader.flow(row).source.unwrap());
    assert!(std::sync::Arc::ptr_eq(&a, &b));
}
