//! Batches are taken once, and nodes and losses are known.

use flow::{LossRecord, LossStage, NodeState};
use relay_index::{AppendError, Appended, BatchOrigin, Config, Index};

use crate::shop::{batch, index, second, tick};

fn origin(node: &str, boot_id: u64, sequence: u64) -> BatchOrigin {
    BatchOrigin { node: node.to_owned(), boot_id, sequence, received: second(5), ..BatchOrigin::default() }
}

#[test]
fn a_repeated_batch_is_dropped_and_acknowledged() {
    let index = index();
    let one = batch(&[tick("a", second(1), 1)]);
    for (sequence, repeated, acknowledged) in [(1, false, 1), (2, false, 2), (1, true, 2), (2, true, 2), (3, false, 3)]
    {
        let rows = usize::from(!repeated);
        assert_eq!(
            index.append(&origin("a", 7, sequence), &one).unwrap(),
            Appended { repeated, rows, acknowledged },
            "batch {sequence}"
        );
    }
    assert_eq!(index.stats().rows, 3);
    assert_eq!(index.stats().batches_repeated, 2);
}

#[test]
fn another_boot_and_another_node_count_anew() {
    let index = index();
    let one = batch(&[tick("a", second(1), 1)]);
    for origin in [origin("a", 7, 5), origin("a", 8, 1), origin("b", 7, 5)] {
        assert!(!index.append(&origin, &one).unwrap().repeated);
    }
    let unnumbered = origin("foreign", 0, 0);
    for _ in 0..2 {
        assert!(!index.append(&unnumbered, &one).unwrap().repeated);
    }
    assert_eq!(index.stats().rows, 5);
}

#[test]
fn a_batch_that_is_none_leaves_the_index_unchanged() {
    let index = index();
    let other = batch(&[tick("a", second(1), 1)]).project(&[1, 2]).unwrap();
    let error = index.append(&origin("a", 7, 1), &other).unwrap_err();
    assert!(matches!(&error, AppendError::Schema { node, sequence: 1, .. } if node == "a"));
    assert_eq!(error.to_string(), "batch 1 of node \"a\" cannot be read");
    assert_eq!(index.stats().rows, 0);
    // It may be sent again once it is right.
    assert!(!index.append(&origin("a", 7, 1), &batch(&[])).unwrap().repeated);
}

#[test]
fn nodes_are_known_by_what_they_sent() {
    let index = index();
    let described =
        BatchOrigin { version: "0.1.0".to_owned(), address: "10.0.0.1:555".to_owned(), ..origin("a", 7, 1) };
    index.append(&described, &batch(&[tick("a", second(1), 1), tick("a", second(2), 2)])).unwrap();
    index.append(&origin("a", 7, 2), &batch(&[])).unwrap();
    index.set_node_states([("b", NodeState::NODE_UNAVAILABLE)], second(6));
    let nodes = index.nodes();
    let [a, b] = nodes.as_slice() else { panic!("{nodes:?}") };
    assert_eq!((a.name.as_str(), a.state, a.flows_seen, a.sequence), ("a", NodeState::NODE_CONNECTED, 2, 2));
    assert_eq!((a.version.as_str(), a.address.as_str()), ("0.1.0", "10.0.0.1:555"));
    assert_eq!(a.last_batch, Some(second(5)));
    assert_eq!((b.name.as_str(), b.state, b.last_batch), ("b", NodeState::NODE_UNAVAILABLE, None));
    assert_eq!(index.completeness(None, None).missing_nodes, ["b"]);
    index.set_node_states([("b", NodeState::NODE_GONE)], second(7));
    assert!(index.completeness(None, None).missing_nodes.is_empty());
}

#[test]
fn the_node_silent_for_longest_is_forgotten_first() {
    let index = Index::new(Config { nodes_max: 2, ..Config::default() }).unwrap();
    for (node, time) in [("a", 3), ("b", 1), ("c", 2)] {
        index.append(&BatchOrigin { received: second(time), ..origin(node, 7, 1) }, &batch(&[])).unwrap();
    }
    let names: Vec<String> = index.nodes().into_iter().map(|node| node.name).collect();
    assert_eq!(names, ["a", "c"]);
    index.set_node_states([("d", NodeState::NODE_UNAVAILABLE)], second(9));
    assert_eq!(index.nodes().len(), 2);
    assert!(index.node("d").is_none(), "no node that sent is forgotten for one that did not");
}

#[test]
fn losses_are_added_up_and_told_with_every_answer() {
    let index = index();
    let loss = |stage, lost| LossRecord { window: second(0), stage, cause: "full".to_owned(), seen: 100, lost };
    index.record_losses("a", &[loss(LossStage::Kernel, 3), loss(LossStage::Ship, 0)]);
    index.record_losses("a", &[loss(LossStage::Kernel, 4)]);
    index.append(&origin("a", 7, 1), &batch(&[tick("a", second(1), 1)])).unwrap();
    let complete = index.completeness(Some(second(0)), None);
    assert_eq!(complete.lost, 7);
    assert_eq!(complete.oldest, second(1).to_string());
    let [only] = complete.losses.as_slice() else { panic!("{complete:?}") };
    assert_eq!((only.stage.as_str(), only.seen, only.lost), ("kernel", 200, 7));
    assert_eq!(index.completeness(Some(second(100)), None).lost, 0);
    assert_eq!(index.losses().len(), 2);
    assert_eq!(index.nodes()[0].lost, 7);
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let error = Index::new(Config { bytes_max: 5, ..Config::default() }).unwrap_err();
    assert_eq!(error.to_string(), "bytes_max is 5, it must be at least 1048576");
}
