//! Why there is no answer.

use flow::view::Problem;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// No connection to the relay.
    Unreachable,
    /// The relay refused.
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        problem: Problem,
    },
    /// The answer could not be read.
    Garbled(String),
}

impl Failure {
    /// Headline.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Unreachable => "The relay does not answer".to_owned(),
            Self::Refused { status, .. } if *status < 500 => "The relay refused the request".to_owned(),
            Self::Refused { .. } => "The relay could not answer".to_owned(),
            Self::Garbled(_) => "The answer could not be read".to_owned(),
        }
    }

    /// What happened.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Unreachable => "The connection to the relay failed or was closed.".to_owned(),
            Self::Refused { status, problem } if problem.error.is_empty() => format!("HTTP status {status}."),
            Self::Refused { problem, .. } => problem.error.clone(),
            Self::Garbled(error) => error.clone(),
        }
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::Unreachable => "Check that weir is running; this page tries again by itself.".to_owned(),
            Self::Refused { problem, .. } => problem.remedy.clone(),
            Self::Garbled(_) => "Page and relay may be of different versions: reload the page.".to_owned(),
        }
    }

    /// A refusal from the status and body of an answer.
    pub(crate) fn refused(status: u16, body: &str) -> Self {
        Self::Refused { status, problem: serde_json::from_str(body).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_relay_said() {
        let failure = Failure::refused(400, r#"{"error":"no condition is called \"prot\"","remedy":"use port"}"#);
        assert_eq!(failure.title(), "The relay refused the request");
        assert_eq!(failure.text(), "no condition is called \"prot\"");
        assert_eq!(failure.remedy(), "use port");
        assert_eq!(Failure::refused(502, "<html>").text(), "HTTP status 502.");
    }
}
