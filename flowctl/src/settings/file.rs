//! The configuration file: a YAML mapping from setting to value.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde_norway::{Mapping, Value as Yaml};

use super::{Environment, is_yaml_path, yaml};

/// A configuration file as it was read.
#[derive(Debug, Default)]
pub(crate) struct SettingsFile {
    /// The file to read and write; `None` where there is neither a home directory nor a file in this one.
    pub(crate) path: Option<PathBuf>,
    entries: Mapping,
    /// Why its entries do not count.
    pub(crate) problem: Option<anyhow::Error>,
}

/// Names under which a file in the working directory is looked for where there is no home directory.
const LOCAL_NAMES: [&str; 3] = ["config.yaml", "config.yml", "config"];

/// The configuration file that counts where none is named: ours where it exists, else Hubble's, which is also the one
/// that is made. `None` where there is no home directory.
pub(crate) fn default_file(environment: &Environment<'_>) -> Option<String> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let configured = match set("XDG_CONFIG_HOME") {
        // The standard wants an absolute path; another one counts as none at all.
        Some(path) if !path.starts_with('/') => None,
        Some(path) => Some(path),
        None => set("HOME").map(|home| format!("{home}/.config")),
    };
    let Some(folder) = configured else {
        return set("HOME").map(|home| clean(&format!("{home}/.hubble/config.yaml")));
    };
    let ours = format!("{folder}/flowctl/config.yaml");
    let path = if Path::new(&ours).exists() { ours } else { format!("{folder}/hubble/config.yaml") };
    Some(clean(&path))
}

/// Without doubled slashes and dots that name the folder itself.
fn clean(path: &str) -> String {
    crate::print::clean_path(path)
}

impl SettingsFile {
    /// Reads the file at `explicit`, else the default one.
    pub(crate) fn read(explicit: Option<PathBuf>, environment: &Environment<'_>) -> Self {
        let path = explicit.or_else(|| default_file(environment).map(PathBuf::from));
        let local = || LOCAL_NAMES.iter().map(PathBuf::from).find(|path| path.is_file());
        let Some(source) = path.clone().or_else(local) else { return Self::default() };
        let (entries, problem) = match read_entries(&source) {
            Ok(entries) => (entries, None),
            Err(problem) => (Mapping::new(), Some(problem)),
        };
        Self { path, entries, problem }
    }

    /// The value of a setting; `None` where the file does not have it.
    pub(crate) fn get(&self, name: &str) -> Option<&Yaml> {
        self.entries.get(name)
    }

    /// Everything it holds, known or not.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (String, Yaml)> {
        self.entries.iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value.clone())))
    }

    /// Sets a value.
    pub(crate) fn set(&mut self, name: &str, value: Yaml) {
        self.entries.insert(Yaml::from(name), value);
    }

    /// Writes the file in one step, so that a crash leaves the old one; folders that are missing are made.
    ///
    /// # Errors
    /// There is no home directory to write to, what is there cannot be understood, or writing failed.
    pub(crate) fn write(&mut self) -> Result<()> {
        let path = self.path.as_ref().context("config file undefined: name one with --config")?;
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        if !is_yaml_path(path) {
            bail!("config type could not be determined for {}: name a file that ends with .yaml", path.display());
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).with_context(|| {
            format!("configuration directory does not exist and cannot be created: {}", folder.display())
        })?;
        let entries: Vec<(String, Yaml)> = self.entries().filter(|(_, value)| !value.is_null()).collect();
        let text = yaml::mapping(entries);
        let place = || format!("cannot write the configuration {}", path.display());
        let partial = path.with_extension("partial");
        let mut file = private(&partial).with_context(place)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(place)?;
        fs::rename(&partial, path).with_context(place)
    }
}

/// What the file holds, by lower-case name; nothing where it does not exist.
fn read_entries(path: &Path) -> Result<Mapping> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Mapping::new()),
        Err(e) => return Err(e).with_context(|| format!("cannot read the configuration {}", path.display())),
    };
    let place = || format!("cannot understand the configuration {}", path.display());
    match serde_norway::from_str(&text).with_context(place)? {
        Yaml::Null => Ok(Mapping::new()),
        Yaml::Mapping(entries) => {
            // A name that is not in lower case wins over the one that is, wherever it stands.
            let capital = |name: &Yaml| name.as_str().is_some_and(|name| name != name.to_lowercase());
            let (capitals, plain): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(name, _)| capital(name));
            let lower = |name: Yaml| name.as_str().map(|name| Yaml::from(name.to_lowercase())).unwrap_or(name);
            Ok(plain.into_iter().chain(capitals).map(|(name, value)| (lower(name), value)).collect())
        }
        _ => Err(anyhow!("it is not a list of `key: value` lines")).with_context(place),
    }
}

/// The file may hold a password, so only its owner may read it.
fn private(path: &Path) -> std::io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}
