//! Rows of many batches in a new order.

use std::collections::BTreeMap;

use arrow::array::{Array as _, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::record_batch::RecordBatch;
use table::{SchemaError, merge};

/// A row of one of several batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) batch: u32,
    pub(super) row: u32,
}

/// Makes one batch of these rows, at most as many as a batch may have, in this order.
pub(super) fn gather(batches: &[&RecordBatch], picks: &[Pick]) -> Result<RecordBatch, SchemaError> {
    let mut of_batch: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut places = Vec::with_capacity(picks.len());
    for pick in picks {
        let rows = of_batch.entry(pick.batch).or_default();
        places.push((pick.batch, rows.len()));
        rows.push(pick.row);
    }
    let mut starts = BTreeMap::new();
    let mut start = 0;
    let mut parts = Vec::with_capacity(of_batch.len());
    for (batch, rows) in of_batch {
        starts.insert(batch, start);
        start += rows.len();
        let whole = batches[usize::try_from(batch).expect("an index")];
        parts.push(take(whole, &rows)?);
    }
    let merged = merge(&parts)?;
    let order: Vec<u32> =
        places.iter().map(|(batch, at)| u32::try_from(starts[batch] + at).expect("no more than a batch")).collect();
    take(&merged, &order)
}

fn take(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, SchemaError> {
    let is_run = rows.windows(2).all(|pair| pair[1] == pair[0] + 1);
    if let Some(first) = rows.first().filter(|_| is_run) {
        return Ok(batch.slice(usize::try_from(*first).expect("an index"), rows.len()));
    }
    let rows = UInt32Array::from(rows.to_vec());
    debug_assert_eq!(rows.null_count(), 0);
    take_record_batch(batch, &rows).map_err(SchemaError::Arrow)
}
