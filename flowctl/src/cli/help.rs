//! Help, laid out as Hubble's: scripts look for the same headings, flags and columns.

use std::fmt::Write as _;

use super::flag::{Flag, FlagKind};
use super::sets::FlagSet;
use super::tree::Command;

/// Width to which names of commands are padded.
const NAME_WIDTH: usize = 11;

/// What the last command of the path is for, how to use it and which flags it takes.
pub(crate) fn help(path: &[&'static Command]) -> String {
    let command = path[path.len() - 1];
    let about = if command.long.is_empty() { command.short } else { command.long };
    format!("{}\n\n{}", about.trim_end(), usage(path))
}

/// How to use the last command of the path.
pub(crate) fn usage(path: &[&'static Command]) -> String {
    let command = path[path.len() - 1];
    let line = path.iter().map(|command| command.name()).collect::<Vec<_>>().join(" ");
    let mut out = "Usage:".to_owned();
    if command.action.is_some() {
        let operands = if command.operands.is_empty() { String::new() } else { format!(" {}", command.operands) };
        write!(out, "\n  {line}{operands} [flags]").expect(MEMORY);
    }
    let shown: Vec<&Command> = command.commands.iter().filter(|command| !command.hidden).collect();
    if !shown.is_empty() {
        write!(out, "\n  {line} [command]").expect(MEMORY);
    }
    if command.names.len() > 1 {
        write!(out, "\n\nAliases:\n  {}", command.names.join(", ")).expect(MEMORY);
    }
    if !command.example.is_empty() {
        write!(out, "\n\nExamples:\n{}", command.example).expect(MEMORY);
    }
    if !shown.is_empty() {
        out.push_str("\n\nAvailable Commands:");
        let width = shown.iter().map(|command| command.name().len()).max().unwrap_or(0).max(NAME_WIDTH);
        for command in &shown {
            write!(out, "\n  {:width$} {}", command.name(), command.short).expect(MEMORY);
        }
    }
    out.push_str("\n\n");
    for set in command.help_sets() {
        writeln!(out, "{} Flags:", set.title).expect(MEMORY);
        write_flags(&mut out, set);
        out.push('\n');
    }
    out.push_str("Get help:\n  -h, --help\tHelp for any command or subcommand");
    if !shown.is_empty() {
        write!(out, "\n\nUse \"{line} [command] --help\" for more information about a command.").expect(MEMORY);
    }
    out.push('\n');
    out
}

const MEMORY: &str = "writing to memory cannot fail";

fn write_flags(out: &mut String, set: &FlagSet) {
    let names: Vec<String> = set.flags.iter().map(names).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0) + 3;
    for (flag, names) in set.flags.iter().zip(names) {
        let below = format!("\n{}", " ".repeat(width));
        let help = format!("{}{}", sentence(flag.help), default(flag)).replace('\n', &below);
        writeln!(out, "{names:width$}{help}").expect(MEMORY);
    }
}

fn names(flag: &Flag) -> String {
    let mut text = match flag.short {
        Some(short) => format!("  -{short}, --{}", flag.name),
        None => format!("      --{}", flag.name),
    };
    if !flag.value_name().is_empty() {
        write!(text, " {}", flag.value_name()).expect(MEMORY);
    }
    if let (FlagKind::Filter | FlagKind::Duration, Some(bare)) = (flag.kind, flag.bare) {
        write!(text, "[={bare}]").expect(MEMORY);
    }
    text
}

fn default(flag: &Flag) -> String {
    match (flag.kind, flag.default) {
        (_, "" | "0" | "false" | "[]") => String::new(),
        (FlagKind::Text, text) => format!(" (default {text:?})"),
        (_, text) => format!(" (default {text})"),
    }
}

/// With a capital.
fn sentence(help: &str) -> String {
    let mut chars = help.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
