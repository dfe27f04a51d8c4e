//! The traffic is what it says it is.

use std::collections::BTreeSet;

use flow::{Flow, FlowId, L7Record, Verdict};
use traffic::{DROP_REASONS, NAMESPACES, NODES, PODS, Settings, Traffic, WORKLOADS};

const FLOWS: usize = 400_000;

fn flows(seed: u64) -> impl Iterator<Item = Flow> {
    let mut traffic = Traffic::seeded(seed);
    (0..FLOWS).map(move |_| traffic.flow())
}

#[test]
fn the_same_seed_gives_the_same_flows_and_another_seed_others() {
    let first = |seed| flows(seed).take(5_000).collect::<Vec<_>>();
    assert_eq!(first(7), first(7));
    assert_ne!(first(7), first(8));
}

#[test]
fn the_shares_are_as_promised() {
    let percent =
        |counts: &dyn Fn(&Flow) -> bool| flows(1).filter(|flow| counts(flow)).count() as f64 * 100.0 / FLOWS as f64;
    let of = |name, found: f64, expected: f64| assert!((found - expected).abs() < 0.3, "{name}: {found} %");
    of("drops", percent(&|flow| flow.verdict == Verdict::DROPPED), 3.0);
    let dns = |flow: &Flow| matches!(flow.l7.as_deref(), Some(l7) if matches!(l7.record, L7Record::Dns(_)));
    of("DNS", percent(&dns), 20.0);
    let http = |flow: &Flow| matches!(flow.l7.as_deref(), Some(l7) if matches!(l7.record, L7Record::Http(_)));
    of("HTTP", percent(&http), 25.0);
    let outside = |flow: &Flow| !flow.source_names.is_empty() || !flow.destination_names.is_empty();
    of("outside", percent(&outside), 5.0);
}

#[test]
fn the_cluster_has_the_size_it_should_have() {
    let (mut pods, mut workloads, mut namespaces) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut nodes, mut reasons, mut routes, mut ids) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for flow in flows(1) {
        for end in [&flow.source, &flow.destination].into_iter().flatten().filter(|end| !end.pod_name.is_empty()) {
            pods.insert(format!("{}/{}", end.namespace, end.pod_name));
            workloads.insert(end.workload_name().to_owned());
            namespaces.insert(end.namespace.clone());
        }
        nodes.insert(flow.node_name.to_string());
        if let Some(drop) = flow.details.as_ref().and_then(|details| details.kernel_drop.clone()) {
            reasons.insert(drop.reason.clone());
        }
        if let Some(L7Record::Http(http)) = flow.l7.as_deref().map(|l7| &l7.record) {
            routes.insert(http.url.rsplit_once("8080").map(|(_, path)| path.to_owned()));
        }
        assert!(matches!(flow.id, FlowId::Uuid(_)) && ids.insert(flow.id.to_string()), "the id is another's");
    }
    assert!((PODS..PODS + 250).contains(&pods.len()), "{} pods", pods.len());
    assert_eq!(workloads.len(), WORKLOADS);
    assert!((NAMESPACES..=NAMESPACES + 1).contains(&namespaces.len()), "{namespaces:?}");
    assert_eq!((nodes.len(), reasons.len(), routes.len()), (NODES, DROP_REASONS, traffic::ROUTES));
}

#[test]
fn time_goes_on_as_asked() {
    let settings = Settings { interval_ns: 1_000_000_000, ..Settings::default() };
    let mut traffic = Traffic::new(settings);
    let newest = (0..600).map(|_| traffic.flow().time).max().expect("there are flows");
    let seconds = newest.since(settings.start).as_secs();
    assert!((598..=600).contains(&seconds), "{seconds} s");
}
