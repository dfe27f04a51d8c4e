//! Settings of every command: flag over environment over configuration file over default.
//!
//! Sources and types are those of Hubble's command line: a value from the environment is a text, one from the file has
//! the type that YAML gives it, and each is read as what the setting needs when it is needed.

mod file;
mod yaml;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use serde_norway::Value as Yaml;

use crate::cli::{Flag, FlagKind, Given, boolean, comma_separated, setting_flags};
use crate::moments::{format_span, parse_go_span};

pub(crate) use file::{Format, SettingsFile, default_file};
pub(crate) use yaml::to_text as yaml_text;

/// Looks up a variable of the environment.
pub(crate) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What is set where.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Flags that were given, in the type of the flag.
    flags: Vec<(&'static str, Yaml)>,
    /// Variables of the environment, by name of the setting.
    variables: Vec<(String, String)>,
    pub(crate) file: SettingsFile,
}

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
    /// Through which cluster to reach the relay; `None` for straight to the address.
    pub(crate) port_forward: Option<PortForwardSettings>,
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

/// Through which Kubernetes cluster to reach the relay. Empty texts mean the defaults of the kubeconfig file.
#[derive(Clone, Debug, Default)]
pub(crate) struct PortForwardSettings {
    /// Port on this machine; 0 picks a free one.
    pub(crate) local_port: u16,
    pub(crate) kubeconfig: String,
    pub(crate) context: String,
    /// Namespace of the relay's service.
    pub(crate) namespace: String,
}

/// Port of a relay where the address names none.
pub(crate) const RELAY_PORT: u16 = 4245;
/// Port of the relay's HTTP API.
pub(crate) const HTTP_PORT: u16 = 12000;
/// Prefixes of addresses that want TLS.
const TLS_PREFIXES: [&str; 2] = ["tls://", "https://"];
/// Prefixes of environment variables; ours win.
const ENVIRONMENT_PREFIXES: [&str; 2] = ["FLOWCTL_", "HUBBLE_"];
/// Settings of filters, which only `observe` has.
const RAW_FILTERS: [&str; 2] = ["allowlist", "denylist"];

/// Refuses variables of ours that are no text: they would count as not set.
///
/// # Errors
/// There is one.
pub(crate) fn check_environment(mut variables: impl Iterator<Item = (OsString, OsString)>) -> Result<()> {
    let is_bad = |(name, value): &(OsString, OsString)| {
        let is_ours = ENVIRONMENT_PREFIXES.iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()));
        is_ours && name.to_str().is_some() && value.to_str().is_none()
    };
    match variables.find(is_bad) {
        Some((name, _)) => bail!("the environment variable {} is not UTF-8", name.display()),
        None => Ok(()),
    }
}

impl Settings {
    /// Gathers the sources. A file that cannot be read or understood counts as empty and is told of in its `problem`.
    pub(crate) fn load(given: &Given, environment: &Environment<'_>) -> Self {
        let mut flags = Vec::new();
        let mut variables = Vec::new();
        for flag in setting_flags() {
            if let Some(text) = given.last(flag.name) {
                flags.push((flag.name, of_flag(flag, text, given)));
            }
            variables.extend(variable(environment, flag.name).map(|value| (flag.name.to_owned(), value)));
        }
        for name in RAW_FILTERS {
            let texts: Vec<&str> = given.all(name).collect();
            // A list of one empty text is written as none.
            if !texts.is_empty() && texts != [""] {
                flags.push((name, texts.into()));
            } else if !texts.is_empty() {
                flags.push((name, Yaml::Sequence(Vec::new())));
            }
            variables.extend(variable(environment, name).map(|value| (name.to_owned(), value)));
        }
        let named = given.last("config").map(str::to_owned).or_else(|| variable(environment, "config"));
        let file = SettingsFile::read(named.as_deref(), environment);
        // What the file has and no flag sets can be set by the environment all the same.
        let others = file.entries().map(|(name, _)| name).filter(|name| setting_flags().all(|flag| flag.name != name));
        let others = others.filter(|name| !RAW_FILTERS.contains(&name.as_str()));
        variables.extend(others.filter_map(|name| variable(environment, &name).map(|value| (name, value))));
        Self { flags, variables, file }
    }

    /// The value that counts, in the type its source gives it; `None` where nothing sets it.
    fn given(&self, name: &str) -> Option<Yaml> {
        if let Some((_, value)) = self.flags.iter().find(|(flag, _)| *flag == name) {
            return Some(value.clone());
        }
        if let Some((_, value)) = self.variables.iter().find(|(variable, _)| variable == name) {
            return Some(Yaml::from(value.as_str()));
        }
        self.file.get(name).filter(|value| !value.is_null()).cloned()
    }

    /// The value that counts, or the default.
    pub(crate) fn get(&self, name: &str) -> Option<Yaml> {
        let flag = || setting_flags().find(|flag| flag.name == name);
        self.given(name).or_else(|| flag().map(|flag| self.default(flag)))
    }

    fn default(&self, flag: &'static Flag) -> Yaml {
        match (flag.name, flag.kind) {
            (_, FlagKind::Bool) => Yaml::Bool(flag.default == "true"),
            (_, FlagKind::Strings) => Yaml::Sequence(Vec::new()),
            _ => Yaml::from(flag.default),
        }
    }

    /// All settings as they count, by name; those that only Weir has are left out as long as nothing sets them.
    pub(crate) fn all(&self) -> Vec<(String, Yaml)> {
        let mut all: Vec<(String, Yaml)> = setting_flags()
            .filter(|flag| flag.name != "http-server" || self.given(flag.name).is_some())
            .filter_map(|flag| Some((flag.name.to_owned(), self.get(flag.name)?)))
            .collect();
        for (name, value) in self.file.entries() {
            if !all.iter().any(|(known, _)| *known == name) {
                all.push((name.clone(), self.given(&name).unwrap_or(value)));
            }
        }
        all
    }

    /// A text; numbers and truth values in their text form, everything else as none.
    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).and_then(|value| scalar(&value)).unwrap_or_default()
    }

    /// A truth value; what is none counts as false.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        match self.get(name) {
            Some(Yaml::Bool(value)) => value,
            Some(Yaml::Number(number)) => number.as_f64() != Some(0.0),
            Some(Yaml::String(text)) => boolean(&text).unwrap_or(false),
            _ => false,
        }
    }

    /// Texts; one text is split at its spaces.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Yaml::Sequence(items)) => items.iter().filter_map(scalar).collect(),
            Some(Yaml::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
            Some(value) => scalar(&value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// A duration; what is none counts as zero, and a number as nanoseconds.
    pub(crate) fn span(&self, name: &str) -> Duration {
        let nanos = match self.get(name) {
            Some(Yaml::Number(number)) => number.as_i64().unwrap_or(0),
            Some(Yaml::String(text)) if text.contains(['n', 's', 'u', '\u{b5}', 'm', 'h']) => {
                parse_go_span(&text).unwrap_or(0)
            }
            Some(Yaml::String(text)) => parse_go_span(&format!("{text}ns")).unwrap_or(0),
            _ => 0,
        };
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// Whether debug messages are wanted.
    pub(crate) fn debug(&self) -> bool {
        self.is_on("debug")
    }

    /// Refuses contradictions and files that cannot be read, for commands that may connect.
    ///
    /// # Errors
    /// One of user and password is missing, or of certificate and key; or there is a certificate but no TLS.
    pub(crate) fn check(&self) -> Result<()> {
        let [user, password] = ["basic-auth-username", "basic-auth-password"].map(|name| self.text(name).is_empty());
        if user != password {
            bail!("invalid flag(s): must specify both basic-auth-username and basic-auth-password");
        }
        let [cert, key] = ["tls-client-cert-file", "tls-client-key-file"].map(|name| self.text(name));
        if cert.is_empty() != key.is_empty() {
            bail!("invalid flag(s): certificate and private key are both required, but only one was provided");
        }
        let tls = self.wants_tls();
        if !cert.is_empty() && !tls {
            bail!("invalid flag(s): transport layer security required");
        }
        if tls {
            crate::connect::check_tls(&self.tls())?;
        }
        Ok(())
    }

    fn wants_tls(&self) -> bool {
        let address = self.text("server");
        self.is_on("tls") || TLS_PREFIXES.iter().any(|prefix| address.starts_with(prefix))
    }

    fn tls(&self) -> TlsSettings {
        let [cert, key, server_name] =
            ["tls-client-cert-file", "tls-client-key-file", "tls-server-name"].map(|name| self.text(name));
        TlsSettings {
            allow_insecure: self.is_on("tls-allow-insecure"),
            ca_files: self.list("tls-ca-cert-files").into_iter().map(PathBuf::from).collect(),
            client: (!cert.is_empty() && !key.is_empty()).then(|| (cert.into(), key.into())),
            server_name: Some(server_name).filter(|name| !name.is_empty()),
        }
    }

    /// Where to connect and how.
    ///
    /// # Errors
    /// Settings contradict each other.
    pub(crate) fn server(&self) -> Result<ServerSettings> {
        self.check()?;
        let wants_tls = self.wants_tls();
        let user = self.text("basic-auth-username");
        if !user.is_empty() && !wants_tls {
            bail!(
                "the credentials require transport level security: basic auth needs --tls, for the password would travel in plain text"
            );
        }
        // Scripts that set one which is no time, or none, still reach the server, as with hubble, which has no use for it.
        let connect_timeout = Some(self.span("timeout")).filter(|span| !span.is_zero());
        let port_forward = self.is_on("port-forward").then(|| PortForwardSettings {
            local_port: self.text("port-forward-port").parse().unwrap_or(0),
            kubeconfig: self.text("kubeconfig"),
            context: self.text("kube-context"),
            namespace: self.text("kube-namespace"),
        });
        Ok(ServerSettings {
            address: self.text("server"),
            connect_timeout: connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            // At zero every call with one answer fails at once.
            request_timeout: self.span("request-timeout"),
            tls: wants_tls.then(|| self.tls()),
            basic_auth: (!user.is_empty()).then(|| (user, self.text("basic-auth-password"))),
            port_forward,
        })
    }

    /// Base address of the relay's HTTP API: as given, else the default port on the host of `--server`.
    pub(crate) fn http_server(&self) -> String {
        let given = self.text("http-server");
        if !given.is_empty() {
            return given;
        }
        let server = self.text("server");
        let plain = server.split_once("://").map_or(server.as_str(), |(_, rest)| rest);
        let host = match plain.rsplit_once(':') {
            _ if server.starts_with("unix:") => "",
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => plain,
        };
        let host = if host.is_empty() { "localhost" } else { host };
        format!("http://{host}:{HTTP_PORT}")
    }
}

/// The value of a flag in the type that the flag has.
fn of_flag(flag: &'static Flag, text: &str, given: &Given) -> Yaml {
    match flag.kind {
        FlagKind::Bool => Yaml::Bool(boolean(text).unwrap_or(false)),
        FlagKind::Strings => given.list(flag.name).into(),
        FlagKind::Duration => Yaml::from(span_text(parse_go_span(text).unwrap_or(0))),
        FlagKind::Uint16 => Yaml::from(given.number(flag.name, 0).to_string()),
        _ => Yaml::from(text),
    }
}

/// How long to wait for a connection where no time is set that can be understood.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A duration as Go writes it.
fn span_text(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}", format_span(nanos.unsigned_abs()))
}

/// Value of the variable that sets this; an empty one sets nothing.
fn variable(environment: &Environment<'_>, name: &str) -> Option<String> {
    ENVIRONMENT_PREFIXES.iter().find_map(|prefix| {
        let name = format!("{prefix}{}", name.to_uppercase().replace('-', "_"));
        environment(&name).filter(|value| !value.is_empty())
    })
}

fn scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Bool(value) => Some(value.to_string()),
        Yaml::Number(number) if number.is_f64() => number.as_f64().map(|value| match value {
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            value => value.to_string(),
        }),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Null => Some(String::new()),
        _ => None,
    }
}

/// The value for the file, in the type of the setting.
///
/// # Errors
/// The text has another type; the message names the setting and the type.
pub(crate) fn file_value(flag: &'static Flag, text: &str) -> Result<Yaml> {
    let value = if text.is_empty() { flag.default } else { text };
    let kind = flag.type_name();
    let refused =
        |reason: String| anyhow!("cannot assign value={text} for key={}, expected type={kind}: {reason}", flag.name);
    Ok(match flag.kind {
        FlagKind::Bool => Yaml::Bool(boolean(value).map_err(refused)?),
        FlagKind::Duration => {
            let has_unit = value.contains(['n', 's', 'u', '\u{b5}', 'm', 'h']);
            let span = if has_unit { parse_go_span(value) } else { parse_go_span(&format!("{value}ns")) };
            Yaml::from(span_text(span.map_err(refused)?))
        }
        FlagKind::Strings => {
            let inner = value.strip_prefix('[').unwrap_or(value);
            comma_separated(inner.strip_suffix(']').unwrap_or(inner)).map_err(refused)?.into()
        }
        FlagKind::Uint16 => Yaml::from(flag.check(value).map_err(refused).and_then(|()| Ok(value.parse::<u16>()?))?),
        _ => Yaml::from(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::parse;

    fn load(flags: &[&str], variables: &[(&str, &str)], file: &str) -> Settings {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("hubble")).unwrap();
        std::fs::write(dir.path().join("hubble/config.yaml"), file).unwrap();
        let arguments: Vec<String> = ["status"].iter().chain(flags).map(|a| (*a).to_owned()).collect();
        Settings::load(&parse(&arguments).unwrap().flags, &|name| {
            if name == "XDG_CONFIG_HOME" {
                return Some(dir.path().display().to_string());
            }
            variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn flag_wins_over_environment_over_file_over_default() {
        let file = "timeout: 7s\nserver: from-file:1\n";
        let settings = load(&[], &[], file).server().unwrap();
        assert_eq!((settings.address.as_str(), settings.connect_timeout.as_secs()), ("from-file:1", 7));
        assert_eq!(settings.request_timeout.as_secs(), 12);
        let hubble = ("HUBBLE_SERVER", "from-hubble:2");
        assert_eq!(load(&[], &[hubble], file).server().unwrap().address, "from-hubble:2");
        let ours = ("FLOWCTL_SERVER", "ours:3");
        assert_eq!(load(&[], &[hubble, ours], file).server().unwrap().address, "ours:3");
        assert_eq!(load(&["--server", "flag:4"], &[hubble, ours], file).server().unwrap().address, "flag:4");
    }

    #[test]
    fn contradictions_are_refused() {
        let server = |flags: &[&str]| load(flags, &[], "").server().map(|s| s.tls.is_some());
        assert!(server(&["--tls-client-cert-file", "c"]).is_err());
        assert!(server(&["--tls-client-cert-file", "c", "--tls-client-key-file", "k"]).is_err());
        assert!(server(&["--basic-auth-username", "me"]).is_err());
        assert!(server(&["--basic-auth-username", "me", "--basic-auth-password", "x"]).is_err());
        assert!(load(&[], &[("HUBBLE_TIMEOUT", "soon")], "").server().is_ok(), "what is no time counts as none");
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
            assert_eq!(load(&["--server", server], &[], "").http_server(), http);
        }
        assert_eq!(load(&["--http-server", "http://x:1"], &[], "").http_server(), "http://x:1");
    }
}
