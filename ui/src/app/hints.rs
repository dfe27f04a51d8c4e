//! Names seen on the map, for completing filters.

use std::collections::BTreeSet;

use flow::view::ServiceMap;
use leptos::prelude::*;

/// Names kept of each kind.
const NAMES_MAX: usize = 500;

/// Names that were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) workloads: BTreeSet<String>,
    pub(crate) pods: BTreeSet<String>,
    pub(crate) fqdns: BTreeSet<String>,
    pub(crate) ips: BTreeSet<String>,
}

impl Names {
    /// Adds what a map shows.
    pub(crate) fn learn(&mut self, map: &ServiceMap) {
        for node in &map.nodes {
            add(&mut self.namespaces, &node.namespace);
            match node.kind.as_str() {
                "workload" => add(&mut self.workloads, &node.name),
                "pod" => add(&mut self.pods, &format!("{}/{}", node.namespace, node.name)),
                "dns" => add(&mut self.fqdns, node.name.trim_end_matches('.')),
                "address" => add(&mut self.ips, &node.name),
                _ => {}
            }
        }
    }

    /// Names that fit a condition.
    pub(crate) fn of_condition(&self, name: &str) -> Option<&BTreeSet<String>> {
        match name.trim_start_matches("from-").trim_start_matches("to-") {
            "namespace" => Some(&self.namespaces),
            "workload" => Some(&self.workloads),
            "pod" => Some(&self.pods),
            "fqdn" => Some(&self.fqdns),
            "ip" => Some(&self.ips),
            _ => None,
        }
    }
}

fn add(names: &mut BTreeSet<String>, name: &str) {
    if !name.is_empty() && names.len() < NAMES_MAX {
        names.insert(name.to_owned());
    }
}

/// Names seen by the pages.
#[derive(Clone, Copy)]
pub(crate) struct Hints(pub(crate) RwSignal<Names>);

/// Makes the hints known to everything below.
pub(crate) fn provide() {
    provide_context(Hints(RwSignal::new(Names::default())));
}

/// Names seen by the pages.
pub(crate) fn use_hints() -> Hints {
    use_context::<Hints>().expect("the frame provides it above every page")
}
