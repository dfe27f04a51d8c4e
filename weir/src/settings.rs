//! The configuration: file, environment and flags laid over each other, then read once.

mod layers;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_norway::Value;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use self::layers::{Layers, path_value};
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
        Self::read(cli, part, std::env::vars_os())
    }

    fn read(cli: &Cli, part: Part, environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Self> {
        let mut layers = defaults_of(part);
        if let Some(path) = &cli.config {
            layers.lay_file(path)?;
        }
        layers.check("the configuration file")?;
        for (name, text) in environment {
            let Some(key) = env_key(&name)? else { continue };
            let name = name.display();
            let text = text.to_str().with_context(|| format!("the environment variable {name} is not UTF-8"))?;
            layers.lay_text(&key, text);
        }
        layers.check("the environment")?;
        for assignment in &cli.set {
            let Some((key, text)) = assignment.split_once('=') else {
                bail!("--set {assignment:?} is not KEY=VALUE, such as collector.ring.flows_max=1000");
            };
            layers.lay_text(key, text);
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
fn defaults_of(part: Part) -> Layers {
    let text = match part {
        Part::Both => {
            "collector: {observer: {listen: '127.0.0.1:4244'}, metrics: {listen: '127.0.0.1:9965'}}
relay: {metrics: {listen: '127.0.0.1:9966'}}"
        }
        Part::Collector | Part::Relay => "{}",
    };
    let value: Value = serde_norway::from_str(text).expect("the text above is YAML");
    let mut layers = Layers::new(value);
    if matches!(part, Part::Relay | Part::Both) {
        layers.lay("relay.store.place", path_value(&data_folder()));
    }
    layers
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

/// The key of a setting that a variable of the environment stands for; `None` where it is none of ours.
///
/// # Errors
/// It is one of ours, and its name is no text.
fn env_key(name: &OsStr) -> Result<Option<String>> {
    let begins = |section: &str| name.as_encoded_bytes().starts_with(section.as_bytes());
    if !ENV_SECTIONS.iter().any(|section| begins(section)) {
        return Ok(None);
    }
    let name = name.to_str().with_context(|| format!("the name of the environment variable {name:?} is not UTF-8"))?;
    Ok(Some(name["WEIR_".len()..].to_ascii_lowercase().replace("__", ".")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use clap::Parser;

    use super::*;

    fn read(args: &[&str], environment: &[(&str, &str)]) -> Result<Settings> {
        let cli = Cli::parse_from([&["weir"], args].concat());
        let part = cli.command.part().unwrap_or(Part::Both);
        Settings::read(&cli, part, environment.iter().map(|(k, v)| ((*k).into(), (*v).into())))
    }

    /// A file of settings, in a folder that goes with it.
    fn file(text: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weir.yaml");
        std::fs::write(&path, text).unwrap();
        (folder, path.to_str().unwrap().to_owned())
    }

    fn message(result: Result<Settings>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn later_layers_win() {
        let (_folder, file) = file("collector: {node_name: file, ring: {flows_max: 7}}\n");
        let file = file.as_str();
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
    fn a_place_alone_leaves_the_store_its_other_settings() {
        let (_folder, short) = file("relay: {store: /data/weir}\n");
        let (_folder, long) = file("relay: {store: {keep_hours: 24}}\n");
        let hours = [("WEIR_RELAY__STORE__KEEP_HOURS", "24")];
        let place = [("WEIR_RELAY__STORE", "/data/weir")];
        let set_hours = ["--set", "relay.store.keep_hours=24"];
        let set_place = ["--set", "relay.store=/data/weir"];
        let set_both = ["--set", "relay={store: /data/weir}", "--set", "relay.store={keep_hours: 24}"];
        for (args, environment) in [
            (["--config", &short].to_vec(), [hours[0]].to_vec()),
            ([["--config", &short], set_hours].concat(), Vec::new()),
            (["--config", &long].to_vec(), place.to_vec()),
            ([["--config", &long], set_place].concat(), Vec::new()),
            (Vec::new(), [place, hours].concat()),
            (Vec::new(), [hours, place].concat()),
            (set_hours.to_vec(), place.to_vec()),
            (set_place.to_vec(), hours.to_vec()),
            ([set_place, set_hours].concat(), Vec::new()),
            ([set_hours, set_place].concat(), Vec::new()),
            (set_both.to_vec(), Vec::new()),
        ] {
            let store = read(&[&["relay"], &args[..]].concat(), &environment).unwrap().relay.store;
            assert_eq!((store.place.as_str(), store.keep_hours), ("/data/weir", 24), "{args:?} {environment:?}");
        }
    }

    #[test]
    fn texts_that_look_like_numbers_are_texts_where_the_setting_is_one() {
        for text in ["123", "007", "1.10", "true", "", "[a]", "0x1f"] {
            let set = format!("collector.node_name={text}");
            let from_flag = read(&["up", "--set", "log.filter=off", "--set", &set], &[]).unwrap();
            let from_env = read(&["up"], &[("WEIR_COLLECTOR__NODE_NAME", text)]).unwrap();
            assert_eq!((from_flag.collector.node_name.as_str(), from_env.collector.node_name.as_str()), (text, text));
        }
        for environment in [("WEIR_RELAY__STORE", "123"), ("WEIR_RELAY__STORE__PLACE", "123")] {
            let store = read(&["relay", "--set", "relay.store.keep_hours=24"], &[environment]).unwrap().relay.store;
            assert_eq!((store.place.as_str(), store.keep_hours), ("123", 24));
        }
        let tls = [("WEIR_RELAY__GRPC__TLS__KEY_FILE", "1"), ("WEIR_RELAY__GRPC__TLS__CERT_FILE", "2")];
        let tls = read(&["relay"], &tls).unwrap().relay.grpc.tls.unwrap();
        assert_eq!((tls.cert_file.to_str(), tls.key_file.to_str()), (Some("2"), Some("1")));
        let error = message(read(&["up", "--set", "collector.ring.flows_max=many"], &[]));
        assert!(error.contains("the flags cannot be used: collector.ring.flows_max: invalid type"), "{error}");
        let error = message(read(&["up"], &[("WEIR_COLLECTOR__RING__FLOWS_MAX", "true")]));
        assert!(error.contains("boolean `true`"), "{error}");
    }

    #[test]
    fn variables_that_are_no_text_are_refused_where_they_are_settings() {
        let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let read = |name: &[u8], value: &[u8]| {
            let cli = Cli::parse_from(["weir", "up"]);
            Settings::read(&cli, Part::Both, [(bytes(name), bytes(value))].into_iter())
        };
        read(b"FOO", b"\xff").unwrap();
        read(b"FOO\xff", b"bar").unwrap();
        let error = message(read(b"WEIR_COLLECTOR__NODE_NAME", b"\xff"));
        assert_eq!(error, "the environment variable WEIR_COLLECTOR__NODE_NAME is not UTF-8");
        let error = message(read(b"WEIR_COLLECTOR__\xff", b"1"));
        assert_eq!(error, r#"the name of the environment variable "WEIR_COLLECTOR__\xFF" is not UTF-8"#);
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
