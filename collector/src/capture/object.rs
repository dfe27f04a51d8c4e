//! The object with the programs, and loading it.

use aya::programs::{ProgramError, ProgramType, SchedClassifier, TestRunOptions};
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Ebpf, EbpfLoader, TestRun};
use ebpf_abi::{Offsets, Settings, Syscalls, feature};
use zerocopy::IntoBytes;

use super::btf::Btf;
use super::config::CaptureConfig;
use super::error::CaptureError;
use super::feature::{Feature, Tier};
use super::names::KernelNumbers;
use super::offsets;

/// Built by `cargo xtask ebpf` from `ebpf/programs`, and compared with it by `cargo xtask ebpf --check`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../ebpf/prebuilt/weir.bpf.o");

/// Fields nothing works without: the programs load them as the kernel's own types, which the verifier checks.
const ESSENTIAL: [&str; 4] = ["sock_common.skc_family", "socket.sk", "sk_buff.head", "sk_buff.network_header"];

/// An object whose tables exist, and what was found out on the way.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    pub(super) features: Vec<Feature>,
    pub(super) own_tgid: u32,
}

/// Makes the tables and freezes offsets and settings.
pub(super) fn load(
    config: &CaptureConfig,
    btf: &Btf,
    names: &KernelNumbers,
    bench_port_mask: u32,
) -> Result<Loaded, CaptureError> {
    let found = offsets::find(btf);
    let missing: Vec<&str> = ESSENTIAL.into_iter().filter(|field| found.missing.iter().any(|it| it == field)).collect();
    if !missing.is_empty() {
        return Err(CaptureError::UnknownTypes { missing: missing.join(", ") });
    }
    let mut features = vec![types_feature(&found.missing)];
    let settings = Settings { bench_port_mask, ..settings(config, names, &mut features) };
    let mut ebpf = load_tables(config, &found.offsets, &settings)?;
    let own_tgid = whoami(&mut ebpf)?;
    Ok(Loaded { ebpf, features, own_tgid })
}

fn types_feature(missing: &[String]) -> Feature {
    const NAME: &str = "the kernel's types (BTF)";
    match missing {
        [] => Feature::works(NAME, Tier::Base, "all fields found"),
        some => Feature::works(NAME, Tier::Base, format!("reported as zero, because not found: {}", some.join(", "))),
    }
}

fn load_tables(config: &CaptureConfig, offsets: &Offsets, settings: &Settings) -> Result<Ebpf, CaptureError> {
    let mut loader = EbpfLoader::new();
    loader
        .override_global("OFFSETS", offsets.as_bytes(), true)
        .override_global("SETTINGS", settings.as_bytes(), true)
        .map_max_entries("CTRL", CaptureConfig::ring_bytes(config.ctrl_ring_bytes))
        .map_max_entries("DATA", CaptureConfig::ring_bytes(config.data_ring_bytes))
        .map_max_entries("FLOWS", config.flows_max.max(1))
        .map_max_entries("DROPS", config.drops_max.max(1));
    loader.load(OBJECT).map_err(CaptureError::from_load)
}

fn settings(config: &CaptureConfig, names: &KernelNumbers, features: &mut Vec<Feature>) -> Settings {
    let mut bits = 0;
    for (bit, helper, name, why) in [
        (
            feature::NETNS_COOKIE,
            BpfHelper::BPF_FUNC_get_netns_cookie,
            "namespace of a packet's socket (bpf_get_netns_cookie)",
            "this kernel has no such helper for links; a flow's namespace comes from its link and its socket's record",
        ),
        (
            feature::COARSE_CLOCK,
            BpfHelper::BPF_FUNC_ktime_get_coarse_ns,
            "cheap clock (bpf_ktime_get_coarse_ns)",
            "this kernel has no such helper; the precise clock is used, which costs a little for each packet",
        ),
    ] {
        match is_helper_supported(ProgramType::SchedClassifier, helper) {
            Ok(true) => {
                bits |= bit;
                features.push(Feature::works(name, Tier::Extra, ""));
            }
            Ok(false) => features.push(Feature::fails(name, Tier::Extra, why)),
            Err(error) => features.push(Feature::fails(name, Tier::Extra, super::hooks::chain(&error))),
        }
    }
    let payload_cap = CaptureConfig::payload_class(config.payload_bytes_max);
    bits |= if config.dns { feature::DNS } else { 0 };
    bits |= if payload_cap == 0 { 0 } else { feature::PAYLOAD };
    Settings {
        features: bits,
        payload_cap,
        bench_port_mask: 0,
        ignored_reasons: ignored_reasons(config, names),
        syscalls: syscalls(),
    }
}

/// Reasons that are no drop, as bits.
fn ignored_reasons(config: &CaptureConfig, names: &KernelNumbers) -> [u32; 8] {
    const NEVER: [&str; 3] = ["NOT_DROPPED_YET", "CONSUMED", "NOT_SPECIFIED"];
    let mut bits = [0u32; 8];
    for name in NEVER.into_iter().chain(config.ignored_drop_reasons.iter().map(String::as_str)) {
        let Some(number) = names.number_of(name) else {
            tracing::debug!(reason = name, "this kernel does not know the ignored drop reason");
            continue;
        };
        if let Some(word) = bits.get_mut(number as usize / 32) {
            *word |= 1 << (number % 32);
        }
    }
    bits
}

fn syscalls() -> Syscalls {
    Syscalls {
        read: libc::SYS_read as u32,
        write: libc::SYS_write as u32,
        recvfrom: libc::SYS_recvfrom as u32,
        sendto: libc::SYS_sendto as u32,
        readv: libc::SYS_readv as u32,
        writev: libc::SYS_writev as u32,
        recvmsg: libc::SYS_recvmsg as u32,
        sendmsg: libc::SYS_sendmsg as u32,
        recvmmsg: libc::SYS_recvmmsg as u32,
        sendmmsg: libc::SYS_sendmmsg as u32,
    }
}

/// Lets the kernel say which process we are: inside a container our own number is another one.
fn whoami(ebpf: &mut Ebpf) -> Result<u32, CaptureError> {
    const PROGRAM: &str = "whoami";
    let failed = |cause| CaptureError::Program { program: PROGRAM, cause: Box::new(cause) };
    let program = ebpf.program_mut(PROGRAM).ok_or_else(|| failed(ProgramError::NotLoaded))?;
    let program: &mut SchedClassifier = program.try_into().map_err(failed)?;
    program.load().map_err(|error| match super::error::permission_in(&error) {
        true => CaptureError::Refused { doing: "to load a program", cause: Box::new(error) },
        false => failed(error),
    })?;
    let packet = [0u8; 64];
    let run = TestRunOptions { data_in: Some(&packet), ..TestRunOptions::new() };
    let outcome = program.test_run(run).map_err(failed)?;
    program.unload().map_err(failed)?;
    Ok(outcome.return_value)
}
