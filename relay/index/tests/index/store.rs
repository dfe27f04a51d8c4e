//! What was acknowledged survives, each row once, in memory or in files.

use std::path::{Path, PathBuf};

use flow::{Flow, FlowFilter, LossRecord, LossStage};
use proptest::prelude::*;
use relay_index::{BatchOrigin, Config, Incoming, Index, MapBy, Order, Recovery, Search, StoreConfig};
use std::sync::Arc;
use table::BatchFilter;

use crate::shop::{Talk, batch, pod, second, tick};

pub(crate) fn open(folder: &Path, rows_max: usize) -> (Index, Recovery) {
    let store = StoreConfig { file_rows: rows_max / 4, ..StoreConfig::new(folder.to_owned()) };
    Index::open(Config { rows_max, ..Config::default() }, store).unwrap()
}

pub(crate) fn flows(from: u64, n: u64) -> Vec<Flow> {
    (from..from + n).map(|i| tick("n1", second(i64::try_from(i).unwrap()), i)).collect()
}

pub(crate) fn push(index: &Index, sequence: u64, flows: &[Flow]) -> relay_index::Appended {
    let origin = BatchOrigin {
        node: "n1".to_owned(),
        boot_id: 7,
        sequence,
        received: second(i64::try_from(sequence).unwrap()),
        ..BatchOrigin::default()
    };
    index.append(&origin, &batch(flows)).unwrap()
}

/// Batches of ten flows in a store.
pub(crate) struct Batches {
    /// The first ones, each in a file.
    pub(crate) in_files: u64,
    /// Those after them.
    pub(crate) in_log: u64,
}

/// Fills the store in this folder and closes it. The flows are numbered from 0, the batches from 1.
pub(crate) fn fill(folder: &Path, batches: &Batches) {
    let (index, _) = open(folder, 10_000);
    for n in 0..batches.in_files + batches.in_log {
        push(&index, n + 1, &flows(n * 10, 10));
        if n < batches.in_files {
            index.seal_all(second(1)).unwrap();
        }
    }
}

/// Flips a bit of the columns of a file.
pub(crate) fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.len() / 4;
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// Numbers of all flows, oldest first; every way to read must give the same.
pub(crate) fn held(index: &Index) -> Vec<u64> {
    let snapshot = index.snapshot();
    let cookies: Vec<u64> = snapshot.first(usize::MAX, Search::default()).iter().map(|f| f.socket_cookie).collect();
    let mut newest: Vec<u64> =
        snapshot.scan(Search::default(), Order::NewestFirst).map(|hit| hit.flow().socket_cookie).collect();
    newest.reverse();
    assert_eq!(cookies, newest);
    assert_eq!(u64::try_from(cookies.len()).unwrap(), snapshot.all_rows());
    cookies
}

pub(crate) fn log_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder.join("wal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

pub(crate) fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&folder.join("flows"), &mut found);
    found.sort();
    found
}

#[test]
fn what_was_appended_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &Batches { in_files: 0, in_log: 20 });
    let (index, recovery) = open(folder.path(), 10_000);
    assert_eq!((recovery.rows, recovery.damages.len()), (200, 0), "{recovery:?}");
    assert_eq!(held(&index), (0..200).collect::<Vec<_>>());
    assert_eq!(index.snapshot().first(200, Search::default()), flows(0, 200));
    let again = push(&index, 20, &flows(190, 10));
    assert!(again.repeated && again.acknowledged == 20);
    assert!(!push(&index, 21, &flows(200, 1)).repeated);
    assert_eq!(held(&index), (0..201).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Batches, sealing and restarts in any order: every row is there once, in order of time.
    #[test]
    fn every_row_is_seen_once_whatever_happens(
        steps in prop::collection::vec((1_u64..60, 0_u8..8), 1..30),
        rows_max in prop::sample::select(vec![120_usize, 400, 5_000]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut index, _) = open(folder.path(), rows_max);
        let (mut written, mut sequence) = (0, 0);
        for (rows, then) in steps {
            sequence += 1;
            push(&index, sequence, &flows(written, rows));
            written += rows;
            match then {
                0 => {
                    drop(index);
                    index = open(folder.path(), rows_max).0;
                    // Memory that is full of rows in no file would refuse the next batch.
                    while index.upkeep(second(10)).unwrap().more {}
                }
                1 | 2 => {
                    index.seal_all(second(10)).unwrap();
                }
                _ => while index.upkeep(second(10)).unwrap().more {},
            }
            prop_assert!(push(&index, sequence, &flows(0, 1)).repeated);
        }
        prop_assert_eq!(held(&index), (0..written).collect::<Vec<_>>());
        let half = Search { since: Some(second(i64::try_from(written / 2).unwrap())), ..Search::default() };
        let expected = written - written / 2;
        prop_assert_eq!(index.snapshot().scan(half, Order::NewestFirst).count() as u64, expected);
    }
}

#[test]
fn flows_come_back_from_a_file_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let talk = Talk::new(pod("web", 1), pod("db", 1));
    let mut all: Vec<Flow> = (0..50).map(|i| talk.drop(second(i), "NETFILTER_DROP")).collect();
    all.extend((50..90).map(|i| talk.http_request(second(i))));
    all.extend((90..130).map(|i| talk.http_response(second(i), 503, 5_000_000)));
    all.extend((130..150).map(|i| talk.clone().reply().flow(second(i))));
    let (index, _) = open(folder.path(), 10_000);
    push(&index, 1, &all);
    let map = index.snapshot().service_map(&Search::default(), MapBy::Workload);
    let drops = index.snapshot().drop_summary(&Search::default(), 10);
    index.seal_all(second(1)).unwrap();
    drop(index);
    let (index, recovery) = open(folder.path(), 10_000);
    assert_eq!((recovery.rows, recovery.file_rows), (0, 150));
    let snapshot = index.snapshot();
    assert_eq!((snapshot.rows(), snapshot.all_rows()), (0, 150));
    assert_eq!(snapshot.first(1_000, Search::default()), all);
    assert_eq!(snapshot.last(20, Search::default()), all[130..]);
    assert_eq!(snapshot.service_map(&Search::default(), MapBy::Workload), map);
    assert_eq!(snapshot.drop_summary(&Search::default(), 10), drops);
    let of_pod = |pod: &str| {
        let filter = FlowFilter { source_pod: vec![pod.to_owned()], ..FlowFilter::default() };
        let filter = Arc::new(BatchFilter::compile(&[filter], &[]).unwrap());
        snapshot.last(usize::MAX, Search { filter, ..Search::default() }).len()
    };
    assert_eq!((of_pod("shop/web-1"), of_pod("shop/nobody")), (90, 0));
    assert!(index.store_stats().groups_skipped > 0);
}

#[test]
fn files_without_an_address_or_a_trace_are_not_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    let talk = Talk::new(pod("web", 1), pod("db", 1));
    let mut all: Vec<Flow> = (0..50).map(|i| talk.http_request(second(i))).collect();
    all[7].trace_id = "4bf92f3577b34da6a3ce929d0e0e4736".to_owned();
    let (index, _) = open(folder.path(), 10_000);
    push(&index, 1, &all);
    index.seal_all(second(1)).unwrap();
    drop(index);
    let (index, _) = open(folder.path(), 10_000);
    let snapshot = index.snapshot();
    let address = all[0].ip.as_ref().unwrap().source.to_string();
    let trace = |id: &str| FlowFilter { trace_id: vec![id.to_owned()], ..FlowFilter::default() };
    let from = |ip: &str| FlowFilter { source_ip: vec![ip.to_owned()], ..FlowFilter::default() };
    for (filter, found, skipped) in [
        (trace(&all[7].trace_id), 1, 0),
        (trace(""), 49, 0),
        (trace("4bf92f3577b34da6a3ce929d0e0e4737"), 0, 1),
        (from(&address), 50, 0),
        (from("0.0.0.0/0"), 50, 0),
        (from("192.0.2.77"), 0, 1),
    ] {
        let before = index.store_stats().groups_skipped;
        let asked = Arc::new(BatchFilter::compile(std::slice::from_ref(&filter), &[]).unwrap());
        let flows = snapshot.last(usize::MAX, Search { filter: asked, ..Search::default() });
        assert_eq!((flows.len(), index.store_stats().groups_skipped - before), (found, skipped), "{filter:?}");
    }
}

#[test]
fn losses_and_nodes_survive() {
    let folder = tempfile::tempdir().unwrap();
    let loss =
        |lost| LossRecord { window: second(0), stage: LossStage::Kernel, cause: "full".to_owned(), seen: 100, lost };
    let (index, _) = open(folder.path(), 10_000);
    let origin = BatchOrigin {
        node: "n1".to_owned(),
        boot_id: 7,
        sequence: 3,
        version: "0.1.0".to_owned(),
        received: second(9),
        ..BatchOrigin::default()
    };
    let incoming = Incoming { origin, batch: batch(&flows(0, 5)), losses: vec![loss(4)] };
    assert!(index.append_all(&[incoming])[0].is_ok());
    index.record_losses("n2", &[loss(5)]);
    index.upkeep(second(10)).unwrap();
    let (lines, nodes) = (index.losses(), index.nodes());
    drop(index);
    for restart in 0..3 {
        let (index, _) = open(folder.path(), 10_000);
        assert_eq!(index.losses(), lines, "{restart}");
        let facts = |nodes: &[relay_index::Node]| {
            nodes.iter().map(|n| (n.name.clone(), n.flows_seen, n.lost, n.version.clone())).collect::<Vec<_>>()
        };
        let mut expected = facts(&nodes);
        expected[0].1 += restart;
        assert_eq!(facts(&index.nodes()), expected);
        // The next file of the log begins with all of it, and the ones before can go.
        push(&index, 100 + restart, &flows(restart, 1));
        let of_this_run: u64 = index.nodes().iter().map(|node| node.flows_seen - node.flows_before).sum();
        assert_eq!(of_this_run, 1, "the others were taken in before");
        index.seal_all(second(10)).unwrap();
        assert_eq!(log_files(folder.path()).len(), 1);
    }
    assert_eq!(open(folder.path(), 10_000).0.completeness(None, None).lost, 9);
}

#[test]
fn batches_of_several_boots_may_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 10_000);
    let origin = |boot_id, sequence| BatchOrigin { node: "n1".to_owned(), boot_id, sequence, ..BatchOrigin::default() };
    for (boot, sequence) in [(1, 7), (1, 8), (2, 1), (2, 2)] {
        assert!(!index.append(&origin(boot, sequence), &batch(&flows(0, 1))).unwrap().repeated);
    }
    drop(index);
    let (index, _) = open(folder.path(), 10_000);
    for (boot, sequence) in [(1, 7), (1, 8), (2, 1), (2, 2)] {
        assert!(index.append(&origin(boot, sequence), &batch(&flows(0, 1))).unwrap().repeated, "{boot} {sequence}");
    }
    assert_eq!(index.stats().rows, 4);
}

#[test]
fn memory_that_is_not_in_files_is_never_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 200);
    let origin = |sequence| BatchOrigin { node: "n1".to_owned(), boot_id: 7, sequence, ..BatchOrigin::default() };
    let mut taken = 0;
    let refusal = loop {
        match index.append(&origin(taken + 1), &batch(&flows(taken * 10, 10))) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(refusal.is_transient() && (20..=24).contains(&taken), "{refusal} after {taken}");
    assert_eq!(held(&index).len() as u64, taken * 10);
    index.seal_all(second(1)).unwrap();
    assert!(index.append(&origin(taken + 1), &batch(&flows(taken * 10, 10))).is_ok());
    assert_eq!(held(&index), (0..(taken + 1) * 10).collect::<Vec<_>>());
    assert!(index.stats().rows <= 210);
}

#[test]
fn a_follower_reads_on_over_the_seam() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 200);
    push(&index, 1, &flows(0, 50));
    index.seal_all(second(1)).unwrap();
    drop(index);
    let (index, _) = open(folder.path(), 200);
    push(&index, 2, &flows(50, 20));
    let snapshot = index.snapshot();
    let mut read: Vec<u64> =
        snapshot.scan(Search::default(), Order::OldestFirst).map(|hit| hit.flow().socket_cookie).collect();
    let mut follower = index.follow(snapshot.end_seq());
    for n in 0..10 {
        push(&index, 3 + n, &flows(70 + n * 30, 30));
        index.seal_all(second(1)).unwrap();
        let followed = follower.try_next().unwrap();
        assert_eq!(followed.missed, 0);
        read.extend(followed.matching(&BatchFilter::everything()).iter().map(|hit| hit.flow().socket_cookie));
    }
    assert_eq!(read, (0..370).collect::<Vec<_>>());
    assert_eq!(held(&index), (0..370).collect::<Vec<_>>());
}

#[test]
fn a_folder_serves_one_relay_and_must_be_writable() {
    let folder = tempfile::tempdir().unwrap();
    let (_index, _) = open(folder.path(), 200);
    let second = Index::open(Config::default(), StoreConfig::new(folder.path().to_owned())).unwrap_err();
    assert!(second.to_string().contains("another relay uses"), "{second}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Index::open(Config::default(), StoreConfig::new(file.join("store"))).unwrap_err();
    assert!(error.to_string().contains("cannot write to"), "{error}");
}

#[test]
fn late_rows_and_rows_of_many_hours_are_found_in_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 10_000);
    let mut all: Vec<Flow> =
        (0..100_u64).map(|i| tick("n1", second(i64::try_from(i * 37 % 100 * 1_800).unwrap()), i * 37 % 100)).collect();
    push(&index, 1, &all);
    index.seal_all(second(1)).unwrap();
    assert_eq!(parquet_files(folder.path()).len(), 24);
    drop(index);
    let (index, _) = open(folder.path(), 10_000);
    all.sort_by_key(|flow| flow.time);
    assert_eq!(index.snapshot().first(1_000, Search::default()), all);
    let range = Search { since: Some(second(36_000)), until: Some(second(37_800)), ..Search::default() };
    assert_eq!(index.snapshot().first(1_000, range).len(), 2);
}
