//! Several files, patterns, and packed files.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::program::{EVERY_KIND, flowctl, flowctl_says, folder, run, run_with_input_raw};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let info = lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max64KB);
    let mut packed = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

type Pack = fn(&[u8]) -> Vec<u8>;
const PACKS: [(&str, Pack); 3] = [("gzip", gzip), ("zstd", zstd), ("lz4", lz4)];

/// A flow that can be told from others.
fn flow(number: usize) -> String {
    format!("{{\"flow\":{{\"time\":\"2026-01-15T10:11:12Z\",\"uuid\":\"{number}\",\"verdict\":\"FORWARDED\"}}}}\n")
}

fn flows(numbers: std::ops::Range<usize>) -> String {
    numbers.map(flow).collect()
}

/// Numbers of the flows that this prints.
#[track_caller]
fn numbers(directory: &Path, arguments: &[&str]) -> Vec<usize> {
    let arguments = [&["observe", "-o", "json"], arguments].concat();
    let outcome = run(flowctl(&arguments).current_dir(directory));
    assert_eq!((outcome.stderr.as_str(), outcome.code), ("", Some(0)));
    let uuid = |line: &str| line.split("\"uuid\":\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    outcome.stdout.lines().map(uuid).collect()
}

#[test]
fn packed_input_is_known_by_its_bytes() {
    let plain = std::fs::read(folder().join(EVERY_KIND)).unwrap();
    let expected = flowctl_says(&["observe", "--input-file", EVERY_KIND]);
    let parquet = flowctl(&["observe", "--input-file", EVERY_KIND, "-o", "parquet"]).output().unwrap().stdout;
    let rows = flowctl(&["observe", "--input-file", EVERY_KIND, "--type", "trace"]).output().unwrap().stdout;
    for (name, pack) in PACKS {
        let output = run_with_input_raw(&mut flowctl(&["observe", "--input-file", "-"]), &pack(&plain));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected.stdout, "{name}");
        // Several packed parts one after the other are one file, as log shippers write them.
        let halves = plain.split_at(plain.iter().position(|byte| *byte == b'\n').unwrap() + 1);
        let parts = [pack(halves.0), pack(halves.1)].concat();
        let output = run_with_input_raw(&mut flowctl(&["observe", "--input-file", "-"]), &parts);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected.stdout, "{name} in parts");
        let arguments = ["observe", "--input-file", "-", "--type", "trace"];
        let output = run_with_input_raw(&mut flowctl(&arguments), &pack(&parquet));
        assert_eq!(output.stdout, rows, "parquet in {name}");
    }
}

#[test]
fn packed_input_that_is_cut_off_is_read_as_far_as_it_goes() {
    let plain = flows(0..20_000);
    let folder = tempfile::tempdir().unwrap();
    for (name, pack) in PACKS {
        let packed = pack(plain.as_bytes());
        std::fs::write(folder.path().join("cut"), &packed[..packed.len() / 2]).unwrap();
        for more in [&[][..], &["--last", "3"]] {
            let arguments = [&["observe", "-o", "json", "--input-file", "cut"], more].concat();
            let outcome = run(flowctl(&arguments).current_dir(folder.path()));
            assert_eq!(outcome.code, Some(1), "{name}");
            let lines = outcome.stdout.lines().count();
            assert!(lines >= 3 && outcome.stdout.lines().all(|line| line.ends_with("}}")), "{name}: {lines}");
            let expected = format!("cannot read cut beyond byte {}, packed by {name}: ", packed.len() / 2);
            assert!(outcome.stderr.starts_with(&expected), "{name}: {}", outcome.stderr);
        }
    }
}

#[test]
fn files_of_a_pattern_are_read_from_the_oldest_to_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("flows.log", flows(30..40).into());
    write("flows.log.1", flows(20..30).into());
    write("flows.log.2.gz", gzip(flows(10..20).as_bytes()));
    write("flows.log.10.zst", zstd(flows(0..10).as_bytes()));
    write("other.log", flows(99..100).into());
    let all: Vec<usize> = (0..40).collect();
    assert_eq!(numbers(folder.path(), &["--input-file", "flows.log*"]), all);
    assert_eq!(numbers(folder.path(), &["--input-file", "flows.log*", "--first", "15"]), all[..15]);
    assert_eq!(numbers(folder.path(), &["--input-file", "flows.log*", "--last", "15"]), all[25..]);
    let two = ["--input-file", "flows.log.2.gz", "--input-file", "flows.log.1"];
    assert_eq!(numbers(folder.path(), &two), all[10..30]);
}

#[test]
fn complaints_name_the_file_where_there_are_several() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jsonl"), flows(0..2)).unwrap();
    std::fs::write(folder.path().join("b.jsonl"), "nonsense\n").unwrap();
    let arguments = ["observe", "--input-file", "*.jsonl"];
    let outcome = run(flowctl(&arguments).current_dir(folder.path()));
    assert!(outcome.stderr.starts_with("flowctl: line 1 of b.jsonl is not a flow and is left out: "), "{outcome:?}");
    let arguments = ["observe", "--input-file", "none-*.jsonl"];
    let outcome = run(flowctl(&arguments).current_dir(folder.path()));
    assert_eq!((outcome.stderr.as_str(), outcome.code), ("open none-*.jsonl: no file matches\n", Some(1)));
    let arguments = ["observe", "--input-file", "a.jsonl", "--input-file", "none.jsonl"];
    let outcome = run(flowctl(&arguments).current_dir(folder.path()));
    assert!(outcome.stderr.starts_with("open none.jsonl: "), "{outcome:?}");
}

#[test]
fn what_complaints_quote_cannot_steer_a_terminal() {
    let flow = "{\"flow\":{\"verdict\":\"a\\n\\u001b[31mb\"}}\n";
    let outcome = run_with_input_raw(&mut flowctl(&["observe", "--input-file", "-"]), flow.as_bytes());
    let complaint = "flowctl: unknown field detected at line 1: a\\n^[[31mb is newer than this client and left out\n";
    assert_eq!(String::from_utf8_lossy(&outcome.stderr), complaint);
}

/// As many lines as are read by several threads: what they print is what one thread prints.
#[test]
fn large_files_are_read_like_small_ones() {
    let folder = tempfile::tempdir().unwrap();
    let every_kind = std::fs::read_to_string(super::program::folder().join(EVERY_KIND)).unwrap();
    let damaged = std::fs::read_to_string(super::program::folder().join("flows/damaged.jsonl")).unwrap();
    let repeats = (20 << 20) / every_kind.len();
    let text = format!("{}{damaged}{every_kind}", every_kind.repeat(repeats));
    std::fs::write(folder.path().join("large.jsonl"), &text).unwrap();
    for more in [&["-o", "json"][..], &["-o", "dict"], &["-o", "compact", "--verdict", "DROPPED"], &["-o", "csv"]] {
        let large = [&["observe", "--input-file", "large.jsonl"], more].concat();
        let large = flowctl(&large).current_dir(folder.path()).output().unwrap();
        let piped = [&["observe", "--input-file", "-"], more].concat();
        let piped = run_with_input_raw(&mut flowctl(&piped), text.as_bytes());
        assert!(large.stdout == piped.stdout, "{more:?}: outputs differ");
        let told = |err: &[u8]| {
            let text = String::from_utf8_lossy(err).into_owned();
            text.lines().filter(|line| line.starts_with("flowctl: ")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(told(&large.stderr), told(&piped.stderr), "{more:?}");
    }
    for count in ["1", "5000", "40000"] {
        let first = ["observe", "--input-file", "large.jsonl", "-o", "json", "--first", count];
        let first = flowctl(&first).current_dir(folder.path()).output().unwrap().stdout;
        let all = flowctl(&["observe", "--input-file", "large.jsonl", "-o", "json"]);
        let mut all = all;
        let all = all.current_dir(folder.path()).output().unwrap().stdout;
        assert!(all.starts_with(&first), "{count}");
    }
}

/// A full disk ends the run, and is told of though what was not written cannot be written at the end either.
#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_told_of() {
    for output in ["compact", "dict", "json", "table"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = flowctl(&["observe", "--input-file", EVERY_KIND, "-o", output]);
        let outcome =
            command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&outcome.stderr);
        assert_eq!(outcome.status.code(), Some(1), "{output}: {stderr}");
        assert!(stderr.to_lowercase().contains("no space left"), "{output}: {stderr:?}");
    }
}
