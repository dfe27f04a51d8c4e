//! The service map counts each packet once, each drop, each request.

use flow::Flow;
use flow::view::{MapEdge, ServiceMap};
use relay_index::{MapBy, MapShape, Search};

use crate::shop::{Seen, Talk, append, index, pod, second, world};

fn map(flows: &[Flow], by: MapBy) -> ServiceMap {
    let index = index();
    for flows in flows.chunks(3) {
        append(&index, flows);
    }
    index.snapshot().service_map(&Search::default(), by)
}

fn edge<'a>(map: &'a ServiceMap, source: &str, destination: &str) -> &'a MapEdge {
    let found: Vec<_> = map.edges.iter().filter(|e| e.source == source && e.destination == destination).collect();
    let [edge] = found.as_slice() else { panic!("{:?}", map.edges) };
    edge
}

fn ids(map: &ServiceMap) -> Vec<&str> {
    map.nodes.iter().map(|node| node.id.as_str()).collect()
}

#[test]
fn replies_are_turned_round_and_bytes_go_both_ways() {
    let talk = Talk::new(pod("web", 1), pod("api", 1));
    let flows = [talk.clone().bytes(10).flow(second(0)), talk.clone().bytes(500).reply().flow(second(1))];
    let map = map(&flows, MapBy::Workload);
    let edge = edge(&map, "shop/web", "shop/api");
    assert_eq!((edge.bytes_sent, edge.bytes_received, edge.packets, edge.flows), (10, 500, 2, 2));
    assert_eq!((edge.protocol.as_str(), edge.port), ("TCP", 80));
    assert_eq!(ids(&map), ["shop/api", "shop/web"]);
    assert_eq!(map.nodes[0].kind, "workload");
    assert_eq!((map.since, map.until), (second(0).to_string(), second(1).to_string()));
}

/// `shop/web` of one cluster is not that of another.
#[test]
fn clusters_are_told_apart_where_there_are_several() {
    let of = |cluster: &str, workload: &str| {
        let (mut endpoint, ip) = pod(workload, 1);
        cluster.clone_into(&mut endpoint.cluster_name);
        (endpoint, ip)
    };
    let talk = |from: &str, to: &str| Talk::new(of(from, "web"), of(to, "web")).flow(second(0));
    let one = map(&[talk("east", "east")], MapBy::Workload);
    assert_eq!((ids(&one), one.nodes[0].cluster.as_str()), (vec!["shop/web"], ""), "one needs no name");
    assert_eq!(ids(&map(&[talk("", "default")], MapBy::Workload)), ["shop/web"]);
    let two = map(&[talk("east", "west"), talk("default", "east")], MapBy::Workload);
    assert_eq!(ids(&two), ["east/shop/web", "shop/web", "west/shop/web"]);
    assert_eq!((two.nodes[0].cluster.as_str(), two.nodes[0].namespace.as_str()), ("east", "shop"));
    assert_eq!(edge(&two, "east/shop/web", "west/shop/web").flows, 1);
    assert_eq!(ids(&map(&[talk("east", "west")], MapBy::Namespace)), ["east/shop", "west/shop"]);
}

#[test]
fn of_two_observations_only_the_clients_counts() {
    let talk = Talk::new(pod("web", 1), pod("api", 1));
    let flows: Vec<Flow> = [Seen::AtServer, Seen::AtClient]
        .into_iter()
        .flat_map(|seen| [talk.clone().seen(seen).flow(second(0)), talk.clone().seen(seen).reply().flow(second(0))])
        .collect();
    let map = map(&flows, MapBy::Workload);
    let edge = edge(&map, "shop/web", "shop/api");
    assert_eq!((edge.bytes_sent, edge.bytes_received, edge.flows), (100, 100, 2));
}

#[test]
fn where_the_client_is_not_watched_the_servers_side_counts() {
    let inside = Talk::new(pod("web", 1), pod("api", 1));
    let outside = Talk::new(world(9), pod("web", 1)).seen(Seen::AtServer).bytes(7);
    let unwatched = Talk::new(pod("web", 2), pod("api", 1)).seen(Seen::AtServer).bytes(5);
    let flows = [
        inside.flow(second(0)),
        inside.clone().seen(Seen::AtServer).flow(second(0)),
        outside.flow(second(0)),
        unwatched.flow(second(0)),
    ];
    let map = map(&flows, MapBy::Workload);
    // web-1 is seen at its own node, web-2 only by the server: each pair has its own best view.
    assert_eq!(edge(&map, "shop/web", "shop/api").bytes_sent, 105);
    assert_eq!(edge(&map, "reserved:world", "shop/web").bytes_sent, 7);
}

#[test]
fn an_endpoints_own_link_counts_before_the_network_device() {
    let talk = Talk::new(pod("web", 1), pod("api", 1));
    let mut at_device = talk.flow(second(0));
    at_device.trace_point = flow::TraceObservationPoint::TO_NETWORK;
    let map = map(&[at_device, talk.flow(second(0))], MapBy::Workload);
    assert_eq!(edge(&map, "shop/web", "shop/api").packets, 1);
}

#[test]
fn drops_count_once_with_their_commonest_reason() {
    let talk = Talk::new(pod("web", 1), pod("db", 1));
    let flows = [
        talk.flow(second(0)),
        talk.drop(second(0), "NETFILTER_DROP"),
        talk.drop(second(1), "NETFILTER_DROP"),
        talk.drop(second(2), "NO_SOCKET"),
    ];
    let map = map(&flows, MapBy::Workload);
    let edge = edge(&map, "shop/web", "shop/db");
    assert_eq!((edge.dropped, edge.drop_reason.as_str()), (3, "NETFILTER_DROP"));
    assert_eq!((edge.packets, edge.bytes_sent, edge.flows), (1, 100, 4));
}

#[test]
fn a_dropped_answer_belongs_to_its_client() {
    let talk = Talk::new(pod("web", 1), pod("api", 1)).reply();
    let map = map(&[talk.drop(second(0), "NETFILTER_DROP")], MapBy::Workload);
    assert_eq!(edge(&map, "shop/web", "shop/api").dropped, 1);
}

#[test]
fn requests_errors_and_latency_come_from_application_records() {
    let talk = Talk::new(pod("web", 1), pod("api", 1));
    let mut flows = vec![talk.flow(second(0))];
    for i in 1..=100 {
        flows.push(talk.http_request(second(i)));
        flows.push(talk.http_response(
            second(i),
            if i > 90 { 503 } else { 200 },
            u64::try_from(i).unwrap() * 1_000_000,
        ));
    }
    let map = map(&flows, MapBy::Workload);
    let edge = edge(&map, "shop/web", "shop/api");
    assert_eq!((edge.requests, edge.errors, edge.l7.as_str()), (100, 10, "HTTP"));
    assert_eq!((edge.packets, edge.flows), (1, 1));
    let near = |found: Option<f64>, wanted: f64| (found.unwrap() / wanted - 1.0).abs() < 0.02;
    assert!(near(edge.latency_p50_us, 50_000.0), "{edge:?}");
    assert!(near(edge.latency_p99_us, 99_000.0), "{edge:?}");
}

#[test]
fn dns_answers_other_than_success_are_errors() {
    let talk = Talk::new(pod("web", 1), pod("dns", 1));
    let map = map(&[talk.dns_response(second(0), 0), talk.dns_response(second(0), 3)], MapBy::Workload);
    let edge = edge(&map, "shop/web", "shop/dns");
    assert_eq!((edge.requests, edge.errors, edge.flows, edge.l7.as_str()), (2, 1, 2, "DNS"));
}

#[test]
fn nodes_are_pods_or_namespaces_where_asked() {
    let flows = [
        Talk::new(pod("web", 1), pod("api", 1)).flow(second(0)),
        Talk::new(pod("web", 2), pod("api", 1)).flow(second(0)),
        Talk::new(pod("web", 2), world(1)).flow(second(0)),
    ];
    let by_pod = map(&flows, MapBy::Pod);
    assert_eq!(ids(&by_pod), ["reserved:world", "shop/api-1", "shop/web-1", "shop/web-2"]);
    let by_namespace = map(&flows, MapBy::Namespace);
    assert_eq!(ids(&by_namespace), ["reserved:world", "shop"]);
    assert_eq!(edge(&by_namespace, "shop", "shop").packets, 2);
    assert_eq!(edge(&by_namespace, "shop", "reserved:world").packets, 1);
}

#[test]
fn names_are_taken_from_dns_and_addresses_shown_where_nothing_is_known() {
    let mut named = Talk::new(pod("web", 1), world(1)).flow(second(0));
    named.destination_names = vec!["pay.example.com".to_owned(), "other".to_owned()];
    let mut bare = Talk::new(pod("web", 1), world(2)).flow(second(0));
    bare.destination = None;
    let map = map(&[named, bare], MapBy::Workload);
    let kinds: Vec<_> = map.nodes.iter().map(|n| (n.id.as_str(), n.kind.as_str())).collect();
    assert_eq!(kinds, [("203.0.113.2", "address"), ("pay.example.com", "dns"), ("shop/web", "workload")]);
}

#[test]
fn a_scan_of_many_addresses_and_ports_does_not_flood_the_map() {
    let mut flows = Vec::new();
    for i in 0..600_u16 {
        let mut flow = Talk::new(pod("web", 1), world(1)).flow(second(0));
        let address = [198, 51, u8::try_from(i / 200).unwrap(), u8::try_from(i % 200).unwrap()];
        flow.destination = None;
        flow.ip.as_mut().unwrap().destination = address.into();
        flows.push(flow);
        let mut flow = Talk::new(pod("web", 1), pod("api", 1)).flow(second(0));
        flow.l4 = Some(flow::L4::Tcp { source_port: 40_000, destination_port: i + 1, flags: None });
        flows.push(flow);
    }
    let map = map(&flows, MapBy::Workload);
    assert!(map.nodes.len() <= 203, "{} nodes", map.nodes.len());
    assert!(map.edges.len() <= 300, "{} edges", map.edges.len());
    assert_eq!(map.edges.iter().map(|e| e.flows).sum::<u64>(), 1_200);
}

#[test]
fn the_range_and_the_filter_hold() {
    let index = index();
    let talk = Talk::new(pod("web", 1), pod("api", 1));
    append(&index, &(0..10).map(|i| talk.flow(second(i))).collect::<Vec<_>>());
    let search = Search { since: Some(second(3)), until: Some(second(5)), ..Search::default() };
    let map = index.snapshot().service_map(&search, MapBy::Workload);
    assert_eq!(edge(&map, "shop/web", "shop/api").flows, 3);
    assert_eq!((map.since, map.until), (second(3).to_string(), second(5).to_string()));
}

#[test]
fn of_too_many_edges_those_in_trouble_and_the_largest_stay() {
    let talk = |client: &str| Talk::new(pod(client, 1), pod("db", 1));
    let mut flows: Vec<Flow> = (0..9).map(|i| talk("busy").flow(second(i))).collect();
    flows.extend((0..3).map(|i| talk("calm").flow(second(i))));
    flows.extend([talk("quiet").flow(second(1)), talk("denied").drop(second(2), "NETFILTER_DROP")]);
    let index = index();
    append(&index, &flows);
    let map = |edges_max| index.snapshot().service_map(&Search::default(), MapShape { by: MapBy::Workload, edges_max });
    let whole = map(4);
    assert_eq!((whole.edges.len(), whole.left_out), (4, 0));
    let small = map(2);
    let sources: Vec<&str> = small.edges.iter().map(|edge| edge.source.as_str()).collect();
    assert_eq!((sources.as_slice(), small.left_out), (["shop/busy", "shop/denied"].as_slice(), 2));
    assert_eq!(ids(&small), ["shop/busy", "shop/db", "shop/denied"]);
    assert!(small.edges.iter().all(|edge| whole.edges.contains(edge)));
}
