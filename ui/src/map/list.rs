//! The map as a table: the same data, in words and numbers.

use leptos::prelude::*;

use crate::map::graph::{Graph, Link, Talk};
use crate::map::page::Picture;
use crate::map::scales::Health;
use crate::map::scene::Hit;
use crate::parts::icon::Icon;
use crate::parts::units;

/// Every connection, the worst and then the largest first.
#[component]
pub(crate) fn List(
    picture: Signal<Picture>,
    select: impl Fn(Option<Hit>) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    view! {
        <div class="list-scroller" tabindex="0" role="region" aria-label="Connections">
            <table class="list">
                <thead>
                    <tr>
                        <th>"State"</th>
                        <th>"Client"</th>
                        <th>"Server"</th>
                        <th>"Protocol"</th>
                        <th class="number">"Bytes"</th>
                        <th class="number">"Requests"</th>
                        <th class="number">"Failed"</th>
                        <th class="number">"p50"</th>
                        <th class="number">"p99"</th>
                        <th class="number">"Dropped"</th>
                        <th>"Reason"</th>
                    </tr>
                </thead>
                <tbody>
                    {move || picture.with(|picture| {
                        let graph = &picture.graph;
                        graph.links.iter().enumerate().map(|(at, link)| row(graph, at, link, select)).collect_view()
                    })}
                </tbody>
            </table>
        </div>
    }
}

fn row<S>(graph: &Graph, at: usize, link: &Link, select: S) -> impl IntoView + use<S>
where
    S: Fn(Option<Hit>) + Copy + Send + Sync + 'static,
{
    let name = |index: usize| {
        let service = &graph.services[index];
        (service.name.clone(), service.place().into_owned())
    };
    let (from, to) = (name(link.from), name(link.to));
    let totals = link.totals;
    let failed = if totals.errors == 0 { String::new() } else { units::percent(totals.error_share()) };
    let dropped = if totals.dropped == 0 { String::new() } else { units::count(totals.dropped as f64) };
    let latency = |value: Option<f64>| value.map(units::micros).unwrap_or_default();
    let open = move |_| select(Some(Hit::Link(at)));
    view! {
        <tr class=class(link.health) on:click=open>
            <td class="list-state">{state(link.health)}</td>
            <td>
                <button type="button" class="link" on:click=open>
                    {from.0}
                </button>
                <span class="muted">{from.1}</span>
            </td>
            <td>
                {to.0}
                <span class="muted">{to.1}</span>
            </td>
            <td>{protocols(&link.talks)}</td>
            <td class="number">{units::bytes_per_second(totals.bytes() as f64 / graph.seconds)}</td>
            <td class="number">
                {(totals.requests > 0).then(|| units::per_second(totals.requests as f64 / graph.seconds))}
            </td>
            <td class="number">{failed}</td>
            <td class="number">{latency(totals.p50_us)}</td>
            <td class="number">{latency(totals.p99_us)}</td>
            <td class="number">{dropped}</td>
            <td>{link.drop_reason().to_owned()}</td>
        </tr>
    }
}

/// Class of a row, a line or a number by its health.
pub(crate) const fn class(health: Health) -> &'static str {
    match health {
        Health::Fine => "fine",
        Health::Warn => "warn",
        Health::Failing | Health::Dropping | Health::Blocked => "bad",
    }
}

fn state(health: Health) -> impl IntoView {
    let (icon, word) = match health {
        Health::Fine => ("pass", "OK"),
        Health::Warn => ("warn", "Some trouble"),
        Health::Failing => ("warn", "Failing"),
        Health::Dropping => ("drop", "Dropping"),
        Health::Blocked => ("drop", "Blocked"),
    };
    view! {
        <Icon name=icon/>
        {word}
    }
}

/// The first ports, and how many more there are.
pub(crate) fn protocols(talks: &[Talk]) -> String {
    let shown: Vec<String> = talks.iter().take(3).map(Talk::label).collect();
    match talks.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} +{more}", shown.join(", ")),
    }
}
