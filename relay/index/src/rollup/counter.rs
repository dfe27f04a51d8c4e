//! Counting the rows of one file.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;

use super::add::{Adder, MINUTE_US};
use super::names::Names;
use super::slice::Slice;
use super::{Period, Rollup, RollupLimits, write};

/// Counts the rows of a file while they are written to it.
#[derive(Debug)]
pub(crate) struct Counter {
    limits: RollupLimits,
    names: Names,
    minutes: BTreeMap<i64, Slice>,
}

impl Counter {
    pub(crate) fn new(limits: RollupLimits) -> Self {
        Self { limits, names: Names::default(), minutes: BTreeMap::new() }
    }

    /// Adds the rows of a batch that has the shape of [`table::schema()`]; columns other than [`super::COLUMNS`] may say of
    /// every row that it carries nothing.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        Adder::open(batch).add(0..batch.num_rows(), &mut self.minutes, &mut self.names, (0, self.limits.rows_max));
    }

    /// The rollups by period, each in order of time and one a slice.
    pub(crate) fn finish(&self) -> [Vec<Rollup>; 2] {
        let mut hours: BTreeMap<i64, Slice> = BTreeMap::new();
        for (minute, slice) in &self.minutes {
            let hour = hours.entry(minute.div_euclid(60)).or_insert_with(|| Slice::new(self.limits.rows_max * 4));
            hour.join(slice);
        }
        [self.written(Period::Minute, &self.minutes), self.written(Period::Hour, &hours)]
    }

    fn written(&self, period: Period, slices: &BTreeMap<i64, Slice>) -> Vec<Rollup> {
        let start = |number: &i64| number.saturating_mul(period.micros());
        slices.iter().map(|(number, slice)| write::rollup(period, start(number), slice, &self.names)).collect()
    }
}

/// The rollups of the minutes of these batches, which must have the shape of [`table::schema()`], in order of time: what
/// a store keeps beside a file of flows. All files together give what one pass over all flows gives.
#[must_use]
pub fn rollups_of(batches: &[RecordBatch], limits: &RollupLimits) -> Vec<Rollup> {
    let mut counter = Counter::new(limits.clone());
    for batch in batches {
        counter.add(batch);
    }
    let [minutes, _] = counter.finish();
    debug_assert!(minutes.iter().all(|rollup| rollup.start_us % MINUTE_US == 0));
    minutes
}
