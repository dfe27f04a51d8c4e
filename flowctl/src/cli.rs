//! The command line as typed: commands, flags, help.
//!
//! It is read by the rules of Hubble's own command line (flags anywhere, `-o=dict`, `--last 0x10`, values that begin with
//! a hyphen), and refused with its words, so that scripts cannot tell the two apart.

mod complete;
mod flag;
mod help;
mod parse;
mod sets;
mod tree;
mod value;

pub(crate) use complete::{complete, complete_expression, script};
pub(crate) use flag::{Flag, FlagKind};
pub(crate) use help::{help, usage};
pub(crate) use parse::{Given, Typed, parse};
pub(crate) use tree::{Action, Command, ROOT};
pub(crate) use value::{boolean, comma_separated};

/// The command that these names lead to, for `help NAMES`.
pub(crate) fn find_command(names: &[String]) -> Option<Vec<&'static Command>> {
    parse::find(names).ok().map(|(path, _)| path)
}

/// Flags that are also settings: those of every command, then those of servers.
pub(crate) fn setting_flags() -> impl Iterator<Item = &'static Flag> {
    [&sets::GLOBAL, &sets::SERVER].into_iter().flat_map(|set| &set.flags)
}
