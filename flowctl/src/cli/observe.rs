//! Flags of `observe`.

use std::path::PathBuf;

use clap::Args;

use super::FilterFlags;
use crate::moments::TimeLayout;
use crate::settings::parse_bool;

/// Flags of `observe`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ObserveFlags {
    #[command(flatten)]
    pub(crate) selectors: SelectorFlags,
    #[command(flatten)]
    pub(crate) filters: FilterFlags,
    #[command(flatten)]
    pub(crate) raw: RawFilterFlags,
    #[command(flatten)]
    pub(crate) format: FormatFlags,
    #[command(flatten)]
    pub(crate) other: OtherFlags,
}

/// Which part of the history.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Selector flags")]
pub(crate) struct SelectorFlags {
    /// All flows held; give filters too, for there may be many
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_parser = parse_bool, hide_default_value = true, value_name = "BOOL")]
    pub(crate) all: bool,
    /// The last N flows that match; a relay of Hubble's gives N of each node [default: 20]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) last: u64,
    /// The first N flows that match; a relay of Hubble's gives N of each node
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) first: u64,
    /// Go on with new flows as they come
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = parse_bool, hide_default_value = true, value_name = "BOOL")]
    pub(crate) follow: bool,
    /// From this time on: a duration back from now (30s, 5m, 1h30m) or a time in any layout of --time-format
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Up to this time, in the same forms; ignored with --follow
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
}

/// Filters in Hubble's own form.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Raw filter flags")]
pub(crate) struct RawFilterFlags {
    /// Show what one of these filters matches, written as JSON of Hubble's FlowFilter
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) allowlist: Vec<String>,
    /// Exclude what one of these filters matches, written as JSON of Hubble's FlowFilter
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) denylist: Vec<String>,
    /// Print the filters that the flags stand for as YAML and stop; the configuration file takes them
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_parser = parse_bool, hide_default_value = true, value_name = "BOOL")]
    pub(crate) print_raw_filters: bool,
}

/// How to show flows.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Formatting flags")]
pub(crate) struct FormatFlags {
    /// Layout: compact (a line a flow), dict (a block a flow), table (aligned columns), wide (columns with bytes,
    /// packets, round-trip time, process and the kernel's drop reason), json or jsonpb (a JSON object a line)
    #[arg(short, long, default_value = "compact", value_name = "FORMAT", allow_hyphen_values = true)]
    pub(crate) output: String,
    /// Show the observing node
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_parser = parse_bool, hide_default_value = true, value_name = "BOOL")]
    pub(crate) print_node_name: bool,
    /// Show which policies allowed or denied
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_parser = parse_bool, hide_default_value = true, value_name = "BOOL")]
    pub(crate) print_policy_names: bool,
    #[arg(long, default_value = "StampMilli", value_name = "LAYOUT", allow_hyphen_values = true, help = time_help())]
    pub(crate) time_format: String,
    /// Colours: auto, always or never
    #[arg(long, default_value = "auto", value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) color: String,
    /// Show names of pods, services and DNS in place of addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true",
          value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) ip_translation: bool,
    /// Show addresses only; the same as --ip-translation=false
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false",
          value_parser = parse_bool, hide_default_value = true, value_name = "BOOL")]
    pub(crate) numeric: bool,
}

/// The rest.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Other flags")]
pub(crate) struct OtherFlags {
    /// Read flows from this file (`-` for standard input), as `-o json` writes them, in place of a server
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub(crate) input_file: Option<PathBuf>,
    /// Ask only for these fields of flows, separated by commas; with -o json only
    #[arg(long, value_name = "FIELDS", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) field_mask: Vec<String>,
    /// Ask only for the fields that the layout shows
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true",
          value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) use_default_field_masks: bool,
    /// Do not print warnings and news about nodes
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = parse_bool, hide_default_value = true, value_name = "BOOL")]
    pub(crate) silent_errors: bool,
}

fn time_help() -> String {
    let mut help = "Layout of times in text output, all in UTC. One of:".to_owned();
    for (name, _, example) in TimeLayout::NAMES {
        help += &format!("\n  {name:<23} {example}");
    }
    help
}
