//! The counts beside the files of a store answer as its flows do, whatever becomes of files, counts and the relay.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use flow::{Flow, Timestamp};
use proptest::prelude::*;
use relay_index::{Config, Index, MapBy, Period, RollupKind, Search, StoreConfig};

use crate::rollup::{any_flow, check_index, check_maps, cluster};
use crate::shop::{Talk, pod, second};
use crate::store::{parquet_files, push};

const EVERYTHING: (Option<Timestamp>, Option<Timestamp>) = (None, None);

fn settings(folder: &Path) -> StoreConfig {
    StoreConfig {
        file_rows: 200,
        keep: Duration::from_secs(30_000),
        grace: Duration::ZERO,
        ..StoreConfig::new(folder.to_owned())
    }
}

fn open(folder: &Path) -> Index {
    Index::open(Config::default(), settings(folder)).unwrap().0
}

/// The files with counts, one beside each file of flows.
fn counts_of(folder: &Path) -> Vec<PathBuf> {
    let beside = |path: &PathBuf| {
        let path = path.strip_prefix(folder.join("flows")).unwrap();
        folder.join("rollups").join(path)
    };
    parquet_files(folder).iter().map(beside).collect()
}

fn upkeep(index: &Index, now: Timestamp) {
    while index.upkeep(now).unwrap().more {}
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Seal,
    Restart,
    HoursPass,
    LoseCounts,
    FlipCounts,
}

fn any_step() -> impl Strategy<Value = Step> {
    use Step::{FlipCounts, HoursPass, LoseCounts, Push, Restart, Seal};
    prop::sample::select(vec![Push, Push, Push, Seal, Seal, Restart, HoursPass, LoseCounts, FlipCounts])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_the_flows_whatever_happens(
        flows in prop::collection::vec(any_flow(), 20..400),
        steps in prop::collection::vec(any_step(), 1..24),
        range in (prop::option::of(0_i64..10_000), prop::option::of(0_i64..10_000)),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut index = open(folder.path());
        let (mut clock, mut sequence) = (0, 0);
        let mut batches = flows.chunks(25);
        for step in steps {
            clock += 1;
            match step {
                // Any batch may have flows of hours that became files long ago.
                Step::Push => if let Some(flows) = batches.next() {
                    sequence += 1;
                    push(&index, sequence, flows);
                },
                Step::Seal => {
                    index.seal_all(second(clock)).unwrap();
                }
                Step::Restart => {
                    drop(index);
                    index = open(folder.path());
                }
                Step::HoursPass => {
                    clock += 8_000;
                    upkeep(&index, second(clock));
                }
                Step::LoseCounts => if let Some(file) = counts_of(folder.path()).iter().find(|file| file.exists()) {
                    std::fs::remove_file(file).unwrap();
                },
                Step::FlipCounts => if let Some(file) = counts_of(folder.path()).iter().rfind(|file| file.exists()) {
                    let mut bytes = std::fs::read(file).unwrap();
                    let middle = bytes.len() / 3;
                    bytes[middle] ^= 1;
                    std::fs::write(file, bytes).unwrap();
                },
            }
            let (since, until) = (range.0.map(second), range.1.map(second));
            for range in [EVERYTHING, (since, until)] {
                check_maps(&index, range);
            }
            // Rows that are in memory stay in sight though their file has expired.
            if index.store_stats().files_expired == 0 {
                check_index(&index);
            }
        }
        drop(index);
        let index = open(folder.path());
        check_index(&index);
        check_maps(&index, EVERYTHING);
        prop_assert_eq!(index.rollups().stats().flows_missed, 0);
    }
}

fn filled(folder: &Path, flows: &[Flow]) -> Index {
    let index = open(folder);
    for (sequence, flows) in (1..).zip(flows.chunks(2_000)) {
        push(&index, sequence, flows);
        index.seal_all(second(0)).unwrap();
    }
    index
}

#[test]
fn history_is_drawn_from_counts_and_no_flow_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreConfig { file_rows: 10_000, keep: Duration::MAX, ..settings(folder.path()) };
    let open = || Index::open(Config::default(), store.clone()).unwrap().0;
    let flows = cluster(11, 150_000);
    let index = open();
    for (sequence, flows) in (1..).zip(flows.chunks(2_000)) {
        push(&index, sequence, flows);
        index.upkeep(flows[0].time).unwrap();
    }
    index.seal_all(flows.last().unwrap().time).unwrap();
    drop(index);
    let index = open();
    let map = index.service_map_of_rollups(&Search::default(), MapBy::Workload);
    assert!(map.source.starts_with("edges_1h ("), "{}", map.source);
    assert_eq!(index.store_stats().groups_read, 0);
    assert_eq!(index.rollups().stats().flows_missed, 0);
    check_maps(&index, EVERYTHING);
    check_index(&index);
    // So it is once the hours became one file each.
    let later = flows.last().unwrap().time.after(Duration::from_secs(8_000));
    upkeep(&index, later);
    assert!(index.store_stats().files_compacted > 0);
    drop(index);
    let index = open();
    let map = index.service_map_of_rollups(&Search::default(), MapBy::Workload);
    assert!(map.source.starts_with("edges_1h ("), "{}", map.source);
    assert_eq!(index.store_stats().groups_read, 0);
    check_maps(&index, EVERYTHING);
}

#[test]
fn counts_that_are_lost_or_damaged_are_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), &cluster(12, 6_000));
    index.seal_all(second(1)).unwrap();
    let files = counts_of(folder.path());
    assert!(files.len() >= 2 && files.iter().all(|file| file.exists()), "{files:?}");
    let whole: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    drop(index);
    // Some file gone, its folder too, another cut short.
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&files[1], &whole[1][..whole[1].len() / 2]).unwrap();
    let index = open(folder.path());
    check_index(&index);
    assert_eq!(index.store_stats().rollups_counted, 2, "each once, for minutes and hours");
    upkeep(&index, second(2));
    assert_eq!(index.store_stats().rollups_made, 2);
    drop(index);
    let index = open(folder.path());
    check_index(&index);
    assert_eq!(index.store_stats().rollups_counted, 0);
    drop(index);
    // A store of before has none, and a catalogue made again from the footers finds them.
    std::fs::remove_dir_all(folder.path().join("rollups")).unwrap();
    std::fs::remove_file(folder.path().join("catalog.jsonl")).unwrap();
    let index = open(folder.path());
    check_index(&index);
    upkeep(&index, second(3));
    assert!(files.iter().all(|file| file.exists()));
}

#[test]
fn a_bit_that_flips_anywhere_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), &cluster(16, 600));
    index.seal_all(second(1)).unwrap();
    drop(index);
    let file = counts_of(folder.path()).pop().unwrap();
    let whole = std::fs::read(&file).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 80) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&file, flipped).unwrap();
        let index = open(folder.path());
        check_index(&index);
        check_maps(&index, EVERYTHING);
    }
}

#[test]
fn counts_of_a_later_version_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), &cluster(13, 1_000));
    index.seal_all(second(1)).unwrap();
    drop(index);
    let file = counts_of(folder.path()).pop().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let key = br#"{"format":1,"#;
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap();
    let mut later = bytes;
    later[at + 10] = b'7';
    std::fs::write(&file, &later).unwrap();
    // The catalogue of that version knows it.
    let catalog = folder.path().join("catalog.jsonl");
    let text = std::fs::read_to_string(&catalog).unwrap();
    let mut step: serde_json::Value = serde_json::from_str(text.trim_end().split_once(' ').unwrap().1).unwrap();
    let rollup = &mut step["add"][0]["rollup"];
    let footer = usize::try_from(rollup["footer"].as_u64().unwrap()).unwrap();
    rollup["sum"] = crc32c::crc32c(&later[later.len() - footer..]).into();
    let step = step.to_string();
    std::fs::write(&catalog, format!("{:08x} {step}\n", crc32c::crc32c(step.as_bytes()))).unwrap();
    let index = open(folder.path());
    check_index(&index);
    upkeep(&index, second(2));
    assert_eq!(std::fs::read(&file).unwrap(), later);
    assert!(index.store_stats().rollups_counted > 0);
}

#[test]
fn a_file_of_too_many_minutes_has_no_counts_and_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreConfig { file_rows: 10_000, ..settings(folder.path()) };
    let talk = Talk::new(pod("web", 1), pod("db", 1));
    // A minute of its own for each, in a hundred hours. All but the last 23 share a file.
    let minute = |n: i64| second(n * 60 - 672);
    let flows: Vec<Flow> = (0..6_000).map(|n| talk.flow(minute(n))).collect();
    let index = Index::open(Config::default(), store.clone()).unwrap().0;
    push(&index, 1, &flows);
    index.seal_all(second(1)).unwrap();
    drop(index);
    let index = Index::open(Config::default(), store).unwrap().0;
    let counts = counts_of(folder.path());
    assert_eq!((counts.len(), counts.iter().filter(|file| file.exists()).count()), (24, 23));
    check_maps(&index, EVERYTHING);
    let map = |search: &Search| index.service_map_of_rollups(search, MapBy::Workload);
    assert_eq!(map(&Search::default()).source, "flows");
    assert!(index.damaged(None, None).is_empty());
    // Other hours are drawn from their counts.
    let range = (Some(minute(5_000)), Some(minute(5_400)));
    let search = Search { since: range.0, until: range.1, ..Search::default() };
    assert!(map(&search).source.starts_with("edges_1h ("), "{}", map(&search).source);
    check_maps(&index, range);
    // Tables of counts do not have its flows, which is told.
    let counted: usize = index
        .rollups()
        .view(&index.snapshot())
        .files()
        .iter()
        .map(|file| file.read(Period::Minute, &RollupKind::ALL, &AtomicBool::new(false)).len())
        .sum();
    assert_eq!(counted, 23 * 60);
    let told = index.damaged(None, None);
    assert!(told.len() == 1 && told[0].contains("more than 2880 minutes"), "{told:?}");
    upkeep(&index, second(2));
    assert_eq!(index.store_stats().rollups_made, 0);
    assert_eq!(index.snapshot().all_rows(), 6_000);
}

#[test]
fn counts_go_with_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let index = filled(folder.path(), &cluster(14, 4_000));
    index.seal_all(second(1)).unwrap();
    assert!(!counts_of(folder.path()).is_empty());
    upkeep(&index, second(40_000));
    upkeep(&index, second(40_001));
    drop(index);
    assert_eq!(parquet_files(folder.path()), Vec::<PathBuf>::new());
    let left = |folder: PathBuf| {
        let mut waiting = vec![folder];
        let mut files = Vec::new();
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { waiting.push(path) } else { files.push(path) }
            }
        }
        files
    };
    assert_eq!(left(folder.path().join("rollups")), Vec::<PathBuf>::new());
    // What a crash left behind goes at the next start.
    let index = open(folder.path());
    push(&index, 100, &cluster(15, 100));
    index.seal_all(second(50_000)).unwrap();
    assert_eq!(counts_of(folder.path()).len(), parquet_files(folder.path()).len());
    drop(index);
    for file in parquet_files(folder.path()) {
        std::fs::rename(file, folder.path().join("elsewhere")).unwrap();
    }
    let index = open(folder.path());
    upkeep(&index, second(50_001));
    let view = index.rollups().view(&index.snapshot());
    assert!(view.files().is_empty() && view.rollups(Period::Minute).is_empty());
    assert_eq!(left(folder.path().join("rollups")), Vec::<PathBuf>::new());
}
