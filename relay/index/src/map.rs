//! Who talks to whom.

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
