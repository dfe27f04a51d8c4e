//! The programs of the object, and how each is brought into the kernel.

use aya::programs::{BtfTracePoint, Iter, ProgramError, SchedClassifier};
use aya::{Btf as KernelTypes, Ebpf};

use super::btf::Btf;
use super::feature::{Feature, Tier};

/// How a program gets into the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Every observed link; attached later.
    Link,
    /// A tracepoint with typed arguments, of which at least this many are needed.
    Tracepoint(&'static str, usize),
    /// An iterator; run at the start.
    Iterator(&'static str),
}

/// One program.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) program: &'static str,
    what: &'static str,
    tier: Tier,
    since: &'static str,
    place: Place,
}

const fn hook(program: &'static str, what: &'static str, tier: Tier, since: &'static str, place: Place) -> Hook {
    Hook { program, what, tier, since, place }
}

/// All programs, in the order they are tried.
pub(super) const HOOKS: [Hook; 17] = [
    hook("link_in", "packets from Ethernet links", Tier::Base, "5.15", Place::Link),
    hook("link_out", "packets to Ethernet links", Tier::Base, "5.15", Place::Link),
    hook("raw_in", "packets from tunnels without Ethernet header", Tier::Full, "5.15", Place::Link),
    hook("raw_out", "packets to tunnels without Ethernet header", Tier::Full, "5.15", Place::Link),
    hook("skb_drop", "drops and their reasons", Tier::Full, "5.17", Place::Tracepoint("kfree_skb", 3)),
    hook("sock_state", "connections of processes", Tier::Full, "5.15", Place::Tracepoint("inet_sock_set_state", 3)),
    hook("sock_send", "owners of sockets, payload sent", Tier::Full, "6.3", Place::Tracepoint("sock_send_length", 3)),
    hook(
        "sock_receive",
        "owners of sockets, payload received",
        Tier::Full,
        "6.3",
        Place::Tracepoint("sock_recv_length", 3),
    ),
    hook("retransmit", "retransmissions", Tier::Full, "5.15", Place::Tracepoint("tcp_retransmit_skb", 2)),
    hook("reset_received", "resets received", Tier::Full, "5.15", Place::Tracepoint("tcp_receive_reset", 1)),
    hook("reset_sent", "resets sent and their reasons", Tier::Extra, "6.10", Place::Tracepoint("tcp_send_reset", 3)),
    hook("icmp_sent", "ICMP errors sent", Tier::Extra, "6.11", Place::Tracepoint("icmp_send", 3)),
    hook("process_exec", "programs started", Tier::Full, "5.15", Place::Tracepoint("sched_process_exec", 3)),
    hook("process_exit", "processes ended", Tier::Full, "5.15", Place::Tracepoint("sched_process_exit", 1)),
    hook("walk_files", "owners of sockets there were before", Tier::Full, "5.15", Place::Iterator("task_file")),
    hook("walk_tcp", "TCP sockets there were before", Tier::Full, "5.15", Place::Iterator("tcp")),
    hook("walk_udp", "UDP sockets there were before", Tier::Full, "5.15", Place::Iterator("udp")),
];

impl Hook {
    /// Name of the feature.
    fn feature(&self) -> String {
        match self.place {
            Place::Link => format!("{} (tc/{})", self.what, self.program),
            Place::Tracepoint(name, _) => format!("{} (tp_btf/{name})", self.what),
            Place::Iterator(name) => format!("{} (iter/{name})", self.what),
        }
    }

    /// Loads the program, and attaches it where it is a tracepoint and `attach` says so.
    pub(super) fn load(&self, ebpf: &mut Ebpf, kernel: &Kernel<'_>, attach: bool) -> (Feature, Option<ProgramError>) {
        if let Place::Tracepoint(name, arguments) = self.place
            && kernel.btf.tracepoint_arguments(name).is_none_or(|count| count < arguments)
        {
            let why = match kernel.btf.has_tracepoint(name) {
                true => format!("the tracepoint {name} of this kernel lacks an argument; Linux {} has it", self.since),
                false => format!("this kernel has no tracepoint {name}; Linux {} has it", self.since),
            };
            return (Feature::fails(self.feature(), self.tier, why), None);
        }
        match self.try_load(ebpf, kernel.types, attach) {
            Ok(instructions) => {
                let fact = instructions.map_or_else(String::new, |count| format!("{count} instructions verified"));
                (Feature::works(self.feature(), self.tier, fact), None)
            }
            Err(error) => (Feature::fails(self.feature(), self.tier, why(&error)), Some(error)),
        }
    }

    fn try_load(&self, ebpf: &mut Ebpf, types: &KernelTypes, attach: bool) -> Result<Option<u32>, ProgramError> {
        let Some(program) = ebpf.program_mut(self.program) else { return Err(ProgramError::NotLoaded) };
        match self.place {
            Place::Link => {
                let program: &mut SchedClassifier = program.try_into()?;
                program.load()?;
                Ok(program.info()?.verified_instruction_count())
            }
            Place::Tracepoint(name, _) => {
                let program: &mut BtfTracePoint = program.try_into()?;
                program.load(name, types)?;
                if attach {
                    program.attach()?;
                }
                Ok(program.info()?.verified_instruction_count())
            }
            Place::Iterator(name) => {
                let program: &mut Iter = program.try_into()?;
                program.load(name, types)?;
                Ok(program.info()?.verified_instruction_count())
            }
        }
    }
}

/// The kernel's types, for us and for aya.
#[derive(Debug)]
pub(super) struct Kernel<'a> {
    pub(super) btf: &'a Btf,
    pub(super) types: &'a KernelTypes,
}

/// One line of what went wrong; of the verifier's words the last that say something.
fn why(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let said = log.lines().rev().map(str::trim).find(|line| {
                !line.is_empty()
                    && !["processed ", "verification time", "stack depth"].iter().any(|it| line.starts_with(it))
            });
            said.map_or_else(|| io_error.to_string(), |said| format!("{io_error}: {said}"))
        }
        other => chain(other),
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        // Some errors of aya already hold the words of their cause.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}
