//! The view: everything the address bar says after the path.

use crate::state::conditions::Conditions;
use crate::state::escape;
use crate::state::range::Range;

/// Declares a closed choice with its text in the address bar and its label; the first is the default.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal, $label:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) enum $name {
            #[default]
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every choice with its label, in the order to show them.
            pub(crate) const ALL: &[(Self, &str)] = &[$((Self::$variant, $label),)+];

            /// Text in the address bar.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The choice with this text; the default for any other.
            pub(crate) fn parse(text: &str) -> Self {
                Self::ALL.iter().map(|(choice, _)| *choice).find(|choice| choice.text() == text).unwrap_or_default()
            }
        }
    };
}

choice! {
    /// What one box of the map stands for.
    Grouping {
        Auto = "auto", "Automatic";
        Workload = "workload", "Workload";
        Namespace = "namespace", "Namespace";
        Pod = "pod", "Pod";
    }
}

choice! {
    /// What the width and label of an edge tell.
    Metric {
        Bytes = "bytes", "Bytes";
        Packets = "packets", "Packets";
        Requests = "requests", "Requests";
        Latency = "latency", "Latency p99";
    }
}

choice! {
    /// How the map is shown.
    Form {
        Graph = "graph", "Graph";
        List = "list", "List";
    }
}

/// The whole view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ViewState {
    /// Time range.
    pub(crate) range: Range,
    /// Whether pages keep up with what happens.
    pub(crate) live: bool,
    /// Filter.
    pub(crate) conditions: Conditions,
    /// What one box of the map stands for.
    pub(crate) grouping: Grouping,
    /// What edges show.
    pub(crate) metric: Metric,
    /// Graph or list.
    pub(crate) form: Form,
    /// Whether the map shows only what has drops or errors.
    pub(crate) problems: bool,
    /// Whether peers outside are shown one by one.
    pub(crate) unfolded: bool,
    /// Whether the map draws edges beyond its budget.
    pub(crate) all_edges: bool,
    /// What is selected: a node, an edge as `a>b`, or a flow; empty for nothing.
    pub(crate) selected: String,
}

impl Default for ViewState {
    fn default() -> Self {
        Self {
            range: Range::default(),
            live: true,
            conditions: Conditions::default(),
            grouping: Grouping::default(),
            metric: Metric::default(),
            form: Form::default(),
            problems: false,
            unfolded: false,
            all_edges: false,
            selected: String::new(),
        }
    }
}

impl ViewState {
    /// Reads a query string. Names that are not the view's own are conditions, so that a filter of a newer relay works.
    pub(crate) fn parse(query: &str) -> Self {
        let mut state = Self::default();
        let (mut since, mut until) = (String::new(), String::new());
        for (name, value) in escape::pairs(query) {
            match name.as_str() {
                "since" => since = value,
                "until" => until = value,
                "live" => state.live = value != "0",
                "by" => state.grouping = Grouping::parse(&value),
                "metric" => state.metric = Metric::parse(&value),
                "view" => state.form = Form::parse(&value),
                "problems" => state.problems = value == "1",
                "outside" => state.unfolded = value == "all",
                "edges" => state.all_edges = value == "all",
                "sel" => state.selected = value,
                _ => state.conditions.take_parameter(&name, &value),
            }
        }
        state.range = Range::since(&since).until(&until);
        state
    }

    /// The query string without `?`; what is at its default is left out, so equal views have equal links.
    pub(crate) fn format(&self) -> String {
        let mut pairs = self.shared_pairs();
        let mut add = |name: &str, value: &str, is_default: bool| {
            if !is_default {
                pairs.push((name.to_owned(), value.to_owned()));
            }
        };
        add("by", self.grouping.text(), self.grouping == Grouping::default());
        add("metric", self.metric.text(), self.metric == Metric::default());
        add("view", self.form.text(), self.form == Form::default());
        add("problems", "1", !self.problems);
        add("outside", "all", !self.unfolded);
        add("edges", "all", !self.all_edges);
        add("sel", &self.selected, self.selected.is_empty());
        escape::join(&pairs)
    }

    /// The part that means the same on every page: filter, range, and whether it is live.
    pub(crate) fn shared(&self) -> Self {
        Self { range: self.range.clone(), live: self.live, conditions: self.conditions.clone(), ..Self::default() }
    }

    /// The query string for the relay: range and filter.
    pub(crate) fn api_query(&self) -> String {
        let mut pairs = self.range.to_api();
        pairs.extend(self.conditions.to_parameters());
        escape::join(&pairs)
    }

    /// The query string for the relay's live stream: the filter.
    pub(crate) fn stream_query(&self) -> String {
        escape::join(&self.conditions.to_parameters())
    }

    fn shared_pairs(&self) -> Vec<(String, String)> {
        let mut pairs = self.range.to_view();
        if !self.live {
            pairs.push(("live".to_owned(), "0".to_owned()));
        }
        pairs.extend(self.conditions.to_parameters());
        pairs
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::conditions::Condition;

    #[track_caller]
    fn check(query: &str, expected: &str) {
        let state = ViewState::parse(query);
        assert_eq!(state.format(), expected);
        assert_eq!(ViewState::parse(&state.format()), state);
    }

    #[test]
    fn defaults_are_left_out_and_order_is_one() {
        check("", "");
        check("?live=1&since=15m&by=auto&view=graph&problems=0", "");
        check("sel=shop/api&verdict=DROPPED&live=0&since=5m", "since=5m&live=0&verdict=DROPPED&sel=shop/api");
        check("namespace=shop&namespace=bank&not-port=53", "namespace=shop,bank&not-port=53");
        check(
            "by=pod&metric=latency&view=list&problems=1&outside=all&edges=all",
            "by=pod&metric=latency&view=list&problems=1&outside=all&edges=all",
        );
        check("metric=nonsense", "");
    }

    #[test]
    fn the_relay_gets_range_and_filter_only() {
        let state = ViewState::parse("since=all&namespace=shop&by=pod&sel=x&live=0");
        assert_eq!(state.api_query(), "namespace=shop");
        assert_eq!(ViewState::parse("namespace=shop").api_query(), "since=15m&namespace=shop");
        assert_eq!(ViewState::parse("since=1h&namespace=shop").stream_query(), "namespace=shop");
    }

    #[test]
    fn other_pages_keep_the_question_but_not_the_selection() {
        let state = ViewState::parse("since=1h&port=80&by=pod&sel=x");
        assert_eq!(state.shared().format(), "since=1h&port=80");
    }

    proptest! {
        #[test]
        fn every_view_comes_back(
            live: bool,
            problems: bool,
            selected in "[a-z/>: ]{0,12}",
            since in prop::sample::select(vec!["5m", "15m", "all", "2026-11-21T10:00:00Z"]),
            conditions in prop::collection::vec(("(pod|port|label)", "[a-z0-9=/ %&+]{1,8}", any::<bool>()), 0..5),
        ) {
            let mut state = ViewState { live, problems, selected, range: Range::since(since), ..ViewState::default() };
            for (name, value, negated) in conditions {
                state.conditions.add(Condition { name, value, negated });
            }
            let again = ViewState::parse(&state.format());
            prop_assert_eq!(again.format(), state.format());
            prop_assert_eq!(again.conditions.to_parameters(), state.conditions.to_parameters());
        }
    }
}
