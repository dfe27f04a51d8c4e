//! Filter flags, one for each condition of `flow::filter::Selection`, in the order they were typed.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use flow::filter::Selection;

/// Name of the flag that negates the next one.
const NOT: &str = "not";
/// Name of the help section.
const HEADING: &str = "Filter flags";

/// Filter flags as typed.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterFlags {
    /// Each use of a flag, in the order typed: `--not` tells on the next one only.
    pub(crate) typed: Vec<FilterOccurrence>,
}

/// One use of a filter flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterOccurrence {
    /// Name of the flag without its dashes.
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

impl FilterOccurrence {
    /// Whether it negates the next one.
    pub(crate) fn is_not(&self) -> bool {
        self.name == NOT
    }
}

/// Short forms.
const SHORT: [(&str, char); 6] =
    [("namespace", 'n'), ("all-namespaces", 'A'), ("label", 'l'), ("type", 't'), ("ipv4", '4'), ("ipv6", '6')];

/// What a flag means that was given without a value; all others want one.
const WITHOUT_VALUE: [(&str, &str); 8] = [
    (NOT, "true"),
    ("all-namespaces", "true"),
    ("from-all-namespaces", "true"),
    ("to-all-namespaces", "true"),
    ("ipv4", "v4"),
    ("ipv6", "v6"),
    ("encrypted", "true"),
    ("unencrypted", "true"),
];

const NOT_HELP: &str = "Exclude what the next filter flag matches, e.g. --not --from-ip 2.2.2.2";

fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    std::iter::once((NOT, NOT_HELP)).chain(Selection::NAMES.iter().copied())
}

fn arg(name: &'static str, help: &'static str) -> Arg {
    let arg = Arg::new(name).long(name).help(sentence(help)).help_heading(HEADING).action(ArgAction::Append);
    let arg = match SHORT.iter().find(|(n, _)| *n == name) {
        Some((_, short)) => arg.short(*short),
        None => arg,
    };
    match WITHOUT_VALUE.iter().find(|(n, _)| *n == name) {
        Some((_, value)) => arg.num_args(0..=1).require_equals(true).default_missing_value(*value).value_name("BOOL"),
        None => arg.allow_hyphen_values(true).value_name("VALUE"),
    }
}

/// With a capital, as the other flags' help.
fn sentence(help: &str) -> String {
    let mut chars = help.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

impl Args for FilterFlags {
    fn augment_args(command: Command) -> Command {
        names().fold(command, |command, (name, help)| command.arg(arg(name, help)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FilterFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut typed = Vec::new();
        for (name, _) in names() {
            let (Some(places), Some(values)) = (matches.indices_of(name), matches.get_many::<String>(name)) else {
                continue;
            };
            typed.extend(places.zip(values).map(|(at, value)| (at, FilterOccurrence { name, value: value.clone() })));
        }
        typed.sort_by_key(|(at, _)| *at);
        Ok(Self { typed: typed.into_iter().map(|(_, occurrence)| occurrence).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
