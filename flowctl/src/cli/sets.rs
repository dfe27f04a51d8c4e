//! Flags of all commands, in the groups in which help shows them.

use std::sync::LazyLock;

use flow::filter::Selection;

use super::flag::{Flag, FlagKind};

/// A group of flags under one title.
#[derive(Debug)]
pub(crate) struct FlagSet {
    pub(crate) title: &'static str,
    pub(crate) flags: Vec<Flag>,
}

fn set(title: &'static str, flags: impl IntoIterator<Item = Flag>) -> FlagSet {
    let mut flags: Vec<Flag> = flags.into_iter().collect();
    flags.sort_by_key(|flag| flag.name);
    FlagSet { title, flags }
}

/// Name of the flag that negates the next filter flag.
pub(crate) const NOT: &str = "not";

const LAYOUTS: &str = "
  StampMilli              Jan 15 10:11:12.001
  YearMonthDay            2026-01-15
  YearMonthDayHour        2026-01-15T10Z
  YearMonthDayHourMinute  2026-01-15T10:11Z
  RFC3339                 2026-01-15T10:11:12Z
  RFC3339Milli            2026-01-15T10:11:12.001Z
  RFC3339Micro            2026-01-15T10:11:12.001002Z
  RFC3339Nano             2026-01-15T10:11:12.001002003Z
  RFC1123Z                Thu, 15 Jan 2026 10:11:12 +0000";

/// Which part of the history.
pub(super) static SELECTORS: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Selectors",
        [
            Flag::switch("all", "All flows held; give filters too, for there may be many"),
            Flag::new(
                "last",
                FlagKind::Uint,
                "0",
                "The last N flows that match, of each node behind a relay of Hubble's (20 where nothing else says which part)",
            ),
            Flag::new(
                "first",
                FlagKind::Uint,
                "0",
                "The first N flows that match, of each node behind a relay of Hubble's",
            ),
            Flag::switch("follow", "Go on with new flows as they come").short('f'),
            Flag::text(
                "since",
                "",
                "From this time on: a duration back from now (30s, 5m, 1h30m) or a time in any layout of --time-format",
            ),
            Flag::text("until", "", "Up to this time, in the same forms; of no effect with --follow"),
        ],
    )
});

/// Conditions on flows.
pub(super) static FILTERS: LazyLock<FlagSet> = LazyLock::new(|| {
    let conditions = Selection::NAMES.iter().map(|(name, help)| {
        let flag = Flag::new(name, FlagKind::Filter, "", help);
        let flag = match FILTER_SHORT.iter().find(|(n, _)| n == name) {
            Some((_, short)) => flag.short(*short),
            None => flag,
        };
        match FILTER_BARE.iter().find(|(n, _)| n == name) {
            Some((_, value)) => flag.bare(value),
            None => flag,
        }
    });
    let not =
        Flag::new(NOT, FlagKind::Filter, "", "Exclude what the next filter flag matches, e.g. --not --from-ip 2.2.2.2");
    let expression = Flag::text(
        "where",
        "",
        "Only flows for which this expression is true, e.g. 'verdict=dropped and latency > 250ms'; combines with all other filters",
    );
    set("Filters", conditions.chain([not.bare("true"), expression]))
});

/// Short forms of conditions.
const FILTER_SHORT: [(&str, char); 6] =
    [("namespace", 'n'), ("all-namespaces", 'A'), ("label", 'l'), ("type", 't'), ("ipv4", '4'), ("ipv6", '6')];

/// Conditions that need no value, and what they mean without one.
const FILTER_BARE: [(&str, &str); 7] = [
    ("all-namespaces", "true"),
    ("from-all-namespaces", "true"),
    ("to-all-namespaces", "true"),
    ("ipv4", "v4"),
    ("ipv6", "v6"),
    ("encrypted", "true"),
    ("unencrypted", "true"),
];

/// Filters in the form of the API.
pub(super) static RAW_FILTERS: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Raw-Filters",
        [
            Flag::new(
                "allowlist",
                FlagKind::StringArray,
                "[]",
                "Show what one of these filters matches, written as JSON of Hubble's FlowFilter",
            ),
            Flag::new(
                "denylist",
                FlagKind::StringArray,
                "[]",
                "Leave out what one of these filters matches, written as JSON of Hubble's FlowFilter",
            ),
        ],
    )
});

/// How events are shown.
pub(super) static FORMATTING: LazyLock<FlagSet> = LazyLock::new(|| {
    static TIME_FORMAT: LazyLock<String> =
        LazyLock::new(|| format!("Layout of times in text output, all in UTC. One of:{LAYOUTS}\n"));
    set(
        "Formatting",
        [
            Flag::text(
                "output",
                "compact",
                "Layout of the output, one of:
  compact  one line a flow
  dict     one line a value
  jsonpb   one JSON object a line
  json     the same as jsonpb
  table    aligned columns
  wide     columns with bytes, packets, round-trip time, process and the kernel's drop reason
  csv      rows of the flow table with a header
  ndjson   the same rows, one flat JSON object a line
  arrow    the same rows as a stream of Arrow's IPC format
  parquet  the same rows as a Parquet file
",
            )
            .short('o'),
            Flag::switch("print-node-name", "Show the observing node"),
            Flag::switch("print-policy-names", "Show which policies allowed or denied"),
            Flag::text("time-format", "StampMilli", TIME_FORMAT.as_str()),
        ],
    )
});

/// How flows are shown.
pub(super) static FLOW_FORMAT: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Flow Format",
        [
            Flag::switch("numeric", "Show addresses in place of names, the same as --ip-translation=false"),
            Flag::switch("ip-translation", "Show names of pods, services and DNS in place of addresses").on(),
            Flag::text("color", "auto", "When to colour compact and dict output: auto, always or never"),
        ],
    )
});

/// Counts in place of flows.
pub(super) static COUNTS: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Counts",
        [
            Flag::new(
                "group-by",
                FlagKind::Strings,
                "[]",
                "Count flows, bytes and drops by these keys of the filter language, e.g. src.ns,dst.ns,dst.port",
            ),
            Flag::new("top", FlagKind::Uint, "20", "Show the N largest groups; 0 shows all"),
            Flag::text("sort", "flows", "Largest groups first by: flows, bytes or dropped"),
            Flag::new(
                "rate",
                FlagKind::Duration,
                "",
                "Show flows, bytes and drops per second: over the time of all flows, with --follow of each interval",
            )
            .bare("1s"),
        ],
    )
});

/// The rest of `observe`.
pub(super) static OTHER: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Other",
        [
            Flag::switch("silent-errors", "Print no warnings and no news about nodes").short('s'),
            Flag::switch(
                "print-raw-filters",
                "Print the filters that the flags stand for as YAML, which the configuration file takes, and stop",
            ),
            Flag::text("input-file", "", "Read flows from this file (- for standard input) in place of a server"),
            Flag::new(
                "field-mask",
                FlagKind::Strings,
                "[]",
                "Ask only for these fields of flows, separated by commas; with -o json only",
            ),
            Flag::switch(
                "use-default-field-masks",
                "Ask only for the fields that Hubble's layouts show: without directions, names in DNS and of policies",
            )
            .on(),
            Flag::switch(
                "details",
                "With -o json, ask for what Hubble has no field for: bytes, packets, times, process, the kernel's reason",
            ),
            Flag::switch(
                "bare-flows",
                "Read lines of --input-file that hold a flow without its envelope, as clients before 0.10 wrote them",
            ),
            Flag::new(
                "line-bytes-max",
                FlagKind::Uint,
                "65536",
                "Longest line of --input-file in bytes; a longer one ends the reading with an error",
            ),
        ],
    )
});

/// Where to connect and how.
pub(super) static SERVER: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Server",
        [
            Flag::text(
                "server",
                "localhost:4245",
                "Address of a Weir or Hubble server; tls:// and unix:// addresses are understood. Of no effect with --input-file or --port-forward",
            ),
            Flag::text(
                "http-server",
                "",
                "Base address of the relay's HTTP API, for sql (port 12000 of the host of --server if empty)",
            ),
            Flag::new("timeout", FlagKind::Duration, "5s", "How long to wait for a connection"),
            Flag::new(
                "request-timeout",
                FlagKind::Duration,
                "12s",
                "How long to wait for an answer; streams are not limited",
            ),
            Flag::switch("tls", "Connect with TLS; an address that begins with tls:// does so too"),
            Flag::switch(
                "tls-allow-insecure",
                "Trust any certificate: whoever is between you and the server can then read and change everything",
            ),
            Flag::new(
                "tls-ca-cert-files",
                FlagKind::Strings,
                "[]",
                "PEM files of certificate authorities to trust in place of the system's, separated by commas",
            ),
            Flag::text("tls-client-cert-file", "", "PEM file of the certificate that shows who we are; needs TLS"),
            Flag::text("tls-client-key-file", "", "PEM file of that certificate's private key; needs TLS"),
            Flag::text(
                "tls-server-name",
                "",
                "Name that the server's certificate must have, in place of the address's host",
            ),
            Flag::text("basic-auth-username", "", "User for basic authentication; needs TLS"),
            Flag::text("basic-auth-password", "", "Password for basic authentication; needs TLS"),
            Flag::switch("port-forward", "Reach the relay in a Kubernetes cluster through the cluster's API server")
                .short('P'),
            Flag::new(
                "port-forward-port",
                FlagKind::Uint16,
                "4245",
                "Local port for --port-forward; 0 picks a free one",
            ),
            Flag::text("kube-context", "", "Context of the kubeconfig file, for --port-forward"),
            Flag::text("kube-namespace", "kube-system", "Namespace of the relay's service, for --port-forward"),
            Flag::text(
                "kubeconfig",
                "",
                "Kubeconfig file, for --port-forward ($KUBECONFIG, else ~/.kube/config, if empty)",
            ),
        ],
    )
});

/// Flags of every command; the default of `config` is the file that counts where it is not given.
pub(super) static GLOBAL: LazyLock<FlagSet> = LazyLock::new(|| {
    static CONFIG: LazyLock<String> =
        LazyLock::new(|| crate::settings::default_file(&|name| std::env::var(name).ok()).unwrap_or_default());
    set(
        "Global",
        [
            Flag::text("config", CONFIG.as_str(), "Configuration file"),
            Flag::switch("debug", "Show debug messages").short('D'),
        ],
    )
});

/// How lists are shown.
pub(super) static LIST_FORMAT: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Formatting",
        [Flag::text("output", "table", "Layout of the output: json, table or wide (more columns)").short('o')],
    )
});

/// How the status is shown.
pub(super) static STATUS_FORMAT: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Formatting",
        [Flag::text("output", "compact", "Layout of the output: compact, dict, json or table").short('o')],
    )
});

/// Flags of `sql`.
pub(super) static SQL: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Query",
        [
            Flag::text("output", "table", "Layout of the output: table, csv or json").short('o'),
            Flag::text("file", "", "Read the query from this file (- for standard input)").short('f'),
        ],
    )
});

/// What `map`, `top` and `drops` ask about.
pub(super) static OVERVIEW: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Question",
        [
            Flag::text("since", "5m", "Begin there: a duration back from now, or an RFC 3339 time"),
            Flag::text("until", "", "End there (now if empty)"),
            Flag::new("limit", FlagKind::Uint, "30", "Show at most so many lines; 0 shows all"),
            Flag::text("output", "table", "Layout of the output: table or json; for map also dot or mermaid")
                .short('o'),
        ],
    )
});

/// What `map` and `top` group and sort by.
pub(super) static MAP: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Map",
        [
            Flag::text("by", "workload", "What makes a service: namespace, workload or pod"),
            Flag::text("sort", "bytes", "Largest first: bytes, flows, requests, errors, dropped or latency"),
        ],
    )
});

/// How often `top` asks.
pub(super) static TOP: LazyLock<FlagSet> = LazyLock::new(|| {
    set(
        "Refresh",
        [
            Flag::new("interval", FlagKind::Duration, "2s", "Ask again after this time"),
            Flag::switch("once", "Ask once, as it does where the output is no terminal"),
        ],
    )
});

/// Flags of `completion`.
pub(super) static COMPLETION: LazyLock<FlagSet> =
    LazyLock::new(|| set("Completion", [Flag::switch("no-descriptions", "Leave out the descriptions of completions")]));
