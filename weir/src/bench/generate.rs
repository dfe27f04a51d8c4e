//! Record batches of made-up traffic.

use arrow::record_batch::RecordBatch;
use table::FlowBatchBuilder;
use traffic::{Settings, Traffic};

/// Batches until there were so many flows.
pub(super) struct Batches {
    traffic: Traffic,
    builder: FlowBatchBuilder,
    left: u64,
    batch_rows: u32,
}

impl Batches {
    pub(super) fn new(settings: Settings, flows: u64, batch_rows: u32) -> Self {
        Self { traffic: Traffic::new(settings), builder: FlowBatchBuilder::new(), left: flows, batch_rows }
    }
}

impl Iterator for Batches {
    type Item = RecordBatch;

    fn next(&mut self) -> Option<RecordBatch> {
        let rows = self.left.min(self.batch_rows.into());
        if rows == 0 {
            return None;
        }
        for _ in 0..rows {
            self.builder.push(&self.traffic.flow()).expect("a batch has room for as many rows as may be asked for");
        }
        self.left -= rows;
        Some(self.builder.finish())
    }
}
