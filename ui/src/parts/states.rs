//! What a page shows when it has nothing to show.

use flow::view::Completeness;
use leptos::prelude::*;

use crate::net::Failure;
use crate::parts::icon::Icon;
use crate::parts::units;
use crate::state::{Conditions, Nav, Page, use_nav};

/// Three grey lines while the first answer is on its way.
#[component]
pub(crate) fn Loading(what: &'static str) -> impl IntoView {
    view! {
        <div class="state" role="status">
            <div class="skeleton" aria-hidden="true">
                <span></span>
                <span></span>
                <span></span>
            </div>
            <p class="muted">{format!("Loading {what}…")}</p>
        </div>
    }
}

/// What went wrong and what to do.
#[component]
pub(crate) fn Failed(failure: Failure, on_retry: impl Fn() + 'static) -> impl IntoView {
    view! {
        <div class="state" role="alert">
            <Icon name="warn"/>
            <h2>{failure.title()}</h2>
            <p>{failure.text()}</p>
            <p class="muted">{failure.remedy()}</p>
            <button type="button" class="button primary" on:click=move |_| on_retry()>
                "Try again"
            </button>
        </div>
    }
}

/// Nothing matches: why, and the ways out.
#[component]
pub(crate) fn Empty(
    /// What there is none of, such as "No flows".
    what: &'static str,
) -> impl IntoView {
    let nav = use_nav();
    let why = move || nav.view.with(|view| format!("{what} in {}.", view.range.words()));
    let filters = move || nav.view.with(|view| view.conditions.0.len());
    view! {
        <div class="state" role="status">
            <Icon name="empty"/>
            <h2>{why}</h2>
            <p class="muted">
                {move || match filters() {
                    0 => "Traffic appears here within seconds of being seen by a collector.".to_owned(),
                    1 => "One filter is active.".to_owned(),
                    n => format!("{n} filters are active."),
                }}
            </p>
            <div class="state-ways">
                <Show when=move || { filters() > 0 }>
                    <button type="button" class="button" on:click=move |_| clear_filters(nav)>
                        "Clear filters"
                    </button>
                </Show>
                <button
                    type="button"
                    class="button"
                    on:click=move |_| nav.change(|view| view.range = crate::state::Range::since("all"))
                >
                    "All that is held"
                </button>
                <a class="button" href=move || nav.view.with(|view| Page::Status.href(&view.shared()))>
                    "Is data coming in?"
                </a>
            </div>
        </div>
    }
}

fn clear_filters(nav: Nav) {
    nav.change(|view| view.conditions = Conditions::default());
}

/// One line that says what is missing from an answer; nothing where it is whole.
#[component]
pub(crate) fn Partial(#[prop(into)] completeness: Signal<Completeness>) -> impl IntoView {
    let text = move || completeness.with(missing);
    view! {
        <Show when=move || !text().is_empty()>
            <p class="banner" role="status">
                <Icon name="warn"/>
                <span>{text}</span>
            </p>
        </Show>
    }
}

/// What is missing from an answer, in words; empty where nothing is.
pub(crate) fn missing(completeness: &Completeness) -> String {
    let mut parts = Vec::new();
    match completeness.missing_nodes.as_slice() {
        [] => {}
        [node] => parts.push(format!("{node} does not report")),
        nodes => parts.push(format!("{} nodes do not report ({})", nodes.len(), nodes.join(", "))),
    }
    if completeness.lost > 0 {
        let mut stages: Vec<&str> =
            completeness.losses.iter().filter(|l| l.lost > 0).map(|l| l.stage.as_str()).collect();
        ui_layout::sort_by(&mut stages, |a, b| a.cmp(b));
        stages.dedup();
        let places = if stages.is_empty() { String::new() } else { format!(" ({})", stages.join(", ")) };
        parts.push(format!("{} flows were lost{places}", units::grouped(completeness.lost)));
    }
    match completeness.damaged.as_slice() {
        [] => {}
        [file] => parts.push(format!("flows of a damaged file are missing ({file})")),
        files => parts.push(format!("flows of {} damaged files are missing ({}, …)", files.len(), files[0])),
    }
    if parts.is_empty() { String::new() } else { format!("Incomplete: {}.", parts.join("; ")) }
}

#[cfg(test)]
mod tests {
    use flow::view::Loss;

    use super::*;

    #[test]
    fn what_is_missing_is_said_once() {
        let mut completeness = Completeness::default();
        assert_eq!(missing(&completeness), "");
        completeness.missing_nodes = vec!["node-2".into()];
        completeness.lost = 1200;
        for cause in ["ring_full", "map_full"] {
            completeness.losses.push(Loss {
                stage: "kernel".into(),
                cause: cause.into(),
                lost: 600,
                ..Loss::default()
            });
        }
        assert_eq!(
            missing(&completeness),
            "Incomplete: node-2 does not report; 1\u{202f}200 flows were lost (kernel)."
        );
        let mut completeness = Completeness { damaged: vec!["a.parquet is damaged".into()], ..Completeness::default() };
        assert_eq!(missing(&completeness), "Incomplete: flows of a damaged file are missing (a.parquet is damaged).");
        completeness.damaged.push("b.parquet is damaged".into());
        assert_eq!(
            missing(&completeness),
            "Incomplete: flows of 2 damaged files are missing (a.parquet is damaged, …)."
        );
    }
}
