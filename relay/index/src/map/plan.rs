//! Which rollups a map can be made of, and which flows it still needs.

use std::ops::Range;
use std::sync::Arc;

use flow::Timestamp;

use crate::rollup::{Period, Rollup, RollupKind, RollupView};
use crate::{Search, Snapshot};

/// Flows in memory that are counted in the time that one row of a rollup takes.
const FLOWS_PER_ROLLUP_ROW: usize = 4;

/// Where the counts of a range come from; together they give the exact answer.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Rollups of the hours and minutes that are inside.
    pub(crate) rollups: Vec<Arc<Rollup>>,
    /// The rest at both ends.
    pub(crate) flows: Vec<Search>,
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
        let rollups = if hours.start < hours.end && view.whole_since_us(Period::Hour) <= hours.start {
            let around = [minutes.start..hours.start, hours.end..minutes.end];
            if !around.iter().all(|minutes| are_whole(view, minutes)) {
                return None;
            }
            let fine = around.iter().flat_map(|minutes| view.starting_in(Period::Minute, minutes));
            view.starting_in(Period::Hour, &hours).chain(fine).cloned().collect()
        } else if are_whole(view, &minutes) {
            view.starting_in(Period::Minute, &minutes).cloned().collect()
        } else {
            return None;
        };
        let plan = Self { rollups, flows };
        RollupView::is_exact(plan.rollups.iter()).then_some(plan)
    }

    /// Whether it is less work than counting the flows. Where traffic is thin a minute's rollup has hardly fewer rows
    /// than it counts flows, and a row of it is more work than a flow in memory.
    pub(crate) fn is_worth(&self, snapshot: &Snapshot, search: &Search) -> bool {
        let rows = |rollup: &Arc<Rollup>| rollup.batch(RollupKind::Edges).num_rows();
        let rollup_rows: usize = self.rollups.iter().map(rows).sum();
        let flows = || snapshot.segments().filter(|segment| segment.meets(search)).map(|segment| segment.rows()).sum();
        !is_held(snapshot, search) || rollup_rows.saturating_mul(FLOWS_PER_ROLLUP_ROW) < flows()
    }

    /// The plan in words: `edges_1h (2), edges_1m (34), flows`.
    pub(crate) fn source(&self) -> String {
        let count = |period| self.rollups.iter().filter(|rollup| rollup.period() == period).count();
        let mut parts = Vec::new();
        for (name, period) in [("edges_1h", Period::Hour), ("edges_1m", Period::Minute)] {
            if count(period) > 0 {
                parts.push(format!("{name} ({})", count(period)));
            }
        }
        if !self.flows.is_empty() || parts.is_empty() {
            parts.push("flows".to_owned());
        }
        parts.join(", ")
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

fn are_whole(view: &RollupView, minutes: &Range<i64>) -> bool {
    minutes.start >= minutes.end || view.whole_since_us(Period::Minute) <= minutes.start
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
    if snapshot.first_seq() == 0 {
        return true;
    }
    // With a store the oldest file has what left the memory, up to what expired.
    if snapshot.has_files() && search.since.is_some_and(|since| snapshot.oldest().is_some_and(|oldest| since >= oldest))
    {
        return true;
    }
    let first = snapshot.segments().next().map(|segment| segment.time_range().1);
    first.is_some_and(|first| search.since.is_some_and(|since| since > first))
}
