//! The last flows that match an expression which the server cannot judge.
//!
//! The server counts before the rest of the expression is asked, so it is asked for more and more of its newest flows
//! until enough of them match or there are no more.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::pin::Pin;

use anyhow::{Result, bail};
use prost_types::Timestamp;
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

use super::losses::Losses;
use super::query::Query;
use super::rest::Rest;
use super::stream::{Ended, apply, follow, open};
use crate::connect::Connection;
use crate::moments::order;
use crate::print::Printer;

/// Flows that `--last` holds at most.
const HELD_MAX: u64 = 1_000_000;
/// Flows asked for at least, so that a small number does not cost many questions.
const ASKED_MIN: u64 = 1_000;
/// How many times more flows than before each question asks for.
const GROWTH: u64 = 10;
/// From here on the next question is for everything.
const ASKED_MAX: u64 = 10_000_000;
/// Losses and news about nodes that are held beside the flows; older ones give way.
const NEWS_MAX: usize = 1_024;
/// Nodes told apart.
const NODES_MAX: usize = 10_000;
/// Flows of the newest moment that are remembered, to be left out where following begins at that moment.
const EDGE_MAX: usize = 1_024;

/// What came before following begins.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Whether nothing is to be followed.
    pub(super) is_all: bool,
    /// Flows of the newest moment.
    edge: Vec<GetFlowsResponse>,
}

impl Seen {
    /// Whether the message came before.
    pub(super) fn has(&self, response: &GetFlowsResponse) -> bool {
        self.edge.contains(response)
    }
}

/// Prints the last flows that match, and prepares the query for what comes after them. Stopped before it has them, it
/// prints none.
///
/// # Errors
/// The server cannot be reached, refuses, or breaks off; or printing failed.
pub(super) async fn print(
    connection: &Connection,
    mut stop: Pin<&mut impl Future<Output = ()>>,
    query: &mut Query,
    printer: &mut Printer<'_>,
    losses: &mut Losses,
) -> Result<Seen> {
    let Some(rest) = query.rest.clone() else { return Ok(Seen::default()) };
    let wanted = query.selectors.number;
    if wanted > HELD_MAX {
        bail!("--last must be <= 1_000_000 with this --where, got {wanted}: use --all, or read a part with --since");
    }
    let mut asked = wanted.saturating_mul(GROWTH).max(ASKED_MIN);
    let found = loop {
        let mut round = query.clone();
        (round.selectors.number, round.selectors.follow) = (asked, false);
        let mut found = Found::new(wanted);
        let opened = open(connection, round);
        let ended = follow(connection, stop.as_mut(), opened, printer, |response, _| {
            found.take(response, &rest);
            Ok(ControlFlow::Continue(()))
        })
        .await?;
        if ended == Ended::Stopped {
            // What came so far need not be the last ones.
            return Ok(Seen { is_all: true, ..Seen::default() });
        }
        if asked == u64::MAX || found.is_enough(asked) {
            break found;
        }
        asked = if asked >= ASKED_MAX { u64::MAX } else { asked * GROWTH };
    };
    let mask = query.late_mask();
    for mut response in found.held {
        losses.count(&response);
        apply(&mask, &mut response);
        printer.print(&response)?;
    }
    let is_all = !query.selectors.follow;
    query.selectors.number = 0;
    query.selectors.since = found.newest.or(query.selectors.since);
    Ok(Seen { is_all, edge: found.edge })
}

/// What one question brought.
struct Found {
    wanted: usize,
    /// The last flows that match, with the losses and news between them.
    held: VecDeque<GetFlowsResponse>,
    flows: usize,
    /// Flows of each node and the time of its oldest one, whether they match or not.
    nodes: HashMap<String, (u64, Timestamp)>,
    received: u64,
    newest: Option<Timestamp>,
    edge: Vec<GetFlowsResponse>,
}

impl Found {
    fn new(wanted: u64) -> Self {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let (held, nodes, edge) = (VecDeque::new(), HashMap::new(), Vec::new());
        Self { wanted, held, flows: 0, nodes, received: 0, newest: None, edge }
    }

    fn take(&mut self, response: GetFlowsResponse, rest: &Rest) {
        let flow = is_flow(&response);
        if flow {
            self.see(&response);
        }
        if !rest.passes(&response) {
            return;
        }
        self.flows += usize::from(flow);
        self.held.push_back(response);
        while self.flows > self.wanted || self.held.len() > self.wanted + NEWS_MAX {
            let oldest = self.held.pop_front();
            self.flows -= usize::from(oldest.as_ref().is_some_and(is_flow));
        }
    }

    fn see(&mut self, response: &GetFlowsResponse) {
        self.received += 1;
        let time = response.time.unwrap_or_default();
        // Beyond the bound all nodes count as one, which asks for more than is needed, never for less.
        let known = self.nodes.contains_key(&response.node_name) || self.nodes.len() < NODES_MAX;
        let node = if known { response.node_name.as_str() } else { "" };
        match self.nodes.get_mut(node) {
            Some((count, oldest)) => {
                *count += 1;
                if order(time, *oldest).is_lt() {
                    *oldest = time;
                }
            }
            None => drop(self.nodes.insert(node.to_owned(), (1, time))),
        }
        match self.newest.map(|newest| order(time, newest)) {
            Some(std::cmp::Ordering::Less) => return,
            Some(std::cmp::Ordering::Equal) => {}
            _ => self.edge.clear(),
        }
        self.newest = Some(time);
        if self.edge.len() < EDGE_MAX {
            self.edge.push(response.clone());
        }
    }

    /// Whether no flow that was not asked for can belong to the last ones.
    fn is_enough(&self, asked: u64) -> bool {
        if self.received < asked {
            return true;
        }
        // A relay of Hubble's gives so many flows of each node: of a node that has more, older ones are missing.
        let cut = self.nodes.values().filter(|(count, _)| *count >= asked).map(|(_, oldest)| *oldest);
        let complete_from = cut.max_by(|a, b| order(*a, *b)).unwrap_or_default();
        let certain = |response: &&GetFlowsResponse| {
            is_flow(response) && order(response.time.unwrap_or_default(), complete_from).is_ge()
        };
        self.held.iter().filter(certain).count() >= self.wanted
    }
}

fn is_flow(response: &GetFlowsResponse) -> bool {
    matches!(response.response_types, Some(ResponseTypes::Flow(_)))
}
