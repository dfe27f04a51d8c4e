//! Counts by the minute and by the hour, kept as flows arrive: who talks to whom, what was dropped, what was looked up.
//!
//! Rows go into the slice of their minute. A slice that has seen nothing new for a while is sealed: it becomes record
//! batches that never change, and is added to the slice of its hour. Late rows make a new slice of the same minute, so
//! a minute may have several rollups and readers add them up. Keys per slice, and bytes of all, are bounded: flows with
//! one key too many are counted in a row of their own (`client_kind = 'other'`), and the oldest minutes and hours
//! leave first.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::record_batch::RecordBatch;
use flow::Timestamp;

use crate::Snapshot;
use crate::segment::as_u64;

mod add;
pub(crate) mod counts;
mod names;
pub(crate) mod read;
mod schema;
mod sketch;
mod slice;
mod write;

pub use read::RollupError;
pub use schema::{ROLLUP_VERSION, RollupKind};
pub(crate) use sketch::Part;
pub use sketch::Sketch;

use add::{Adder, MINUTE_US};
use names::Names;
use read::Slices;
use slice::Slice;

/// Length of the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
}

impl Period {
    /// Both, the finer first.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    /// Microseconds of a slice.
    #[must_use]
    pub const fn micros(self) -> i64 {
        match self {
            Self::Minute => MINUTE_US,
            Self::Hour => 60 * MINUTE_US,
        }
    }
}

/// Limits of the rollups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupLimits {
    /// Rows each table of a minute may have; an hour may have four times as many. 20,000 are some three times what
    /// 10,000 flows a second of 400 workloads make.
    pub rows_max: usize,
    /// Bytes of all minutes; the oldest leave first. Hours may take as many.
    pub bytes_max: usize,
    /// Minutes that are open at a time; the one that has had no rows for longest is sealed first.
    pub open_max: usize,
}

impl Default for RollupLimits {
    fn default() -> Self {
        Self { rows_max: 20_000, bytes_max: 128 << 20, open_max: 8 }
    }
}

/// The tables of one slice of time, or a part of them: readers add up all rollups of a slice.
#[derive(Clone, Debug)]
pub struct Rollup {
    period: Period,
    start_us: i64,
    batches: [RecordBatch; 4],
    overflowed: u64,
}

impl Rollup {
    /// Whether it is of a minute or an hour.
    #[must_use]
    pub const fn period(&self) -> Period {
        self.period
    }

    /// Start of the slice.
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        Timestamp(self.start_us.saturating_mul(1_000))
    }

    /// The rows of a table, in the shape of [`RollupKind::schema`].
    #[must_use]
    pub const fn batch(&self, kind: RollupKind) -> &RecordBatch {
        &self.batches[kind as usize]
    }

    /// Flows whose keys were too many and which share one row.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Bytes it occupies.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(table::memory_bytes).sum()
    }
}

/// What the rollups hold and have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollupStats {
    /// Rows of all tables that are sealed.
    pub rows: u64,
    /// Bytes of what is sealed and of what is open.
    pub bytes: u64,
    /// Flows counted since the start.
    pub flows_seen: u64,
    /// Flows of those whose keys were too many and which share one row a slice.
    pub flows_overflowed: u64,
    /// Flows that left the index before they were counted.
    pub flows_missed: u64,
    /// Minutes and hours that left to make room.
    pub evicted: u64,
}

/// The rollups of an index. All methods take `&self`; readers get what never changes.
#[derive(Debug)]
pub struct Rollups {
    limits: RollupLimits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    names: Names,
    minutes: BTreeMap<i64, Slice>,
    hours: BTreeMap<i64, Slice>,
    /// By period and number of the slice.
    sealed: [BTreeMap<i64, Vec<Arc<Rollup>>>; 2],
    sealed_bytes: [usize; 2],
    /// Of each period the first slice since which nothing was evicted or missed.
    whole_since: [i64; 2],
    /// Sequence number up to which rows were counted.
    end_seq: u64,
    calls: u64,
    stats: RollupStats,
}

/// What the rollups know at one moment.
#[derive(Clone, Debug, Default)]
pub struct RollupView {
    /// By period, in order of time; several may be of one slice.
    rollups: [Vec<Arc<Rollup>>; 2],
    /// Of each period the first slice since which nothing is missing.
    whole_since_us: [i64; 2],
}

impl Rollups {
    /// Rollups within these limits.
    #[must_use]
    pub fn new(limits: RollupLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Counts the rows of a snapshot that were not counted yet. Call it every second or so from a thread that may
    /// block: a million rows take a fraction of a second.
    pub fn catch_up(&self, snapshot: &Snapshot) {
        let mut state = self.state();
        if snapshot.end_seq() <= state.end_seq {
            return;
        }
        state.calls += 1;
        if snapshot.first_seq() > state.end_seq {
            state.miss(snapshot);
        }
        for segment in snapshot.segments().filter(|segment| segment.end_seq() > snapshot.first_seq()) {
            if segment.end_seq() <= state.end_seq {
                continue;
            }
            let skipped = usize::try_from(state.end_seq.saturating_sub(segment.first_seq())).unwrap_or(usize::MAX);
            state.add(segment.batch(), skipped.min(segment.rows())..segment.rows(), &self.limits);
            state.end_seq = segment.end_seq();
            state.seal_quiet(&self.limits);
        }
    }

    /// Counts up to a snapshot and gives all that is known, open slices included.
    #[must_use]
    pub fn view(&self, snapshot: &Snapshot) -> RollupView {
        self.catch_up(snapshot);
        let mut state = self.state();
        let State { names, minutes, hours, .. } = &mut *state;
        let mut open: [Vec<Arc<Rollup>>; 2] = Default::default();
        for (minute, slice) in minutes {
            let [start_us, of_hour] =
                Period::ALL.map(|p| minute.saturating_mul(MINUTE_US).div_euclid(p.micros()) * p.micros());
            open[0].push(slice.written(Period::Minute, |s| write::rollup(Period::Minute, start_us, s, names)));
            // A minute that is open is not in the slice of its hour yet.
            open[1].push(slice.written(Period::Hour, |s| write::rollup(Period::Hour, of_hour, s, names)));
        }
        for (hour, slice) in hours {
            let start_us = hour.saturating_mul(Period::Hour.micros());
            open[1].push(slice.written(Period::Hour, |s| write::rollup(Period::Hour, start_us, s, names)));
        }
        let rollups = Period::ALL.map(|period| -> Vec<Arc<Rollup>> {
            let sealed = state.sealed[period as usize].values().flatten();
            let mut rollups: Vec<_> = sealed.chain(&open[period as usize]).cloned().collect();
            rollups.sort_by_key(|rollup| rollup.start_us);
            rollups
        });
        let whole_since_us = Period::ALL.map(|p| state.whole_since[p as usize].saturating_mul(p.micros()));
        RollupView { rollups, whole_since_us }
    }

    /// Takes in a rollup of minutes as files hold it: one batch a table, in any order of columns. Its hours are made
    /// from it.
    ///
    /// # Errors
    /// A batch is not of its table.
    pub fn load(&self, batches: &[RecordBatch; 4]) -> Result<(), RollupError> {
        let mut conformed = batches.clone();
        for (kind, batch) in RollupKind::ALL.into_iter().zip(&mut conformed) {
            *batch = read::conform(kind, batch)?;
        }
        let mut state = self.state();
        state.calls += 1;
        let mut slices = BTreeMap::new();
        let rows_max = self.limits.rows_max;
        read::add(&conformed, &mut state.names, &mut Slices { slices: &mut slices, slice_us: MINUTE_US, rows_max });
        for (minute, slice) in slices {
            state.seal_minute(minute, &slice, &self.limits);
        }
        Ok(())
    }

    /// What the rollups hold and have seen.
    #[must_use]
    pub fn stats(&self) -> RollupStats {
        let state = self.state();
        let open: usize = state.minutes.values().chain(state.hours.values()).map(Slice::heap_bytes).sum();
        let rows = |rollup: &Arc<Rollup>| -> u64 { rollup.batches.iter().map(|batch| as_u64(batch.num_rows())).sum() };
        RollupStats {
            rows: state.sealed.iter().flat_map(BTreeMap::values).flatten().map(rows).sum(),
            bytes: as_u64(open + state.sealed_bytes.iter().sum::<usize>()),
            ..state.stats
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic inside leaves at worst a segment half counted.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The rollups of the minutes of these batches, which must have the shape of [`table::schema()`], in order of time. What
/// a store writes beside a file of flows: all files together give what one pass over all flows gives.
#[must_use]
pub fn rollups_of(batches: &[RecordBatch], limits: &RollupLimits) -> Vec<Rollup> {
    let mut state = State::default();
    for batch in batches {
        state.add(batch, 0..batch.num_rows(), limits);
    }
    let rollup = |(minute, slice): (&i64, &Slice)| {
        write::rollup(Period::Minute, minute.saturating_mul(MINUTE_US), slice, &state.names)
    };
    state.minutes.iter().map(rollup).collect()
}

impl RollupView {
    /// Rollups of a period, in order of time; several may be of one slice.
    #[must_use]
    pub fn rollups(&self, period: Period) -> &[Arc<Rollup>] {
        &self.rollups[period as usize]
    }

    /// Rollups whose slices start in this range of microseconds since the Unix epoch.
    pub(crate) fn starting_in(&self, period: Period, range: &Range<i64>) -> impl Iterator<Item = &Arc<Rollup>> {
        let rollups = self.rollups(period);
        let first = rollups.partition_point(|rollup| rollup.start_us < range.start);
        let last = rollups.partition_point(|rollup| rollup.start_us < range.end);
        rollups[first..last.max(first)].iter()
    }

    /// Start of the first slice of a period since which nothing is missing, in microseconds since the Unix epoch.
    pub(crate) const fn whole_since_us(&self, period: Period) -> i64 {
        self.whole_since_us[period as usize]
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            names: Names::default(),
            minutes: BTreeMap::new(),
            hours: BTreeMap::new(),
            sealed: [BTreeMap::new(), BTreeMap::new()],
            sealed_bytes: [0; 2],
            whole_since: [i64::MIN; 2],
            end_seq: 0,
            calls: 0,
            stats: RollupStats::default(),
        }
    }
}

impl State {
    /// Rows have left before they were counted: nothing up to the oldest row held is whole.
    fn miss(&mut self, snapshot: &Snapshot) {
        self.stats.flows_missed += snapshot.first_seq() - self.end_seq;
        self.end_seq = snapshot.first_seq();
        let Some(missed) = snapshot.out_of_memory_until() else { return };
        for period in Period::ALL {
            let next = missed.0.div_euclid(1_000).div_euclid(period.micros()) + 1;
            let since = &mut self.whole_since[period as usize];
            *since = next.max(*since);
        }
    }

    fn add(&mut self, batch: &RecordBatch, rows: Range<usize>, limits: &RollupLimits) {
        self.stats.flows_seen += as_u64(rows.len());
        let call = (self.calls, limits.rows_max);
        Adder::open(batch).add(rows, &mut self.minutes, &mut self.names, call);
    }

    /// Seals the slices that are too many, and everything once there are many names.
    fn seal_quiet(&mut self, limits: &RollupLimits) {
        while self.minutes.len() > limits.open_max.max(1) {
            let quiet = self.minutes.iter().min_by_key(|(number, slice)| (slice.touched, **number));
            let Some(minute) = quiet.map(|(number, _)| *number) else { return };
            self.seal(minute, limits);
        }
        if self.names.are_many() {
            while let Some(minute) = self.minutes.keys().next().copied() {
                self.seal(minute, limits);
            }
            self.seal_hours(0);
            self.names = Names::default();
        }
    }

    fn seal(&mut self, minute: i64, limits: &RollupLimits) {
        if let Some(slice) = self.minutes.remove(&minute) {
            self.seal_minute(minute, &slice, limits);
        }
    }

    fn seal_minute(&mut self, minute: i64, slice: &Slice, limits: &RollupLimits) {
        self.stats.flows_overflowed += slice.overflowed();
        let rollup = write::rollup(Period::Minute, minute.saturating_mul(MINUTE_US), slice, &self.names);
        self.keep(rollup);
        let hour = minute.div_euclid(60);
        let of_hour = self.hours.entry(hour).or_insert_with(|| Slice::new(limits.rows_max * 4));
        of_hour.join(slice);
        of_hour.touched = self.calls;
        // Two hours stay open: rows are rarely later.
        self.seal_hours(2);
        self.evict(limits);
    }

    /// Seals the oldest hours until so many are open.
    fn seal_hours(&mut self, open: usize) {
        while self.hours.len() > open {
            let Some((hour, slice)) = self.hours.pop_first() else { return };
            let start_us = hour.saturating_mul(Period::Hour.micros());
            self.keep(write::rollup(Period::Hour, start_us, &slice, &self.names));
        }
    }

    fn keep(&mut self, rollup: Rollup) {
        let number = rollup.start_us.div_euclid(rollup.period.micros());
        self.sealed_bytes[rollup.period as usize] += rollup.bytes();
        self.sealed[rollup.period as usize].entry(number).or_default().push(Arc::new(rollup));
    }

    /// Drops the oldest slices until the limit holds.
    fn evict(&mut self, limits: &RollupLimits) {
        for period in Period::ALL.map(|period| period as usize) {
            while self.sealed_bytes[period] > limits.bytes_max && self.sealed[period].len() > 1 {
                let Some((number, rollups)) = self.sealed[period].pop_first() else { break };
                self.sealed_bytes[period] -= rollups.iter().map(|rollup| rollup.bytes()).sum::<usize>();
                self.whole_since[period] = self.whole_since[period].max(number + 1);
                self.stats.evicted += 1;
            }
        }
    }
}

impl RollupView {
    /// Whether no flow of these rollups was folded.
    pub(crate) fn is_exact<'a>(mut rollups: impl Iterator<Item = &'a Arc<Rollup>>) -> bool {
        rollups.all(|rollup| rollup.overflowed == 0)
    }
}
