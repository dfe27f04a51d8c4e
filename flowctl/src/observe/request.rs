//! What a program that shows flows by itself asks for.

use anyhow::Result;
use flow::filter::Query as Expression;
use prost_types::Timestamp;
use proto::observer::{GetFlowsRequest, GetFlowsResponse};

use super::query::{Query, Selectors};
use crate::cli::Given;
use crate::print::Output;
use crate::settings::Settings;

/// Flows with all their fields, followed, that pass filters and an expression.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    query: Query,
}

impl Request {
    /// Reads the filter flags.
    ///
    /// # Errors
    /// A value cannot be understood.
    pub(crate) fn from_flags(given: &Given, settings: &Settings, now: Timestamp) -> Result<Self> {
        Ok(Self { query: Query::from_flags(given, Output::Wide, settings, now)? })
    }

    /// The same for flows that match this expression too.
    pub(crate) fn with(&self, expression: &Expression) -> Self {
        let mut query = self.query.clone();
        query.narrow(expression.clone());
        Self { query }
    }

    /// The request for a server: so many flows of the past, or those since a moment, and then what comes.
    pub(crate) fn to_wire(&self, number: u64, since: Option<Timestamp>) -> GetFlowsRequest {
        let selectors = Selectors { number, first: false, follow: true, since, until: None };
        let mut query = self.query.clone();
        query.selectors = selectors;
        query.to_request()
    }

    /// Whether all that the server lets pass is asked for.
    pub(crate) fn is_exact(&self) -> bool {
        self.query.rest.is_none()
    }

    /// Whether a message that the server let pass is asked for.
    pub(crate) fn passes(&self, response: &GetFlowsResponse) -> bool {
        self.query.rest.as_ref().is_none_or(|rest| rest.passes(response))
    }
}
