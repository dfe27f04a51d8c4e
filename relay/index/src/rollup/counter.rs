//! Counting the rows of one file.

use std::collections::{BTreeMap, HashSet};

use arrow::array::TimestampMicrosecondArray;
use arrow::record_batch::RecordBatch;
use table::Col;

use super::add::{Adder, MINUTE_US};
use super::names::Names;
use super::slice::Slice;
use super::{Period, Rollup, RollupKind, RollupLimits, write};
use crate::segment::column;

/// Minutes whose rows are counted for one file: two days. A file has an hour, unless its rows are of times that cannot
/// be; each minute takes tens of KB, and rows may have one of their own each.
pub(crate) const MINUTES_MAX: usize = 2 * 24 * 60;

/// Counts the rows of a file while they are written to it.
#[derive(Debug)]
pub(crate) struct Counter {
    limits: RollupLimits,
    minutes_max: usize,
    names: Names,
    minutes: BTreeMap<i64, Slice>,
    /// Whether there were more minutes than that, so that nothing is counted.
    has_too_many: bool,
}

impl Counter {
    pub(crate) fn new(limits: RollupLimits) -> Self {
        Self::with_minutes(limits, MINUTES_MAX)
    }

    fn with_minutes(limits: RollupLimits, minutes_max: usize) -> Self {
        Self { limits, minutes_max, names: Names::default(), minutes: BTreeMap::new(), has_too_many: false }
    }

    /// Adds the rows of a batch that has the shape of [`table::schema()`]; columns other than [`super::COLUMNS`] may say of
    /// every row that it carries nothing.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        if self.has_too_many || !self.has_room_for(batch) {
            (self.minutes, self.names, self.has_too_many) = (BTreeMap::new(), Names::default(), true);
            return;
        }
        Adder::open(batch).add(0..batch.num_rows(), &mut self.minutes, &mut self.names, (0, self.limits.rows_max));
    }

    /// Whether no more than [`MINUTES_MAX`] minutes were met; more rows change nothing otherwise.
    pub(crate) const fn is_whole(&self) -> bool {
        !self.has_too_many
    }

    fn has_room_for(&self, batch: &RecordBatch) -> bool {
        let times: &TimestampMicrosecondArray = column(batch, Col::Time).expect("segments have the table's shape");
        let mut new: HashSet<i64> = HashSet::new();
        let mut last = None;
        for minute in times.values().iter().map(|time| time.div_euclid(MINUTE_US)) {
            if last.replace(minute) != Some(minute) && !self.minutes.contains_key(&minute) {
                new.insert(minute);
                if self.minutes.len() + new.len() > self.minutes_max {
                    return false;
                }
            }
        }
        true
    }

    /// What was counted; `None` where rows were of too many minutes.
    pub(crate) fn finish(&self) -> Option<Counted<'_>> {
        self.is_whole().then(|| self.counted())
    }

    fn counted(&self) -> Counted<'_> {
        let mut hours: BTreeMap<i64, Slice> = BTreeMap::new();
        for (minute, slice) in &self.minutes {
            let hour = hours.entry(minute.div_euclid(60)).or_insert_with(|| Slice::new(self.limits.rows_max * 4));
            hour.join(slice);
        }
        Counted { names: &self.names, minutes: &self.minutes, hours }
    }
}

/// What was counted of one file. Tables are made as they are asked for: all of them at once take more memory than the
/// file's rows.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    names: &'a Names,
    minutes: &'a BTreeMap<i64, Slice>,
    hours: BTreeMap<i64, Slice>,
}

impl Counted<'_> {
    fn slices(&self, period: Period) -> impl Iterator<Item = (i64, &Slice)> {
        let slices = match period {
            Period::Minute => self.minutes,
            Period::Hour => &self.hours,
        };
        slices.iter().map(move |(number, slice)| (number.saturating_mul(period.micros()), slice))
    }

    /// A table of one period, slice by slice in order of time.
    pub(crate) fn batches(&self, period: Period, kind: RollupKind) -> impl Iterator<Item = RecordBatch> {
        self.slices(period).map(move |(start_us, slice)| write::table(kind, start_us, slice, self.names))
    }

    /// All tables of one period, in order of time and one a slice.
    pub(crate) fn rollups(&self, period: Period) -> Vec<Rollup> {
        self.slices(period).map(|(start_us, slice)| write::rollup(period, start_us, slice, self.names)).collect()
    }

    /// Starts of the slices whose edges were too many, and flows of those that share one row.
    pub(crate) fn overflowed(&self, period: Period) -> impl Iterator<Item = (i64, u64)> {
        let overflowed = self.slices(period).map(|(start_us, slice)| (start_us, slice.edges_overflowed()));
        overflowed.filter(|(_, flows)| *flows > 0)
    }
}

/// The rollups of the minutes of these batches, which must have the shape of [`table::schema()`], in order of time: what
/// a store keeps beside a file of flows. All files together give what one pass over all flows gives.
#[must_use]
pub fn rollups_of(batches: &[RecordBatch], limits: &RollupLimits) -> Vec<Rollup> {
    let mut counter = Counter::with_minutes(limits.clone(), usize::MAX);
    for batch in batches {
        counter.add(batch);
    }
    let minutes = counter.counted().rollups(Period::Minute);
    debug_assert!(minutes.iter().all(|rollup| rollup.start_us % MINUTE_US == 0));
    minutes
}
