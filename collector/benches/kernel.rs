//! What the kernel programs cost. `cargo bench -p collector --bench kernel`, as root.
//!
//! The figures are the kernel's own: `BPF_PROG_TEST_RUN` for packets and rings, run statistics for real traffic.

use std::io::Write as _;

use collector::capture::bench::{live_costs, packet_costs, ring_throughput};

/// One flow, 16,384 and 65,536 flows.
const PORT_MASKS: [u16; 3] = [0, 0x3fff, 0xffff];
const PACKETS: u32 = 1_000_000;
const RECORDS: u32 = 2_000_000;
const ROUNDS: usize = 20_000;

fn main() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for cost in packet_costs(&PORT_MASKS, PACKETS)? {
        let above = cost.program_ns - cost.empty_ns;
        writeln!(
            out,
            "{:44} {:5.0} ns/packet ({above:.0} above an empty program's {:.0})",
            cost.case, cost.program_ns, cost.empty_ns
        )?;
    }
    for ring in ring_throughput(RECORDS)? {
        writeln!(
            out,
            "ring, {:4} records of {:3} bytes: offered {:.2} M/s, delivered {:.2} M/s, {} lost",
            ring.case,
            ring.record_bytes,
            ring.offered_per_s / 1e6,
            ring.delivered_per_s / 1e6,
            ring.lost
        )?;
    }
    // A thread of its own, because it stays in the namespace of the measurement.
    let live = std::thread::spawn(|| live_costs(ROUNDS)).join().expect("the measuring thread does not panic")?;
    for cost in live {
        writeln!(
            out,
            "live, {:15} {:5.0} ns/run, {:7} runs, {:6} instructions verified",
            cost.program,
            cost.ns_per_run,
            cost.runs,
            cost.verified_instructions.unwrap_or(0)
        )?;
    }
    Ok(())
}
