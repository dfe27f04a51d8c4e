//! What is known: flows, groups, losses, and what the user looks at.

mod buffer;
mod talk;

use std::time::Duration;

use flow::filter::Query;
use flow::{Flow, LostEventSource};
use proto::convert::flow_from_wire;
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

pub(super) use buffer::Buffer;
pub(super) use talk::ends;

use super::view::Palette;
use crate::groups::{Groups, Sort, is_row_of};

/// What fills the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Flows,
    /// Who talks to whom.
    Talk,
    Drops,
}

impl Tab {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [(Self, &'static str); 3] =
        [(Self::Flows, "Flows"), (Self::Talk, "Who talks to whom"), (Self::Drops, "Drops")];
}

/// Whether the server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    #[default]
    Connecting,
    Connected,
    Broken {
        problem: String,
        again_in: Duration,
    },
}

/// What stands over the tab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Front {
    #[default]
    Nothing,
    /// All fields of the selected flow.
    Details {
        scrolled: u16,
    },
    Help,
    /// The line in which a filter is typed.
    Filter(FilterLine),
}

/// A filter that is being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FilterLine {
    pub(super) text: String,
    /// Place of the cursor, in bytes.
    pub(super) cursor: usize,
    /// What is wrong with it, and at which character, counted from 1.
    pub(super) problem: Option<(String, usize)>,
}

/// Flows, bytes and drops of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) flows: f64,
    pub(super) bytes: Option<f64>,
    pub(super) drops: f64,
}

/// A list of groups that is looked at.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) groups: Groups,
    pub(super) sort: Sort,
    pub(super) selected: usize,
    /// Values that name the selected group on the screen, told by the view, for the order changes as flows come. Nothing
    /// once another one is selected, until that is drawn.
    pub(super) selected_row: Vec<String>,
}

impl Talk {
    /// Groups that are sorted for the screen; nobody scrolls further.
    pub(super) const SHOWN_MAX: usize = 1_000;

    /// Values that name the selected group; `None` where there is no group.
    fn row(&self) -> Option<Vec<String>> {
        if !self.selected_row.is_empty() {
            return Some(self.selected_row.clone());
        }
        let ranking = self.groups.ranking(self.sort, Self::SHOWN_MAX);
        let (values, _) = ranking.rows.get(self.selected).or(ranking.rows.last())?;
        Some(values.iter().map(|value| (*value).to_owned()).collect())
    }
}

/// A group of which the flows are looked at.
#[derive(Debug)]
pub(super) struct Group {
    /// The tab it was opened in.
    pub(super) from: Tab,
    /// Values that name it there.
    pub(super) row: Vec<String>,
    pub(super) flows: Buffer,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) server: String,
    pub(super) palette: Palette,
    pub(super) tab: Tab,
    pub(super) front: Front,
    pub(super) link: Link,
    /// The filter that counts.
    pub(super) query: Query,
    pub(super) flows: Buffer,
    /// The group whose flows the tab of the flows is narrowed to.
    pub(super) group: Option<Group>,
    pub(super) talk: Talk,
    pub(super) drops: Talk,
    pub(super) rates: Rates,
    /// Counted since the last tick.
    pub(super) recent: Groups,
    /// Events lost, and where last.
    pub(super) lost: u64,
    pub(super) lost_at: String,
    /// The last news about nodes, if it calls for attention.
    pub(super) node_news: String,
    /// Rows that fit, told by the view, for keys that turn pages.
    pub(super) page: usize,
}

impl Model {
    /// Knows nothing yet.
    pub(super) fn new(server: &str, palette: Palette) -> Self {
        let groups = || Groups::new(Vec::new());
        let talk = || Talk { groups: groups(), sort: Sort::default(), selected: 0, selected_row: Vec::new() };
        Self {
            server: server.to_owned(),
            palette,
            tab: Tab::default(),
            front: Front::default(),
            link: Link::default(),
            query: Query::default(),
            flows: Buffer::default(),
            group: None,
            talk: talk(),
            drops: talk(),
            rates: Rates::default(),
            recent: Groups::new(Vec::new()),
            lost: 0,
            lost_at: String::new(),
            node_news: String::new(),
            page: 1,
        }
    }

    /// Forgets flows and counts, for another filter or because the user wants to count anew.
    pub(super) fn clear(&mut self) {
        self.flows.clear();
        if let Some(group) = &mut self.group {
            group.flows.clear();
        }
        for talk in [&mut self.talk, &mut self.drops] {
            talk.groups.clear();
            talk.selected = 0;
            talk.selected_row.clear();
        }
        (self.lost, self.node_news) = (0, String::new());
    }

    /// Takes a message of the server.
    pub(super) fn take(&mut self, message: GetFlowsResponse) {
        match message.response_types {
            Some(ResponseTypes::Flow(flow)) => self.take_flow(flow_from_wire(flow)),
            Some(ResponseTypes::LostEvents(lost)) => {
                self.lost = self.lost.saturating_add(lost.num_events_lost);
                let source = LostEventSource(lost.source);
                self.lost_at = if message.node_name.is_empty() {
                    source.to_string()
                } else {
                    format!("{source} of {}", message.node_name)
                };
            }
            Some(ResponseTypes::NodeStatus(status)) => {
                self.node_news = crate::print::node_news(&status).unwrap_or_default();
            }
            None => {}
        }
    }

    fn take_flow(&mut self, flow: Flow) {
        if self.flows.has(&flow) {
            return;
        }
        for (tab, talk) in [(Tab::Talk, &mut self.talk), (Tab::Drops, &mut self.drops)] {
            let Some(values) = talk::group_of(&flow, tab) else { continue };
            talk.groups.add_as(&values.iter().map(AsRef::as_ref).collect::<Vec<_>>(), &flow);
            if let Some(group) = &mut self.group
                && group.from == tab
                && is_row_of(&group.row, &values)
            {
                group.flows.push(flow.clone());
            }
        }
        self.recent.add(&flow);
        self.flows.push(flow);
    }

    /// Narrows the tab of the flows to those of the selected group, as far as they are held.
    pub(super) fn open_group(&mut self) {
        let from = self.tab;
        let Some(row) = self.talk_of_tab().and_then(|talk| talk.row()) else { return };
        let is_in = |flow: &Flow| talk::group_of(flow, from).is_some_and(|values| is_row_of(&row, &values));
        let flows = self.flows.only(is_in);
        self.group = Some(Group { from, row, flows });
        (self.tab, self.front) = (Tab::Flows, Front::Nothing);
    }

    /// The flows of the tab: all that are held, or those of a group.
    pub(super) fn listed(&mut self) -> &mut Buffer {
        match &mut self.group {
            Some(group) => &mut group.flows,
            None => &mut self.flows,
        }
    }

    /// The groups of the tab; none in that of the flows.
    pub(super) fn talk_of_tab(&mut self) -> Option<&mut Talk> {
        match self.tab {
            Tab::Flows => None,
            Tab::Talk => Some(&mut self.talk),
            Tab::Drops => Some(&mut self.drops),
        }
    }
}
