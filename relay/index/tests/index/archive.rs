//! A store looked at from outside, copied out of and into.

use relay_index::{Archive, ImportError, ReadError, Search, StoreConfig};

use crate::shop::second;
use crate::store::{flows, open, push};

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
    assert_eq!(archive.export(range, &exported, &mut |rows| seen += rows).unwrap().rows, 100);
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

#[test]
fn an_export_goes_on_past_what_is_damaged_and_opens_no_file_it_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 200_000);
    let runs = [(0, 100), (100, 100), (200, 40_000), (50_000, 100)];
    for (n, (from, rows)) in (1..).zip(runs) {
        let all = flows(from, rows);
        for (m, part) in (0..).zip(all.chunks(20_000)) {
            push(&index, n * 10 + m, part);
        }
        index.seal_all(second(1)).unwrap();
    }
    let archive = Archive::open(&StoreConfig::new(folder.path().to_owned())).unwrap();
    let files = archive.files();
    let damage = |path: &str, at: usize| {
        let path = folder.path().join(path);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 4;
        std::fs::write(&path, bytes).unwrap();
    };
    // One without its end, and one of whose row groups one is hit.
    let cut = folder.path().join(&files[0].path);
    std::fs::File::options().write(true).open(&cut).unwrap().set_len(50).unwrap();
    let several = files.iter().find(|file| file.rows > 32_768).map(|file| file.path.clone());
    let (hit, whole) = several.map_or((files[1].path.clone(), 0), |path| (path, 1));
    damage(&hit, 1_000);
    let to = folder.path().join("exported.parquet");
    let done = archive.export((None, None), &to, &mut |_| ()).unwrap();
    let unread: Vec<&str> = done.unread.iter().map(|missing| missing.path.as_str()).collect();
    assert_eq!(unread, [files[0].path.as_str(), hit.as_str()]);
    assert!(done.unread.iter().all(|missing| matches!(missing.error, ReadError::Damaged { .. })));
    let missing: u64 = done.unread.iter().map(|missing| missing.rows).sum();
    assert_eq!(done.rows + missing, 40_300);
    let of_hit = files.iter().find(|file| file.path == hit).unwrap().rows;
    assert!(whole == 0 || done.unread[1].rows < of_hit, "its other row groups are copied");
    let elsewhere = tempfile::tempdir().unwrap();
    let (other, _) = open(elsewhere.path(), 200_000);
    assert_eq!(other.import(&to, second(1), &mut |_| ()).unwrap().rows, done.rows);
    // Files outside the range are not opened, so what is wrong with them does not matter.
    let range = (Some(second(50_000)), None);
    let done = archive.export(range, &to, &mut |_| ()).unwrap();
    assert_eq!((done.rows, done.unread.len()), (100, 0));
}

#[test]
fn an_import_says_how_far_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = open(folder.path(), 10_000);
    for (n, part) in (1..).zip(flows(0, 600).chunks(200)) {
        push(&index, n, part);
    }
    index.seal_all(second(1)).unwrap();
    let archive = Archive::open(&StoreConfig::new(folder.path().to_owned())).unwrap();
    let file = folder.path().join("exported.parquet");
    archive.export((None, None), &file, &mut |_| ()).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let (other, _) = open(elsewhere.path(), 200_000);
    // Any byte may be wrong: nothing panics, and no flow is counted that is not there.
    let mut seen = 0;
    for at in (0..bytes.len()).step_by(bytes.len() / 80) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&file, damaged).unwrap();
        seen += match other.import(&file, second(1), &mut |_| ()) {
            Ok(done) => done.rows,
            Err(ImportError::File { rows, .. }) => rows,
            Err(error @ ImportError::Store(_)) => panic!("{error}"),
        };
    }
    assert_eq!(other.snapshot().all_rows(), seen);
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(other.import(&file, second(1), &mut |_| ()), Err(ImportError::File { rows: 0, .. })));
}
