//! Flows per second from kernel records to the history, on one core: decode, conversations, sockets, names, metrics,
//! history. `cargo bench -p collector --bench pipeline`.
//!
//! 10,000 named endpoints, 100,000 connections. Each figure is the best of some runs by the processor time of the
//! thread: other programs may use the machine at the same time.

use std::time::Duration;

use collector::Offline;
use collector::source::Captured;
use ebpf_abi::FlowRecord;
use traffic::measure::taken;
use zerocopy::IntoBytes as _;

mod records;

use records::{CONNECTIONS, keep_history, record, socket, stages, wait_for_history};

const RUNS: u32 = 9;

fn take(path: &mut Offline, records: &[FlowRecord]) {
    for chunk in records.chunks(1_024) {
        for record in chunk {
            path.take(Captured::Record(record.as_bytes()));
        }
        path.publish();
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what a benchmark has to say")]
fn report(what: &str, best: Duration) {
    let each = best.as_secs_f64() / f64::from(CONNECTIONS);
    println!("{what:<40} {:>8.2} M flows/s {:>6.0} ns each", 1e-6 / each, each * 1e9);
}

fn process_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.expect("every Linux has this clock").into()
}

fn main() {
    let mut path = stages();
    keep_history(&path);
    for number in 0..CONNECTIONS {
        path.take(Captured::Record(socket(number).as_bytes()));
    }
    let (mut round, mut beside) = (0, Duration::MAX);
    let mut run = |what: &str, runs: u32| {
        let times = (0..runs).map(|_| {
            let records: Vec<FlowRecord> = (0..CONNECTIONS).map(|number| record(number, round)).collect();
            round += 1;
            let (mut time, all) = (Duration::ZERO, process_time());
            let own = taken(|| {
                time = taken(|| take(&mut path, &records));
                wait_for_history(&path);
            });
            beside = beside.min(process_time() - all - own);
            time
        });
        report(what, times.min().expect("at least one run"));
    };
    run("first packets", 1);
    run("reports of known connections", RUNS);
    report("making rows of them, on another thread", beside);
    assert_eq!(path.flows().head(), u64::from(CONNECTIONS * (1 + RUNS)), "every record is a flow");
}
