//! What was acknowledged survives, each row once, in memory or in files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use flow::{Flow, FlowFilter, LossRecord, LossStage, Timestamp};
use proptest::prelude::*;
use relay_index::{
    Archive, BatchOrigin, Config, DamageKind, Incoming, Index, MapBy, Order, Recovery, Search, StoreConfig,
};
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
    {
        let (index, _) = open(folder.path(), 10_000);
        for n in 0..20 {
            push(&index, n + 1, &flows(n * 10, 10));
        }
    }
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

#[test]
fn a_torn_end_of_the_log_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (index, _) = open(folder.path(), 10_000);
        for n in 0..5 {
            push(&index, n + 1, &flows(n * 10, 10));
        }
    }
    let whole = log_files(folder.path()).pop().unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    for cut in [1, 10, 19, 40, 300] {
        std::fs::write(&whole, &bytes[..bytes.len() - cut]).unwrap();
        let (index, recovery) = open(folder.path(), 10_000);
        let [damage] = recovery.damages.as_slice() else { panic!("{recovery:?}") };
        assert_eq!((damage.kind, &damage.path), (DamageKind::TornTail, &whole));
        assert_eq!(held(&index), (0..40).collect::<Vec<_>>());
        // The batch was never acknowledged, so it comes again.
        assert!(!push(&index, 5, &flows(40, 10)).repeated);
        drop(index);
        let (index, recovery) = open(folder.path(), 10_000);
        assert_eq!((held(&index).len(), recovery.damages.len()), (50, 0));
        drop(index);
        log_files(folder.path()).into_iter().skip(1).for_each(|file| std::fs::remove_file(file).unwrap());
    }
}

#[test]
fn bits_that_flipped_in_the_log_cost_their_batch_only() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (index, _) = open(folder.path(), 10_000);
        for n in 0..9 {
            push(&index, n + 1, &flows(n * 10, 10));
        }
    }
    let file = log_files(folder.path()).pop().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let marks: Vec<usize> = (0..bytes.len() - 4).filter(|at| &bytes[*at..*at + 4] == b"\xf7WRF").collect();
    // Two frames tell what the file holds; then come the batches.
    assert_eq!(marks.len(), 2 + 9);
    for damaged in 0..8 {
        let mut flipped = bytes.clone();
        flipped[marks[2 + damaged] + 50] ^= 0x10;
        std::fs::write(&file, &flipped).unwrap();
        let (index, recovery) = open(folder.path(), 10_000);
        let [damage] = recovery.damages.as_slice() else { panic!("{recovery:?}") };
        assert_eq!((damage.kind, damage.at), (DamageKind::Flipped, marks[2 + damaged] as u64));
        let lost = damaged as u64 * 10..damaged as u64 * 10 + 10;
        let expected: Vec<u64> = (0..90).filter(|n| !lost.contains(n)).collect();
        assert_eq!(held(&index), expected);
        // What follows the gap becomes files, and is numbered as the log has it.
        index.seal_all(second(1)).unwrap();
        push(&index, 100, &flows(90, 5));
        drop(index);
        let (index, _) = open(folder.path(), 10_000);
        assert_eq!(held(&index).len(), 85);
        drop(index);
        std::fs::remove_dir_all(folder.path().join("flows")).unwrap();
        std::fs::remove_file(folder.path().join("catalog.jsonl")).unwrap();
        for other in log_files(folder.path()) {
            std::fs::remove_file(other).unwrap();
        }
    }
}

#[test]
fn a_damaged_file_is_set_aside_and_named_and_the_rest_is_served() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (index, _) = open(folder.path(), 10_000);
        for n in 0..3 {
            push(&index, n + 1, &flows(n * 10, 10));
            index.seal_all(second(1)).unwrap();
        }
    }
    let files = parquet_files(folder.path());
    assert_eq!(files.len(), 3);
    let mut bytes = std::fs::read(&files[1]).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 1;
    std::fs::write(&files[1], &bytes).unwrap();
    let (index, _) = open(folder.path(), 10_000);
    let kept: Vec<u64> = (0..10).chain(20..30).collect();
    let found: Vec<u64> =
        index.snapshot().first(usize::MAX, Search::default()).iter().map(|flow| flow.socket_cookie).collect();
    assert!(found.iter().all(|n| kept.contains(n) || *n == 0), "{found:?}");
    let name = files[1].file_name().unwrap().to_str().unwrap();
    let complete = index.completeness(None, None);
    assert!(complete.damaged.iter().any(|text| text.contains(name) && text.contains("quarantine/")), "{complete:?}");
    assert!(folder.path().join("quarantine").join(name).exists() && !files[1].exists());
    index.upkeep(second(10)).unwrap();
    assert_eq!(held(&index), kept);
    assert_eq!(index.store_stats().files_set_aside, 1);
    drop(index);
    assert_eq!(held(&open(folder.path(), 10_000).0), kept);
}

#[test]
fn the_catalogue_is_made_again_from_the_files() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (index, _) = open(folder.path(), 10_000);
        for n in 0..6 {
            push(&index, n + 1, &flows(n * 10, 10));
            if n < 4 {
                index.seal_all(second(1)).unwrap();
            }
        }
    }
    let catalog = folder.path().join("catalog.jsonl");
    let text = std::fs::read_to_string(&catalog).unwrap();
    for damage in [String::new(), text.replacen("rows", "rosw", 1), text[..text.len() - 9].to_owned() + "\n"] {
        std::fs::write(&catalog, damage).unwrap();
        let (index, recovery) = open(folder.path(), 10_000);
        assert!(recovery.catalog_rebuilt, "{recovery:?}");
        assert_eq!(held(&index), (0..60).collect::<Vec<_>>());
    }
    std::fs::remove_file(&catalog).unwrap();
    let (index, recovery) = open(folder.path(), 10_000);
    assert!(recovery.catalog_rebuilt);
    assert_eq!(held(&index), (0..60).collect::<Vec<_>>());
}

#[test]
fn a_step_that_a_crash_cut_short_is_finished_or_undone() {
    for lose_a_part in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        {
            let (index, _) = open(folder.path(), 10_000);
            push(&index, 1, &flows(0, 10));
            index.seal_all(second(1)).unwrap();
            // Rows of two hours, which become two files.
            push(&index, 2, &flows(10, 10));
            push(&index, 3, &[tick("n1", second(90_000), 20)]);
        }
        let catalog = std::fs::read(folder.path().join("catalog.jsonl")).unwrap();
        let log = log_files(folder.path()).pop().unwrap();
        let before = std::fs::read(&log).unwrap();
        open(folder.path(), 10_000).0.seal_all(second(1)).unwrap();
        // As if the power had gone before the catalogue was written.
        std::fs::write(folder.path().join("catalog.jsonl"), catalog).unwrap();
        std::fs::write(&log, before).unwrap();
        let files = parquet_files(folder.path());
        assert_eq!(files.len(), 3);
        if lose_a_part {
            std::fs::remove_file(&files[2]).unwrap();
        }
        let (index, recovery) = open(folder.path(), 10_000);
        let expected = if lose_a_part { (1, 11) } else { (0, 0) };
        assert_eq!((recovery.files_deleted, recovery.rows), expected);
        assert_eq!(held(&index), (0..21).collect::<Vec<_>>());
    }
}

#[test]
fn rows_wait_for_their_age_and_a_clock_that_jumps_back_does_not_keep_them() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 10_000);
    push(&index, 50, &flows(0, 10));
    assert_eq!(index.upkeep(second(60)).unwrap().rows_sealed, 0);
    assert_eq!(index.upkeep(second(50).after(Duration::from_secs(301))).unwrap().rows_sealed, 10);
    push(&index, 1_000, &flows(10, 10));
    assert_eq!(index.upkeep(second(1_001)).unwrap().rows_sealed, 0);
    assert_eq!(index.upkeep(second(900)).unwrap().rows_sealed, 10);
    assert_eq!(held(&index), (0..20).collect::<Vec<_>>());
}

#[test]
fn the_files_of_an_hour_become_one_and_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreConfig { grace: Duration::from_secs(60), ..StoreConfig::new(folder.path().to_owned()) };
    let all: Vec<Flow> = (0..300)
        .map(|n| {
            let name = ["web", "api", "db"][usize::try_from(n % 3).unwrap()];
            let flow = Talk::new(pod(name, 1), pod("db", 2)).flow(second(n));
            Flow { socket_cookie: u64::try_from(n).unwrap(), ..flow }
        })
        .collect();
    {
        let (index, _) = Index::open(Config::default(), store.clone()).unwrap();
        for (n, flows) in (1..).zip(all.chunks(50)) {
            push(&index, n, flows);
            index.seal_all(second(i64::try_from(n).unwrap())).unwrap();
        }
        assert_eq!(parquet_files(folder.path()).len(), 6);
        assert_eq!(index.upkeep(second(5_000)).unwrap().files_compacted, 0, "the rows are in memory");
    }
    let (index, _) = Index::open(Config::default(), store.clone()).unwrap();
    let before = index.snapshot();
    assert_eq!(index.upkeep(second(1_000)).unwrap().files_compacted, 0, "the hour is not over");
    assert_eq!(index.upkeep(second(5_000)).unwrap().files_compacted, 6);
    let after = index.snapshot();
    for snapshot in [&before, &after] {
        assert_eq!(snapshot.first(1_000, Search::default()), all);
    }
    assert_eq!((after.chunks().count(), after.all_rows()), (1, 300));
    assert_eq!(parquet_files(folder.path()).len(), 7);
    index.upkeep(second(5_061)).unwrap();
    assert_eq!(parquet_files(folder.path()).len(), 1);
    // A catalogue made from the footers knows the same.
    drop((before, after, index));
    std::fs::remove_file(folder.path().join("catalog.jsonl")).unwrap();
    let (index, _) = Index::open(Config::default(), store).unwrap();
    assert_eq!(index.snapshot().first(1_000, Search::default()), all);
    assert!(push(&index, 6, &all[..1]).repeated);
}

#[test]
fn old_files_go_by_age_and_by_budget_the_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreConfig {
        keep: Duration::from_secs(10 * 3_600),
        grace: Duration::ZERO,
        compact: false,
        ..StoreConfig::new(folder.path().to_owned())
    };
    let hour = |n: u64| second(i64::try_from(n * 3_600).unwrap());
    {
        let (index, _) = Index::open(Config::default(), store.clone()).unwrap();
        for n in 0..8 {
            push(&index, n + 1, &[tick("n1", hour(n), n)]);
            index.seal_all(hour(n)).unwrap();
        }
    }
    let (index, _) = Index::open(Config::default(), store.clone()).unwrap();
    index.upkeep(hour(12)).unwrap();
    assert_eq!(held(&index), (2..8).collect::<Vec<_>>());
    assert_eq!(parquet_files(folder.path()).len(), 6);
    // Room for three of them and a half: they differ by some bytes.
    let bytes_max = (index.store_stats().file_bytes + index.store_stats().rollup_bytes) * 7 / 12;
    drop(index);
    let (index, _) = Index::open(Config::default(), StoreConfig { bytes_max, ..store.clone() }).unwrap();
    index.upkeep(hour(12)).unwrap();
    assert_eq!(held(&index), (5..8).collect::<Vec<_>>());
    let stats = index.store_stats();
    assert_eq!((stats.files_expired, stats.rows_expired), (3, 3));
    assert!(stats.file_bytes + stats.rollup_bytes <= bytes_max);
    // What expired does not come back from the log or the footers, and its batches are known still.
    assert!(push(&index, 1, &flows(0, 1)).repeated);
    drop(index);
    assert_eq!(held(&Index::open(Config::default(), store).unwrap().0), (5..8).collect::<Vec<_>>());
}

#[test]
fn a_store_is_looked_at_checked_exported_and_imported() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 10_000);
    for n in 0..3 {
        push(&index, n + 1, &flows(n * 100, 100));
        index.seal_all(second(1)).unwrap();
    }
    let store = StoreConfig::new(folder.path().to_owned());
    // The relay may run meanwhile.
    let archive = Archive::open(&store).unwrap();
    let files = archive.files();
    assert_eq!(
        files.iter().map(|file| (file.rows, file.oldest)).collect::<Vec<_>>(),
        [(100, second(0)), (100, second(100)), (100, second(200))]
    );
    assert!(files.iter().all(|file| archive.verify(&file.path).is_ok()));
    let exported = folder.path().join("exported.parquet");
    let mut seen = 0;
    let range = (Some(second(50)), Some(second(149)));
    assert_eq!(archive.export(range, &exported, &mut |rows| seen += rows).unwrap(), 100);
    assert_eq!(seen, 300);
    let elsewhere = tempfile::tempdir().unwrap();
    let (other, _) = open(elsewhere.path(), 40);
    assert_eq!(other.import(&exported, second(1), &mut |_| ()).unwrap().rows, 100);
    assert_eq!(other.snapshot().first(1_000, Search::default()), flows(50, 100));
    let again = other.import(&exported, second(1), &mut |_| ()).unwrap();
    assert_eq!((again.rows, again.batches_repeated), (0, 1));
    // Damage anywhere in the rows is found, and the file is left where it is.
    let path = folder.path().join(&files[1].path);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1_000] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let error = archive.verify(&files[1].path).unwrap_err().to_string();
    assert!(error.contains(&files[1].path) && error.contains("checksum"), "{error}");
    assert!(path.exists());
    assert!(Archive::open(&StoreConfig::new(folder.path().join("nowhere"))).is_err());
}

/// A clock that is ten years ahead for a while, and flows of any time.
#[test]
fn times_that_cannot_be_do_no_harm() {
    const YEAR: u64 = 365 * 86_400;
    let folder = tempfile::tempdir().unwrap();
    let store = StoreConfig {
        keep: Duration::from_secs(10 * 3_600),
        grace: Duration::ZERO,
        ..StoreConfig::new(folder.path().to_owned())
    };
    let open = |bytes_max| Index::open(Config::default(), StoreConfig { bytes_max, ..store.clone() }).unwrap().0;
    let ahead = |n: i64| second(n).after(Duration::from_secs(10 * YEAR));
    let index = open(u64::MAX);
    // Ahead of time, with the flows' clocks; then corrected, with a few flows that have no time, or one of the far future.
    push(&index, 1, &(0..10).map(|n| tick("n1", ahead(i64::try_from(n).unwrap()), n)).collect::<Vec<_>>());
    index.seal_all(ahead(20)).unwrap();
    let odd = [(10, Timestamp(0)), (11, Timestamp(i64::MAX)), (12, Timestamp(i64::MIN)), (13, second(1))];
    push(&index, 2, &odd.map(|(n, time)| tick("n1", time, n)));
    index.seal_all(second(30)).unwrap();
    push(&index, 3, &flows(14, 6));
    index.seal_all(second(40)).unwrap();
    let mut all = held(&index);
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    let map = index.service_map_of_rollups(&Search::default(), MapBy::Workload);
    assert_eq!(map.edges, index.snapshot().service_map(&Search::default(), MapBy::Workload).edges);
    drop(index);
    // Each is in the folder of its hour, and a time range finds it.
    let folders: Vec<String> = parquet_files(folder.path()).iter().map(|path| path.display().to_string()).collect();
    assert!(folders.iter().any(|path| path.contains("date=1970-01-01/hour=00")), "{folders:?}");
    let index = open(u64::MAX);
    let found = |since, until| {
        index.snapshot().first(100, Search { since: Some(since), until: Some(until), ..Search::default() }).len()
    };
    assert_eq!(
        (found(Timestamp(0), Timestamp(0)), found(ahead(0), ahead(9)), found(second(0), second(40))),
        (1, 10, 7)
    );
    // Nothing expires too soon, and what was written by the wrong clock not ten years too late.
    index.upkeep(second(60)).unwrap();
    assert_eq!(index.snapshot().all_rows(), 20);
    let half = index.store_stats().file_bytes / 2;
    index.upkeep(second(11 * 3_600)).unwrap();
    assert_eq!((index.snapshot().all_rows(), parquet_files(folder.path()).len()), (0, 0));
    drop(index);
    // Where the budget is full, what arrived last stays, not what claims to be the latest.
    let index = open(half);
    push(&index, 4, &[tick("n1", ahead(50), 50)]);
    index.seal_all(ahead(50)).unwrap();
    for n in 51..80 {
        push(&index, n, &[tick("n1", second(i64::try_from(n).unwrap()), n)]);
        index.seal_all(second(i64::try_from(n).unwrap())).unwrap();
    }
    drop(index);
    let kept = held(&open(half));
    assert!(kept.contains(&79) && !kept.contains(&50), "{kept:?}");
}
