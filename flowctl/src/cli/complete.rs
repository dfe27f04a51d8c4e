//! Completion: candidates for the word that a shell is about to complete.

mod expression;
mod scripts;

pub(crate) use scripts::script;

use flow::Verdict;
use flow::filter::{GroupKey, Protocols};

use super::flag::{Flag, FlagKind};
use super::parse::find;
use super::tree::{Action, Command};
use crate::moments::TimeLayout;

/// What a shell does where there is no candidate: complete names of files.
const FILES: u8 = 0;
/// The candidates are all there is.
const NO_FILES: u8 = 4;
/// The candidates are all there is, and more may follow the one that is taken, so that no space belongs there.
const NO_SPACE: u8 = NO_FILES | 2;

/// A candidate and what it is, in a few words or none.
pub(super) type Candidate = (String, &'static str);

/// Asks the server for the values that flows have of the condition with this name, of the label with that name: names
/// of pods, namespaces, nodes and the like. Nothing where the server does not answer at once.
pub(crate) type AskServer<'a> = dyn Fn(&str, Option<&str>) -> Vec<String> + 'a;

/// Candidates for the last of the words, one a line with a tab before the description, and the directive for the shell.
pub(crate) fn complete(words: &[String], ask: &AskServer<'_>) -> String {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", words),
    };
    let (candidates, directive) = candidates(before, last, ask);
    // Of `--flag=value` shells complete the value.
    let typed = match last.split_once('=') {
        Some((_, value)) if last.starts_with("--") => value,
        _ => last,
    };
    let mut out = String::new();
    for (word, about) in candidates.iter().filter(|(word, _)| word.starts_with(typed)) {
        // A line end in a name would make two candidates of it.
        out.extend(word.chars().filter(|c| !c.is_control()));
        let about = about.lines().next().unwrap_or_default();
        if !about.is_empty() {
            out.push('\t');
            out += about;
        }
        out.push('\n');
    }
    out += &format!(":{directive}\n");
    out
}

/// An expression as typed with each word that may stand at its end, as far as no server is needed.
pub(crate) fn complete_expression(typed: &str) -> Vec<String> {
    expression::candidates(typed, &|_, _| Vec::new()).into_iter().map(|(word, _)| word).collect()
}

fn candidates(before: &[String], last: &str, ask: &AskServer<'_>) -> (Vec<Candidate>, u8) {
    let Ok((path, operands)) = find(before) else { return (Vec::new(), FILES) };
    let command = path[path.len() - 1];
    if let Some((name, value)) = last.strip_prefix("--").and_then(|long| long.split_once('=')) {
        return command.flag(name).map_or((Vec::new(), FILES), |flag| values(flag, value, ask));
    }
    if let Some(flag) = before.last().and_then(|word| waiting(command, word)) {
        return values(flag, last, ask);
    }
    if last.starts_with('-') {
        let long = command.flags().map(|flag| (format!("--{}", flag.name), flag.help));
        return (long.chain([("--help".to_owned(), "Help for any command or subcommand")]).collect(), NO_FILES);
    }
    match command.action {
        Some(Action::ConfigGet | Action::ConfigSet | Action::ConfigReset) => {
            (super::setting_flags().map(|flag| (flag.name.to_owned(), flag.help)).collect(), NO_FILES)
        }
        Some(Action::Map | Action::Top | Action::Drops | Action::Ui) => (expression::candidates(last, ask), NO_SPACE),
        // What is below the command that help is wanted for.
        Some(Action::Help) => match find(&operands) {
            Ok((path, _)) => (below(path[path.len() - 1]), NO_FILES),
            Err(_) => (Vec::new(), NO_FILES),
        },
        _ => (below(command), NO_FILES),
    }
}

fn below(command: &'static Command) -> Vec<Candidate> {
    let shown = command.commands.iter().filter(|command| !command.hidden);
    shown.map(|command| (command.name().to_owned(), command.short)).collect()
}

/// The flag of which the word stands before its value.
fn waiting(command: &'static Command, word: &str) -> Option<&'static Flag> {
    let flag = match word.strip_prefix("--") {
        Some(name) => command.flag(name),
        None => word.strip_prefix('-').and_then(|group| command.short_flag(group.chars().next_back()?)),
    };
    flag.filter(|flag| flag.bare.is_none())
}

fn values(flag: &'static Flag, typed: &str, ask: &AskServer<'_>) -> (Vec<Candidate>, u8) {
    match flag.name {
        "where" => return (expression::candidates(typed, ask), NO_SPACE),
        "group-by" => return (group_keys(typed), NO_SPACE),
        _ => {}
    }
    if let Some(known) = known_values(flag) {
        return (known, NO_FILES);
    }
    match flag.kind {
        FlagKind::Filter => (ask(flag.name, None).into_iter().map(|value| (value, "")).collect(), NO_FILES),
        _ => (Vec::new(), FILES),
    }
}

/// Layouts that a command has, by what is said of its flag.
fn layouts(flag: &Flag) -> Vec<&'static str> {
    const LAYOUTS: [&str; 10] =
        ["compact", "dict", "json", "jsonpb", "table", "wide", "csv", "ndjson", "arrow", "parquet"];
    let told: Vec<&str> = flag.help.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    LAYOUTS.into_iter().filter(|layout| told.contains(layout)).collect()
}

/// Values of a flag that need no server.
fn known_values(flag: &'static Flag) -> Option<Vec<Candidate>> {
    let of = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "")).collect();
    Some(match flag.name {
        "output" => of(&layouts(flag)),
        "color" => of(&["auto", "always", "never"]),
        "by" => of(&["namespace", "workload", "pod"]),
        "sort" if flag.default == "flows" => of(&["flows", "bytes", "dropped"]),
        "sort" => of(&["bytes", "flows", "requests", "errors", "dropped", "latency"]),
        "time-format" => TimeLayout::NAMES.iter().map(|(name, ..)| ((*name).to_owned(), "")).collect(),
        name => return known_values_of_condition(name),
    })
}

/// Values of a condition that need no server.
fn known_values_of_condition(name: &str) -> Option<Vec<Candidate>> {
    let of = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "")).collect();
    Some(match name {
        "verdict" => Verdict::ALL.iter().skip(1).map(|verdict| (verdict.to_string(), "")).collect(),
        "drop-reason-desc" => flow::DropReason::ALL.iter().map(|reason| (reason.to_string(), "")).collect(),
        "protocol" => of(&Protocols::NAMES),
        "ip-version" => of(&["none", "v4", "v6"]),
        "traffic-direction" => of(&["ingress", "egress"]),
        "reply" => of(&["true", "false"]),
        "tcp-flags" => of(&["syn", "ack", "fin", "rst", "psh", "urg", "ece", "cwr", "ns"]),
        "http-method" => of(&["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]),
        "type" => event_types(),
        "identity" | "from-identity" | "to-identity" => {
            (1..).map_while(|n| flow::Identity(n).reserved_name()).map(|name| (name.to_owned(), "")).collect()
        }
        _ => return None,
    })
}

/// The keys after the last comma, with what stands before it.
fn group_keys(typed: &str) -> Vec<Candidate> {
    let before = typed.rfind(',').map_or("", |comma| &typed[..=comma]);
    GroupKey::names().into_iter().map(|(name, help)| (format!("{before}{name}"), help)).collect()
}

fn event_types() -> Vec<Candidate> {
    let plain = ["capture", "drop", "l7", "policy-verdict", "trace", "trace-sock"].map(|name| (name.to_owned(), ""));
    let points = flow::text::TRACE_SUB_TYPES.iter().map(|(name, _)| (format!("trace:{name}"), ""));
    plain.into_iter().chain(points).collect()
}
