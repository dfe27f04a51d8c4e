//! Memory of the collector's stages while 100,000 connections live, over some rounds of reports, with the history full.
//! `cargo bench -p collector --bench memory`.
//!
//! The figures are what the kernel says of this process: resident memory, now and at its highest.

use collector::Offline;
use collector::source::Captured;
use traffic::measure::memory_of;
use zerocopy::IntoBytes as _;

mod records;

use records::{CONNECTIONS, keep_history, record, socket, stages, wait_for_history};

const ROUNDS: u64 = 10;

/// Mebibytes of this process under a name of its status.
fn mebibytes(name: &str) -> f64 {
    let bytes = memory_of(std::process::id(), name).expect("every Linux tells");
    bytes as f64 / f64::from(1 << 20)
}

#[expect(clippy::print_stdout, reason = "the figures are what a benchmark has to say")]
fn report(what: &str) {
    println!("{what:<52} {:>7.1} MiB, at most {:.1}", mebibytes("VmRSS"), mebibytes("VmHWM"));
}

/// Waits until older flows are rows, and what is free was given back.
#[expect(clippy::disallowed_methods, reason = "the allocator does not tell when it has")]
fn calm(path: &Offline) {
    const GIVEN_BACK_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
    wait_for_history(path);
    std::thread::sleep(GIVEN_BACK_WITHIN);
}

fn main() {
    report("program alone");
    let mut path = stages();
    keep_history(&path);
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
            calm(&path);
            report("100,000 connections, history full");
        }
    }
    calm(&path);
    report("the same after ten rounds of reports");
}
