//! What every placement promises.

#[path = "../fixtures/network.rs"]
mod network;

use std::time::Duration;

use network::network;
use proptest::prelude::*;
use ui_layout::{Edge, Node, Options, Placement, Rect, Spot, place};

fn boxes(placement: &Placement) -> Vec<Rect> {
    let options = Options::default();
    let of = |spot: &Spot| Rect { x: spot.x, y: spot.y, width: options.node_width, height: options.node_height };
    placement.nodes.iter().map(of).collect()
}

#[track_caller]
fn check_sound(nodes: &[Node], placement: &Placement) {
    assert_eq!(placement.nodes.len(), nodes.len());
    let boxes = boxes(placement);
    for (i, a) in boxes.iter().enumerate() {
        assert!(a.x.is_finite() && a.y.is_finite(), "node {i} is nowhere");
        assert!(a.x >= -0.01 && a.x + a.width <= placement.width + 0.01, "node {i} is outside: {a:?}");
        assert!(a.y >= -0.01 && a.y + a.height <= placement.height + 0.01, "node {i} is outside: {a:?}");
        for (j, b) in boxes.iter().enumerate().take(i) {
            assert!(!a.overlaps(b), "nodes {j} and {i} overlap: {b:?} {a:?}");
        }
        for (number, island) in placement.islands.iter().enumerate() {
            let inside = island.contains(a.x, a.y) && island.contains(a.x + a.width, a.y + a.height);
            if nodes[i].island == Some(number) {
                assert!(inside, "node {i} is outside of its island {number}: {a:?} {island:?}");
            } else {
                assert!(!island.overlaps(a), "node {i} is on island {number} by mistake");
            }
        }
    }
    for (i, a) in placement.islands.iter().enumerate() {
        assert!(placement.islands[..i].iter().all(|b| !a.overlaps(b)), "island {i} overlaps another");
    }
}

fn run(nodes: &[Node], edges: &[Edge]) -> Placement {
    place(nodes, edges, &Options::default(), &[])
}

#[test]
fn nothing_gives_nothing() {
    assert_eq!(run(&[], &[]), Placement::default());
}

#[test]
fn callers_are_left_of_callees() {
    let nodes = [Node::default(); 4];
    let edges = [Edge { from: 2, to: 0 }, Edge { from: 0, to: 3 }, Edge { from: 3, to: 1 }];
    let x = |i: usize| run(&nodes, &edges).nodes[i].x;
    assert!(x(2) < x(0) && x(0) < x(3) && x(3) < x(1));
}

#[test]
fn a_plain_call_is_level() {
    let placement = run(&[Node::default(); 2], &[Edge { from: 0, to: 1 }]);
    assert!((placement.nodes[0].y - placement.nodes[1].y).abs() < 0.5);
}

#[test]
fn a_network_of_every_size_is_sound() {
    for (count, edges, islands) in [(1, 0, 1), (12, 16, 3), (100, 240, 12), (300, 1500, 16), (400, 40, 7)] {
        let (nodes, edges) = network(count, edges, islands, 7);
        check_sound(&nodes, &run(&nodes, &edges));
    }
}

#[test]
fn the_whole_has_about_the_wanted_shape() {
    for seed in 1..8 {
        let (nodes, edges) = network(100, 240, 10, seed);
        let placement = run(&nodes, &edges);
        let aspect = placement.width / placement.height;
        assert!((0.8..=4.0).contains(&aspect), "seed {seed}: {aspect}");
    }
}

#[test]
fn a_new_service_moves_few_others_to_other_columns() {
    let (mut nodes, mut edges) = network(60, 120, 6, 3);
    let before = run(&nodes, &edges);
    let earlier: Vec<Option<Spot>> = before.nodes.iter().copied().map(Some).collect();
    nodes.push(Node { island: Some(0) });
    edges.push(Edge { from: 0, to: 60 });
    let after = place(&nodes, &edges, &Options::default(), &earlier);
    let held = before.nodes.iter().zip(&after.nodes).filter(|(a, b)| (a.level - b.level).abs() < 1e-6).count();
    assert!(held >= 57, "only {held} of 60 kept their level");
}

#[test]
fn a_thousand_services_take_at_most_a_tenth_of_a_second() {
    let (nodes, edges) = network(1000, 10_000, 40, 42);
    // Of a processor, which others may want as well.
    let fastest = traffic::measure::best(5, || assert_eq!(run(&nodes, &edges).nodes.len(), nodes.len()));
    assert!(fastest <= Duration::from_millis(100), "{fastest:?}");
}

proptest! {
    #[test]
    fn any_graph_is_sound_and_the_same_each_time(
        islands in prop::collection::vec(prop::option::of(0_usize..5), 1..40),
        ends in prop::collection::vec((0_usize..40, 0_usize..40), 0..80),
    ) {
        let nodes: Vec<Node> = islands.into_iter().map(|island| Node { island }).collect();
        let edges: Vec<Edge> = ends
            .into_iter()
            .map(|(from, to)| Edge { from: from % nodes.len(), to: to % nodes.len() })
            .collect();
        let placement = run(&nodes, &edges);
        check_sound(&nodes, &placement);
        prop_assert_eq!(&placement, &run(&nodes, &edges));
    }
}
