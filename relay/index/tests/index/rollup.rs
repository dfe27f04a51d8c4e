//! Rollups give exactly what counting the flows gives.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use arrow::array::{Array as _, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use flow::view::{MapEdge, ServiceMap};
use flow::{Endpoint, Flow, Identity, L7FlowType, L7Record, Timestamp, TrafficDirection, Verdict, Workload};
use proptest::prelude::*;
use relay_index::{Config, Index, MapBy, Period, Rollup, RollupKind, RollupLimits, Search, rollups_of};
use traffic::{Settings, Traffic};

use crate::shop::{Seen, Talk, append, batch, pod, second, world};

/// A key in words, and what is counted under it.
type Counts = BTreeMap<Vec<String>, Vec<i64>>;

/// Rows of a table under these columns, its other columns added up.
fn counts(rollups: &[Rollup], kind: RollupKind, keys: &[&str], sums: &[&str]) -> Counts {
    let mut counts = Counts::new();
    for rollup in rollups {
        let batch = rollup.batch(kind);
        for row in 0..batch.num_rows() {
            let key = keys.iter().map(|column| text(batch, column, row)).collect();
            let sum = counts.entry(key).or_insert_with(|| vec![0; sums.len()]);
            for (sum, column) in sum.iter_mut().zip(sums) {
                *sum += batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().value(row);
            }
        }
    }
    counts
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> String {
    let column = batch.column_by_name(column).unwrap_or_else(|| panic!("there is no {column}"));
    let texts = cast(&column.slice(row, 1), &DataType::Utf8).unwrap();
    texts.as_string::<i32>().value(0).to_owned()
}

fn minute(flow: &Flow) -> String {
    let minute = flow.time.window(std::time::Duration::from_secs(60));
    let micros = arrow::array::TimestampMicrosecondArray::from(vec![minute.0 / 1_000]).with_timezone("UTC");
    cast(&micros, &DataType::Utf8).unwrap().as_string::<i32>().value(0).to_owned()
}

/// Cluster, namespace and workload as tables show them.
fn side(end: Option<&Endpoint>) -> [String; 3] {
    let Some(end) = end.filter(|end| !end.workload_name().is_empty()) else { return Default::default() };
    [end.cluster_name.clone(), end.namespace.clone(), end.workload_name().to_owned()]
}

/// Whether a flow goes from server to client, and its client, server and server's port.
fn turned(flow: &Flow) -> (bool, Option<&Endpoint>, Option<&Endpoint>, u16) {
    let (source_port, destination_port) = flow.l4.as_ref().and_then(flow::L4::ports).unwrap_or_default();
    let guess = source_port > 0 && source_port < 32_768 && destination_port >= 32_768;
    let (source, destination) = (flow.source.as_deref(), flow.destination.as_deref());
    if flow.is_reply.unwrap_or(guess) {
        (true, destination, source, source_port)
    } else {
        (false, source, destination, destination_port)
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap()
}

/// `edges_1m` counted one flow at a time.
fn edges_by_hand(flows: &[Flow]) -> Counts {
    let mut counts = Counts::new();
    for flow in flows {
        let (is_reply, client, server, port) = turned(flow);
        let l7 = match flow.l7.as_deref().map(|l7| &l7.record) {
            Some(L7Record::Http(_)) => "HTTP",
            Some(L7Record::Dns(_)) => "DNS",
            Some(L7Record::Kafka(_)) => "KAFKA",
            Some(L7Record::None) | None => "",
        };
        let direction = match flow.traffic_direction {
            TrafficDirection::EGRESS => "client",
            TrafficDirection::INGRESS => "server",
            _ => "unknown",
        };
        let l4 = flow.l4.as_ref().map_or("", flow::L4::protocol);
        let mut key = vec![minute(flow)];
        key.extend(side(client));
        key.extend(side(server));
        key.extend([port.to_string(), l4.to_owned(), l7.to_owned(), direction.to_owned()]);
        let is_record = flow.l7.is_some();
        let is_drop = !is_record && flow.verdict == Verdict::DROPPED;
        let is_traffic = !is_record && !is_drop;
        let of_kind = |kind| flow.l7.as_deref().is_some_and(|l7| l7.kind == kind);
        let response = of_kind(L7FlowType::RESPONSE);
        let (http, dns) = match flow.l7.as_deref().map(|l7| &l7.record) {
            Some(L7Record::Http(http)) => (i64::from(http.code), 0),
            Some(L7Record::Dns(dns)) => (0, i64::from(dns.rcode)),
            _ => (0, 0),
        };
        let latency = flow.l7.as_deref().map_or(0, |l7| number(l7.latency_ns));
        let when = |condition: bool, value: i64| if condition { value } else { 0 };
        let row = [
            1,
            when(is_traffic, 1),
            when(is_traffic, number(flow.packets())),
            when(is_traffic && !is_reply, number(flow.bytes())),
            when(is_traffic && is_reply, number(flow.bytes())),
            when(is_drop, 1),
            when(is_drop, number(flow.packets().max(1))),
            when(of_kind(L7FlowType::REQUEST), 1),
            when(response, 1),
            when(response && (400..500).contains(&http), 1),
            when(response && http >= 500, 1),
            when(response && dns != 0, 1),
            when(latency > 0, 1),
            latency,
        ];
        let sums = counts.entry(key).or_insert_with(|| vec![0; row.len()]);
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    counts
}

const EDGE_KEYS: [&str; 11] = [
    "time",
    "client_cluster",
    "client_namespace",
    "client_workload",
    "server_cluster",
    "server_namespace",
    "server_workload",
    "server_port",
    "l4_protocol",
    "l7_protocol",
    "seen_at",
];
const EDGE_SUMS: [&str; 14] = [
    "flows",
    "reports",
    "packets",
    "bytes_sent",
    "bytes_received",
    "drops",
    "dropped_packets",
    "requests",
    "responses",
    "errors_4xx",
    "errors_5xx",
    "dns_errors",
    "latency_count",
    "latency_sum_ns",
];

/// `edges_1m` with the two views of a side taken together.
fn edges(rollups: &[Rollup]) -> Counts {
    let mut joined = Counts::new();
    for (mut key, row) in counts(rollups, RollupKind::Edges, &EDGE_KEYS, &EDGE_SUMS) {
        let seen_at = key.pop().unwrap();
        key.push(seen_at.trim_end_matches("_network").to_owned());
        let sums = joined.entry(key).or_insert_with(|| vec![0; row.len()]);
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    joined
}

fn drops_by_hand(flows: &[Flow]) -> Counts {
    let mut counts = Counts::new();
    for flow in flows.iter().filter(|flow| flow.verdict == Verdict::DROPPED) {
        let kernel = flow.details.as_ref().and_then(|details| details.kernel_drop.clone());
        let reason = kernel.as_ref().map(|drop| drop.reason.clone()).filter(|reason| !reason.is_empty());
        let reason = reason.unwrap_or_else(|| flow.drop_reason.to_string());
        let mut key = vec![minute(flow), reason, kernel.map(|drop| drop.function.clone()).unwrap_or_default()];
        key.extend(side(flow.source.as_deref()));
        key.extend(side(flow.destination.as_deref()));
        key.push(turned(flow).3.to_string());
        let sums = counts.entry(key).or_insert_with(|| vec![0, 0]);
        sums[0] += 1;
        sums[1] += number(flow.packets().max(1));
    }
    counts
}

const DROP_KEYS: [&str; 10] = [
    "time",
    "reason",
    "function",
    "src_cluster",
    "src_namespace",
    "src_workload",
    "dst_cluster",
    "dst_namespace",
    "dst_workload",
    "server_port",
];

fn dns_by_hand(flows: &[Flow]) -> Counts {
    let mut counts = Counts::new();
    for flow in flows {
        let Some(l7) = flow.l7.as_deref() else { continue };
        let L7Record::Dns(dns) = &l7.record else { continue };
        let mut key = vec![minute(flow), dns.query.clone(), dns.qtypes.join(",")];
        key.extend(side(turned(flow).1));
        key.push(dns.rcode.to_string());
        let response = l7.kind == L7FlowType::RESPONSE;
        let row = [
            i64::from(l7.kind == L7FlowType::REQUEST),
            i64::from(response),
            i64::from(response && dns.rcode != 0),
            i64::from(l7.latency_ns > 0),
            number(l7.latency_ns),
        ];
        let sums = counts.entry(key).or_insert_with(|| vec![0; row.len()]);
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    counts
}

const DNS_KEYS: [&str; 7] = ["time", "name", "qtype", "client_cluster", "client_namespace", "client_workload", "rcode"];
const DNS_SUMS: [&str; 5] = ["queries", "responses", "failures", "latency_count", "latency_sum_ns"];

fn check(rollups: &[Rollup], flows: &[Flow]) {
    assert_eq!(edges(rollups), edges_by_hand(flows));
    assert_eq!(counts(rollups, RollupKind::Drops, &DROP_KEYS, &["drops", "packets"]), drops_by_hand(flows));
    assert_eq!(counts(rollups, RollupKind::Dns, &DNS_KEYS, &DNS_SUMS), dns_by_hand(flows));
}

/// The minutes of an index.
fn minutes(index: &Index) -> Vec<Rollup> {
    slices(index, Period::Minute)
}

/// All rollups of an index, those beside its files too.
fn slices(index: &Index, period: Period) -> Vec<Rollup> {
    let view = index.rollups().view(&index.snapshot());
    let read = |file: &relay_index::RollupFile| file.read(period, &RollupKind::ALL, &AtomicBool::new(false));
    let of_files: Vec<_> = view.files().iter().map(read).collect();
    let in_memory = view.rollups(period).iter().map(|rollup| Rollup::clone(rollup));
    in_memory.chain(of_files.into_iter().flatten()).collect()
}

/// Holds the minutes of an index against its flows, and its hours against the minutes.
#[track_caller]
pub(crate) fn check_index(index: &Index) {
    let flows = index.snapshot().first(usize::MAX, Search::default());
    let minutes = minutes(index);
    check(&minutes, &flows);
    let hours = slices(index, Period::Hour);
    for (kind, keys, sums) in [
        (RollupKind::Edges, &EDGE_KEYS[1..], &EDGE_SUMS[..]),
        (RollupKind::Drops, &DROP_KEYS[1..], &["drops", "packets"][..]),
        (RollupKind::Dns, &DNS_KEYS[1..], &DNS_SUMS[..]),
    ] {
        assert_eq!(counts(&hours, kind, keys, sums), counts(&minutes, kind, keys, sums));
    }
}

/// Holds maps of rollups against maps of flows.
#[track_caller]
pub(crate) fn check_maps(index: &Index, range: (Option<Timestamp>, Option<Timestamp>)) {
    let search = Search { since: range.0, until: range.1, ..Search::default() };
    for by in [MapBy::Workload, MapBy::Namespace] {
        let from_flows = index.snapshot().service_map(&search, by);
        assert_same(&index.service_map_of_rollups(&search, by), &from_flows);
        assert_same(&index.service_map(&search, by), &from_flows);
    }
}

pub(crate) fn cluster(seed: u64, flows: usize) -> Vec<Flow> {
    let mut traffic = Traffic::new(Settings { seed, interval_ns: 30_000_000, ..Settings::default() });
    (0..flows).map(|_| traffic.flow()).collect()
}

#[test]
fn rollups_of_a_cluster_are_what_counting_gives() {
    let flows = cluster(3, 60_000);
    let index = Index::new(Config::default()).unwrap();
    for flows in flows.chunks(1_000) {
        append(&index, flows);
        index.rollups().catch_up(&index.snapshot());
    }
    let rollups = minutes(&index);
    assert!(rollups.len() >= 30, "{} minutes", rollups.len());
    check(&rollups, &flows);
    let stats = index.rollups().stats();
    assert_eq!((stats.flows_seen, stats.flows_missed, stats.flows_overflowed), (60_000, 0, 0));

    // The same in one pass over the batches, as a store makes them beside a file.
    let batches: Vec<RecordBatch> = flows.chunks(20_000).map(batch).collect();
    check(&rollups_of(&batches, &RollupLimits::default()), &flows);
}

#[test]
fn keys_beyond_the_limit_share_a_row_and_are_counted() {
    let limits = RollupLimits { rows_max: 16, ..RollupLimits::default() };
    let index = Index::new(Config { rollups: limits, ..Config::default() }).unwrap();
    let flows: Vec<Flow> = cluster(5, 2_000).into_iter().filter(|flow| flow.l7.is_none()).collect();
    append(&index, &flows);
    let rollups = minutes(&index);
    let all = counts(&rollups, RollupKind::Edges, &[], &["flows"]);
    assert_eq!(all[&Vec::new()], [number(flows.len() as u64)]);
    let kinds = counts(&rollups, RollupKind::Edges, &["client_kind"], &["flows"]);
    let folded: u64 = rollups.iter().map(Rollup::overflowed).sum();
    assert!(folded > 0 && rollups.iter().all(|rollup| rollup.batch(RollupKind::Edges).num_rows() <= 17));
    assert!(kinds[&vec!["other".to_owned()]][0] > 0, "{kinds:?}");
    // The map is not drawn from them.
    assert_eq!(index.service_map_of_rollups(&Search::default(), MapBy::Workload).source, "flows");
}

/// An hour has room for more keys than a minute: it must not pass for exact with the folded row of one of its minutes.
#[test]
fn a_map_is_not_drawn_from_an_hour_with_a_minute_that_had_too_many_keys() {
    let limits = RollupLimits { rows_max: 16, ..RollupLimits::default() };
    let index = Index::new(Config { rollups: limits, ..Config::default() }).unwrap();
    let talk = Talk::new(pod("web", 1), pod("db", 1));
    let scanned = (1..40).map(|port| {
        let l4 = flow::L4::Tcp { source_port: 40_000, destination_port: port, flags: None };
        Flow { l4: Some(l4), ..talk.flow(second(0)) }
    });
    let flows: Vec<Flow> = scanned.chain((1..30).map(|minute| talk.flow(second(60 * minute)))).collect();
    append(&index, &flows);
    let search = Search::default();
    let map = index.service_map_of_rollups(&search, MapBy::Workload);
    assert_eq!(map.source, "flows");
    assert_same(&map, &index.snapshot().service_map(&search, MapBy::Workload));
    let hours = slices(&index, Period::Hour);
    assert_eq!(hours.iter().map(Rollup::overflowed).sum::<u64>(), 39 - 16);
}

#[test]
fn names_without_end_do_not_cost_the_map_its_counts() {
    let limits = RollupLimits { rows_max: 16, ..RollupLimits::default() };
    let index = Index::new(Config { rollups: limits, ..Config::default() }).unwrap();
    let is_dns = |flow: &Flow| flow.l7.as_ref().is_some_and(|l7| matches!(l7.record, L7Record::Dns(_)));
    let first = cluster(5, 2_000).into_iter().find(is_dns).unwrap();
    let flows: Vec<Flow> = (0..40)
        .map(|number| {
            let mut flow = first.clone();
            let Some(L7Record::Dns(dns)) = flow.l7.as_mut().map(|l7| &mut l7.record) else { unreachable!() };
            dns.qtypes = vec![format!("TYPE{number}")];
            flow
        })
        .collect();
    append(&index, &flows);
    let rollups = minutes(&index);
    let kinds = counts(&rollups, RollupKind::Dns, &["client_kind"], &["queries", "responses"]);
    assert!(kinds[&vec!["other".to_owned()]].iter().sum::<i64>() > 0, "{kinds:?}");
    assert!(rollups.iter().all(|rollup| rollup.overflowed() == 0));
    assert_eq!(index.service_map_of_rollups(&Search::default(), MapBy::Workload).source, "edges_1h (1)");
}

#[test]
fn the_oldest_minutes_leave_first_and_hours_stay() {
    let limits = RollupLimits { bytes_max: 2 << 20, ..RollupLimits::default() };
    let index = Index::new(Config { rollups: limits, ..Config::default() }).unwrap();
    let mut traffic = Traffic::new(Settings { interval_ns: 100_000_000, ..Settings::default() });
    let flows: Vec<Flow> = (0..100_000).map(|_| traffic.flow()).collect();
    for flows in flows.chunks(5_000) {
        append(&index, flows);
    }
    let view = index.rollups().view(&index.snapshot());
    let stats = index.rollups().stats();
    assert!(stats.evicted > 0, "{stats:?}");
    let oldest = view.rollups(Period::Minute)[0].start();
    assert!(oldest > flows[0].time, "{oldest}");
    assert!(view.rollups(Period::Hour)[0].start() <= flows[0].time);
    // The whole history is drawn from the hours, of which none has left.
    let map = index.service_map_of_rollups(&Search::default(), MapBy::Workload);
    assert!(map.source.starts_with("edges_1h (") && !map.source.contains("flows"), "{}", map.source);
    assert_same(&map, &index.snapshot().service_map(&Search::default(), MapBy::Workload));
}

/// Compares two maps edge by edge, so that a difference can be read.
#[track_caller]
fn assert_same(from_rollups: &ServiceMap, from_flows: &ServiceMap) {
    let edges = |map: &ServiceMap| -> BTreeMap<(String, String, String, u16), MapEdge> {
        let key = |e: &MapEdge| (e.source.clone(), e.destination.clone(), e.protocol.clone(), e.port);
        map.edges.iter().map(|edge| (key(edge), edge.clone())).collect()
    };
    let (ours, theirs) = (edges(from_rollups), edges(from_flows));
    for (key, edge) in &theirs {
        assert_eq!(ours.get(key), Some(edge), "from {}", from_rollups.source);
    }
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(from_rollups.nodes, from_flows.nodes);
}

#[test]
fn flows_that_left_before_they_were_counted_are_told() {
    let index = Index::new(Config { rows_max: 3_200, ..Config::default() }).unwrap();
    for flows in cluster(6, 10_000).chunks(500) {
        append(&index, flows);
    }
    let view = index.rollups().view(&index.snapshot());
    let stats = index.rollups().stats();
    assert_eq!(stats.flows_seen + stats.flows_missed, 10_000);
    assert!(stats.flows_missed > 0 && !view.rollups(Period::Minute).is_empty());
    assert_eq!(index.service_map_of_rollups(&Search::default(), MapBy::Workload).source, "flows");
}

#[test]
fn a_map_of_rollups_is_the_map_of_the_flows() {
    let flows = cluster(7, 150_000);
    let index = Index::new(Config::default()).unwrap();
    for flows in flows.chunks(3_000) {
        append(&index, flows);
    }
    let (first, last) = (flows[0].time, flows.last().unwrap().time);
    let at = |seconds: u64| first.after(std::time::Duration::from_secs(seconds));
    let ranges = [
        (None, None, "edges_1h"),
        (Some(at(0)), None, "edges_1m"),
        (Some(at(100)), Some(last), "edges_1m"),
        (Some(at(65)), Some(at(200)), "edges_1m"),
        (Some(at(65)), Some(at(100)), "flows"),
    ];
    for (since, until, source) in ranges {
        for by in [MapBy::Workload, MapBy::Namespace, MapBy::Pod] {
            let search = Search { since, until, ..Search::default() };
            let from_flows = index.snapshot().service_map(&search, by);
            let from_rollups = index.service_map_of_rollups(&search, by);
            let source = if by == MapBy::Pod { "flows" } else { source };
            assert!(from_rollups.source.contains(source), "{} for {since:?} {until:?}", from_rollups.source);
            assert!(!from_flows.edges.is_empty());
            assert_same(&from_rollups, &from_flows);
        }
    }
}

#[test]
fn rollups_serve_where_they_are_less_work() {
    let index = Index::new(Config::default()).unwrap();
    let talk = Talk::new(pod("web", 1), pod("api", 1));
    // Two pods that talk without end: a minute is one row for six hundred flows.
    let flows: Vec<Flow> = (0..60_000).map(|i| talk.flow(second(i / 10))).collect();
    for flows in flows.chunks(10_000) {
        append(&index, flows);
    }
    let map = index.service_map(&Search::default(), MapBy::Workload);
    assert!(map.source.starts_with("edges_1h ("), "{}", map.source);
    assert_same(&map, &index.snapshot().service_map(&Search::default(), MapBy::Workload));
    // A cluster's thin traffic has hardly fewer rows than flows.
    let thin = Index::new(Config::default()).unwrap();
    append(&thin, &cluster(8, 5_000));
    assert_eq!(thin.service_map(&Search::default(), MapBy::Workload).source, "flows");
}

/// Any flow of a small shop: seen from any place, at any minute of three hours, with or without a workload.
pub(crate) fn any_flow() -> impl Strategy<Value = Flow> {
    let end = (0_usize..6).prop_map(|n| match n {
        0..3 => pod(["web", "api", "db"][n], 1),
        3 => pod("api", 2),
        4 => world(7),
        _ => {
            let (mut end, ip) = pod("cart", 1);
            end.workloads = Vec::<Workload>::new();
            end.cluster_name = "east".to_owned();
            (end, ip)
        }
    });
    let place = prop::sample::select(vec![Seen::AtClient, Seen::AtServer]);
    (end.clone(), end, place, any::<bool>(), 0_i64..10_000, 0..8_usize, 0_u64..5_000_000).prop_map(
        |(client, server, seen, is_reply, time, kind, size)| {
            let mut talk = Talk::new(client, server).seen(seen).bytes(size);
            if is_reply {
                talk = talk.reply();
            }
            let time = second(time);
            let mut flow = match kind {
                0 => talk.drop(time, "NETFILTER_DROP"),
                1 => talk.drop(time, "NO_SOCKET"),
                2 => talk.http_request(time),
                3 => talk.http_response(time, [200, 404, 503][usize::try_from(size % 3).unwrap()], size),
                4 => talk.dns_response(time, u32::try_from(size % 4).unwrap()),
                _ => talk.flow(time),
            };
            if size % 11 == 0 {
                flow.trace_point = flow::TraceObservationPoint::TO_NETWORK;
            }
            if size % 13 == 0 {
                flow.traffic_direction = TrafficDirection::TRAFFIC_DIRECTION_UNKNOWN;
            }
            if size % 17 == 0 {
                flow.source = Some(Endpoint { identity: Identity::WORLD, ..Endpoint::default() }.into());
                flow.source_names = vec!["pay.example.com".to_owned()];
            }
            flow
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn rollups_and_maps_are_exact_on_any_flows(
        flows in prop::collection::vec(any_flow(), 1..300),
        size in 1_usize..60,
        open_max in 1_usize..5,
        range in (prop::option::of(0_i64..10_000), prop::option::of(0_i64..10_000)),
    ) {
        let limits = RollupLimits { open_max, ..RollupLimits::default() };
        let index = Index::new(Config { rollups: limits, ..Config::default() }).unwrap();
        for flows in flows.chunks(size) {
            append(&index, flows);
            index.rollups().catch_up(&index.snapshot());
        }
        check(&minutes(&index), &flows);
        let time = |seconds: Option<i64>| seconds.map(second);
        let (since, until): (Option<Timestamp>, Option<Timestamp>) = (time(range.0), time(range.1));
        check_maps(&index, (since, until));
    }
}
