//! Counts by the minute and by the hour, kept as flows arrive: who talks to whom, what was dropped, what was looked up.
//!
//! Rows go into the slice of their minute. A slice that has seen nothing new for a while is sealed: it becomes record
//! batches that never change, and is added to the slice of its hour. Late rows make a new slice of the same minute, so
//! a minute may have several rollups and readers add them up. Keys per slice, and bytes of all, are bounded: flows with
//! one key too many are counted in a row of their own (`client_kind = 'other'`), and the oldest minutes and hours
//! leave first.
//!
//! With a store only rows that are in no file are counted here: each file has the counts of its own rows beside it, and
//! they come and go with it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::record_batch::RecordBatch;
use flow::Timestamp;

use crate::Snapshot;
use crate::files::{FileEntry, Files};
use crate::segment::as_u64;

mod add;
mod counter;
pub(crate) mod counts;
mod names;
pub(crate) mod read;
mod schema;
mod sketch;
mod slice;
mod view;
mod write;

pub(crate) use add::COLUMNS;
pub use counter::rollups_of;
pub(crate) use counter::{Counted, Counter, MINUTES_MAX};
pub use read::RollupError;
pub(crate) use read::conform;
pub use schema::{ROLLUP_VERSION, RollupKind};
pub(crate) use sketch::Part;
pub use sketch::Sketch;
pub use view::{RollupFile, RollupView};

use add::{Adder, MINUTE_US};
use names::Names;
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

    /// Its name in files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

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
    pub(crate) const fn new(period: Period, start_us: i64, batches: [RecordBatch; 4], overflowed: u64) -> Self {
        Self { period, start_us, batches, overflowed }
    }

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

    pub(crate) const fn start_us(&self) -> i64 {
        self.start_us
    }

    /// The rows of a table, in the shape of [`RollupKind::schema`].
    #[must_use]
    pub const fn batch(&self, kind: RollupKind) -> &RecordBatch {
        &self.batches[kind as usize]
    }

    /// Flows whose edges were too many and which share one row.
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
    /// Sequence number from which on rows are counted here; files have the counts of those before.
    from_seq: u64,
    /// Sequence number up to which rows were counted.
    end_seq: u64,
    /// Sequence number up to which rows were ever counted: those that did not become files with the others are counted
    /// once more.
    seen_seq: u64,
    /// The files of the newest snapshot met, which have all rows before `from_seq`.
    files: Arc<Vec<Arc<FileEntry>>>,
    reader: Option<Arc<Files>>,
    generation: u64,
    calls: u64,
    stats: RollupStats,
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
        state.meet(snapshot);
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
            let news = state.end_seq.saturating_sub(state.seen_seq.max(segment.first_seq()));
            state.stats.flows_seen += news;
            state.seen_seq = state.seen_seq.max(state.end_seq);
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
        let files = state.reader.as_ref().map(|reader| RollupFile::all_of(&state.files, reader)).unwrap_or_default();
        let gone_us = view::rows_without_file(snapshot, &state.files);
        RollupView { rollups, whole_since_us, files, gone_us }
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

impl Default for State {
    fn default() -> Self {
        Self {
            names: Names::default(),
            minutes: BTreeMap::new(),
            hours: BTreeMap::new(),
            sealed: [BTreeMap::new(), BTreeMap::new()],
            sealed_bytes: [0; 2],
            whole_since: [i64::MIN; 2],
            from_seq: 0,
            end_seq: 0,
            seen_seq: 0,
            files: Arc::default(),
            reader: None,
            generation: 0,
            calls: 0,
            stats: RollupStats::default(),
        }
    }
}

impl State {
    /// Notes the files of a snapshot, and forgets the counts of rows that are in files now. Rows that came after those
    /// are counted once more, which is some ten thousand each few minutes.
    fn meet(&mut self, snapshot: &Snapshot) {
        if snapshot.generation() < self.generation {
            return;
        }
        self.generation = snapshot.generation();
        let Some(reader) = snapshot.reader() else { return };
        self.files = snapshot.files().clone();
        self.reader = Some(reader.clone());
        if snapshot.published() > self.from_seq {
            self.from_seq = snapshot.published();
            self.end_seq = self.from_seq;
            (self.minutes, self.hours) = (BTreeMap::new(), BTreeMap::new());
            (self.sealed, self.sealed_bytes) = ([BTreeMap::new(), BTreeMap::new()], [0; 2]);
            self.whole_since = [i64::MIN; 2];
        }
        // Numbers that are left out are those of rows the log could not give back.
        self.end_seq = self.end_seq.max(snapshot.first_seq());
    }

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
