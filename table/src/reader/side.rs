//! One side of a flow.

use std::sync::Arc;

use flow::{Endpoint, Identity, Process, Service, Workload};

use super::RowReader;
use super::cache::Cache;
use crate::json;
use crate::schema::SideColumns;

/// Things of one side that many rows share.
#[derive(Debug, Default)]
pub(crate) struct SideCaches {
    /// With the key of the labels they have.
    endpoints: Cache<(usize, Arc<Endpoint>)>,
    services: Cache<Arc<Service>>,
    processes: Cache<Arc<Process>>,
}

impl RowReader {
    pub(super) fn endpoint(&self, caches: &SideCaches, columns: &SideColumns, row: usize) -> Option<Arc<Endpoint>> {
        if self.is_null(columns.identity, row) {
            return None;
        }
        let labels = self.columns[columns.labels.index()].key(row);
        let build = |row| {
            let endpoint = Endpoint {
                id: self.narrow(columns.endpoint_id, row),
                identity: Identity(self.narrow(columns.identity, row)),
                cluster_name: self.string(columns.cluster, row),
                namespace: self.string(columns.namespace, row),
                labels: self.list(columns.labels, row),
                pod_name: self.string(columns.pod, row),
                workloads: self.workloads(columns, row),
            };
            (labels, Arc::new(endpoint))
        };
        let (cached_labels, endpoint) = self.cached(&caches.endpoints, columns.endpoint, row, build);
        if cached_labels == labels {
            return Some(endpoint);
        }
        // Labels have keys of their own: the same endpoint may have had others before.
        Some(Arc::new(Endpoint { labels: self.list(columns.labels, row), ..(*endpoint).clone() }))
    }

    fn workloads(&self, columns: &SideColumns, row: usize) -> Vec<Workload> {
        let more = self.text(columns.more_workloads, row);
        if !more.is_empty() {
            return json::read_workloads(more);
        }
        let workload =
            Workload { name: self.string(columns.workload, row), kind: self.string(columns.workload_kind, row) };
        if workload.name.is_empty() && workload.kind.is_empty() { Vec::new() } else { vec![workload] }
    }

    pub(super) fn service(&self, caches: &SideCaches, columns: &SideColumns, row: usize) -> Option<Arc<Service>> {
        if self.is_null(columns.service_name, row) {
            return None;
        }
        let build = |row| {
            Arc::new(Service {
                name: self.string(columns.service_name, row),
                namespace: self.string(columns.service_namespace, row),
            })
        };
        Some(self.cached(&caches.services, columns.service, row, build))
    }

    pub(super) fn process(&self, caches: &SideCaches, columns: &SideColumns, row: usize) -> Option<Arc<Process>> {
        if self.is_null(columns.pid, row) {
            return None;
        }
        let build = |row| {
            Arc::new(Process {
                pid: self.narrow(columns.pid, row),
                uid: self.narrow(columns.uid, row),
                comm: self.string(columns.comm, row),
                exe: self.string(columns.exe, row),
                cgroup: self.string(columns.cgroup, row),
                unit: self.string(columns.unit, row),
                netns: self.string(columns.netns, row),
            })
        };
        Some(self.cached(&caches.processes, columns.process, row, build))
    }
}
