//! The page of flows.

use leptos::prelude::*;

use crate::flows::command;
use crate::flows::details::FlowDetails;
use crate::flows::feed::{Feed, RANGE_ROWS_MAX};
use crate::flows::ring::Numbered;
use crate::flows::table::Table;
use crate::net::{Failure, StreamState};
use crate::parts::copy::CopyButton;
use crate::parts::icon::Icon;
use crate::parts::states::{Empty, Failed, Loading, Partial};
use crate::parts::units;
use crate::state::use_nav;

/// What the address bar says in place of the id of a flow that has none: no link leads to that flow.
const UNNAMED: &str = "unnamed";

/// The page.
#[component]
pub(crate) fn FlowsPage() -> impl IntoView {
    let nav = use_nav();
    let feed = Feed::follow(nav);
    let selected = Memo::new(move |_| nav.view.with(|view| view.selected.clone()));
    let chosen = RwSignal::new(None::<Numbered>);
    let open = move |flow: Numbered| {
        let name = name(&flow).to_owned();
        chosen.set(Some(flow));
        nav.replace(|view| view.selected = name);
    };
    // A link names a flow by its id: it is shown once it is there.
    let shown = Memo::new(move |_| {
        let wanted = selected.get();
        let held = chosen.get().filter(|flow| name(flow) == wanted);
        if held.is_some() || wanted.is_empty() || wanted == UNNAMED {
            return held;
        }
        feed.version.track();
        feed.with(|ring| ring.named(&wanted).cloned())
    });
    let close = move || nav.replace(|view| view.selected.clear());
    let command = Signal::derive(move || nav.view.with(command::of_view));
    view! {
        <section class="page flows-page">
            <header class="page-bar">
                <h1>"Flows"</h1>
                <Counts feed/>
                <Lost feed/>
                <CopyButton label="flowctl" text=command/>
            </header>
            <Partial completeness=feed.completeness/>
            <div class="page-body">
                <Table feed shown on_open=open/>
                <Cover feed/>
                {move || shown.get().map(|flow| view! { <FlowDetails row=flow.row on_close=close/> })}
            </div>
        </section>
    }
}

/// What the address bar calls a flow.
fn name(flow: &Numbered) -> &str {
    if flow.row.id.is_empty() { UNNAMED } else { &flow.row.id }
}

/// How many rows there are, and whether they are live.
#[component]
fn Counts(feed: Feed) -> impl IntoView {
    let nav = use_nav();
    let text = move || {
        feed.version.track();
        let rows = feed.with(|ring| ring.len());
        let count = units::grouped(rows as u64);
        if !nav.view.with(|view| view.live) {
            let of = nav.view.with(|view| view.range.words());
            let newest = if rows >= RANGE_ROWS_MAX { "newest " } else { "" };
            return format!("{newest}{count} flows of {of}");
        }
        match feed.stream.get() {
            Some(StreamState::Reconnecting) => format!("{count} flows · reconnecting…"),
            Some(StreamState::Closed) => format!("{count} flows · the stream was closed"),
            Some(StreamState::Connecting) => format!("{count} flows · connecting…"),
            Some(StreamState::Open) | None => format!("{count} flows · live"),
        }
    };
    view! { <p class="muted page-count">{text}</p> }
}

/// What the stream could not deliver.
#[component]
fn Lost(feed: Feed) -> impl IntoView {
    view! {
        <Show when=move || { feed.lost.get() > 0 }>
            <p class="lost" role="status" title="Flows that were seen but could not be delivered">
                <Icon name="warn"/>
                {move || format!("{} lost", units::grouped(feed.lost.get()))}
            </p>
        </Show>
    }
}

/// What lies over the table while there is nothing in it.
#[component]
fn Cover(feed: Feed) -> impl IntoView {
    #[derive(Clone, PartialEq)]
    enum Why {
        Loading,
        Failed(Failure),
        Empty,
    }
    let nav = use_nav();
    let why = Memo::new(move |_| {
        feed.version.track();
        let rows = feed.with(|ring| ring.len());
        match (feed.failure.get(), feed.loading.get()) {
            (Some(failure), _) if rows == 0 || matches!(failure, Failure::Refused { .. }) => Some(Why::Failed(failure)),
            (_, true) if rows == 0 => Some(Why::Loading),
            (_, false) if rows == 0 => Some(Why::Empty),
            _ => None,
        }
    });
    let retry = move || nav.view.with_untracked(|view| feed.retry(view));
    move || {
        why.get().map(|why| {
            let inside = match why {
                Why::Loading => view! { <Loading what="flows"/> }.into_any(),
                Why::Failed(failure) => view! { <Failed failure on_retry=retry/> }.into_any(),
                Why::Empty => view! { <Empty what="No flows"/> }.into_any(),
            };
            view! { <div class="cover">{inside}</div> }
        })
    }
}
