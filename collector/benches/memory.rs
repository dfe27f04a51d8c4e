//! Memory of the collector's stages while 100,000 connections live, over some rounds of reports, with the history full.
//! `cargo bench -p collector --bench memory`.
//!
//! The figures are what the kernel says of this process: resident memory, now and at its highest.

use collector::source::Captured;
use zerocopy::IntoBytes as _;

mod records;

use records::{CONNECTIONS, record, socket, stages};

const ROUNDS: u64 = 10;

/// Mebibytes of a line of `/proc/self/status`.
fn mebibytes(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("every Linux has this file");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
    let kibibytes = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>();
    kibibytes.expect("a number of kibibytes") / 1024.0
}

#[expect(clippy::print_stdout, reason = "the figures are what a benchmark has to say")]
fn report(what: &str) {
    println!("{what:<52} {:>7.1} MiB, at most {:.1}", mebibytes("VmRSS"), mebibytes("VmHWM"));
}

fn main() {
    report("program alone");
    let mut path = stages();
    report("10,000 named endpoints, empty tables and history");
    for number in 0..CONNECTIONS {
        path.take(Captured::Record(socket(number).as_bytes()));
    }
    path.publish();
    report("100,000 sockets with owners");
    for round in 0..ROUNDS {
        for number in 0..CONNECTIONS {
            path.take(Captured::Record(record(number, round).as_bytes()));
            if number % 1_024 == 0 {
                path.publish();
            }
        }
        path.publish();
        if round == 0 {
            report("100,000 connections, history full");
        }
    }
    report("the same after ten rounds of reports");
}
