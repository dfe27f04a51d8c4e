//! Rows of many batches in a new order.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, DictionaryArray, Int16Array, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute;
use arrow::datatypes::Int16Type;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use table::schema::{COLUMNS, GROUPS};
use table::{SchemaError, merge};

/// A row of one of several batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) batch: u32,
    pub(super) row: u32,
}

/// Makes one batch of these rows, at most as many as a batch may have, in this order.
pub(super) fn gather(batches: &[&RecordBatch], picks: &[Pick]) -> Result<RecordBatch, SchemaError> {
    if let Some(first) = picks.first().filter(|first| picks.iter().all(|pick| pick.batch == first.batch)) {
        let rows: Vec<u32> = picks.iter().map(|pick| pick.row).collect();
        return take(batches[usize::try_from(first.batch).expect("an index")], &rows);
    }
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
    let mut taken = batch.columns().to_vec();
    for (array, column) in taken.iter_mut().zip(COLUMNS) {
        if !column.kind.is_dictionary() {
            *array = compute::take(array, &rows, None).map_err(SchemaError::Arrow)?;
        }
    }
    for group in GROUPS {
        let mut shared = None;
        for col in *group {
            let array = &mut taken[col.index()];
            *array = take_keys(array, &rows, &mut shared).map_err(SchemaError::Arrow)?;
        }
    }
    RecordBatch::try_new(batch.schema(), taken).map_err(SchemaError::Arrow)
}

/// Rows of a dictionary column. Columns of a group share their keys afterwards as they did before.
fn take_keys(
    array: &ArrayRef,
    rows: &UInt32Array,
    shared: &mut Option<(ScalarBuffer<i16>, ScalarBuffer<i16>)>,
) -> Result<ArrayRef, ArrowError> {
    let Some(dictionary) = array.as_dictionary_opt::<Int16Type>() else {
        return compute::take(array, rows, None);
    };
    let keys = dictionary.keys().values();
    let taken = match shared {
        Some((of, taken)) if of.ptr_eq(keys) => taken.clone(),
        _ => {
            let taken: ScalarBuffer<i16> = rows.values().iter().map(|row| keys[*row as usize]).collect();
            *shared = Some((keys.clone(), taken.clone()));
            taken
        }
    };
    let nulls = dictionary.nulls().map(|nulls| {
        let is_valid = |row: usize| nulls.is_valid(rows.value(row) as usize);
        NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), is_valid))
    });
    let keys = Int16Array::try_new(taken, nulls.filter(|nulls| nulls.null_count() > 0))?;
    Ok(Arc::new(DictionaryArray::<Int16Type>::try_new(keys, dictionary.values().clone())?))
}
