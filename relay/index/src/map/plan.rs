//! Which rollups a map can be made of, and which flows it still needs.

use std::ops::Range;
use std::sync::Arc;

use flow::Timestamp;

use super::edge::Edges;
use super::{Part, in_parallel, parts};
use crate::rollup::{Period, Rollup, RollupFile, RollupKind, RollupView};
use crate::segment::as_u64;
use crate::{Asker, Search, Snapshot};

/// Flows in memory that are counted in the time that one row of a rollup takes. A flow in a file has to be read and
/// decoded first, and takes as long as that row.
const FLOWS_PER_ROLLUP_ROW: u64 = 4;

/// Where the counts of a range come from; together they give the exact answer.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Rollups in memory of the hours and minutes that are inside.
    pub(crate) rollups: Vec<Arc<Rollup>>,
    /// Files, and which slices of theirs.
    files: Vec<(RollupFile, Period, Range<i64>)>,
    /// The rest at both ends.
    flows: Vec<Search>,
    asker: Asker,
}

impl Plan {
    /// Finds rollups for a search; `None` where they do not give the exact answer: there is a filter, they are not
    /// whole, keys were too many, or the flows at the ends are no longer held.
    pub(crate) fn of(snapshot: &Snapshot, view: &RollupView, search: &Search) -> Option<Self> {
        if !search.filter.passes_everything() {
            return None;
        }
        let minutes = whole(search, Period::Minute);
        if minutes.start >= minutes.end {
            return None;
        }
        let flows = ends(search, &minutes);
        if !flows.iter().all(|search| is_held(snapshot, search)) {
            return None;
        }
        let hours = whole_within(&minutes, Period::Hour);
        let parts = if hours.start < hours.end && view.is_whole(Period::Hour, &hours) {
            vec![
                (Period::Hour, hours.clone()),
                (Period::Minute, minutes.start..hours.start),
                (Period::Minute, hours.end..minutes.end),
            ]
        } else {
            vec![(Period::Minute, minutes)]
        };
        if !parts.iter().all(|(period, range)| view.is_whole(*period, range)) {
            return None;
        }
        let mut plan = Self { rollups: Vec::new(), files: Vec::new(), flows, asker: search.asker.clone() };
        for (period, range) in parts.into_iter().filter(|(_, range)| range.start < range.end) {
            plan.rollups.extend(view.starting_in(period, &range).cloned());
            let files = view.files().iter().filter(|file| file.meets(period, &range));
            plan.files.extend(files.map(|file| (file.clone(), period, range.clone())));
        }
        plan.rollups.iter().all(|rollup| rollup.overflowed() == 0).then_some(plan)
    }

    /// Whether it is less work than counting the flows. Where traffic is thin a minute's rollup has hardly fewer rows
    /// than it counts flows, and a row of it is more work than a flow in memory.
    pub(crate) fn is_worth(&self, snapshot: &Snapshot, search: &Search) -> bool {
        if !is_held(snapshot, search) {
            return true;
        }
        let edges = |rollup: &Arc<Rollup>| as_u64(rollup.batch(RollupKind::Edges).num_rows());
        let of_files = self.files.iter().map(|(file, period, _)| file.edges(*period)).sum::<u64>();
        let rollup_rows = of_files.saturating_add(self.rollups.iter().map(edges).sum());
        let hot = snapshot.segments().filter(|segment| segment.meets(search)).map(|segment| as_u64(segment.rows()));
        let cold = snapshot.chunks().filter(|chunk| chunk.meets(search)).map(|chunk| as_u64(chunk.rows()));
        rollup_rows.saturating_mul(FLOWS_PER_ROLLUP_ROW) < hot.sum::<u64>() + FLOWS_PER_ROLLUP_ROW * cold.sum::<u64>()
    }

    /// Counts everything the plan names, and tells what it was in words, `edges_1h (2), edges_1m (34), flows`. `None`
    /// where a file had more keys than were kept, or flows that are not counted, so that the edges are not exact.
    pub(crate) fn count(&self, snapshot: &Snapshot) -> Option<(Edges, String)> {
        let ends: Vec<_> = self.flows.iter().map(|search| (search, parts(snapshot, search))).collect();
        let rollups = self.rollups.iter().map(Work::Rollup);
        let files = self.files.iter().map(|(file, period, range)| Work::File(file, *period, range));
        let flows = ends.iter().flat_map(|(search, parts)| parts.iter().map(move |part| Work::Flows(part, search)));
        let work: Vec<Work<'_>> = rollups.chain(files).chain(flows).collect();
        let counted = in_parallel(&work, |work| {
            let mut counted = Counted::default();
            let mut wanted = work.iter().take_while(|_| self.asker.is_there());
            wanted.try_for_each(|work| counted.add(work)).map(|()| counted)
        });
        let counted = counted.into_iter().reduce(|all, next| Some(all?.join(next?))).flatten()?;
        let mut said = Vec::new();
        for (name, period) in [("edges_1h", Period::Hour), ("edges_1m", Period::Minute)] {
            if counted.rollups[period as usize] > 0 {
                said.push(format!("{name} ({})", counted.rollups[period as usize]));
            }
        }
        if !self.flows.is_empty() || said.is_empty() {
            said.push("flows".to_owned());
        }
        Some((counted.edges, said.join(", ")))
    }
}

/// A piece of a plan.
enum Work<'a> {
    Rollup(&'a Arc<Rollup>),
    File(&'a RollupFile, Period, &'a Range<i64>),
    Flows(&'a Part<'a>, &'a Search),
}

/// What one thread has counted.
#[derive(Default)]
struct Counted {
    edges: Edges,
    /// Rollups by period.
    rollups: [usize; 2],
}

impl Counted {
    /// `None` where the counts would not be exact.
    fn add(&mut self, work: &Work<'_>) -> Option<()> {
        /// What a map is drawn from.
        const KINDS: [RollupKind; 3] = [RollupKind::Edges, RollupKind::Drops, RollupKind::Watched];
        match work {
            Work::Rollup(rollup) => self.add_rollup(rollup),
            Work::File(file, period, range) => {
                let rollups = file.read_whole(*period, &KINDS)?;
                for rollup in rollups.iter().filter(|rollup| range.contains(&rollup.start_us())) {
                    if rollup.overflowed() > 0 {
                        return None;
                    }
                    self.add_rollup(rollup);
                }
            }
            Work::Flows(part, search) => self.edges.add_part(part, search),
        }
        Some(())
    }

    fn add_rollup(&mut self, rollup: &Rollup) {
        self.edges.add_rollup(rollup);
        self.rollups[rollup.period() as usize] += 1;
    }

    fn join(self, other: Self) -> Self {
        let [minutes, hours] = self.rollups;
        let rollups = [minutes + other.rollups[0], hours + other.rollups[1]];
        Self { edges: self.edges.join(other.edges), rollups }
    }
}

/// The slices that lie inside a search, in microseconds since the Unix epoch.
fn whole(search: &Search, period: Period) -> Range<i64> {
    let length_ns = i128::from(period.micros()) * 1_000;
    let micros = |slice: i128| i64::try_from(slice * i128::from(period.micros())).expect("a time in range");
    let start = search.since.map_or(i64::MIN, |since| {
        let since = i128::from(since.0);
        micros(-(-since).div_euclid(length_ns))
    });
    let end = search.until.map_or(i64::MAX, |until| micros((i128::from(until.0) + 1).div_euclid(length_ns)));
    start..end
}

/// The slices that lie inside a range of microseconds.
fn whole_within(range: &Range<i64>, period: Period) -> Range<i64> {
    let up = |at: i64| at.div_euclid(period.micros()) + i64::from(at.rem_euclid(period.micros()) != 0);
    let start = if range.start == i64::MIN { i64::MIN } else { up(range.start) * period.micros() };
    let end = if range.end == i64::MAX { i64::MAX } else { range.end.div_euclid(period.micros()) * period.micros() };
    start..end
}

/// What a search asks for outside of these minutes.
fn ends(search: &Search, minutes: &Range<i64>) -> Vec<Search> {
    let at = |micros: i64| Timestamp(micros.saturating_mul(1_000));
    let mut ends = Vec::new();
    if let Some(since) = search.since.filter(|since| *since < at(minutes.start)) {
        let until = Some(Timestamp(at(minutes.start).0 - 1));
        ends.push(Search { since: Some(since), until, ..search.clone() });
    }
    if let Some(until) = search.until.filter(|until| *until >= at(minutes.end)) {
        ends.push(Search { since: Some(at(minutes.end)), until: Some(until), ..search.clone() });
    }
    ends
}

/// Whether no flow of a range has left the index. Flows leave in the order they arrived in, which is nearly that of time:
/// what is later than the whole first segment is safe.
fn is_held(snapshot: &Snapshot, search: &Search) -> bool {
    // With a store files have what left the memory; what expired is not counted anywhere.
    if snapshot.first_seq() == 0 || snapshot.has_files() {
        return true;
    }
    let first = snapshot.segments().next().map(|segment| segment.time_range().1);
    first.is_some_and(|first| search.since.is_some_and(|since| since > first))
}
