//! Who talks to whom.
//!
//! Both ends of a connection may be observed, each by its own node and at several links. Where a client's own node
//! reports its traffic, that counts and what servers' nodes saw of it does not; what clients without a collector send
//! counts as servers' nodes saw it. On either side an endpoint's own link counts before other links. Drops happen once
//! and requests are recorded once, so they count wherever they were seen. All of this can be told from rollups too, and
//! they serve wherever they give the exact answer.

use std::sync::Arc;

use flow::Timestamp;
use flow::view::ServiceMap;

use crate::files::Chunk;
use crate::{Index, Search, Segment, Snapshot};

pub(crate) mod columns;
pub(crate) mod edge;
mod few_texts;
pub(crate) mod latency;
pub(crate) mod party;
mod plan;
mod rollup;
mod views;

pub(crate) use columns::{COLUMNS, Columns};
use edge::Edges;
pub(crate) use few_texts::FewTexts;
pub(crate) use party::{Parties, Party};
use plan::Plan;

/// What the nodes of a service map are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MapBy {
    /// Workloads.
    #[default]
    Workload,
    /// Namespaces.
    Namespace,
    /// Pods.
    Pod,
}

impl MapBy {
    /// Finds the grouping by name: `workload`, `namespace` or `pod`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "workload" => Some(Self::Workload),
            "namespace" => Some(Self::Namespace),
            "pod" => Some(Self::Pod),
            _ => None,
        }
    }
}

/// What a map is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// What its nodes are.
    pub by: MapBy,
    /// Edges it has at most: of more, those with drops and errors stay, then those with the most flows.
    pub edges_max: usize,
}

impl From<MapBy> for MapShape {
    /// All edges.
    fn from(by: MapBy) -> Self {
        Self { by, edges_max: usize::MAX }
    }
}

/// Rows in memory, or in a file.
pub(crate) enum Part<'a> {
    Hot(&'a Arc<Segment>),
    Cold(Chunk),
}

/// The parts of a snapshot that may have rows a search asks for.
pub(crate) fn parts<'a>(snapshot: &'a Snapshot, search: &Search) -> Vec<Part<'a>> {
    let hot = snapshot.segments().filter(|segment| segment.meets(search)).map(Part::Hot);
    let cold = snapshot.chunks().filter(|chunk| chunk.meets(search)).map(Part::Cold);
    hot.chain(cold).collect()
}

impl Edges {
    fn add_part(&mut self, part: &Part<'_>, search: &Search) {
        match part {
            _ if !search.asker.is_there() => {}
            Part::Hot(segment) => self.add(segment, search),
            Part::Cold(chunk) if !chunk.may_match(&search.filter) => {}
            Part::Cold(chunk) => {
                let columns = [COLUMNS, &search.filter.columns()].concat();
                if let Some(segment) = chunk.segment_in(&columns, search) {
                    self.add(&segment, search);
                }
            }
        }
    }
}

/// Segments, row groups or rollups that one more thread is worth.
const PIECES_PER_THREAD: usize = 4;

impl Index {
    /// Who talks to whom in the flows that match, from rollups where they give the exact answer with less work; `source`
    /// tells. `completeness` is left to the caller.
    #[must_use]
    pub fn service_map(&self, search: &Search, shape: impl Into<MapShape>) -> ServiceMap {
        self.draw(search, shape.into(), false)
    }

    /// The same from rollups wherever they give the exact answer, be it more work.
    #[must_use]
    pub fn service_map_of_rollups(&self, search: &Search, shape: impl Into<MapShape>) -> ServiceMap {
        self.draw(search, shape.into(), true)
    }

    fn draw(&self, search: &Search, shape: MapShape, always: bool) -> ServiceMap {
        let snapshot = self.snapshot();
        if shape.by == MapBy::Pod || !search.filter.passes_everything() {
            return service_map(&snapshot, search, shape);
        }
        let view = self.rollups().view(&snapshot);
        let plan = Plan::of(&snapshot, &view, search).filter(|plan| always || plan.is_worth(&snapshot, search));
        let Some(plan) = plan else { return service_map(&snapshot, search, shape) };
        let Some((edges, source)) = plan.count(&snapshot) else { return service_map(&snapshot, search, shape) };
        let oldest = plan.rollups.iter().map(|rollup| rollup.start()).min();
        let oldest = oldest.into_iter().chain(snapshot.oldest()).min();
        finish(edges, shape, (search, oldest, snapshot.newest()), source)
    }
}

pub(crate) fn service_map(snapshot: &Snapshot, search: &Search, shape: MapShape) -> ServiceMap {
    let edges = in_parallel(&parts(snapshot, search), |parts| {
        let mut edges = Edges::default();
        parts.iter().for_each(|part| edges.add_part(part, search));
        edges
    })
    .into_iter()
    .reduce(Edges::join)
    .unwrap_or_default();
    finish(edges, shape, (search, snapshot.oldest(), snapshot.newest()), "flows".to_owned())
}

/// Draws the map of what was counted.
fn finish(
    edges: Edges,
    shape: MapShape,
    range: (&Search, Option<Timestamp>, Option<Timestamp>),
    source: String,
) -> ServiceMap {
    let (search, oldest, newest) = range;
    let (nodes, edges, left_out) = rollup::rollup(edges, shape);
    let since = search.since.or(oldest).map(|time| time.to_string()).unwrap_or_default();
    let until = search.until.or(newest).map(|time| time.to_string()).unwrap_or_default();
    ServiceMap { nodes, edges, left_out, since, until, source, ..ServiceMap::default() }
}

/// Works on pieces, one run of them a processor, and gives the results in order. Every so many pieces form a run: those
/// of one kind are together, and each run gets its share of them.
pub(crate) fn in_parallel<P: Sync, T: Send>(pieces: &[P], work: impl Fn(&[&P]) -> T + Sync) -> Vec<T> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.min(pieces.len().div_ceil(PIECES_PER_THREAD)).max(1);
    let runs: Vec<Vec<&P>> = (0..threads).map(|n| pieces.iter().skip(n).step_by(threads).collect()).collect();
    let work = &work;
    std::thread::scope(|scope| {
        let (first, others) = runs.split_first().expect("there is at least one thread");
        let others: Vec<_> = others.iter().map(|run| scope.spawn(move || work(run))).collect();
        let mut results = vec![work(first)];
        for other in others {
            match other.join() {
                Ok(result) => results.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}
