//! The configuration: file, environment and flags laid over each other, then read once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_norway::{Mapping, Value};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Cli, Part};
use crate::join::Way;

/// Environment variables with these beginnings are settings; `__` stands between the levels of a key.
const ENV_SECTIONS: [&str; 3] = ["WEIR_COLLECTOR__", "WEIR_RELAY__", "WEIR_LOG__"];

/// All settings of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// What to log and how.
    pub(crate) log: LogSettings,
    /// The collector's settings.
    pub(crate) collector: collector::Config,
    /// The relay's settings.
    pub(crate) relay: relay_server::Config,
}

/// What to log and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogSettings {
    /// A level, or a filter such as `info,collector=debug`. Default `info`: the life cycle, and what went wrong.
    pub(crate) filter: String,
    /// `text` for people (default) or `json` for log shippers.
    pub(crate) format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl LogSettings {
    /// What to log.
    ///
    /// # Errors
    /// The filter cannot be read; the text names the setting and what would do.
    pub(crate) fn env_filter(&self) -> Result<EnvFilter> {
        let filter = match self.filter.split(',').find(|directive| is_mistyped(directive.trim())) {
            Some(mistyped) => Err(anyhow!("{:?} is no level", mistyped.trim())),
            None => EnvFilter::try_new(&self.filter).map_err(anyhow::Error::from),
        };
        filter.with_context(|| {
            format!(
                "log.filter {:?} cannot be read: set it to a level (error, warn, info, debug, trace, off), or to a filter \
                 such as info,collector=debug",
                self.filter
            )
        })
    }
}

/// Whether a part of a filter is a word that is no level. It would be read as the name of a module, and all others would
/// be silent.
fn is_mistyped(directive: &str) -> bool {
    let is_word = !directive.is_empty() && directive.chars().all(char::is_alphanumeric);
    is_word && directive.parse::<LevelFilter>().is_err()
}

impl Settings {
    /// Reads the settings of `part` as the command line, the environment and the file give them.
    ///
    /// # Errors
    /// The file cannot be read or is not YAML, a key is not known, a value does not fit; the text names file and key.
    pub(crate) fn load(cli: &Cli, part: Part) -> Result<Self> {
        Self::read(cli, part, std::env::vars())
    }

    fn read(cli: &Cli, part: Part, environment: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let mut layers = Layers(defaults_of(part));
        if let Some(path) = &cli.config {
            layers.lay_file(path)?;
        }
        layers.check("the configuration file")?;
        for (name, text) in environment {
            if let Some(key) = env_key(&name) {
                layers.lay_text(&key, &text).with_context(|| format!("bad value of {name}"))?;
            }
        }
        layers.check("the environment")?;
        for assignment in &cli.set {
            let Some((key, text)) = assignment.split_once('=') else {
                bail!("--set {assignment:?} is not KEY=VALUE, such as collector.ring.flows_max=1000");
            };
            layers.lay_text(key, text).with_context(|| format!("bad value in --set {assignment}"))?;
        }
        layers.lay_flags(cli);
        let settings = layers.check("the flags")?;
        settings.log.env_filter()?;
        settings.relay.validate()?;
        if part == Part::Both {
            Way::of(&settings)?;
        }
        Ok(settings)
    }

    /// The settings as YAML.
    ///
    /// # Errors
    /// None in practice: every setting has a YAML form.
    pub(crate) fn to_yaml(&self) -> Result<String> {
        Ok(serde_norway::to_string(self)?)
    }
}

/// What differs from the parts' own defaults: both parts on one machine serve that machine only.
fn defaults_of(part: Part) -> Value {
    let text = match part {
        Part::Both => {
            "collector: {observer: {listen: '127.0.0.1:4244'}, metrics: {listen: '127.0.0.1:9965'}}
relay: {metrics: {listen: '127.0.0.1:9966'}}"
        }
        Part::Collector | Part::Relay => "{}",
    };
    let mut layers = Layers(serde_norway::from_str(text).expect("the text above is YAML"));
    if matches!(part, Part::Relay | Part::Both) {
        layers.lay("relay.store.place", path_value(&data_folder()));
    }
    layers.0
}

/// Where a relay keeps its flows: a place for services where root runs it, else one of the user's own.
fn data_folder() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/weir");
    }
    let of_user = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let state = of_user("XDG_STATE_HOME").or_else(|| of_user("HOME").map(|home| home.join(".local/state")));
    state.map_or_else(|| std::env::temp_dir().join("weir"), |state| state.join("weir"))
}

struct Layers(Value);

impl Layers {
    fn lay_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
        let value: Value = serde_norway::from_str(&text).with_context(|| format!("{} is not YAML", path.display()))?;
        match value {
            Value::Null => {}
            Value::Mapping(_) => merge(&mut self.0, value),
            _ => bail!("{} must hold keys and values, such as `collector:`", path.display()),
        }
        Ok(())
    }

    fn lay_text(&mut self, key: &str, text: &str) -> Result<()> {
        let value = serde_norway::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        self.lay(key, value);
        Ok(())
    }

    fn lay_flags(&mut self, cli: &Cli) {
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

    fn lay(&mut self, key: &str, value: Value) {
        // The store by its place alone, which must not take its other settings away.
        let key = if key == "relay.store" && value.is_string() { "relay.store.place" } else { key };
        let nested = key.rsplit('.').fold(value, |inner, part| {
            let mut level = Mapping::new();
            level.insert(part.into(), inner);
            Value::Mapping(level)
        });
        merge(&mut self.0, nested);
    }

    /// Reads what is there so far, so that an error names the layer that brought it.
    fn check(&self, layer: &str) -> Result<Settings> {
        serde_norway::from_value(self.0.clone()).with_context(|| format!("{layer} cannot be used"))
    }
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

fn env_key(name: &str) -> Option<String> {
    let known = ENV_SECTIONS.iter().any(|section| name.starts_with(section));
    known.then(|| name["WEIR_".len()..].to_ascii_lowercase().replace("__", "."))
}

fn path_value(path: &Path) -> Value {
    Value::from(PathBuf::from(path).to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn read(args: &[&str], environment: &[(&str, &str)]) -> Result<Settings> {
        let cli = Cli::parse_from([&["weir"], args].concat());
        let part = cli.command.part().unwrap_or(Part::Both);
        Settings::read(&cli, part, environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    fn message(result: Result<Settings>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn later_layers_win() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.yaml");
        std::fs::write(&file, "collector: {node_name: file, ring: {flows_max: 7}}\n").unwrap();
        let file = file.to_str().unwrap();
        let from_file = read(&["up", "--config", file], &[]).unwrap();
        assert_eq!((from_file.collector.node_name.as_str(), from_file.collector.ring.flows_max), ("file", 7));
        let environment = [("WEIR_COLLECTOR__NODE_NAME", "env"), ("WEIR_CACHE", "/elsewhere")];
        let from_env = read(&["up", "--config", file], &environment).unwrap();
        assert_eq!((from_env.collector.node_name.as_str(), from_env.collector.ring.flows_max), ("env", 7));
        let from_flag =
            read(&["up", "--config", file, "--node-name", "flag", "--set", "collector.ring.flows_max=9"], &environment)
                .unwrap();
        assert_eq!((from_flag.collector.node_name.as_str(), from_flag.collector.ring.flows_max), ("flag", 9));
    }

    #[test]
    fn unknown_keys_are_named_with_their_layer() {
        let error = message(read(&["up"], &[("WEIR_RELAY__SQL__ROWS", "5")]));
        assert!(error.contains("the environment") && error.contains("rows"), "{error}");
        let error = message(read(&["up", "--set", "colector.ring.flows_max=1"], &[]));
        assert!(error.contains("the flags") && error.contains("colector"), "{error}");
        let error = message(read(&["up", "--set", "collector.ring"], &[]));
        assert!(error.contains("KEY=VALUE"), "{error}");
    }

    #[test]
    fn a_log_filter_that_cannot_be_read_is_refused() {
        for filter in ["info", "off", "warn,collector=debug", "relay_server::ingest=trace"] {
            read(&["up", "--log", filter], &[]).unwrap();
        }
        for filter in ["info,collector=verbose", "==", "inof", "info, colector"] {
            let error = message(read(&["config", "check", "--log", filter], &[]));
            assert!(error.contains("log.filter") && error.contains("such as info,collector=debug"), "{error}");
        }
    }

    #[test]
    fn one_machine_serves_itself_only_and_a_node_serves_its_cluster() {
        assert!(read(&["up"], &[]).unwrap().collector.observer.listen.unwrap().ip().is_loopback());
        assert!(read(&["collector"], &[]).unwrap().collector.observer.listen.unwrap().ip().is_unspecified());
    }

    #[test]
    fn a_relay_with_tls_needs_a_collector_that_trusts_it() {
        let tls = ["--set", "relay.grpc.tls={cert_file: relay.pem, key_file: key.pem}"];
        let error = message(read(&[&["up"], &tls[..]].concat(), &[]));
        assert!(error.contains("collector.relay.tls.ca_files"), "{error}");
        read(&[&["relay"], &tls[..]].concat(), &[]).unwrap();
        let given = read(&[&["up", "--relay", "https://relay.example:4245"], &tls[..]].concat(), &[]).unwrap();
        assert_eq!(given.collector.relay.address.as_deref(), Some("https://relay.example:4245"));
    }

    #[test]
    fn printed_settings_read_back_the_same() {
        let settings = read(&["up", "--replay", "flows.json", "--peer", "node-1:4244"], &[]).unwrap();
        assert_eq!(serde_norway::from_str::<Settings>(&settings.to_yaml().unwrap()).unwrap(), settings);
    }
}
