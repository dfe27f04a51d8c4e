//! Damage on the disk and steps that a crash cut short cost what they hit, and the rest is served.

use relay_index::{DamageKind, Search};

use crate::shop::{second, tick};
use crate::store::{Batches, damage, fill, flows, held, log_files, open, parquet_files, push};

#[test]
fn a_torn_end_of_the_log_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &Batches { in_files: 0, in_log: 5 });
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
    fill(folder.path(), &Batches { in_files: 0, in_log: 9 });
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
    fill(folder.path(), &Batches { in_files: 3, in_log: 0 });
    let files = parquet_files(folder.path());
    assert_eq!(files.len(), 3);
    damage(&files[1]);
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
    fill(folder.path(), &Batches { in_files: 4, in_log: 2 });
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
