//! Settings of several sources, laid over each other.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_norway::{Mapping, Value};

use super::Settings;
use crate::cli::Cli;

/// The store, which may be given by its place alone.
const STORE: &str = "relay.store";
const STORE_PLACE: &str = "relay.store.place";

/// What all sources together say so far.
#[derive(Debug)]
pub(super) struct Layers {
    settings: Value,
    typed: Vec<Typed>,
}

/// A text of the environment or the command line that reads as something else, as `123` reads as a number. Which of
/// them is meant, its setting tells.
#[derive(Debug)]
struct Typed {
    key: String,
    text: String,
    value: Value,
}

impl Layers {
    pub(super) const fn new(settings: Value) -> Self {
        Self { settings, typed: Vec::new() }
    }

    pub(super) fn lay_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
        let value: Value = serde_norway::from_str(&text).with_context(|| format!("{} is not YAML", path.display()))?;
        match value {
            Value::Null => {}
            Value::Mapping(_) => self.lay_over(value),
            _ => bail!("{} must hold keys and values, such as `collector:`", path.display()),
        }
        Ok(())
    }

    /// Lays a value that was typed as text.
    pub(super) fn lay_text(&mut self, key: &str, text: &str) {
        let value = serde_norway::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        let key = if key == STORE && !value.is_mapping() { STORE_PLACE } else { key };
        // `null` says that there is no value, which is not the same as a text.
        if !value.is_string() && (!value.is_null() || text.trim().is_empty()) {
            self.typed.push(Typed { key: key.to_owned(), text: text.to_owned(), value: value.clone() });
        }
        self.lay(key, value);
    }

    pub(super) fn lay_flags(&mut self, cli: &Cli) {
        self.lay_some("log.filter", cli.log.clone());
        if let Some(args) = cli.command.collector_args() {
            for (kind, file) in [("replay", &args.replay), ("pcap", &args.pcap)] {
                if let Some(file) = file {
                    self.lay("collector.source.kind", Value::from(kind));
                    self.lay("collector.source.file", path_value(file));
                }
            }
            self.lay_some("collector.enrich.names_file", args.names.as_deref().map(path_value));
            self.lay_some("collector.node_name", args.node_name.clone());
            self.lay_some("collector.observer.listen", args.observer.clone());
            self.lay_some("collector.relay.address", args.relay.clone());
        }
        if let Some(args) = cli.command.relay_args() {
            self.lay_some("relay.grpc.listen", args.grpc.clone());
            self.lay_some("relay.http.listen", args.http.clone());
            self.lay_some("relay.http.ui_dir", args.ui_dir.as_deref().map(path_value));
            self.lay_addresses("relay.peers", &args.peer);
            self.lay_addresses("relay.peer_services", &args.peer_service);
        }
    }

    /// Lays a list of servers, of each of which only the address was given.
    fn lay_addresses(&mut self, key: &str, addresses: &[String]) {
        if addresses.is_empty() {
            return;
        }
        let servers = addresses.iter().map(|address| {
            let mut server = Mapping::new();
            server.insert("address".into(), address.as_str().into());
            Value::Mapping(server)
        });
        self.lay(key, Value::Sequence(servers.collect()));
    }

    fn lay_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.lay(key, value.into());
        }
    }

    pub(super) fn lay(&mut self, key: &str, value: Value) {
        self.lay_over(key.rsplit('.').fold(value, |inner, part| level(part, inner)));
    }

    fn lay_over(&mut self, mut value: Value) {
        // Its place alone must not take away from the store what other layers say of it, nor they the place.
        let store = value.get_mut("relay").and_then(|relay| relay.get_mut("store"));
        if let Some(store) = store.filter(|store| store.is_string()) {
            *store = level("place", std::mem::take(store));
        }
        merge(&mut self.settings, value);
    }

    /// Reads what is there so far, so that an error names the layer that brought it.
    pub(super) fn check(&mut self, layer: &str) -> Result<Settings> {
        let mut before: Option<serde_path_to_error::Error<_>> = None;
        loop {
            let problem = match serde_path_to_error::deserialize(self.settings.clone()) {
                Ok(settings) => return Ok(settings),
                Err(problem) => problem,
            };
            let key = problem.path().to_string();
            let problem = match before.filter(|before| before.path().to_string() == key) {
                // As a text it is no better, so what it looks like is what was meant.
                Some(before) => before,
                None if self.take_as_text(&key) => {
                    before = Some(problem);
                    continue;
                }
                None => problem,
            };
            return Err(problem).with_context(|| format!("{layer} cannot be used"));
        }
    }

    /// Takes what was typed for this key as the text it is, where it was taken as something else.
    fn take_as_text(&mut self, key: &str) -> bool {
        let present = key.split('.').try_fold(&self.settings, |level, part| level.get(part));
        let Some(at) = self.typed.iter().rposition(|typed| typed.key == key && Some(&typed.value) == present) else {
            return false;
        };
        let typed = self.typed.swap_remove(at);
        self.lay(key, Value::String(typed.text));
        true
    }
}

fn level(name: &str, value: Value) -> Value {
    let mut level = Mapping::new();
    level.insert(name.into(), value);
    Value::Mapping(level)
}

/// Lays `over` upon `under`: mappings are merged, everything else is replaced.
fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Mapping(under), Value::Mapping(over)) => {
            for (key, value) in over {
                match under.get_mut(&key) {
                    Some(present) => merge(present, value),
                    None => {
                        under.insert(key, value);
                    }
                }
            }
        }
        (under, over) => *under = over,
    }
}

pub(super) fn path_value(path: &Path) -> Value {
    Value::from(PathBuf::from(path).to_string_lossy().into_owned())
}
