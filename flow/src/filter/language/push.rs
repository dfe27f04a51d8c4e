//! The part of an expression that Hubble's filters can say.

use super::Node;
use crate::filter::FlowFilter;

/// Filters that a server runs for us; more are not worth a server's time.
const FILTERS_MAX: usize = 64;

/// Filters that let every flow pass that the expression selects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pushed {
    /// One of these must match; empty lets everything pass.
    pub whitelist: Vec<FlowFilter>,
    /// None of these may match.
    pub blacklist: Vec<FlowFilter>,
    /// Whether the filters select just what the expression selects. Otherwise more flows pass, and who asked has to
    /// match them again.
    pub exact: bool,
}

impl Pushed {
    /// The filters that let pass what these and a list given by other means let pass.
    #[must_use]
    pub fn within(self, whitelist: Vec<FlowFilter>, blacklist: Vec<FlowFilter>) -> Self {
        let (pass, exact) = intersect(Pass::of(whitelist), Pass::of(self.whitelist));
        let blacklist = [blacklist, self.blacklist].concat();
        Self { whitelist: pass.filters(), blacklist, exact: exact && self.exact }
    }
}

/// Flows that pass: all of them, or those that match a filter.
#[derive(Clone, Debug)]
enum Pass {
    Everything,
    Matching(Vec<FlowFilter>),
}

pub(super) fn push(node: &Node) -> Pushed {
    let mut parts = Vec::new();
    gather(node, &mut parts);
    let (mut pass, mut exact) = (Pass::Everything, true);
    let mut blacklist = Vec::new();
    for part in parts {
        let refused = match part {
            Node::Not(inner) => match passing(inner) {
                (Pass::Matching(filters), true) => Some(filters),
                _ => None,
            },
            _ => None,
        };
        if let Some(filters) = refused.filter(|filters| blacklist.len() + filters.len() <= FILTERS_MAX) {
            blacklist.extend(filters);
            continue;
        }
        let (next, next_exact) = passing(part);
        let (both, both_exact) = intersect(pass, next);
        pass = both;
        exact &= next_exact && both_exact;
    }
    Pushed { whitelist: pass.filters(), blacklist, exact }
}

/// The parts that must all be true.
fn gather<'a>(node: &'a Node, into: &mut Vec<&'a Node>) {
    match node {
        Node::All(parts) => parts.iter().for_each(|part| gather(part, into)),
        single => into.push(single),
    }
}

impl Pass {
    /// An empty whitelist lets everything pass.
    fn of(whitelist: Vec<FlowFilter>) -> Self {
        if whitelist.is_empty() { Self::Everything } else { Self::Matching(whitelist) }
    }

    fn filters(self) -> Vec<FlowFilter> {
        match self {
            Self::Everything => Vec::new(),
            Self::Matching(filters) => filters,
        }
    }
}

/// A superset of what a part selects, and whether it is just that.
fn passing(node: &Node) -> (Pass, bool) {
    match node {
        Node::Filter(filters, _) if filters.is_empty() => (Pass::Everything, true),
        Node::Filter(filters, _) => (Pass::Matching(filters.clone()), true),
        Node::All(parts) => parts.iter().fold((Pass::Everything, true), |(pass, exact), part| {
            let (next, next_exact) = passing(part);
            let (both, both_exact) = intersect(pass, next);
            (both, exact && next_exact && both_exact)
        }),
        Node::Any(parts) => {
            let mut filters = Vec::new();
            let mut exact = true;
            for part in parts {
                match passing(part) {
                    (Pass::Everything, part_exact) => return (Pass::Everything, exact && part_exact),
                    (Pass::Matching(more), part_exact) => {
                        filters.extend(more);
                        exact &= part_exact;
                    }
                }
            }
            if filters.len() > FILTERS_MAX { (Pass::Everything, false) } else { (Pass::Matching(filters), exact) }
        }
        Node::Not(_) | Node::Measure(_) => (Pass::Everything, false),
    }
}

/// What passes both, and whether the result is just that.
fn intersect(a: Pass, b: Pass) -> (Pass, bool) {
    let (a, b) = match (a, b) {
        (Pass::Everything, other) | (other, Pass::Everything) => return (other, true),
        (Pass::Matching(a), Pass::Matching(b)) => (a, b),
    };
    if a.len() * b.len() > FILTERS_MAX {
        // The first must hold in any case: it may come from elsewhere and not be asked of the flows again.
        return (Pass::Matching(a), false);
    }
    let mut exact = true;
    let mut both = Vec::new();
    for left in &a {
        for right in &b {
            let (merged, merged_exact) = merge(left, right);
            exact &= merged_exact;
            both.push(merged);
        }
    }
    (Pass::Matching(both), exact)
}

/// One filter that asks for what both ask for. A field that both use cannot be said (its values are alternatives), so
/// the left one's values stay.
fn merge(left: &FlowFilter, right: &FlowFilter) -> (FlowFilter, bool) {
    let mut merged = left.clone();
    let mut exact = true;
    macro_rules! fields {
        ($($field:ident)+) => {$(
            if merged.$field.is_empty() {
                merged.$field.clone_from(&right.$field);
            } else if !right.$field.is_empty() && merged.$field != right.$field {
                exact = false;
            }
        )+};
    }
    fields! {
        uuid source_ip source_ip_xlated source_pod source_fqdn source_label source_service source_workload
        source_cluster_name destination_ip destination_pod destination_fqdn destination_label destination_service
        destination_workload destination_cluster_name traffic_direction verdict drop_reason interface event_type
        http_status_code protocol source_port destination_port reply dns_query source_identity destination_identity
        http_method http_path http_url http_header tcp_flags node_name node_labels ip_version trace_id ip_trace_id
        encrypted cel_expression
    }
    (merged, exact)
}
