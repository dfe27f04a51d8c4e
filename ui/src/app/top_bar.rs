//! The question that holds for every page: filter, range, live; and the state of the link.

use leptos::prelude::*;

use crate::app::filter_bar::FilterBar;
use crate::app::link::{self, use_link};
use crate::parts::icon::Icon;
use crate::state::{Nav, Range, range, use_nav};

/// The bar.
#[component]
pub(crate) fn TopBar() -> impl IntoView {
    view! {
        <header class="top-bar">
            <FilterBar/>
            <RangePicker/>
            <LiveButton/>
            <LinkPill/>
        </header>
    }
}

#[component]
fn RangePicker() -> impl IntoView {
    let nav = use_nav();
    let custom = move || {
        nav.view.with(|view| {
            let known = range::CHOICES.iter().any(|(value, _)| *value == view.range.start());
            (!known || !view.range.end().is_empty()).then(|| view.range.words())
        })
    };
    view! {
        <div class="choices" role="group" aria-label="Time range">
            {range::CHOICES
                .map(|(value, text)| {
                    let chosen = move || nav.view.with(|v| v.range.start() == value && v.range.end().is_empty());
                    view! {
                        <button
                            type="button"
                            aria-pressed=move || chosen().to_string()
                            on:click=move |_| nav.change(|view| view.range = Range::since(value))
                        >
                            {text}
                        </button>
                    }
                })
                .collect_view()}
            {move || {
                custom()
                    .map(|words| {
                        view! {
                            <button type="button" class="custom-range" aria-pressed="true" title=words.clone()>
                                {words.clone()}
                            </button>
                        }
                    })
            }}
        </div>
    }
}

/// Pauses, and goes on.
pub(crate) fn toggle_live(nav: Nav) {
    nav.change(|view| view.live = !view.live);
}

#[component]
fn LiveButton() -> impl IntoView {
    let nav = use_nav();
    let live = move || nav.view.with(|view| view.live);
    view! {
        <button
            type="button"
            class=move || if live() { "button live on" } else { "button live" }
            aria-pressed=move || live().to_string()
            title=move || if live() { "Live: click to pause (l)" } else { "Paused: click to go on (l)" }
            on:click=move |_| toggle_live(nav)
        >
            {move || if live() { view! { <Icon name="pause"/> } } else { view! { <Icon name="play"/> } }}
            {move || if live() { "Live" } else { "Paused" }}
        </button>
    }
}

#[component]
fn LinkPill() -> impl IntoView {
    let nav = use_nav();
    let polled = use_link().status;
    let state = Memo::new(move |_| {
        let live = nav.view.with(|view| view.live);
        polled.answer.with(|status| polled.failure.with(|f| link::words(status.as_deref(), f.as_ref(), live)))
    });
    view! {
        <p class=move || format!("link-pill {}", state.get().0) role="status" aria-live="off">
            <i class="link-dot" aria-hidden="true"></i>
            {move || state.get().1}
        </p>
    }
}
