//! The commands, what they are for and which flags they take.

use std::sync::LazyLock;

use super::flag::Flag;
use super::sets::{self, FlagSet};

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    ObserveFlows,
    ObserveAgentEvents,
    ObserveDebugEvents,
    Status,
    ListNodes,
    ListNamespaces,
    Sql,
    Map,
    Top,
    Drops,
    Ui,
    WatchPeers,
    ConfigHelp,
    ConfigGet,
    ConfigReset,
    ConfigSet,
    ConfigView,
    Reflect,
    Completion(Shell),
    Version,
    Help,
    /// Candidates for the word that a shell is about to complete.
    Complete,
}

/// A shell that a completion script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "it is the name of that shell")]
pub(crate) enum Shell {
    Bash,
    Fish,
    PowerShell,
    Zsh,
}

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    /// The first is the name.
    pub(crate) names: &'static [&'static str],
    /// What stands behind the name in usage.
    pub(crate) operands: &'static str,
    /// `None` for one that only groups others.
    pub(crate) action: Option<Action>,
    pub(crate) short: &'static str,
    /// Where it says more than `short`.
    pub(crate) long: &'static str,
    pub(crate) example: &'static str,
    pub(crate) hidden: bool,
    /// Whether arguments that are no flags are refused.
    pub(crate) no_operands: bool,
    /// Flags that belong to it alone.
    pub(crate) own: &'static [&'static LazyLock<FlagSet>],
    /// Groups that its help shows, before the global flags.
    pub(crate) shown: &'static [&'static LazyLock<FlagSet>],
    pub(crate) commands: &'static [Command],
}

const fn command(name: &'static [&'static str], action: Option<Action>, short: &'static str) -> Command {
    Command {
        names: name,
        operands: "",
        action,
        short,
        long: "",
        example: "",
        hidden: false,
        no_operands: false,
        own: &[],
        shown: &[],
        commands: &[],
    }
}

const FLOW_FLAGS: &[&LazyLock<FlagSet>] = &[
    &sets::SELECTORS,
    &sets::FILTERS,
    &sets::RAW_FILTERS,
    &sets::COUNTS,
    &sets::FORMATTING,
    &sets::FLOW_FORMAT,
    &sets::OTHER,
];
const FLOW_HELP: &[&LazyLock<FlagSet>] = &[
    &sets::SELECTORS,
    &sets::FILTERS,
    &sets::RAW_FILTERS,
    &sets::COUNTS,
    &sets::FORMATTING,
    &sets::FLOW_FORMAT,
    &sets::SERVER,
    &sets::OTHER,
];
const EVENT_FLAGS: &[&LazyLock<FlagSet>] = &[&sets::SELECTORS, &sets::FORMATTING, &sets::OTHER];
const EVENT_HELP: &[&LazyLock<FlagSet>] = &[&sets::SELECTORS, &sets::FORMATTING, &sets::SERVER, &sets::OTHER];
const SERVER_HELP: &[&LazyLock<FlagSet>] = &[&sets::SERVER];

static OBSERVE: [Command; 3] = [
    Command {
        own: EVENT_FLAGS,
        shown: EVENT_HELP,
        ..command(
            &["agent-events"],
            Some(Action::ObserveAgentEvents),
            "Show what happened to agents, endpoints and policies",
        )
    },
    Command {
        own: EVENT_FLAGS,
        shown: EVENT_HELP,
        ..command(&["debug-events"], Some(Action::ObserveDebugEvents), "Show debug messages of the datapath")
    },
    Command {
        long: FLOWS_LONG,
        example: FLOWS_EXAMPLE,
        own: FLOW_FLAGS,
        shown: FLOW_HELP,
        ..command(&["flows"], Some(Action::ObserveFlows), "Show flows of a server or a file")
    },
];

static LIST: [Command; 2] = [
    Command {
        own: &[&sets::LIST_FORMAT],
        shown: &[&sets::LIST_FORMAT, &sets::SERVER],
        ..command(&["namespaces"], Some(Action::ListNamespaces), "List the namespaces of recent flows")
    },
    Command {
        own: &[&sets::LIST_FORMAT],
        shown: &[&sets::LIST_FORMAT, &sets::SERVER],
        ..command(&["nodes", "node"], Some(Action::ListNodes), "List the nodes behind a relay")
    },
];

static CONFIG: [Command; 4] = [
    Command { operands: "[KEY]", ..command(&["get"], Some(Action::ConfigGet), "Print one setting, or all of them") },
    Command {
        operands: "[KEY]",
        ..command(
            &["reset"],
            Some(Action::ConfigReset),
            "Give one setting, or all of them, its default in the configuration file",
        )
    },
    Command {
        operands: "KEY [VALUE]",
        ..command(&["set"], Some(Action::ConfigSet), "Change a setting in the configuration file")
    },
    command(&["view"], Some(Action::ConfigView), "Print all settings as they count"),
];

static COMPLETION: [Command; 4] = [
    Command {
        no_operands: true,
        own: &[&sets::COMPLETION],
        long: "Print the completion script for bash.\n\nFor this shell: source <(flowctl completion bash)\nFor every new one: flowctl completion bash > /etc/bash_completion.d/flowctl",
        ..command(&["bash"], Some(Action::Completion(Shell::Bash)), "Print the completion script for bash")
    },
    Command {
        no_operands: true,
        own: &[&sets::COMPLETION],
        long: "Print the completion script for fish.\n\nFor this shell: flowctl completion fish | source\nFor every new one: flowctl completion fish > ~/.config/fish/completions/flowctl.fish",
        ..command(&["fish"], Some(Action::Completion(Shell::Fish)), "Print the completion script for fish")
    },
    Command {
        no_operands: true,
        own: &[&sets::COMPLETION],
        long: "Print the completion script for PowerShell.\n\nFor this shell: flowctl completion powershell | Out-String | Invoke-Expression",
        ..command(
            &["powershell"],
            Some(Action::Completion(Shell::PowerShell)),
            "Print the completion script for PowerShell",
        )
    },
    Command {
        no_operands: true,
        own: &[&sets::COMPLETION],
        long: "Print the completion script for zsh.\n\nFor this shell: source <(flowctl completion zsh)\nFor every new one: flowctl completion zsh > \"${fpath[1]}/_flowctl\"",
        ..command(&["zsh"], Some(Action::Completion(Shell::Zsh)), "Print the completion script for zsh")
    },
];

static WATCH: [Command; 1] = [Command {
    shown: SERVER_HELP,
    ..command(
        &["peers", "peer"],
        Some(Action::WatchPeers),
        "Print the peers of a collector or agent, and each change of them",
    )
}];

static ROOT_COMMANDS: [Command; 15] = [
    Command {
        long: "Print the script that makes a shell complete flowctl's commands, flags and values.",
        no_operands: true,
        commands: &COMPLETION,
        ..command(&["completion"], None, "Print the completion script of a shell")
    },
    Command {
        long: CONFIG_LONG,
        commands: &CONFIG,
        ..command(&["config"], Some(Action::ConfigHelp), "Show or change the configuration")
    },
    Command {
        operands: "[EXPRESSION]",
        long: DROPS_LONG,
        example: "  flowctl drops --since 1h\n  flowctl drops 'dst.ns=shop and dst.port=5432'",
        own: &[&sets::OVERVIEW],
        shown: &[&sets::OVERVIEW, &sets::SERVER],
        ..command(&["drops"], Some(Action::Drops), "Show what was dropped, why and by whom")
    },
    Command {
        operands: "[command]",
        long: "Show what a command is for and which flags it takes.",
        ..command(&["help"], Some(Action::Help), "Show help for a command")
    },
    Command { shown: SERVER_HELP, commands: &LIST, ..command(&["list"], None, "List nodes or namespaces") },
    Command {
        operands: "[EXPRESSION]",
        long: MAP_LONG,
        example: "  flowctl map --since 1h --sort errors\n  flowctl map 'ns=shop' -o dot | dot -Tsvg > shop.svg",
        own: &[&sets::OVERVIEW, &sets::MAP],
        shown: &[&sets::OVERVIEW, &sets::MAP, &sets::SERVER],
        ..command(&["map"], Some(Action::Map), "Show who talks to whom")
    },
    Command {
        own: FLOW_FLAGS,
        shown: FLOW_HELP,
        commands: &OBSERVE,
        ..command(&["observe"], Some(Action::ObserveFlows), "Show flows and events of a server or a file")
    },
    Command {
        hidden: true,
        shown: SERVER_HELP,
        ..command(&["reflect"], Some(Action::Reflect), "Print the server's API as its reflection service tells it")
    },
    Command {
        operands: "[QUERY]",
        long: SQL_LONG,
        example: SQL_EXAMPLE,
        own: &[&sets::SQL],
        shown: &[&sets::SQL, &sets::SERVER],
        ..command(&["sql"], Some(Action::Sql), "Ask the relay's history with SQL")
    },
    Command {
        long: "Show whether a server answers, how many flows it holds and how many it sees.",
        own: &[&sets::STATUS_FORMAT],
        shown: &[&sets::STATUS_FORMAT, &sets::SERVER],
        ..command(&["status"], Some(Action::Status), "Show the state of a server")
    },
    Command {
        operands: "[EXPRESSION]",
        long: TOP_LONG,
        example: "  flowctl top --since 1m --sort requests\n  flowctl top 'verdict=dropped' --once",
        own: &[&sets::OVERVIEW, &sets::MAP, &sets::TOP],
        shown: &[&sets::OVERVIEW, &sets::MAP, &sets::TOP, &sets::SERVER],
        ..command(&["top"], Some(Action::Top), "Watch the busiest connections")
    },
    Command {
        operands: "[EXPRESSION]",
        long: UI_LONG,
        example: "  flowctl ui\n  flowctl ui 'ns=shop and not proto=dns'\n  flowctl ui --verdict DROPPED",
        own: &[&sets::FILTERS, &sets::RAW_FILTERS],
        shown: &[&sets::FILTERS, &sets::RAW_FILTERS, &sets::SERVER],
        ..command(&["ui"], Some(Action::Ui), "Watch flows on a whole terminal")
    },
    command(&["version"], Some(Action::Version), "Print the version"),
    Command {
        hidden: true,
        shown: SERVER_HELP,
        commands: &WATCH,
        ..command(&["watch", "w"], None, "Watch what changes")
    },
    Command {
        hidden: true,
        ..command(&["__complete", "__completeNoDesc"], Some(Action::Complete), "Print candidates for a shell")
    },
];

/// The program itself.
pub(crate) static ROOT: Command = Command {
    names: &["flowctl"],
    operands: "",
    action: None,
    short: "Sees what flows on the network",
    long: "Sees what flows on the network: who talks to whom, what is dropped and why.",
    example: "",
    hidden: false,
    no_operands: false,
    own: &[],
    shown: &[],
    commands: &ROOT_COMMANDS,
};

impl Command {
    /// The name.
    pub(crate) fn name(&self) -> &'static str {
        self.names[0]
    }

    /// The command below this one with that name or alias.
    pub(crate) fn find(&'static self, name: &str) -> Option<&'static Self> {
        self.commands.iter().find(|command| command.names.contains(&name))
    }

    /// Flags that it takes; those of servers can stand before any command, so all commands take them.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        let everywhere: [&'static LazyLock<FlagSet>; 2] = [&sets::GLOBAL, &sets::SERVER];
        self.own.iter().copied().chain(everywhere).flat_map(|set| &set.flags)
    }

    /// The flag with this long name.
    pub(crate) fn flag(&self, name: &str) -> Option<&'static Flag> {
        self.flags().find(|flag| flag.name == name)
    }

    /// The flag with this short form.
    pub(crate) fn short_flag(&self, short: char) -> Option<&'static Flag> {
        self.flags().find(|flag| flag.short == Some(short))
    }

    /// Groups of flags in help, the global ones last.
    pub(crate) fn help_sets(&self) -> impl Iterator<Item = &'static FlagSet> {
        self.shown.iter().copied().chain([&sets::GLOBAL]).map(|set| &**set)
    }
}

const FLOWS_LONG: &str = "\
Shows flows: packets, requests and drops, with who sent them to whom.

Values of the same filter flag are alternatives; a flow must match every filter flag that is given, and none of those \
that follow a --not.";

const FLOWS_EXAMPLE: &str = "\
  The last flows, then new ones as they come:
    flowctl observe --last 20 --follow

  What was dropped in the last five minutes, with the kernel's reason, bytes and processes:
    flowctl observe --since 5m --verdict DROPPED -o wide

  PUT or GET requests that did not come from the namespace monitoring:
    flowctl observe --http-method put --http-method get --not --from-namespace monitoring

  Save flows and read them again:
    flowctl observe --all -o json > flows.json
    flowctl observe --input-file flows.json --port 80";

const MAP_LONG: &str = "\
Shows who talks to whom: one line for each client, server and port, with bytes, requests, errors, drops and latency.

An expression such as 'src.ns=shop and not proto=dns' selects the flows that count. The question goes to the relay's \
HTTP API at --http-server.";

const TOP_LONG: &str = "\
Watches the busiest connections, as map shows them, of the time since --since, again and again until interrupted.";

const UI_LONG: &str = "\
Watches flows on a whole terminal: a list that follows, who talks to whom, and what is dropped and why. ? shows the keys.

An expression such as 'src.ns=shop and not proto=dns' selects the flows that are shown; / changes it.";

const DROPS_LONG: &str = "\
Shows what was dropped: how many packets, why, where in the kernel, from whom to whom, and what to look at.";

const SQL_LONG: &str = "\
Asks the relay's history with SQL.

The table is called `flows`; `DESCRIBE flows` lists its columns. The query goes to the relay's HTTP API at \
--http-server. Without a query it is read from standard input.";

const SQL_EXAMPLE: &str = "\
  flowctl sql 'SELECT verdict, count(*) AS flows FROM flows GROUP BY verdict'
  flowctl sql -f report.sql -o csv > report.csv";

const CONFIG_LONG: &str = "\
Shows or changes the configuration. Global flags, server flags, allowlist and denylist can be set in four places; an \
earlier place wins:

1. Flag
2. Environment variable: the flag's name in capitals with underscores, after FLOWCTL_ or HUBBLE_ (FLOWCTL_ wins): \
--tls-server-name is FLOWCTL_TLS_SERVER_NAME
3. Configuration file: flowctl/config.yaml below $XDG_CONFIG_HOME (else ~/.config) where it exists, else \
hubble/config.yaml beside it
4. Default value";
