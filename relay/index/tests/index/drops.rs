//! The drop summary groups what is alike and shows it over time.

use std::sync::Arc;

use flow::view::DropSummary;
use flow::{Flow, FlowFilter, L4};
use relay_index::{Index, Search};
use table::BatchFilter;

use crate::shop::{Talk, append, index, pod, second};

fn summary(flows: &[Flow], search: &Search, groups_max: usize) -> DropSummary {
    let index = index();
    for flows in flows.chunks(4) {
        append(&index, flows);
    }
    index.snapshot().drop_summary(search, groups_max)
}

fn flows() -> Vec<Flow> {
    let denied = Talk::new(pod("web", 1), pod("db", 1));
    let other = Talk::new(pod("web", 2), pod("api", 1));
    let mut flows: Vec<Flow> = (0..5).map(|i| denied.drop(second(i), "NETFILTER_DROP")).collect();
    flows.extend((0..3).map(|i| other.drop(second(10 + i), "NO_SOCKET")));
    flows.extend((0..9).map(|i| other.flow(second(i))));
    let mut many = other.drop(second(20), "NO_SOCKET");
    many.details.as_mut().unwrap().packets = 40;
    flows.push(many);
    flows
}

#[test]
fn groups_are_sorted_by_packets() {
    let summary = summary(&flows(), &Search::default(), 10);
    assert_eq!(summary.total, 48);
    let [first, second_group] = summary.groups.as_slice() else { panic!("{summary:?}") };
    assert_eq!((first.reason.as_str(), first.packets), ("NO_SOCKET", 43));
    assert_eq!((first.first.clone(), first.last.clone()), (second(10).to_string(), second(20).to_string()));
    assert_eq!((second_group.reason.as_str(), second_group.packets), ("NETFILTER_DROP", 5));
    assert_eq!(second_group.function, "nf_hook_slow");
    assert_eq!((second_group.protocol.as_str(), second_group.port), ("TCP", 80));
    assert_eq!(second_group.source.workload, "web");
    assert_eq!(second_group.destination.ip, "10.0.100.1");
    assert_eq!(second_group.source.port, 0);
}

#[test]
fn replies_are_grouped_by_the_port_they_come_from() {
    let reply = Talk::new(pod("web", 1), pod("db", 1)).reply();
    let to_port = |port: u16| {
        let mut flow = reply.drop(second(i64::from(port)), "TCP_OLD_DATA");
        flow.l4 = Some(L4::Tcp { source_port: 80, destination_port: port, flags: None });
        flow
    };
    let flows: Vec<Flow> = (40_000..40_006).map(to_port).collect();
    let summary = summary(&flows, &Search::default(), 10);
    let [group] = summary.groups.as_slice() else { panic!("{summary:?}") };
    assert_eq!((group.packets, group.port, group.is_reply), (6, 80, true));
    assert_eq!((group.source.workload.as_str(), group.source.port), ("db", 80));
    assert_eq!((group.destination.workload.as_str(), group.destination.port), ("web", 0));
}

#[test]
fn the_timeline_adds_up_to_the_total() {
    let summary = summary(&flows(), &Search::default(), 10);
    assert_eq!(summary.timeline.iter().map(|b| b.packets).sum::<u64>(), summary.total);
    assert_eq!(summary.timeline.first().unwrap().time, second(0).to_string());
    assert!(summary.timeline.len() <= 120);
}

#[test]
fn a_long_range_has_few_slices() {
    let denied = Talk::new(pod("web", 1), pod("db", 1));
    let flows: Vec<Flow> = (0..1_000).map(|i| denied.drop(second(i * 90), "NETFILTER_DROP")).collect();
    let summary = summary(&flows, &Search::default(), 10);
    assert!(summary.timeline.len() <= 121, "{}", summary.timeline.len());
    assert_eq!(summary.timeline.iter().map(|b| b.packets).sum::<u64>(), 1_000);
}

#[test]
fn only_as_many_groups_as_asked_for_but_the_total_is_whole() {
    let summary = summary(&flows(), &Search::default(), 1);
    assert_eq!((summary.groups.len(), summary.total, summary.left_out), (1, 48, 5));
}

/// The summary of many drops, and of some that come after them.
fn summary_after(many: impl Iterator<Item = Flow>) -> DropSummary {
    let index = Index::new(relay_index::Config::default()).unwrap();
    let many: Vec<Flow> = many.collect();
    let later = Talk::new(pod("web", 2), pod("api", 1));
    let later: Vec<Flow> = (0..100).map(|i| later.drop(second(90 + i), "NO_SOCKET")).collect();
    for flows in many.chunks(10_000).chain([later.as_slice()]) {
        append(&index, flows);
    }
    index.snapshot().drop_summary(&Search::default(), 3)
}

#[test]
fn a_scan_of_ports_is_one_group() {
    let scan = Talk::new(pod("web", 1), pod("db", 1));
    let summary = summary_after((1..=60_000).map(|port| {
        let mut flow = scan.drop(second(1), "NETFILTER_DROP");
        flow.l4 = Some(L4::Tcp { source_port: 40_000, destination_port: port, flags: None });
        flow
    }));
    let [scanned, later] = summary.groups.as_slice() else { panic!("{summary:?}") };
    assert_eq!((scanned.packets, scanned.port, scanned.reason.as_str()), (60_000, 0, "NETFILTER_DROP"));
    assert_eq!((later.packets, later.port, later.reason.as_str()), (100, 80, "NO_SOCKET"));
    assert_eq!((summary.total, summary.left_out), (60_100, 0));
}

#[test]
fn a_large_group_is_there_after_many_small_ones() {
    let to_db = Talk::new(pod("web", 1), pod("db", 1));
    let summary = summary_after((0..60_000_u32).map(|n| {
        let mut flow = to_db.drop(second(1), "NETFILTER_DROP");
        flow.source = None;
        flow.ip = flow.ip.map(|ip| flow::Ip { source: std::net::Ipv4Addr::from(0xc612_0000 + n).into(), ..ip });
        flow
    }));
    assert_eq!((summary.groups[0].packets, summary.groups[0].reason.as_str()), (100, "NO_SOCKET"));
    assert_eq!((summary.total, summary.left_out), (60_100, 59_998));
}

#[test]
fn the_filter_and_the_range_hold() {
    let of_web_1 = FlowFilter { source_pod: vec!["shop/web-1".to_owned()], ..FlowFilter::default() };
    let search = Search {
        filter: Arc::new(BatchFilter::compile(&[of_web_1], &[]).unwrap()),
        since: Some(second(3)),
        ..Search::default()
    };
    assert_eq!(summary(&flows(), &search, 10).total, 2);
}
