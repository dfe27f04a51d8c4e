//! Who talks to whom.

use std::borrow::Cow;

use flow::text::{Names, name_of};
use flow::{DropReason, Flow, L7Record, Side, Verdict};

use super::Tab;

/// Client and server of a flow, as far as it tells.
pub(in crate::ui) fn ends(flow: &Flow) -> [Side; 2] {
    match flow.is_reply {
        Some(true) => [Side::Destination, Side::Source],
        Some(false) | None => [Side::Source, Side::Destination],
    }
}

/// Name of a side: its workload, which outlives its pods, else the name that lists of flows show.
fn who(flow: &Flow, side: Side) -> Cow<'_, str> {
    if let Some(endpoint) = flow.endpoint(side)
        && let Some(workload) = endpoint.workloads.first()
    {
        return match endpoint.namespace.as_str() {
            "" => Cow::Borrowed(&workload.name),
            namespace => Cow::Owned(format!("{namespace}/{}", workload.name)),
        };
    }
    name_of(flow, side, Names::Resolved).host
}

/// Values that name the group of a flow in the list of a tab; `None` where it is in none.
pub(super) fn group_of(flow: &Flow, tab: Tab) -> Option<Vec<Cow<'_, str>>> {
    let reason = match tab {
        Tab::Talk => None,
        Tab::Drops if flow.verdict == Verdict::DROPPED => Some(drop_reason(flow)),
        Tab::Drops | Tab::Flows => return None,
    };
    let [client, server] = ends(flow);
    let parties = [who(flow, client), who(flow, server), Cow::Owned(port(flow, server))];
    Some(reason.into_iter().chain(parties).collect())
}

/// `http 8080`, `udp 53`, `icmpv4`.
fn port(flow: &Flow, server: Side) -> String {
    let protocol = match flow.l7.as_ref().map(|l7| &l7.record) {
        Some(L7Record::Dns(_)) => "dns".to_owned(),
        Some(L7Record::Http(_)) => "http".to_owned(),
        Some(L7Record::Kafka(_)) => "kafka".to_owned(),
        Some(L7Record::None) | None => flow.l4.map_or_else(String::new, |l4| l4.protocol().to_lowercase()),
    };
    match flow.l4.and_then(|l4| l4.ports()) {
        Some((source, destination)) => format!("{protocol} {}", server.of(&source, &destination)),
        None => protocol,
    }
}

/// Why it was dropped: Hubble's reason, else the kernel's.
fn drop_reason(flow: &Flow) -> Cow<'_, str> {
    let kernel = flow.details.as_ref().and_then(|details| details.kernel_drop.as_ref());
    match kernel {
        Some(drop) if flow.drop_reason == DropReason::DROP_REASON_UNKNOWN => Cow::Borrowed(&drop.reason),
        _ => Cow::Owned(flow.drop_reason.to_string()),
    }
}
