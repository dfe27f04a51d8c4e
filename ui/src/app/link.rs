//! Whether the relay answers, and what it says of itself.

use std::time::Duration;

use flow::view::Status;
use leptos::prelude::*;

use crate::net::{Failure, Polled, poll};
use crate::parts::units;

/// Pause between two answers.
const EVERY: Duration = Duration::from_secs(3);

/// The link to the relay.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// The relay's status; asked for also while the pages are paused.
    pub(crate) status: Polled<Status>,
}

/// Makes the link known to everything below.
pub(crate) fn provide() {
    let status = poll::<Status>(|| "/api/v1/status".to_owned(), Signal::stored(true), EVERY);
    provide_context(Link { status });
}

/// The link to the relay.
pub(crate) fn use_link() -> Link {
    use_context::<Link>().expect("the frame provides it above every page")
}

/// Class and words of the link's state.
pub(crate) fn words(status: Option<&Status>, failure: Option<&Failure>, live: bool) -> (&'static str, String) {
    match (status, failure) {
        (_, Some(Failure::Unreachable)) => ("bad", "No connection, trying again".to_owned()),
        (_, Some(failure)) => ("bad", failure.title()),
        (None, None) => ("", "Connecting…".to_owned()),
        (Some(status), None) => {
            let up = status.nodes.iter().filter(|node| node.state == "connected").count();
            let nodes = status.nodes.len();
            let class = if !live {
                "paused"
            } else if up < nodes || nodes == 0 {
                "warn"
            } else {
                "good"
            };
            let rate = units::count(status.flows_per_second);
            let word = if nodes == 1 { "node" } else { "nodes" };
            (class, format!("{rate} flows/s · {up}/{nodes} {word}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use flow::view::NodeRow;

    use super::*;

    #[test]
    fn the_link_in_words() {
        let node = |state: &str| NodeRow { state: state.into(), ..NodeRow::default() };
        let status =
            Status { flows_per_second: 1234.0, nodes: vec![node("connected"), node("gone")], ..Status::default() };
        assert_eq!(words(Some(&status), None, true), ("warn", "1.2k flows/s · 1/2 nodes".to_owned()));
        assert_eq!(words(Some(&status), None, false).0, "paused");
        assert_eq!(words(None, None, true).0, "");
        assert_eq!(words(Some(&status), Some(&Failure::Unreachable), true).0, "bad");
    }
}
