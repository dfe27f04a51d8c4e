//! The command line, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const PRECEDENCE: &str = "Settings come from the defaults, then the configuration file, then the environment \
(WEIR_COLLECTOR__RING__FLOWS_MAX=1000 sets collector.ring.flows_max), then flags. `weir config print` shows the result.";

#[derive(Debug, Parser)]
#[command(version, about = "Who talks to whom, what was dropped, why, and since when", after_help = PRECEDENCE)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Configuration file (YAML); unknown keys are errors
    #[arg(long, global = true, value_name = "FILE", env = "WEIR_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Set any key of the configuration, such as collector.ring.flows_max=1000; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// What to log: a level, or a filter such as info,collector=debug
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Collect flows on this node and serve them by Hubble's API
    Collector(CollectorArgs),
    /// Gather flows from every node, index them, answer queries, serve the web UI
    Relay(RelayArgs),
    /// Collector and relay in one process: all of Weir for one machine
    Up(UpArgs),
    /// Say what this machine's kernel and privileges allow
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show or check the configuration
    Config {
        /// What to do
        action: ConfigAction,
        /// Whose configuration
        #[arg(long, value_enum, default_value_t = Role::Up)]
        role: Role,
    },
    /// Make traffic to measure with
    #[command(subcommand)]
    Bench(crate::bench::BenchCommand),
    /// List, check, compact, copy out and take in the flows of a store
    Store(crate::store::StoreArgs),
    /// Print a completion script
    Completion {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ConfigAction {
    /// Print the configuration that would run, as YAML
    Print,
    /// Say nothing if the configuration is good, else what is wrong with it
    Check,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    /// The collector's
    Collector,
    /// The relay's
    Relay,
    /// That of both in one process
    Up,
}

/// Parts of Weir a process can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The collector alone.
    Collector,
    /// The relay alone.
    Relay,
    /// Both, joined.
    Both,
}

#[derive(Args, Debug, Default)]
pub(crate) struct CollectorArgs {
    /// Read flows from a file of Hubble JSON lines instead of the kernel; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "pcap")]
    pub(crate) replay: Option<PathBuf>,

    /// Read packets from a capture file (pcap, pcapng) instead of the kernel
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,

    /// File that names addresses, network namespaces and units
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,

    /// Name of this node in flows [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,

    /// Address of the Observer API [default: port 4244]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) observer: Option<String>,

    /// Relay to send flows to, such as http://relay:4245
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Option<String>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct RelayArgs {
    /// Address of the gRPC API [default: 127.0.0.1:4245]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) grpc: Option<String>,

    /// Address of the web UI and the JSON API [default: 127.0.0.1:12000]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<String>,

    /// Hubble observer to pull flows from, as host:port; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) peer: Vec<String>,

    /// Service that tells of such observers, as unix:///var/run/cilium/hubble.sock or host:port; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) peer_service: Vec<String>,

    /// Serve the web UI from this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) ui_dir: Option<PathBuf>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) collector: CollectorArgs,
    #[command(flatten)]
    pub(crate) relay: RelayArgs,
}

impl Command {
    /// Part this command runs; `None` for commands that only tell something.
    pub(crate) const fn part(&self) -> Option<Part> {
        match self {
            Self::Collector(_) => Some(Part::Collector),
            Self::Relay(_) => Some(Part::Relay),
            Self::Up(_) => Some(Part::Both),
            _ => None,
        }
    }

    /// Flags of the collector, where the command has them.
    pub(crate) const fn collector_args(&self) -> Option<&CollectorArgs> {
        match self {
            Self::Collector(args) => Some(args),
            Self::Up(args) => Some(&args.collector),
            _ => None,
        }
    }

    /// Flags of the relay, where the command has them.
    pub(crate) const fn relay_args(&self) -> Option<&RelayArgs> {
        match self {
            Self::Relay(args) => Some(args),
            Self::Up(args) => Some(&args.relay),
            _ => None,
        }
    }
}

impl Role {
    /// Part whose configuration it is.
    pub(crate) const fn part(self) -> Part {
        match self {
            Self::Collector => Part::Collector,
            Self::Relay => Part::Relay,
            Self::Up => Part::Both,
        }
    }
}
