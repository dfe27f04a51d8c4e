//! What the programs cost, measured by the kernel itself. Used by `cargo bench -p collector --bench kernel`.

mod live;
mod packets;
mod run;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use aya::programs::SchedClassifier;
use aya::sys::{Stats, enable_stats};

use super::config::CaptureConfig;
use super::error::CaptureError;
use super::hooks::HOOKS;
use super::kernel::{Kernel, Prepared};
use super::map::MapError;
use super::ring::Rings;
use super::stats::Counters;
use super::sweep::Account;

/// Nanoseconds a packet costs.
#[derive(Clone, Debug, PartialEq)]
pub struct PacketCost {
    /// What was measured.
    pub case: String,
    /// Nanoseconds of a program that does nothing, measured the same way.
    pub empty_ns: f64,
    /// Nanoseconds of the program.
    pub program_ns: f64,
}

/// Records a second that go through a ring while one thread reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct RingThroughput {
    /// What was measured.
    pub case: String,
    /// Bytes of one record.
    pub record_bytes: usize,
    /// Records a second the program made or wanted to make.
    pub offered_per_s: f64,
    /// Records a second the reader got.
    pub delivered_per_s: f64,
    /// Records the ring had no room for.
    pub lost: u64,
}

/// What a program cost on real traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramCost {
    /// Name of the program.
    pub program: &'static str,
    /// How often it ran.
    pub runs: u64,
    /// Nanoseconds of one run, the kernel's own measuring (some tens of them) included.
    pub ns_per_run: f64,
    /// Instructions the verifier looked at when it was loaded; `None` where the kernel does not tell.
    pub verified_instructions: Option<u32>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The programs could not be loaded.
    #[error("loading the programs failed")]
    Load(#[from] CaptureError),
    /// The tables could not be read.
    #[error("reading the tables failed")]
    Map(#[from] MapError),
    /// The kernel refused to run a program, or traffic could not be made.
    #[error("running a program failed")]
    Run(#[from] io::Error),
}

/// Measures what an established packet costs while as many flows are live as each mask has values (`0` is one flow,
/// `0x3fff` 16,384). `repeat` packets make a round; of five rounds the best counts, because whatever else the machine
/// does only ever adds.
///
/// # Errors
/// The programs cannot be loaded or run here.
pub fn packet_costs(port_masks: &[u16], repeat: u32) -> Result<Vec<PacketCost>, BenchError> {
    let empty = run::empty_program()?;
    let mut costs = Vec::new();
    for mask in port_masks {
        for (version, packet) in [(4, packets::tcp_v4()), (6, packets::tcp_v6())] {
            let mut prepared = Prepared::with_bench_port_mask(&CaptureConfig::default(), false, (*mask).into())?;
            let program = link_program(&mut prepared)?;
            costs.push(PacketCost {
                case: format!("link_in, TCP over IPv{version}, {} flows", u32::from(*mask) + 1),
                empty_ns: best_of_five(empty.as_fd(), &packet, repeat)?,
                program_ns: best_of_five(program, &packet, repeat)?,
            });
        }
    }
    Ok(costs)
}

fn link_program(prepared: &mut Prepared) -> io::Result<BorrowedFd<'_>> {
    let program = prepared.ebpf.program_mut("link_in").ok_or(io::ErrorKind::NotFound)?;
    let program: &mut SchedClassifier = program.try_into().map_err(io::Error::other)?;
    Ok(program.fd().map_err(io::Error::other)?.as_fd())
}

fn best_of_five(program: BorrowedFd<'_>, packet: &[u8], repeat: u32) -> io::Result<f64> {
    let rounds = (0..5).map(|_| run::test_run(program, packet, repeat));
    let rounds = rounds.collect::<io::Result<Vec<Duration>>>()?;
    Ok(rounds.into_iter().min().unwrap_or_default().as_secs_f64() * 1e9)
}

/// Measures how many records go through a ring: one thread makes them as fast as the program can, this one reads them.
///
/// # Errors
/// The programs cannot be loaded or run here.
pub fn ring_throughput(records: u32) -> Result<Vec<RingThroughput>, BenchError> {
    // Nearly every packet of the first case is the first of its flow, because the map holds but a few.
    let few_flows = CaptureConfig { flows_max: 64, ..CaptureConfig::default() };
    let cases = [
        ("flow", 136, few_flows, u32::from(u16::MAX), packets::tcp_v4()),
        ("dns", 592, CaptureConfig::default(), 0, packets::dns()),
    ];
    let mut measured = Vec::new();
    for (case, record_bytes, config, mask, packet) in cases {
        let mut prepared = Prepared::with_bench_port_mask(&config, false, mask)?;
        let mut rings = Rings::take(&mut prepared.ebpf)?;
        let counters = Counters::take(&mut prepared.ebpf)?;
        let program = link_program(&mut prepared)?;
        let (began, mut delivered) = (Instant::now(), 0);
        std::thread::scope(|scope| {
            let producer = scope.spawn(|| run::test_run(program, &packet, records));
            while !producer.is_finished() {
                if rings.drain(&mut |_| delivered += 1).records == 0 {
                    std::thread::yield_now();
                }
            }
            producer.join().map_err(|_| io::Error::other("the producer panicked"))?
        })?;
        let seconds = began.elapsed().as_secs_f64();
        let total = counters.read(Account::default(), Account::default())?.total();
        measured.push(RingThroughput {
            case: case.to_owned(),
            record_bytes,
            offered_per_s: total.seen as f64 / seconds,
            delivered_per_s: f64::from(delivered) / seconds,
            lost: total.lost,
        });
    }
    Ok(measured)
}

/// Measures every program on real traffic: `rounds` requests and answers, connections, and refused datagrams over the
/// loopback device of a namespace of its own. Moves the calling thread into that namespace, so call it from a thread
/// that ends.
///
/// # Errors
/// The programs cannot be loaded here, or the namespace cannot be made.
pub fn live_costs(rounds: usize) -> Result<Vec<ProgramCost>, BenchError> {
    live::enter_empty_namespace()?;
    let mut kernel = Kernel::load(&CaptureConfig { loopback: true, ..CaptureConfig::default() })?;
    // Our own payload would not be captured.
    kernel.measure_own_process()?;
    let _while_held = enable_stats(Stats::RunTime).map_err(io::Error::other)?;
    live::requests(rounds)?;
    live::connections(rounds / 10)?;
    live::refused(rounds / 10)?;
    while kernel.drain(&mut |_| {}).more {}
    let mut costs = Vec::new();
    for hook in &HOOKS {
        let Some(info) = kernel.ebpf.program(hook.program).and_then(|program| program.info().ok()) else { continue };
        let runs = info.run_count();
        if runs > 0 {
            let ns_per_run = info.run_time().as_secs_f64() * 1e9 / runs as f64;
            let verified_instructions = info.verified_instruction_count();
            costs.push(ProgramCost { program: hook.program, runs, ns_per_run, verified_instructions });
        }
    }
    Ok(costs)
}
