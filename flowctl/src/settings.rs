//! Settings of every command: flag over environment over configuration file over default.

mod file;
mod key;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub(crate) use file::{SettingsFile, to_yaml};
pub(crate) use key::{KEYS, Key, Value, parse_bool};

/// Values by key, with the flags, the environment and the file already merged.
#[derive(Debug)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, Value>,
}

/// Looks up a variable of the environment.
pub(crate) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Where to connect and how.
#[derive(Clone, Debug)]
pub(crate) struct ServerSettings {
    /// Address as given, such as `localhost:4245`, `tls://relay:443` or `unix:///var/run/weir/observer.sock`.
    pub(crate) address: String,
    pub(crate) connect_timeout: Duration,
    /// Of calls with one answer; streams have none.
    pub(crate) request_timeout: Duration,
    /// `None` for plain text.
    pub(crate) tls: Option<TlsSettings>,
    /// User and password.
    pub(crate) basic_auth: Option<(String, String)>,
}

/// How to trust the server and to show who we are.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsSettings {
    pub(crate) allow_insecure: bool,
    /// PEM files; empty for the system's roots.
    pub(crate) ca_files: Vec<PathBuf>,
    /// Certificate and key, PEM files.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    /// Name to check in place of the address's host.
    pub(crate) server_name: Option<String>,
}

/// Port of a relay where the address names none.
pub(crate) const RELAY_PORT: u16 = 4245;
/// Prefix of addresses that want TLS.
const TLS_PREFIX: &str = "tls://";
/// Prefixes of environment variables; ours win.
const ENVIRONMENT_PREFIXES: [&str; 2] = ["FLOWCTL_", "HUBBLE_"];

impl Settings {
    /// Merges the sources. `flags` are the values given on the command line, `environment` looks a variable up.
    ///
    /// # Errors
    /// The file cannot be read or understood, or a value has the wrong type.
    pub(crate) fn load(flags: &[(&'static str, Vec<String>)], environment: &Environment<'_>) -> Result<Self> {
        let file = Self::file(flags, environment)?;
        let mut values = BTreeMap::new();
        for key in KEYS {
            let value = if let Some(given) = flag(flags, key.name) {
                key.read_flags(given).with_context(|| format!("invalid argument for \"--{}\" flag", key.name))?
            } else if let Some((name, text)) = variable(environment, key.name) {
                key.read(&text).with_context(|| format!("invalid value of the environment variable {name}"))?
            } else if let Some(value) = file.get(key)? {
                value
            } else {
                key.default()
            };
            values.insert(key.name, value);
        }
        if let Some(path) = &file.path {
            values.insert("config", Value::Text(path.display().to_string()));
        }
        Ok(Self { values })
    }

    /// The configuration file that these flags and this environment lead to, which may not exist yet.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub(crate) fn file(flags: &[(&'static str, Vec<String>)], environment: &Environment<'_>) -> Result<SettingsFile> {
        let explicit = match flag(flags, "config").and_then(<[String]>::last) {
            Some(path) => Some(path.clone()),
            None => variable(environment, "config").map(|(_, value)| value),
        };
        SettingsFile::read(explicit.map(PathBuf::from), environment)
    }

    /// All values in the order of their names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().filter(|(name, _)| !is_filter(name)).map(|(name, value)| (*name, value))
    }

    /// One value; `None` for a name that is no setting.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Whether debug messages are wanted.
    pub(crate) fn debug(&self) -> bool {
        matches!(self.values["debug"], Value::Bool(true))
    }

    /// Texts of `allowlist` or `denylist`, each holding JSON filters.
    pub(crate) fn raw_filters(&self, name: &'static str) -> &[String] {
        match &self.values[name] {
            Value::List(texts) => texts,
            _ => &[],
        }
    }

    fn text(&self, name: &'static str) -> Option<String> {
        match &self.values[name] {
            Value::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    fn span(&self, name: &'static str) -> Duration {
        match self.values[name] {
            Value::Span(nanos) => Duration::from_nanos(nanos),
            _ => Duration::ZERO,
        }
    }

    fn on(&self, name: &'static str) -> bool {
        matches!(self.values[name], Value::Bool(true))
    }

    /// Where to connect and how.
    ///
    /// # Errors
    /// Settings contradict each other, such as a certificate without its key.
    pub(crate) fn server(&self) -> Result<ServerSettings> {
        let address = self.text("server").unwrap_or_else(|| Key::DEFAULT_SERVER.to_owned());
        let wants_tls = self.on("tls") || address.starts_with(TLS_PREFIX) || address.starts_with("https://");
        let client = match (self.text("tls-client-cert-file"), self.text("tls-client-key-file")) {
            (Some(_), Some(_)) if !wants_tls => {
                bail!("invalid flag(s): transport layer security required: a client certificate needs --tls")
            }
            (Some(cert), Some(key)) => Some((cert.into(), key.into())),
            (None, None) => None,
            _ => bail!(
                "invalid flag(s): certificate and private key are both required, but only one was provided: give both \
                 --tls-client-cert-file and --tls-client-key-file"
            ),
        };
        let basic_auth = match (self.text("basic-auth-username"), self.text("basic-auth-password")) {
            (Some(_), Some(_)) if !wants_tls => {
                bail!("invalid flag(s): basic auth needs --tls, for the password would travel in plain text")
            }
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            _ => bail!("invalid flag(s): must specify both basic-auth-username and basic-auth-password"),
        };
        let tls = wants_tls.then(|| TlsSettings {
            allow_insecure: self.on("tls-allow-insecure"),
            ca_files: match &self.values["tls-ca-cert-files"] {
                Value::List(files) => files.iter().map(PathBuf::from).collect(),
                _ => Vec::new(),
            },
            client,
            server_name: self.text("tls-server-name"),
        });
        Ok(ServerSettings {
            address,
            connect_timeout: self.span("timeout"),
            request_timeout: self.span("request-timeout"),
            tls,
            basic_auth,
        })
    }

    /// Base address of the relay's HTTP API: as given, else the default port on the host of `--server`.
    pub(crate) fn http_server(&self) -> String {
        self.text("http-server").unwrap_or_else(|| {
            let server = self.text("server").unwrap_or_default();
            let plain = server.split_once("://").map_or(server.as_str(), |(_, rest)| rest);
            let host = match plain.rsplit_once(':') {
                _ if server.starts_with("unix:") => "",
                Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
                _ => plain,
            };
            let host = if host.is_empty() { "localhost" } else { host };
            format!("http://{host}:{}", Key::HTTP_PORT)
        })
    }
}

fn flag<'a>(flags: &'a [(&'static str, Vec<String>)], name: &str) -> Option<&'a [String]> {
    flags.iter().find(|(given, _)| *given == name).map(|(_, values)| values.as_slice())
}

/// Name and value of the variable that sets this; an empty one sets nothing.
fn variable(environment: &Environment<'_>, name: &str) -> Option<(String, String)> {
    ENVIRONMENT_PREFIXES.iter().find_map(|prefix| {
        let name = format!("{prefix}{}", name.to_uppercase().replace('-', "_"));
        environment(&name).filter(|value| !value.is_empty()).map(|value| (name, value))
    })
}

fn is_filter(name: &str) -> bool {
    matches!(name, "allowlist" | "denylist")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(flags: &[(&'static str, &[&str])], variables: &[(&str, &str)], file: &str) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("hubble")).unwrap();
        std::fs::write(dir.path().join("hubble/config.yaml"), file).unwrap();
        let flags: Vec<_> =
            flags.iter().map(|(name, values)| (*name, values.iter().map(|v| (*v).to_owned()).collect())).collect();
        Settings::load(&flags, &|name| {
            if name == "XDG_CONFIG_HOME" {
                return Some(dir.path().display().to_string());
            }
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn flag_wins_over_environment_over_file_over_default() {
        let file = "timeout: 7s\nserver: from-file:1\n";
        let settings = load(&[], &[], file).unwrap().server().unwrap();
        assert_eq!((settings.address.as_str(), settings.connect_timeout.as_secs()), ("from-file:1", 7));
        assert_eq!(settings.request_timeout.as_secs(), 12);
        let hubble = ("HUBBLE_SERVER", "from-hubble:2");
        assert_eq!(load(&[], &[hubble], file).unwrap().server().unwrap().address, "from-hubble:2");
        let ours = ("FLOWCTL_SERVER", "ours:3");
        assert_eq!(load(&[], &[hubble, ours], file).unwrap().server().unwrap().address, "ours:3");
        let flag = ("server", ["flag:4"].as_slice());
        assert_eq!(load(&[flag], &[hubble, ours], file).unwrap().server().unwrap().address, "flag:4");
    }

    #[test]
    fn wrong_values_name_their_source() {
        let error = |flags: &[(&'static str, &[&str])], variables: &[(&str, &str)], file: &str| {
            format!("{:#}", load(flags, variables, file).unwrap_err())
        };
        assert!(error(&[("timeout", &["soon"])], &[], "").contains("\"--timeout\""));
        assert!(error(&[], &[("HUBBLE_TLS", "perhaps")], "").contains("HUBBLE_TLS"));
        assert!(error(&[], &[], "timeout: [1]").contains("config.yaml"));
        assert!(error(&[], &[], "timeout: 1s\n  x").contains("config.yaml"));
    }

    #[test]
    fn contradictions_are_refused() {
        let server =
            |flags: &[(&'static str, &[&str])]| load(flags, &[], "").unwrap().server().map(|s| s.tls.is_some());
        let cert: (&'static str, &[&str]) = ("tls-client-cert-file", &["c"]);
        let key: (&'static str, &[&str]) = ("tls-client-key-file", &["k"]);
        assert!(server(&[cert]).is_err());
        assert!(server(&[cert, key]).is_err());
        assert!(server(&[cert, key, ("server", &["tls://relay"])]).unwrap());
        assert!(server(&[("basic-auth-username", &["me"])]).is_err());
        assert!(!server(&[]).unwrap());
    }

    #[test]
    fn http_server_follows_the_grpc_server() {
        for (server, http) in [
            ("localhost:4245", "http://localhost:12000"),
            ("tls://relay.example:443", "http://relay.example:12000"),
            ("relay", "http://relay:12000"),
            ("[::1]:4245", "http://[::1]:12000"),
            ("unix:///var/run/weir/observer.sock", "http://localhost:12000"),
        ] {
            assert_eq!(load(&[("server", &[server])], &[], "").unwrap().http_server(), http);
        }
        assert_eq!(load(&[("http-server", &["http://x:1"])], &[], "").unwrap().http_server(), "http://x:1");
    }
}
