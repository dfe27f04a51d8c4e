//! From the arguments to a command, its flags and its operands, by the rules of Hubble's command line.

use flow::filter::{Selection, SelectionError};

use super::flag::{Flag, FlagKind};
use super::sets::NOT;
use super::tree::{Command, ROOT};
use super::value;

/// A command as it was typed.
#[derive(Debug)]
pub(crate) struct Typed {
    /// The path from the program to the command.
    pub(crate) path: Vec<&'static Command>,
    pub(crate) flags: Given,
    /// Arguments that are no flags.
    pub(crate) operands: Vec<String>,
    /// Whether help is wanted.
    pub(crate) help: bool,
}

/// Flags as they were typed.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// Flag and value, in the order typed; filter flags are in `selection`.
    values: Vec<(&'static Flag, String)>,
    /// What the filter flags select.
    pub(crate) selection: Selection,
    /// Whether a `--not` has no filter flag after it.
    pub(crate) trailing_not: bool,
}

/// The arguments cannot be understood. Texts are those of Hubble's command line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("unknown command {name:?} for {path:?}{suggestion}")]
    Command { name: String, path: String, suggestion: String },
    #[error("unknown flag: --{name}")]
    Flag { name: String },
    #[error("unknown shorthand flag: {short:?} in -{group}")]
    Short { short: char, group: String },
    #[error("bad flag syntax: {text}")]
    Syntax { text: String },
    #[error("flag needs an argument: {flag}")]
    NoValue { flag: String },
    #[error("invalid argument {value:?} for {flag:?} flag: {reason}")]
    Value { value: String, flag: String, reason: String },
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// There is no such command or flag, or a value cannot be understood.
pub(crate) fn parse(arguments: &[String]) -> Result<Typed, UsageError> {
    let (path, rest) = find(arguments)?;
    let command = path[path.len() - 1];
    let mut typed = Typed { path, flags: Given::default(), operands: Vec::new(), help: false };
    if command.action == Some(super::Action::Complete) {
        // What is to be completed may look like anything.
        typed.operands = rest;
        return Ok(typed);
    }
    let mut rest = rest.into_iter();
    while let Some(argument) = rest.next() {
        if let Some(long) = argument.strip_prefix("--") {
            if long.is_empty() {
                typed.operands.extend(rest);
                break;
            }
            typed.long(command, long, &argument, &mut rest)?;
        } else if argument.len() > 1 && argument.starts_with('-') {
            typed.shorts(command, &argument[1..], &mut rest)?;
        } else {
            typed.operands.push(argument);
        }
    }
    if command.no_operands
        && command.action.is_some()
        && !typed.help
        && let Some(name) = typed.operands.first()
    {
        return Err(UsageError::Command { name: name.clone(), path: typed.command_line(), suggestion: String::new() });
    }
    Ok(typed)
}

impl Typed {
    /// The command.
    pub(crate) fn command(&self) -> &'static Command {
        self.path[self.path.len() - 1]
    }

    /// Program and commands, as in usage.
    pub(crate) fn command_line(&self) -> String {
        command_line(&self.path)
    }

    fn long(
        &mut self,
        command: &'static Command,
        long: &str,
        argument: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), UsageError> {
        if long.starts_with(['-', '=']) {
            return Err(UsageError::Syntax { text: argument.to_owned() });
        }
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        if name == "help" {
            return self.set_help("--help", value.as_deref());
        }
        let Some(flag) = command.flag(name) else { return Err(UsageError::Flag { name: name.to_owned() }) };
        let value = value
            .or_else(|| flag.bare.map(str::to_owned))
            .or_else(|| rest.next())
            .ok_or_else(|| UsageError::NoValue { flag: format!("--{name}") })?;
        self.flags.set(flag, value)
    }

    fn shorts(
        &mut self,
        command: &'static Command,
        group: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), UsageError> {
        let mut letters = group;
        while let Some(short) = letters.chars().next() {
            let after = &letters[short.len_utf8()..];
            let attached = after.strip_prefix('=').filter(|value| !value.is_empty());
            if short == 'h' && command.short_flag('h').is_none() {
                self.set_help("-h, --help", attached)?;
                if attached.is_some() {
                    return Ok(());
                }
                letters = after;
                continue;
            }
            let Some(flag) = command.short_flag(short) else {
                return Err(UsageError::Short { short, group: letters.to_owned() });
            };
            if let Some(value) = attached {
                return self.flags.set(flag, value.to_owned());
            }
            if let Some(value) = flag.bare {
                self.flags.set(flag, value.to_owned())?;
                letters = after;
                continue;
            }
            let value = if after.is_empty() { rest.next() } else { Some(after.to_owned()) };
            let value = value.ok_or_else(|| UsageError::NoValue { flag: format!("{short:?} in -{letters}") })?;
            return self.flags.set(flag, value);
        }
        Ok(())
    }

    fn set_help(&mut self, flag: &str, value: Option<&str>) -> Result<(), UsageError> {
        let value = value.unwrap_or("true");
        self.help = value::boolean(value).map_err(|reason| UsageError::Value {
            value: value.to_owned(),
            flag: flag.to_owned(),
            reason,
        })?;
        Ok(())
    }
}

impl Given {
    fn set(&mut self, flag: &'static Flag, value: String) -> Result<(), UsageError> {
        let checked = match flag.kind {
            FlagKind::Filter => self.select(flag, &value),
            // Otherwise it would silently negate the filter after it.
            _ if flag.name == "where" && self.trailing_not => Err("put the not into the expression".to_owned()),
            _ => flag.check(&value),
        };
        if let Err(reason) = checked {
            return Err(UsageError::Value { value, flag: flag.names(), reason });
        }
        if flag.kind != FlagKind::Filter {
            self.values.push((flag, value));
        }
        Ok(())
    }

    fn select(&mut self, flag: &'static Flag, value: &str) -> Result<(), String> {
        if flag.name == NOT {
            if std::mem::replace(&mut self.trailing_not, true) {
                return Err("consecutive --not statements".to_owned());
            }
            return Ok(());
        }
        let negated = std::mem::take(&mut self.trailing_not);
        let added = match flag.name {
            // Hubble looks at no value of a switch, and takes any unknown version for none.
            _ if flag.bare.is_some() => self.selection.add::<&str>(flag.name, &[], negated),
            "ip-version" => match self.selection.add(flag.name, &[value], negated) {
                Err(SelectionError::Value { .. }) => self.selection.add(flag.name, &["none"], negated),
                added => added,
            },
            name => self.selection.add(name, &[value], negated),
        };
        added.map_err(|error| error.to_string())
    }

    /// The values of a flag in the order typed.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(flag, _)| flag.name == name).map(|(_, value)| value.as_str())
    }

    /// The value that counts; `None` where the flag was not given.
    pub(crate) fn last<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).last()
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &str, default: bool) -> bool {
        self.last(name).map_or(default, |text| value::boolean(text).unwrap_or(default))
    }

    /// A number.
    pub(crate) fn number(&self, name: &str, default: u64) -> u64 {
        self.last(name).map_or(default, |text| value::unsigned(text, u64::MAX).unwrap_or(default))
    }

    /// A text.
    pub(crate) fn text<'a>(&'a self, name: &'a str, default: &'a str) -> &'a str {
        self.last(name).unwrap_or(default)
    }

    /// Texts separated by commas, of all times the flag was given.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.all(name).flat_map(|text| value::comma_separated(text).unwrap_or_default()).collect()
    }
}

fn command_line(path: &[&'static Command]) -> String {
    path.iter().map(|command| command.name()).collect::<Vec<_>>().join(" ")
}

/// The command that the arguments name, and the arguments without those names. Flags may stand anywhere.
///
/// # Errors
/// The first name is no command.
pub(super) fn find(arguments: &[String]) -> Result<(Vec<&'static Command>, Vec<String>), UsageError> {
    let mut path = vec![&ROOT];
    let mut rest = arguments.to_vec();
    loop {
        let command = path[path.len() - 1];
        let names = operand_places(command, &rest);
        let Some(at) = names.first().copied() else { break };
        let Some(next) = command.find(&rest[at]) else {
            if path.len() == 1 {
                let name = rest[at].clone();
                let suggestion = suggestion(&name);
                return Err(UsageError::Command { name, path: command_line(&path), suggestion });
            }
            break;
        };
        path.push(next);
        rest.remove(at);
    }
    Ok((path, rest))
}

/// Places of the arguments that are neither flags nor their values. A flag that is not known counts as one with a value;
/// here, help is not known.
fn operand_places(command: &'static Command, arguments: &[String]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        if argument == "--" {
            break;
        }
        let takes_next = match argument.strip_prefix("--") {
            _ if argument.contains('=') => false,
            Some(name) => command.flag(name).is_none_or(|flag| flag.bare.is_none()),
            None => match argument.strip_prefix('-') {
                Some(short) if short.len() == 1 => {
                    short.chars().next().and_then(|c| command.short_flag(c)).is_none_or(|flag| flag.bare.is_none())
                }
                _ => false,
            },
        };
        if takes_next {
            // A flag at the end has no value to skip.
            if at + 2 > arguments.len() {
                break;
            }
            at += 2;
            continue;
        }
        if !argument.is_empty() && !argument.starts_with('-') {
            places.push(at);
        }
        at += 1;
    }
    places
}

/// Names that may have been meant.
fn suggestion(typed: &str) -> String {
    let typed_lower = typed.to_lowercase();
    let near: Vec<&str> = ROOT
        .commands
        .iter()
        .filter(|command| !command.hidden)
        .map(Command::name)
        .filter(|name| distance(&typed_lower, name) <= 2 || name.starts_with(&typed_lower))
        .collect();
    if near.is_empty() {
        return String::new();
    }
    format!("\n\nDid you mean this?\n\t{}\n", near.join("\n\t"))
}

/// Levenshtein's distance: letters to add, remove or change.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
