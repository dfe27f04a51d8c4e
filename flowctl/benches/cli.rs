//! `flowctl` and the stock `hubble` on the same file of flows, one after the other: time, processor time and start-up.
//!
//! The stock client is looked for at `$HUBBLE_BIN`, then among the project's tools; without it only `flowctl` runs.
//! `BENCH_FLOWS` says how many flows there are; the file is made once and kept.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints its figures, and fails by panicking")]

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proto::convert::{Details, flow_response, flow_to_wire};
use traffic::Traffic;

const FLOWS: usize = 1_000_000;
const ROUNDS: usize = 3;
const STARTS: u32 = 20;

/// Three filters that a good part of the flows passes.
const FILTERS: [&str; 6] = ["--protocol", "tcp", "--verdict", "FORWARDED", "--not", "--port=53"];

/// What a run took.
#[derive(Clone, Copy)]
struct Taken {
    wall: Duration,
    processor: Duration,
}

fn main() {
    let flows = std::env::var("BENCH_FLOWS").map_or(FLOWS, |text| text.parse().unwrap());
    let file = written(flows);
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_flowctl"));
    let theirs = std::env::var_os("HUBBLE_BIN").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/weir/tools/bin/hubble"),
        PathBuf::from,
    );
    let programs: Vec<(&str, &Path)> = [("hubble", theirs.as_path()), ("flowctl", ours.as_path())]
        .into_iter()
        .filter(|(_, path)| path.is_file())
        .collect();
    for layout in ["jsonpb", "compact"] {
        let mut best: Vec<Option<Taken>> = vec![None; programs.len()];
        let mut outputs = vec![Vec::new(); programs.len()];
        for _ in 0..ROUNDS {
            for (at, (_, program)) in programs.iter().enumerate() {
                let (taken, output) = observe(program, &file, layout);
                let better = best[at].is_none_or(|best| taken.processor < best.processor);
                best[at] = if better { Some(taken) } else { best[at] };
                outputs[at] = output;
            }
        }
        assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]), "the outputs differ");
        for ((name, _), taken) in programs.iter().zip(best.iter().flatten()) {
            let (wall, processor) = (taken.wall.as_secs_f64(), taken.processor.as_secs_f64());
            println!("{layout}: {flows} flows, {name}: {wall:.2} s, {processor:.2} s of processor time");
        }
        if let [Some(theirs), Some(ours)] = best[..] {
            let ratio = |taken: fn(&Taken) -> Duration| taken(&theirs).as_secs_f64() / taken(&ours).as_secs_f64();
            let (wall, processor) = (ratio(|taken| taken.wall), ratio(|taken| taken.processor));
            println!("{layout}: flowctl is {wall:.1} times as fast, with {processor:.1} times less processor time");
        }
    }
    for (name, program) in &programs {
        let start = (0..STARTS).map(|_| timed(Command::new(program).arg("version")).0.wall).min().unwrap();
        println!("start-up of {name}: {:.1} ms", start.as_secs_f64() * 1e3);
    }
}

/// A file of that many flows as JSON lines.
fn written(flows: usize) -> PathBuf {
    let folder =
        std::env::var_os("WEIR_BENCH_DIR").map_or_else(|| std::env::temp_dir().join("weir-bench"), PathBuf::from);
    let path = folder.join(format!("flows-{flows}.jsonl"));
    if path.exists() {
        return path;
    }
    fs::create_dir_all(&folder).unwrap();
    let partial = folder.join("flows.partial");
    let mut out = BufWriter::new(File::create(&partial).unwrap());
    let mut traffic = Traffic::seeded(1);
    for _ in 0..flows {
        let flow = flow_to_wire(&traffic.flow(), Details::Omit);
        writeln!(out, "{}", proto::json::to_line(&flow_response(flow))).unwrap();
    }
    out.flush().unwrap();
    fs::rename(&partial, &path).unwrap();
    path
}

fn observe(program: &Path, file: &Path, layout: &str) -> (Taken, Vec<u8>) {
    let mut command = Command::new(program);
    command.arg("observe").arg("--input-file").arg(file).args(FILTERS).args(["--output", layout]);
    timed(&mut command)
}

/// Runs to the end; the processor time is that of all threads.
fn timed(command: &mut Command) -> (Taken, Vec<u8>) {
    let before = children();
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap();
    let wall = start.elapsed();
    assert!(output.status.success());
    (Taken { wall, processor: children() - before }, output.stdout)
}

/// Processor time of the children that have ended: fields 16 and 17, in hundredths of a second.
fn children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks: u64 = after_name.split_whitespace().skip(13).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
