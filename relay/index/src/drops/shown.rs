//! The flow that shows what a group of drops looks like.

use std::collections::BTreeMap;

use flow::Flow;
use table::schema::{DESTINATION, SOURCE, SideColumns};
use table::{Col, RowReader};

use crate::Hit;
use crate::files::Chunk;
use crate::map::in_parallel;

/// Where a flow is.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// In memory.
    Hot(Hit),
    /// In a file: only where, so that its row group does not stay in memory.
    Cold(Chunk, u16),
}

/// Rows of one row group, and for which of the flows asked for.
struct Wanted<'a> {
    chunk: &'a Chunk,
    rows: BTreeMap<u16, Vec<usize>>,
}

/// The flows, as far as a group of drops shows them, in the same order. Of one whose file cannot be read nothing is known.
pub(super) fn flows<'a>(shown: impl Iterator<Item = &'a Shown>) -> Vec<Flow> {
    let mut flows = Vec::new();
    let mut wanted: BTreeMap<(&str, usize), Wanted<'_>> = BTreeMap::new();
    for (place, shown) in shown.enumerate() {
        match shown {
            Shown::Hot(hit) => flows.push(hit.flow()),
            Shown::Cold(chunk, row) => {
                let rows = wanted.entry(chunk.key()).or_insert_with(|| Wanted { chunk, rows: BTreeMap::new() });
                rows.rows.entry(*row).or_default().push(place);
                flows.push(Flow::default());
            }
        }
    }
    // Each row group is read once, be it shown by many groups of drops.
    let wanted: Vec<Wanted<'_>> = wanted.into_values().collect();
    let read = in_parallel(&wanted, |wanted| wanted.iter().flat_map(|wanted| wanted.read()).collect::<Vec<_>>());
    for (place, flow) in read.into_iter().flatten() {
        flows[place] = flow;
    }
    flows
}

impl Wanted<'_> {
    fn read(&self) -> Vec<(usize, Flow)> {
        let rows: Vec<u16> = self.rows.keys().copied().collect();
        let Some(batch) = self.chunk.read_rows(&columns(), &rows) else { return Vec::new() };
        let Ok(reader) = RowReader::new(&batch) else { return Vec::new() };
        let flows = self.rows.values().enumerate().map(|(at, places)| (reader.flow(at), places));
        flows.flat_map(|(flow, places)| places.iter().map(move |place| (*place, flow.clone()))).collect()
    }
}

/// What the parties of a row are made of.
fn columns() -> Vec<Col> {
    let mut columns = vec![Col::Verdict, Col::L4Protocol, Col::Phase];
    for side in [&SOURCE, &DESTINATION] {
        let SideColumns { ip, port, names, labels, service_name, service_namespace, pid, comm, cgroup, .. } = *side;
        let SideColumns { identity, namespace, pod, workload, workload_kind, more_workloads, .. } = *side;
        columns.extend([ip, port, names, labels, service_name, service_namespace, pid, comm, cgroup]);
        columns.extend([identity, namespace, pod, workload, workload_kind, more_workloads]);
    }
    columns
}
