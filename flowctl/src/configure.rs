//! `config`: shows and changes the configuration.

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::CommandFactory as _;
use serde_norway::{Mapping, Value as Yaml};

use crate::cli::{Cli, ConfigAction};
use crate::settings::{KEYS, Key, Settings, SettingsFile, to_yaml};

/// Shows or changes the configuration. `settings` is what counts, `file` what may be changed, which must work even if it
/// holds wrong values.
///
/// # Errors
/// There is no such setting, its value has another type, or the file cannot be written.
pub(crate) fn run(
    action: Option<&ConfigAction>,
    settings: impl Fn() -> Result<Settings>,
    file: impl Fn() -> Result<SettingsFile>,
    out: &mut dyn Write,
) -> Result<()> {
    match action {
        None => {
            let mut command = Cli::command();
            let config = command.find_subcommand_mut("config").expect("it is one of our commands");
            Ok(write!(out, "{}", config.render_help())?)
        }
        Some(ConfigAction::View | ConfigAction::Get { key: None }) => {
            let all: Mapping = settings()?.all().map(|(name, value)| (Yaml::from(name), to_yaml(value))).collect();
            Ok(out.write_all(serde_norway::to_string(&all)?.as_bytes())?)
        }
        Some(ConfigAction::Get { key: Some(name) }) => {
            find(name)?;
            let settings = settings()?;
            let value = settings.get(name).context("a setting has a value")?;
            Ok(out.write_all(serde_norway::to_string(&to_yaml(value))?.as_bytes())?)
        }
        Some(ConfigAction::Set { key, value }) => change(file()?, find(key)?, value.as_deref()),
        Some(ConfigAction::Reset { key: Some(key) }) => change(file()?, find(key)?, None),
        Some(ConfigAction::Reset { key: None }) => {
            let mut file = file()?;
            file.clear();
            file.write()
        }
    }
}

fn find(name: &str) -> Result<&'static Key> {
    let Some(key) = Key::find(name) else {
        let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        bail!("unknown key: {name}: one of {}", names.join(", "));
    };
    Ok(key)
}

/// Sets a value in the file, or takes it out.
fn change(mut file: SettingsFile, key: &'static Key, value: Option<&str>) -> Result<()> {
    match value.filter(|value| !value.is_empty()) {
        Some(text) => {
            let value = key.read(text).with_context(|| format!("cannot assign value={text} for key={}", key.name))?;
            file.set(key, &value);
        }
        None => file.remove(key),
    }
    file.write()
}
