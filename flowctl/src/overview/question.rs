//! A question to the relay's HTTP API.

use anyhow::{Context, Result, bail};
use flow::view::Completeness;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::from_slice;

use crate::cli::Given;
use crate::http::{self, HttpServer};
use crate::settings::Settings;

/// Stages and nodes that a line about losses names.
const NAMED_MAX: usize = 4;

/// Path and parameters of a request.
#[derive(Debug)]
pub(super) struct Question {
    path: String,
}

impl Question {
    /// Reads the range and the expression; `more` are further parameters.
    ///
    /// # Errors
    /// There are several expressions, or it is none.
    pub(super) fn read(path: &str, given: &Given, operands: &[String], more: &[(&str, &str)]) -> Result<Self> {
        let expression = match operands {
            [] => "",
            [one] => one.as_str(),
            [_, second, ..] => bail!("more than one expression: put {second:?} and the rest in quotes with the first"),
        };
        // Refused here already, with the place of the mistake, whatever the relay's version.
        crate::expression::parse(expression)?;
        let own = [("since", given.text("since", "5m")), ("until", given.text("until", "")), ("where", expression)];
        let parameters: Vec<String> = own
            .iter()
            .chain(more)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        Ok(Self { path: format!("{path}?{}", parameters.join("&")) })
    }

    /// Asks the relay.
    ///
    /// # Errors
    /// The relay cannot be reached, refuses, or says what cannot be understood.
    pub(super) async fn ask<T: serde::de::DeserializeOwned>(&self, settings: &Settings) -> Result<T> {
        let server = settings.server()?;
        let http = HttpServer::new(&settings.http_server(), server.tls.as_ref(), server.connect_timeout)?;
        let response = http.get(&self.path).await?;
        if !response.status().is_success() {
            return Err(http::refusal(response).await);
        }
        from_slice(&http::body(response).await?).context("the relay's answer cannot be understood")
    }
}

/// Tells on standard error what the answer lacks.
///
/// # Errors
/// Writing failed.
pub(super) fn tell(completeness: &Completeness) -> Result<()> {
    if completeness.lost > 0 {
        let mut places: Vec<String> = completeness
            .losses
            .iter()
            .filter(|loss| loss.lost > 0)
            .map(|loss| format!("{} {}", loss.stage, loss.cause))
            .collect();
        places.sort();
        places.dedup();
        places.truncate(NAMED_MAX);
        crate::warn(&format!("{} flows of this range were lost ({})", completeness.lost, places.join(", ")))?;
    }
    if !completeness.missing_nodes.is_empty() {
        let named = completeness.missing_nodes.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
        let count = completeness.missing_nodes.len();
        let more = if count > NAMED_MAX { format!(" and {} more", count - NAMED_MAX) } else { String::new() };
        crate::warn(&format!("nodes that do not report now: {named}{more}"))?;
    }
    tell_damage(&completeness.damaged)
}

/// Tells on standard error which files of the store the answer lacks.
///
/// # Errors
/// Writing failed.
pub(crate) fn tell_damage(files: &[String]) -> Result<()> {
    for problem in files.iter().take(NAMED_MAX) {
        crate::warn(&format!("flows of the store are missing: {problem}"))?;
    }
    if files.len() > NAMED_MAX {
        crate::warn(&format!("flows of {} more damaged files are missing", files.len() - NAMED_MAX))?;
    }
    Ok(())
}
