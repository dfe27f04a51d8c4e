//! Who talks to whom.
//!
//! Both ends of a connection may be observed, each by its own node and at several links. Of all observations of one
//! pair only the best [`View`] counts: the client's side before the server's, an endpoint's own link before others.
//! Drops happen once and requests are recorded once, so they count wherever they were seen.

use flow::view::ServiceMap;

use crate::{Search, Segment, Snapshot};

mod columns;
mod edge;
mod latency;
mod party;
mod rollup;

pub(crate) use columns::Columns;
use edge::Edges;
pub(crate) use party::{Parties, Party};

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

/// Segments that one more thread is worth.
const SEGMENTS_PER_THREAD: usize = 4;

pub(crate) fn service_map(snapshot: &Snapshot, search: &Search, by: MapBy) -> ServiceMap {
    let segments: Vec<&Segment> =
        snapshot.segments().filter(|segment| segment.meets(search)).map(AsRef::as_ref).collect();
    let edges = in_parallel(&segments, |segments| {
        let mut edges = Edges::default();
        for segment in segments {
            edges.add(segment, search);
        }
        edges
    })
    .into_iter()
    .reduce(Edges::join)
    .unwrap_or_default();
    let (nodes, edges) = rollup::rollup(&edges, by);
    let since = search.since.or_else(|| snapshot.oldest()).map(|time| time.to_string()).unwrap_or_default();
    let until = search.until.or_else(|| snapshot.newest()).map(|time| time.to_string()).unwrap_or_default();
    ServiceMap { nodes, edges, since, until, ..ServiceMap::default() }
}

/// Works on runs of segments, one run a processor, and gives the results in order.
fn in_parallel<T: Send>(segments: &[&Segment], work: impl Fn(&[&Segment]) -> T + Sync) -> Vec<T> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.min(segments.len().div_ceil(SEGMENTS_PER_THREAD)).max(1);
    let run = segments.len().div_ceil(threads).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let mut runs = segments.chunks(run);
        let first = runs.next().unwrap_or_default();
        let others: Vec<_> = runs.map(|run| scope.spawn(move || work(run))).collect();
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
