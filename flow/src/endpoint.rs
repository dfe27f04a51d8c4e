//! The two sides of a flow.

use crate::{Flow, Identity};

/// Which side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The sender.
    Source,
    /// The receiver.
    Destination,
}

impl Side {
    /// Both sides, the source first.
    pub const BOTH: [Self; 2] = [Self::Source, Self::Destination];

    /// `source` or `destination`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }

    /// The one of two values that belongs to this side.
    #[must_use]
    pub const fn of<'a, T: ?Sized>(self, source: &'a T, destination: &'a T) -> &'a T {
        match self {
            Self::Source => source,
            Self::Destination => destination,
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Flow {
    /// One side as the observing node knew it.
    #[must_use]
    pub fn endpoint(&self, side: Side) -> Option<&Endpoint> {
        side.of(&self.source, &self.destination).as_deref()
    }
}

/// One side of a flow as the observing node knew it at that moment.
///
/// Names without Kubernetes fill the same fields: `pod_name` is the network namespace, container or host, `namespace`
/// the group it belongs to, `workloads` the systemd unit, container or entry of `names.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Number of the endpoint on its node; 0 for one that is not on this node.
    pub id: u32,
    /// Security identity.
    pub identity: Identity,
    /// Cluster, empty for the local one.
    pub cluster_name: String,
    /// Namespace, empty for none.
    pub namespace: String,
    /// Labels as `source:key=value`, sorted.
    pub labels: Vec<String>,
    /// Pod name, empty for none.
    pub pod_name: String,
    /// Controllers that own it, the nearest first.
    pub workloads: Vec<Workload>,
}

impl Endpoint {
    /// Name of the nearest workload, else of the pod, else the empty text.
    #[must_use]
    pub fn workload_name(&self) -> &str {
        self.workloads.first().map_or(self.pod_name.as_str(), |w| w.name.as_str())
    }
}

/// Controller that owns an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Workload {
    /// Name, such as `checkout`.
    pub name: String,
    /// Kind, such as `Deployment` or `SystemdUnit`.
    pub kind: String,
}

/// Service an address belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Service {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
}
