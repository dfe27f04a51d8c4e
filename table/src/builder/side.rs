//! One side of a flow.

use std::net::IpAddr;
use std::sync::Arc;

use flow::{Endpoint, Flow, Process, Service};

use super::group::{Group, Shared};
use super::output::Output;
use crate::json;
use crate::schema::SideColumns;

/// Columns of one side under construction.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(super) ip: Group<Option<IpAddr>>,
    pub(super) endpoint: Shared<Endpoint>,
    pub(super) names: Group<Vec<String>>,
    pub(super) service: Shared<Service>,
    pub(super) process: Shared<Process>,
}

/// What a flow says of one side.
#[derive(Debug)]
pub(crate) struct SideOf<'a> {
    ip: Option<IpAddr>,
    endpoint: Option<&'a Arc<Endpoint>>,
    names: &'a [String],
    service: Option<&'a Arc<Service>>,
    process: Option<&'a Arc<Process>>,
}

impl<'a> SideOf<'a> {
    pub(crate) fn source(flow: &'a Flow) -> Self {
        Self {
            ip: flow.ip.as_ref().map(|ip| ip.source),
            endpoint: flow.source.as_ref(),
            names: &flow.source_names,
            service: flow.source_service.as_ref(),
            process: flow.details.as_ref().and_then(|d| d.source_process.as_ref()),
        }
    }

    pub(crate) fn destination(flow: &'a Flow) -> Self {
        Self {
            ip: flow.ip.as_ref().map(|ip| ip.destination),
            endpoint: flow.destination.as_ref(),
            names: &flow.destination_names,
            service: flow.destination_service.as_ref(),
            process: flow.details.as_ref().and_then(|d| d.destination_process.as_ref()),
        }
    }
}

impl Side {
    #[inline]
    pub(crate) fn push(&mut self, side: SideOf<'_>) {
        self.ip.push_value(side.ip);
        self.endpoint.push(side.endpoint);
        self.names.push_list(side.names);
        self.service.push(side.service);
        self.process.push(side.process);
    }

    pub(crate) fn write(&self, output: &mut Output, columns: &SideColumns) {
        self.write_endpoint(output, columns);
        let keys = output.keys(self.ip.keys());
        let texts = self.ip.entries().iter().map(|ip| ip.map(|ip| ip.to_string()));
        if columns.ip.column().nullable {
            output.text_or_null(columns.ip, &keys, texts);
        } else {
            output.text(columns.ip, &keys, texts.map(Option::unwrap_or_default));
        }
        let keys = output.keys(self.names.keys());
        output.text(columns.names, &keys, self.names.entries().iter().map(json::write));
        let keys = output.keys(self.service.keys());
        let services = self.service.entries();
        output.text_or_null(columns.service_name, &keys, services.iter().map(|s| s.as_ref().map(|s| &s.name)));
        let namespaces = services.iter().map(|s| s.as_ref().map_or("", |s| &s.namespace));
        output.text(columns.service_namespace, &keys, namespaces);
        self.write_process(output, columns);
    }

    fn write_endpoint(&self, output: &mut Output, columns: &SideColumns) {
        let keys = output.keys(self.endpoint.keys());
        let entries = self.endpoint.entries();
        let text = |of: fn(&Endpoint) -> &str| entries.iter().map(move |e| e.as_deref().map_or("", of));
        let identities = entries.iter().map(|e| e.as_ref().map(|e| e.identity.0.into()));
        output.number_or_null(columns.identity, &keys, identities);
        output.number(columns.endpoint_id, &keys, entries.iter().map(|e| e.as_ref().map_or(0, |e| e.id.into())));
        output.text(columns.cluster, &keys, text(|e| &e.cluster_name));
        output.text(columns.namespace, &keys, text(|e| &e.namespace));
        output.text(columns.pod, &keys, text(|e| &e.pod_name));
        output.text(columns.workload, &keys, text(|e| e.workloads.first().map_or("", |w| &w.name)));
        output.text(columns.workload_kind, &keys, text(|e| e.workloads.first().map_or("", |w| &w.kind)));
        let more = entries.iter().map(|e| e.as_ref().map(|e| json::write_workloads(&e.workloads)).unwrap_or_default());
        output.text(columns.more_workloads, &keys, more);

        // Labels are long and shared by all pods of a workload, so they have a dictionary of their own.
        let mut labels: Group<Vec<String>> = Group::default();
        let mut of_entry = Vec::with_capacity(entries.len());
        for endpoint in entries {
            let list: &[String] = endpoint.as_ref().map_or(&[], |e| &e.labels);
            of_entry.push(labels.key(list, |entry| entry == list, || list.to_vec()));
        }
        let keys = output.mapped_keys(self.endpoint.keys(), &of_entry);
        output.text(columns.labels, &keys, labels.entries().iter().map(json::write));
    }

    fn write_process(&self, output: &mut Output, columns: &SideColumns) {
        let keys = output.keys(self.process.keys());
        let entries = self.process.entries();
        let text = |of: fn(&Process) -> &str| entries.iter().map(move |e| e.as_deref().map_or("", of));
        output.number_or_null(columns.pid, &keys, entries.iter().map(|e| e.as_ref().map(|e| e.pid.into())));
        output.number(columns.uid, &keys, entries.iter().map(|e| e.as_ref().map_or(0, |e| e.uid.into())));
        output.text(columns.comm, &keys, text(|p| &p.comm));
        output.text(columns.exe, &keys, text(|p| &p.exe));
        output.text(columns.cgroup, &keys, text(|p| &p.cgroup));
        output.text(columns.unit, &keys, text(|p| &p.unit));
        output.text(columns.netns, &keys, text(|p| &p.netns));
    }

    pub(crate) fn clear(&mut self) {
        self.ip.clear();
        self.endpoint.clear();
        self.names.clear();
        self.service.clear();
        self.process.clear();
    }
}
