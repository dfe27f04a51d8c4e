//! The configuration file: a YAML mapping from setting to value.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize as _;
use serde_norway::{Mapping, Value as Yaml};

use super::{Environment, yaml};

/// A configuration file as it was read.
#[derive(Debug, Default)]
pub(crate) struct SettingsFile {
    /// The file to read and write; `None` where there is neither a home directory nor a file in this one.
    pub(crate) path: Option<PathBuf>,
    entries: Mapping,
    /// Why its entries do not count.
    pub(crate) problem: Option<anyhow::Error>,
}

/// In which language a file is written. All are read as YAML, which JSON is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Yaml,
    /// Here durations are nanoseconds.
    Json,
}

impl Format {
    /// By the ending of the name; `None` for any other.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match name.rsplit_once('.')?.1 {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Endings of a file that is looked for without its name, in the order to try; whatever it is called, it is YAML.
const ENDINGS: [&str; 13] = [
    ".json",
    ".toml",
    ".yaml",
    ".yml",
    ".properties",
    ".props",
    ".prop",
    ".hcl",
    ".tfvars",
    ".dotenv",
    ".env",
    ".ini",
    "",
];

/// Levels of names in a file, more than anybody writes: what looks at them calls itself for each.
const LEVELS_MAX: usize = 128;

/// The configuration file that counts where none is named: ours where it exists, else Hubble's, which is also the one
/// that is made. `None` where there is no home directory.
pub(crate) fn default_file(environment: &Environment<'_>) -> Option<String> {
    let Some(folder) = configuration_home(environment) else {
        return home(environment).map(|home| clean(&format!("{home}/.hubble/config.yaml")));
    };
    let ours = format!("{folder}/flowctl/config.yaml");
    let path = if Path::new(&ours).exists() { ours } else { format!("{folder}/hubble/config.yaml") };
    Some(clean(&path))
}

fn home(environment: &Environment<'_>) -> Option<String> {
    environment("HOME").filter(|home| !home.is_empty())
}

/// Folder of people's configurations.
fn configuration_home(environment: &Environment<'_>) -> Option<String> {
    match environment("XDG_CONFIG_HOME").filter(|path| !path.is_empty()) {
        // The standard wants an absolute path; another one counts as none at all.
        Some(path) if !path.starts_with('/') => None,
        Some(path) => Some(path),
        None => home(environment).map(|home| format!("{home}/.config")),
    }
}

/// The first file named `config` in this folder, the folder of configurations and the home directory.
fn search(environment: &Environment<'_>) -> Option<PathBuf> {
    let folders = [
        Some(".".to_owned()),
        configuration_home(environment).map(|folder| format!("{folder}/hubble")),
        home(environment).map(|home| format!("{home}/.hubble")),
    ];
    let names = |folder: String| ENDINGS.map(|ending| PathBuf::from(format!("{folder}/config{ending}")));
    folders.into_iter().flatten().flat_map(names).find(|path| path.is_file())
}

/// Without doubled slashes and dots that name the folder itself.
fn clean(path: &str) -> String {
    crate::print::clean_path(path)
}

impl SettingsFile {
    /// Reads the file that was named, else the default one. Where the name that was given is empty, or there is no
    /// default, the file is looked for.
    pub(crate) fn read(named: Option<&str>, environment: &Environment<'_>) -> Self {
        let default = || default_file(environment).map(PathBuf::from);
        let path = named.map_or_else(default, |name| Some(name.into())).filter(|path| !path.as_os_str().is_empty());
        let Some(source) = path.clone().or_else(|| search(environment)) else { return Self::default() };
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

    /// Whether the file sets this; dots lead to what stands further inside.
    pub(crate) fn has(&self, name: &str) -> bool {
        let mut names = name.split('.');
        let first = names.next().and_then(|name| self.entries.get(name));
        let value = names.fold(first, |value, name| value.and_then(|value| value.get(name)));
        value.is_some_and(|value| !value.is_null() && !value.is_mapping())
    }

    /// Everything it holds, known or not, but for levels and values with nothing in them.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (String, Yaml)> {
        self.entries.iter().filter_map(|(name, value)| Some((name.as_str()?.to_owned(), filled(value)?)))
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
        let Some(format) = Format::of(path) else {
            bail!("config type could not be determined for {}: name a file that ends with .yaml", path.display());
        };
        let folder = folder_of(path);
        private_folder(folder).with_context(|| {
            format!("configuration directory does not exist and cannot be created: {}", folder.display())
        })?;
        let entries: Vec<(String, Yaml)> = self.entries().collect();
        let text = match format {
            Format::Yaml => yaml::mapping(entries),
            Format::Json => json(entries)?,
        };
        let place = || format!("cannot write the configuration {}", path.display());
        replace(path, text.as_bytes()).with_context(place)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts the text into the file in one step; only its owner may read it, for it may hold a password. What a link leads to
/// is replaced, not the link. What cannot be replaced is written in place: a file that is mounted by itself or stands in
/// a folder that is not to be written to, and what is no file.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let in_place = || {
        use std::os::unix::fs::OpenOptionsExt as _;
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?.write_all(text)
    };
    // Also a link that leads to no file yet.
    if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
        return in_place();
    }
    // A name of its own, because several may write at the same time.
    let replaced = tempfile::NamedTempFile::new_in(folder_of(&path)).and_then(|mut partial| {
        partial.write_all(text)?;
        partial.as_file().sync_all()?;
        Ok(partial.persist(&path)?)
    });
    match replaced {
        Err(_) if path.exists() => in_place(),
        replaced => replaced.map(drop),
    }
}

/// A value without the levels that hold nothing; `None` where nothing is left.
fn filled(value: &Yaml) -> Option<Yaml> {
    match value {
        Yaml::Null => None,
        Yaml::Mapping(level) => {
            let level: Mapping =
                level.iter().filter_map(|(name, value)| Some((name.clone(), filled(value)?))).collect();
            (!level.is_empty()).then_some(Yaml::Mapping(level))
        }
        value => Some(value.clone()),
    }
}

/// As Hubble writes JSON: sorted, on indented lines without an end to the last, and fit for a page of HTML.
fn json(entries: Vec<(String, Yaml)>) -> Result<String> {
    let sorted: std::collections::BTreeMap<_, _> = entries.into_iter().collect();
    let mut text = serde_json::to_string_pretty(&sorted).context("cannot write the configuration as JSON")?;
    for (special, written) in [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")] {
        text = text.replace(special, written);
    }
    Ok(text)
}

/// What the file holds, by lower-case name; nothing where it does not exist.
fn read_entries(path: &Path) -> Result<Mapping> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Mapping::new()),
        Err(e) => return Err(e).with_context(|| format!("cannot read the configuration {}", path.display())),
    };
    let place = || format!("cannot understand the configuration {}", path.display());
    // Of several documents the first counts.
    let mut documents = serde_norway::Deserializer::from_str(&text);
    let mut file = documents.next().map_or(Ok(Yaml::Null), Yaml::deserialize).with_context(place)?;
    file.apply_merge().with_context(place)?;
    match file {
        Yaml::Null => Ok(Mapping::new()),
        Yaml::Mapping(entries) => {
            // A name that is not in lower case wins over the one that is, wherever it stands.
            let names = entries.into_iter().filter_map(|(name, value)| Some((super::scalar(&name)?, value)));
            let (capitals, plain): (Vec<_>, Vec<_>) = names.partition(|(name, _)| *name != name.to_lowercase());
            let mut entries = Mapping::new();
            for (name, value) in plain.into_iter().chain(capitals) {
                insert(&mut entries, &name.to_lowercase(), value, LEVELS_MAX).with_context(place)?;
            }
            Ok(entries)
        }
        _ => Err(anyhow!("it is not a list of `key: value` lines")).with_context(place),
    }
}

/// Adds a value under its name. Dots in names and mappings are levels, and levels of one name are one; a level that is a
/// value already stays one.
///
/// # Errors
/// It has more than so many levels.
fn insert(entries: &mut Mapping, path: &str, value: Yaml, levels_max: usize) -> Result<()> {
    let (mut level, mut left) = (entries, levels_max);
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() && !value.is_mapping() {
            level.insert(Yaml::from(name), value);
            return Ok(());
        }
        left = left.checked_sub(1).with_context(|| format!("{path:.40} has more than {LEVELS_MAX} levels"))?;
        match level.entry(Yaml::from(name)).or_insert_with(|| Yaml::Mapping(Mapping::new())) {
            Yaml::Mapping(inner) => level = inner,
            _ => return Ok(()),
        }
    }
    let Yaml::Mapping(inner) = value else { return Ok(()) };
    for (name, value) in inner {
        if let Some(name) = super::scalar(&name) {
            insert(level, &name.to_lowercase(), value, left)?;
        }
    }
    Ok(())
}

/// Makes the folders that are missing, of no use to others.
fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o750).create(path)
}
