//! Telling a following client of nodes that broke off, several at once where they did so for the same reason.

use std::time::Duration;

use flow::{NodeState, Timestamp};
use proto::convert::time_to_wire;
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;
use proto::relay::NodeStatusEvent;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::respond::RELAY_NAME;
use crate::nodes::Trouble;

/// Time that a node's trouble waits for others of the same kind, as with `hubble-relay`.
const WINDOW: Duration = Duration::from_secs(10);

/// Troubles of nodes, gathered.
pub(super) struct Troubles {
    news: broadcast::Receiver<Trouble>,
    pending: Option<Pending>,
}

/// Nodes in the same trouble.
struct Pending {
    message: String,
    node_names: Vec<String>,
    due: Instant,
}

impl Troubles {
    /// Troubles from now on.
    pub(super) const fn new(news: broadcast::Receiver<Trouble>) -> Self {
        Self { news, pending: None }
    }

    /// Waits for the next trouble to tell.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> NodeStatusEvent {
        loop {
            let due = self.pending.as_ref().map(|pending| pending.due);
            tokio::select! {
                trouble = self.news.recv() => match trouble {
                    Ok(trouble) => {
                        if let Some(told) = self.add(trouble) {
                            return told;
                        }
                    }
                    // So many at once that some were overwritten; `list nodes` knows them all.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                },
                () = wait_for(due) => {
                    if let Some(pending) = self.pending.take() {
                        return pending.into_event();
                    }
                }
            }
        }
    }

    /// Adds a trouble; gives those before it where it is another.
    fn add(&mut self, trouble: Trouble) -> Option<NodeStatusEvent> {
        if let Some(pending) = &mut self.pending
            && pending.message == trouble.message
        {
            pending.node_names.push(trouble.name);
            return None;
        }
        let pending =
            Pending { message: trouble.message, node_names: vec![trouble.name], due: Instant::now() + WINDOW };
        self.pending.replace(pending).map(Pending::into_event)
    }
}

impl Pending {
    fn into_event(self) -> NodeStatusEvent {
        NodeStatusEvent { state_change: NodeState::NODE_ERROR.0, node_names: self.node_names, message: self.message }
    }
}

/// The event as a response.
pub(super) fn response(event: NodeStatusEvent, now: Timestamp) -> GetFlowsResponse {
    GetFlowsResponse {
        node_name: RELAY_NAME.to_owned(),
        time: Some(time_to_wire(now)),
        response_types: Some(ResponseTypes::NodeStatus(event)),
    }
}

async fn wait_for(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_trouble_is_told_once_with_all_its_nodes() {
        let (sender, news) = broadcast::channel(8);
        let mut troubles = Troubles::new(news);
        let send = |name: &str, message: &str| {
            sender.send(Trouble { name: name.to_owned(), message: message.to_owned() }).unwrap();
        };
        let begun = Instant::now();
        send("a", "refused");
        send("b", "refused");
        send("c", "timed out");
        send("d", "timed out");
        let told = troubles.next().await;
        assert_eq!((told.node_names.join(" "), told.message.as_str()), ("a b".to_owned(), "refused"));
        assert_eq!(begun.elapsed(), Duration::ZERO, "another trouble lets the first go at once");
        let told = troubles.next().await;
        assert_eq!((told.node_names.join(" "), told.message.as_str()), ("c d".to_owned(), "timed out"));
        assert!(begun.elapsed() >= WINDOW && told.state_change == NodeState::NODE_ERROR.0);
    }
}
