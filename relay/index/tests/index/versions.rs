//! What a later version wrote is never lost: it is refused, or left where it is, and named.

use std::path::Path;

use flow::Flow;
use relay_index::{Config, Index, MapBy, OpenError, Search, StoreConfig};
use serde_json::{Value, json};

use crate::shop::{second, tick};
use crate::store::{Batches, fill, flows, held, log_files, open, parquet_files, push};

/// A file of the log that begins as this says and has nothing else.
fn log_file(head: &Value) -> Vec<u8> {
    let payload = serde_json::to_vec(head).unwrap();
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let checked = [&[1, 0, 0, 0][..], &length, &length].concat();
    let sum = crc32c::crc32c_append(crc32c::crc32c(&checked), &payload);
    [b"WEIRLOG1\xf7WRF".as_slice(), &checked, &sum.to_le_bytes(), &payload].concat()
}

#[test]
fn a_log_of_a_later_version_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &Batches { in_files: 0, in_log: 1 });
    let ours = log_files(folder.path()).pop().unwrap();
    let later = ours.with_file_name(ours.file_name().unwrap().to_str().unwrap().replace(".wal", "z.wal"));
    let columns = json!([["time", "time"], ["weight", "decimal"]]);
    for (head, what) in [
        (json!({"format": 2, "relay": "r", "columns": [], "schema_version": 1}), "format 2"),
        (json!({"format": 1, "relay": "r", "columns": [], "schema_version": 9}), "schema version 9"),
        (json!({"format": 1, "relay": "r", "columns": columns, "schema_version": 1}), "columns of an unknown kind"),
    ] {
        let bytes = log_file(&head);
        std::fs::write(&later, &bytes).unwrap();
        let error = Index::open(Config::default(), StoreConfig::new(folder.path().to_owned())).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, OpenError::LaterLog { .. }), "{error:?}");
        assert!(text.contains("later version") && text.contains(what) && text.contains("z.wal"), "{text}");
        assert_eq!(std::fs::read(&later).unwrap(), bytes);
    }
    std::fs::remove_file(&later).unwrap();
    assert_eq!(held(&open(folder.path(), 10_000).0), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_no_log_is_left_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &Batches { in_files: 0, in_log: 1 });
    let ours = log_files(folder.path()).pop().unwrap();
    let foreign = ours.with_file_name(ours.file_name().unwrap().to_str().unwrap().replace(".wal", "z.wal"));
    std::fs::write(&foreign, "WEIRLOG9 and what that has").unwrap();
    for sequence in 2..5 {
        let (index, recovery) = open(folder.path(), 10_000);
        assert!(recovery.damages.iter().any(|damage| damage.path == foreign), "{recovery:?}");
        push(&index, sequence, &flows(sequence * 10, 10));
        index.seal_all(second(1)).unwrap();
        assert_eq!(std::fs::read(&foreign).unwrap(), b"WEIRLOG9 and what that has");
    }
    // Nor does it keep files of the log that are done with.
    assert_eq!(log_files(folder.path()).len(), 2);
}

/// Writes another digit over the one after `key` in a file.
fn set_digit(path: &Path, key: &[u8], digit: u8) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(key.len()).rposition(|window| window == key).unwrap() + key.len();
    bytes[at] = digit;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_file_of_a_later_format_is_left_named_and_served_by_who_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), &Batches { in_files: 3, in_log: 0 });
    let files = parquet_files(folder.path());
    set_digit(&files[1], br#"{"format":"#, b'7');
    let (index, _) = open(folder.path(), 10_000);
    let others: Vec<u64> =
        index.snapshot().first(usize::MAX, Search::default()).iter().map(|flow| flow.socket_cookie).collect();
    assert!((0..10).chain(20..30).all(|n| others.contains(&n)), "{others:?}");
    let named = index.completeness(None, None).damaged;
    assert!(named.iter().any(|text| text.contains("later version of weir (format 7)")), "{named:?}");
    while index.upkeep(second(20)).unwrap().more {}
    assert!(files[1].exists());
    drop(index);
    // A catalogue that was made without it would tell the later version to delete it.
    let catalog = folder.path().join("catalog.jsonl");
    std::fs::rename(&catalog, folder.path().join("kept")).unwrap();
    let error = Index::open(Config::default(), StoreConfig::new(folder.path().to_owned())).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("the catalogue is lost") && cause.contains("format 7"), "{cause}");
    assert!(files[1].exists());
    std::fs::rename(folder.path().join("kept"), &catalog).unwrap();
    set_digit(&files[1], br#"{"format":"#, b'1');
    assert_eq!(held(&open(folder.path(), 10_000).0), (0..30).collect::<Vec<_>>());
}

#[test]
fn files_of_a_later_schema_are_read_and_never_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<Flow> = flows(0, 40);
    fill(folder.path(), &Batches { in_files: 4, in_log: 0 });
    let files = parquet_files(folder.path());
    for file in &files[..2] {
        set_digit(file, br#""schema_version":"#, b'8');
    }
    std::fs::remove_file(folder.path().join("catalog.jsonl")).unwrap();
    let (index, recovery) = open(folder.path(), 10_000);
    assert!(recovery.catalog_rebuilt && recovery.troubles.is_empty(), "{recovery:?}");
    assert_eq!(index.snapshot().first(100, Search::default()), all);
    // The hour is over; its other files become one.
    while index.upkeep(second(20_000)).unwrap().more {}
    assert_eq!(index.store_stats().files_compacted, 2);
    while index.upkeep(second(30_000)).unwrap().more {}
    let left = parquet_files(folder.path());
    assert!(left.len() == 3 && files[..2].iter().all(|file| left.contains(file)), "{left:?}");
    assert_eq!(index.snapshot().first(100, Search::default()), all);
}

#[test]
fn counts_of_a_later_version_are_left_alone_and_counted_from_the_flows() {
    for (key, what) in [(&br#""rollup_version":"#[..], "rollup version 9"), (br#"{"format":"#, "format 9")] {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreConfig::new(folder.path().to_owned());
        fill(folder.path(), &Batches { in_files: 2, in_log: 0 });
        let beside =
            |path: &Path| folder.path().join("rollups").join(path.strip_prefix(folder.path().join("flows")).unwrap());
        let counts: Vec<_> = parquet_files(folder.path()).iter().map(|path| beside(path)).collect();
        set_digit(&counts[0], key, b'9');
        forget_sum(&folder.path().join("catalog.jsonl"), &counts[0]);
        let later = std::fs::read(&counts[0]).unwrap();
        // With the catalogue, and without it, when nothing is known of the counts.
        for lose_the_catalogue in [false, true] {
            if lose_the_catalogue {
                std::fs::remove_file(folder.path().join("catalog.jsonl")).unwrap();
            }
            let (index, _) = open(folder.path(), 10_000);
            let map = index.service_map_of_rollups(&Search::default(), MapBy::Workload);
            assert_eq!(map.edges.iter().map(|edge| edge.flows).sum::<u64>(), 20);
            while index.upkeep(second(20)).unwrap().more {}
            assert_eq!(index.service_map_of_rollups(&Search::default(), MapBy::Workload).edges, map.edges);
            assert!(std::fs::read(&counts[0]).unwrap() == later, "{what} was written over");
            assert_eq!(index.store_stats().rollups_later, 1, "{what}, {lose_the_catalogue}");
            assert!(index.completeness(None, None).damaged.is_empty(), "nothing is missing");
            if !lose_the_catalogue {
                let archive = relay_index::Archive::open(&store).unwrap();
                let name = archive.files()[0].path.clone();
                let error = archive.verify_rollups(&name).unwrap_err();
                assert!(
                    matches!(error, relay_index::ReadError::Later { .. }) && error.to_string().contains(what),
                    "{error}"
                );
            }
        }
    }
}

/// Tells the catalogue of the footer that a file of counts has now.
fn forget_sum(catalog: &Path, counts: &Path) {
    let bytes = std::fs::read(counts).unwrap();
    let name = counts.file_name().unwrap().to_str().unwrap();
    let changed = |line: &str| {
        let mut step: Value = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
        for entry in step["add"].as_array_mut().into_iter().flatten() {
            if entry["path"].as_str().unwrap().ends_with(name) {
                let footer = usize::try_from(entry["rollup"]["footer"].as_u64().unwrap()).unwrap();
                entry["rollup"]["sum"] = crc32c::crc32c(&bytes[bytes.len() - footer..]).into();
            }
        }
        let text = step.to_string();
        format!("{:08x} {text}\n", crc32c::crc32c(text.as_bytes()))
    };
    let text: String = std::fs::read_to_string(catalog).unwrap().lines().map(changed).collect();
    std::fs::write(catalog, text).unwrap();
}

#[test]
fn batches_of_no_rows_and_of_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 200_000);
    let none = push(&index, 1, &[]);
    assert_eq!((none.repeated, none.rows, none.acknowledged), (false, 0, 1));
    let origin = relay_index::BatchOrigin { node: "n1".to_owned(), boot_id: 7, sequence: 2, ..Default::default() };
    let most = arrow::compute::concat_batches(
        &table::schema(),
        &[crate::shop::batch(&flows(0, 32_768)), crate::shop::batch(&[tick("n1", second(0), 99_999)])],
    );
    // Arrow cannot count so many keys; where it can, the index refuses and says what to do.
    if let Ok(batch) = most {
        let error = index.append(&origin, &batch).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(!error.is_transient() && cause.contains("32769") && cause.contains("send smaller batches"), "{cause}");
    }
    assert!(!push(&index, 2, &flows(0, 32_768)).repeated, "as many as may be");
    drop(index);
    let (index, _) = open(folder.path(), 200_000);
    assert!(push(&index, 1, &[]).repeated && push(&index, 2, &[]).repeated);
    assert_eq!(held(&index).len(), 32_768);
    // Without flows there is no file to make.
    push(&index, 3, &[]);
    index.seal_all(second(1)).unwrap();
    let files = parquet_files(folder.path()).len();
    push(&index, 4, &[]);
    index.seal_all(second(2)).unwrap();
    assert_eq!(parquet_files(folder.path()).len(), files);
}
