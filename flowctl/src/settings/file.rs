//! The configuration file: a flat YAML mapping from setting to value.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde_norway::{Mapping, Value as Yaml};

use super::key::Kind;
use super::{Environment, Key, Value};
use crate::moments::format_span;

/// A configuration file as it was read.
#[derive(Debug, Default)]
pub(crate) struct SettingsFile {
    /// The file to read and write; `None` where there is no home directory.
    pub(crate) path: Option<PathBuf>,
    /// Where the entries came from: `path`, or Hubble's file where ours does not exist yet.
    source: Option<PathBuf>,
    entries: Mapping,
}

/// Our own configuration file: `$XDG_CONFIG_HOME/flowctl/config.yaml`, else below `~/.config`.
fn default_path(environment: &Environment<'_>) -> Option<PathBuf> {
    Some(config_home(environment)?.join("flowctl/config.yaml"))
}

fn config_home(environment: &Environment<'_>) -> Option<PathBuf> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))
}

impl SettingsFile {
    /// Reads the file at `explicit`, else our own, else Hubble's; one that does not exist is empty.
    ///
    /// # Errors
    /// The file cannot be read, or is not a YAML mapping.
    pub(crate) fn read(explicit: Option<PathBuf>, environment: &Environment<'_>) -> Result<Self> {
        if let Some(path) = explicit.filter(|path| !path.as_os_str().is_empty()) {
            return Self::read_first(path.clone(), &[path]);
        }
        let Some(ours) = default_path(environment) else { return Ok(Self::default()) };
        let mut candidates = vec![ours.clone()];
        candidates.extend(config_home(environment).map(|home| home.join("hubble/config.yaml")));
        candidates.extend(environment("HOME").map(|home| Path::new(&home).join(".hubble/config.yaml")));
        Self::read_first(ours, &candidates)
    }

    fn read_first(path: PathBuf, candidates: &[PathBuf]) -> Result<Self> {
        for source in candidates {
            let text = match fs::read_to_string(source) {
                Ok(text) => text,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e).with_context(|| format!("cannot read the configuration {}", source.display())),
            };
            let entries = match serde_norway::from_str(&text) {
                Ok(Yaml::Mapping(entries)) => entries,
                Ok(Yaml::Null) => Mapping::new(),
                Ok(_) => bail!("the configuration {} is not a list of `key: value` lines", source.display()),
                Err(e) => {
                    return Err(e).with_context(|| format!("cannot understand the configuration {}", source.display()));
                }
            };
            return Ok(Self { path: Some(path), source: Some(source.clone()), entries });
        }
        Ok(Self { path: Some(path), ..Self::default() })
    }

    /// The value of a setting; `None` where the file does not have it.
    ///
    /// # Errors
    /// The value has another type.
    pub(crate) fn get(&self, key: &Key) -> Result<Option<Value>> {
        let Some(value) = self.entries.get(key.name) else { return Ok(None) };
        let value = match (value, key.kind) {
            (Yaml::Null, _) => return Ok(None),
            (Yaml::Sequence(items), Kind::List | Kind::Json) => {
                items.iter().map(scalar).collect::<Option<_>>().map(Value::List)
            }
            (value, _) => scalar(value).and_then(|text| key.read(&text).ok()),
        };
        let place = self.source.as_deref().unwrap_or(Path::new("")).display();
        value
            .map(Some)
            .ok_or_else(|| anyhow!("the configuration {place} has a value of the wrong type for {}", key.name))
    }

    /// Sets a value.
    pub(crate) fn set(&mut self, key: &Key, value: &Value) {
        self.entries.insert(Yaml::from(key.name), to_yaml(value));
    }

    /// Removes a value, so that the default counts again.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.entries.remove(key.name);
    }

    /// Removes all values.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Writes the file in one step, so that a crash leaves the old one; folders that are missing are made.
    ///
    /// # Errors
    /// There is no home directory to write to, or writing failed.
    pub(crate) fn write(&self) -> Result<()> {
        let path = self.path.as_ref().context("there is no home directory: name a file with --config")?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let text = if self.entries.is_empty() { String::new() } else { serde_norway::to_string(&self.entries)? };
        let place = || format!("cannot write the configuration {}", path.display());
        let partial = path.with_extension("partial");
        let mut file = private(&partial).with_context(place)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(place)?;
        fs::rename(&partial, path).with_context(place)
    }
}

/// The file may hold a password, so only its owner may read it.
fn private(path: &Path) -> std::io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Bool(value) => Some(value.to_string()),
        Yaml::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The YAML form of a value, for the file and for `config view`.
pub(crate) fn to_yaml(value: &Value) -> Yaml {
    match value {
        Value::Bool(value) => Yaml::from(*value),
        Value::Span(nanos) => Yaml::from(format_span(*nanos)),
        Value::Text(text) => Yaml::from(text.as_str()),
        Value::List(items) => items.iter().map(String::as_str).collect::<Vec<_>>().into(),
    }
}
