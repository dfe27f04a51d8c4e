//! What can be set, of which type, and the defaults.

use anyhow::{Result, anyhow, bail};

use crate::moments::parse_span;

/// One setting; its name is also the flag's and, in capitals, the environment variable's.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    default: &'static str,
}

/// Type of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Span,
    Text,
    /// Texts separated by commas.
    List,
    /// JSON texts; a comma separates nothing.
    Json,
}

/// Value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Bool(bool),
    /// Nanoseconds.
    Span(u64),
    Text(String),
    List(Vec<String>),
}

/// Dialling takes this long at most: a relay in the same network answers in milliseconds.
const CONNECT_TIMEOUT: &str = "5s";
/// A relay asks all its nodes before it answers, so this is longer than dialling.
const REQUEST_TIMEOUT: &str = "12s";

const fn key(name: &'static str, kind: Kind, default: &'static str) -> Key {
    Key { name, kind, default }
}

/// All settings.
pub(crate) const KEYS: &[Key] = &[
    key("allowlist", Kind::Json, ""),
    key("basic-auth-password", Kind::Text, ""),
    key("basic-auth-username", Kind::Text, ""),
    key("config", Kind::Text, ""),
    key("debug", Kind::Bool, "false"),
    key("denylist", Kind::Json, ""),
    key("http-server", Kind::Text, ""),
    key("request-timeout", Kind::Span, REQUEST_TIMEOUT),
    key("server", Kind::Text, Key::DEFAULT_SERVER),
    key("timeout", Kind::Span, CONNECT_TIMEOUT),
    key("tls", Kind::Bool, "false"),
    key("tls-allow-insecure", Kind::Bool, "false"),
    key("tls-ca-cert-files", Kind::List, ""),
    key("tls-client-cert-file", Kind::Text, ""),
    key("tls-client-key-file", Kind::Text, ""),
    key("tls-server-name", Kind::Text, ""),
];

impl Key {
    /// Address of a relay on this machine.
    pub(crate) const DEFAULT_SERVER: &'static str = "localhost:4245";
    /// Port of the relay's HTTP API.
    pub(crate) const HTTP_PORT: u16 = 12000;

    /// Finds a setting by name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The value where nothing is set.
    pub(crate) fn default(&self) -> Value {
        self.read(self.default).expect("defaults have the right type")
    }

    /// Reads the texts of a flag: lists gather all of them, for everything else the last one counts.
    ///
    /// # Errors
    /// The text does not have the type of the setting.
    pub(crate) fn read_flags(&self, texts: &[String]) -> Result<Value> {
        match self.kind {
            Kind::Json => Ok(Value::List(texts.to_vec())),
            Kind::List => Ok(Value::List(texts.iter().flat_map(|text| split(text)).collect())),
            _ => self.read(texts.last().map_or("", String::as_str)),
        }
    }

    /// Reads one text, from the environment or `config set`.
    ///
    /// # Errors
    /// The text does not have the type of the setting.
    pub(crate) fn read(&self, text: &str) -> Result<Value> {
        Ok(match self.kind {
            Kind::Bool => Value::Bool(parse_bool(text).map_err(|reason| anyhow!(reason))?),
            Kind::Span => Value::Span(parse_timeout(text)?),
            Kind::Text => Value::Text(text.to_owned()),
            Kind::List => Value::List(split(text)),
            Kind::Json if text.is_empty() => Value::List(Vec::new()),
            Kind::Json => Value::List(vec![text.to_owned()]),
        })
    }
}

/// Parts between commas; square brackets around the whole are dropped.
fn split(text: &str) -> Vec<String> {
    let text = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Reads a timeout in nanoseconds; it must be above zero.
fn parse_timeout(text: &str) -> Result<u64> {
    match parse_span(text).map(u64::try_from) {
        Some(Ok(nanos)) if nanos > 0 => Ok(nanos),
        Some(_) => bail!("{text:?} must be above zero"),
        None => bail!("{text:?} is not a duration such as 5s or 1m30s"),
    }
}

/// Reads a truth value in the forms that Go takes.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}
