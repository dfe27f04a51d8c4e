//! Completion: scripts for shells, and the candidates that those scripts ask for.

use flow::Verdict;
use flow::filter::Protocols;

use super::flag::{Flag, FlagKind};
use super::parse::find;
use super::tree::{Action, Command, Shell};
use crate::moments::TimeLayout;

/// What a shell does where there is no candidate: complete names of files.
const FILES: u8 = 0;
/// The candidates are all there is.
const NO_FILES: u8 = 4;

/// Candidates for the last of the words, one a line with a tab before the description, and the directive for the shell.
pub(crate) fn complete(words: &[String]) -> String {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", words),
    };
    let (candidates, directive) = candidates(before, last);
    let mut out = String::new();
    for (word, about) in candidates {
        if !word.starts_with(last.split_once('=').map_or(last, |(_, value)| value)) {
            continue;
        }
        out += &word;
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

fn candidates(before: &[String], last: &str) -> (Vec<(String, &'static str)>, u8) {
    let Ok((path, _)) = find(before) else { return (Vec::new(), FILES) };
    let command = path[path.len() - 1];
    if let Some((name, _)) = last.strip_prefix("--").and_then(|long| long.split_once('=')) {
        return command.flag(name).map_or((Vec::new(), FILES), values);
    }
    if let Some(flag) = before.last().and_then(|word| waiting(command, word)) {
        return values(flag);
    }
    if last.starts_with('-') {
        let long = command.flags().map(|flag| (format!("--{}", flag.name), flag.help));
        return (long.chain([("--help".to_owned(), "Help for any command or subcommand")]).collect(), NO_FILES);
    }
    match command.action {
        Some(Action::ConfigGet | Action::ConfigSet | Action::ConfigReset) => {
            (super::setting_flags().map(|flag| (flag.name.to_owned(), flag.help)).collect(), NO_FILES)
        }
        _ => {
            let below = command.commands.iter().filter(|command| !command.hidden);
            (below.map(|command| (command.name().to_owned(), command.short)).collect(), NO_FILES)
        }
    }
}

/// The flag of which the word stands before its value.
fn waiting(command: &'static Command, word: &str) -> Option<&'static Flag> {
    let flag = match word.strip_prefix("--") {
        Some(name) => command.flag(name),
        None => word.strip_prefix('-').and_then(|group| command.short_flag(group.chars().next_back()?)),
    };
    flag.filter(|flag| flag.bare.is_none())
}

fn values(flag: &'static Flag) -> (Vec<(String, &'static str)>, u8) {
    let of = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "")).collect();
    let known: Vec<(String, &'static str)> = match flag.name {
        "output" if flag.default == "table" => of(&["json", "table", "wide"]),
        "output" => of(&["compact", "dict", "json", "jsonpb", "table", "wide"]),
        "color" => of(&["auto", "always", "never"]),
        "time-format" => TimeLayout::NAMES.iter().map(|(name, ..)| ((*name).to_owned(), "")).collect(),
        "verdict" => Verdict::ALL.iter().skip(1).map(|verdict| (verdict.to_string(), "")).collect(),
        "drop-reason-desc" => flow::DropReason::ALL.iter().map(|reason| (reason.to_string(), "")).collect(),
        "protocol" => of(&Protocols::NAMES),
        "ip-version" => of(&["none", "v4", "v6"]),
        "traffic-direction" => of(&["ingress", "egress"]),
        "tcp-flags" => of(&["syn", "ack", "fin", "rst", "psh", "urg", "ece", "cwr", "ns"]),
        "http-method" => of(&["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]),
        "type" => event_types(),
        "identity" | "from-identity" | "to-identity" => {
            (1..).map_while(|n| flow::Identity(n).reserved_name()).map(|name| (name.to_owned(), "")).collect()
        }
        _ => return (Vec::new(), if flag.kind == FlagKind::Filter { NO_FILES } else { FILES }),
    };
    (known, NO_FILES)
}

fn event_types() -> Vec<(String, &'static str)> {
    let plain = ["capture", "drop", "l7", "policy-verdict", "trace", "trace-sock"].map(|name| (name.to_owned(), ""));
    let points = flow::text::TRACE_SUB_TYPES.iter().map(|(name, _)| (format!("trace:{name}"), ""));
    plain.into_iter().chain(points).collect()
}

/// The script that makes a shell ask for candidates.
pub(crate) fn script(shell: Shell, descriptions: bool) -> String {
    let ask = if descriptions { "__complete" } else { "__completeNoDesc" };
    let template = match shell {
        Shell::Bash => BASH,
        Shell::Fish => FISH,
        Shell::PowerShell => POWERSHELL,
        Shell::Zsh => ZSH,
    };
    template.replace("__complete", ask)
}

const BASH: &str = r#"# bash completion for flowctl
_flowctl() {
    local line word directive=0
    COMPREPLY=()
    while IFS= read -r line; do
        case "$line" in
            :*) directive="${line#:}" ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [ "${#COMPREPLY[@]}" -eq 0 ] && [ "$directive" -eq 0 ]; then
        word="${COMP_WORDS[COMP_CWORD]}"
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$word")
    fi
}
complete -F _flowctl flowctl
"#;

const ZSH: &str = r#"#compdef flowctl
_flowctl() {
    local line directive=0
    local -a candidates
    while IFS= read -r line; do
        case "$line" in
            :*) directive="${line#:}" ;;
            *) line="${line//:/\\:}"; candidates+=("${line/$'\t'/:}") ;;
        esac
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#candidates} )); then
        _describe flowctl candidates
    elif (( directive == 0 )); then
        _files
    fi
}
compdef _flowctl flowctl
"#;

const FISH: &str = r#"# fish completion for flowctl
function __flowctl_candidates
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null | string match -v ':*'
end
complete -c flowctl -f -a '(__flowctl_candidates)'
complete -c flowctl -n 'test -z (__flowctl_candidates)' -F
"#;

const POWERSHELL: &str = r#"# PowerShell completion for flowctl
Register-ArgumentCompleter -Native -CommandName flowctl -ScriptBlock {
    param($word, $ast, $cursor)
    $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
    if ($word -eq '') { $words += '""' }
    flowctl __complete @words 2>$null | Where-Object { $_ -notlike ':*' } | ForEach-Object {
        $value, $about = $_ -split "`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
    }
}
"#;
