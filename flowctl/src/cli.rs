//! The command line as typed: commands, flags, help.

mod filters;
mod observe;
mod server;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use filters::{FilterFlags, FilterOccurrence};
pub(crate) use observe::{FormatFlags, ObserveFlags, SelectorFlags};
pub(crate) use server::ServerFlags;

/// Sees what flows on the network: who talks to whom, what is dropped and why.
#[derive(Debug, Parser)]
#[command(
    name = "flowctl",
    version,
    args_override_self = true,
    disable_help_subcommand = false,
    after_help = "Servers: a Weir relay (default localhost:4245), a Weir collector (localhost:4244 or \
                  unix:///var/run/weir/observer.sock), or any Hubble server.\n\
                  Every server and global flag can also be set in the environment (FLOWCTL_SERVER, FLOWCTL_TLS, ..., or \
                  HUBBLE_SERVER, ...) and in the configuration file: see `flowctl config --help`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalFlags,
    #[command(flatten)]
    pub(crate) server: ServerFlags,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global flags")]
pub(crate) struct GlobalFlags {
    /// Configuration file [default: flowctl/config.yaml, else hubble/config.yaml, below $XDG_CONFIG_HOME or ~/.config]
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true)]
    pub(crate) config: Option<String>,
    /// Show debug messages
    #[arg(short = 'D', long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL")]
    pub(crate) debug: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show flows of a server, or of a file
    #[command(args_conflicts_with_subcommands = true, after_help = OBSERVE_HELP)]
    Observe(Box<Observe>),
    /// Show the state of a server
    Status(StatusFlags),
    /// List nodes or namespaces
    List(List),
    /// Ask the relay's history with SQL
    #[command(after_help = SQL_HELP)]
    Sql(SqlFlags),
    /// Watch what changes
    #[command(subcommand)]
    Watch(Watch),
    /// Show or change the configuration
    #[command(after_help = CONFIG_HELP)]
    Config(Config),
    /// Print the server's API as its reflection service tells it, one JSON object a file
    #[command(hide = true)]
    Reflect,
    /// Print the completion script of a shell
    Completion {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version,
}

/// `observe`, which is `observe flows`.
#[derive(Debug, Args)]
pub(crate) struct Observe {
    #[command(flatten)]
    pub(crate) flags: ObserveFlags,
    #[command(subcommand)]
    pub(crate) what: Option<ObserveWhat>,
}

/// Kinds of events.
#[derive(Debug, Subcommand)]
pub(crate) enum ObserveWhat {
    /// Show flows of a server, or of a file
    #[command(after_help = OBSERVE_HELP)]
    Flows(Box<ObserveFlags>),
}

/// Flags of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusFlags {
    /// Layout of the output: compact, dict, json or table
    #[arg(short, long, default_value = "compact", value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) output: StatusOutput,
}

/// Layouts of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusOutput {
    Compact,
    Dict,
    #[value(aliases = ["JSON", "jsonpb"])]
    Json,
    #[value(alias = "tab")]
    Table,
}

/// `list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(subcommand)]
    pub(crate) what: ListWhat,
}

/// What to list.
#[derive(Debug, Subcommand)]
pub(crate) enum ListWhat {
    /// List the nodes behind a relay
    #[command(alias = "node")]
    Nodes(ListFlags),
    /// List the namespaces seen in recent flows
    Namespaces(ListFlags),
}

/// Flags of `list`.
#[derive(Debug, Args)]
pub(crate) struct ListFlags {
    /// Layout of the output: table, wide (more columns) or json
    #[arg(short, long, default_value = "table", value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) output: ListOutput,
}

/// Layouts of `list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListOutput {
    Table,
    Wide,
    Json,
}

/// Flags of `sql`.
#[derive(Debug, Args)]
pub(crate) struct SqlFlags {
    /// The query; left out, it is read from standard input
    #[arg(value_name = "QUERY", conflicts_with = "file")]
    pub(crate) query: Option<String>,
    /// Read the query from this file (`-` for standard input)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Layout of the output: table, csv or json
    #[arg(short, long, default_value = "table", value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) output: SqlOutput,
}

/// Layouts of `sql`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SqlOutput {
    Table,
    Csv,
    Json,
}

/// What to watch.
#[derive(Debug, Subcommand)]
pub(crate) enum Watch {
    /// Print the peers of a collector or agent, and each change of them
    #[command(alias = "peer")]
    Peers,
}

/// `config`.
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) action: Option<ConfigAction>,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print all settings as they count now
    View,
    /// Print one setting, or all
    Get {
        /// Name of the setting
        key: Option<String>,
    },
    /// Change a setting in the configuration file
    Set {
        /// Name of the setting
        key: String,
        /// New value; left out, the default counts again
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
    },
    /// Take one setting, or all, out of the configuration file
    Reset {
        /// Name of the setting
        key: Option<String>,
    },
}

const OBSERVE_HELP: &str = "\
Values of the same filter flag are alternatives; a flow must match every filter flag that is given, and none of those \
that follow a --not.

Examples:
  The last flows, then new ones as they come:
    flowctl observe --last 20 --follow
  What was dropped in the last five minutes, with the kernel's reason, bytes and processes:
    flowctl observe --since 5m --verdict DROPPED -o wide
  PUT or GET requests that did not come from the namespace monitoring:
    flowctl observe --http-method put --http-method get --not --from-namespace monitoring
  Save flows and read them again:
    flowctl observe --all -o json > flows.json
    flowctl observe --input-file flows.json --port 80";

const SQL_HELP: &str = "\
The table is called `flows`; `DESCRIBE flows` lists its columns. The query goes to the relay's HTTP API at \
--http-server: by default port 12000 of the host of --server.

Examples:
  flowctl sql 'SELECT verdict, count(*) AS flows FROM flows GROUP BY verdict'
  flowctl sql -f report.sql -o csv > report.csv";

const CONFIG_HELP: &str = "\
Server and global flags can be set in four places; an earlier place wins:

1. Flag
2. Environment variable: the flag's name in capitals with underscores, after FLOWCTL_ or HUBBLE_ (FLOWCTL_ wins): \
--tls-server-name is FLOWCTL_TLS_SERVER_NAME
3. Configuration file: flowctl/config.yaml below $XDG_CONFIG_HOME (else ~/.config); as long as it does not exist, \
hubble/config.yaml beside it is read
4. Default value";
