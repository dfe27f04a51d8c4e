//! The page of drops.

use std::time::Duration;

use flow::view::{Completeness, DropSummary};
use leptos::prelude::*;

use crate::drops::chart::Chart;
use crate::drops::groups::Groups;
use crate::drops::stack::Stack;
use crate::net::{Failure, poll};
use crate::parts::icon::Icon;
use crate::parts::states::{Failed, Loading, Partial};
use crate::parts::units;
use crate::state::{ViewState, use_nav};

/// Pause between two answers.
const EVERY: Duration = Duration::from_secs(4);

/// The page.
#[component]
pub(crate) fn DropsPage() -> impl IntoView {
    let nav = use_nav();
    let url = move || format!("/api/v1/drops?{}", nav.view.with(ViewState::api_query));
    let polled = poll::<DropSummary>(url, Signal::derive(move || nav.view.with(|view| view.live)), EVERY);
    let completeness = Signal::derive(move || {
        polled.answer.with(|answer| answer.as_ref().map_or_else(Completeness::default, |a| a.completeness.clone()))
    });
    let total = move || polled.answer.with(|answer| answer.as_ref().map_or(0, |answer| answer.total));
    let body = move || match (polled.answer.get(), polled.failure.get()) {
        (_, Some(failure @ Failure::Refused { .. })) | (None, Some(failure)) => {
            view! { <Failed failure on_retry=move || polled.retry()/> }.into_any()
        }
        (None, None) => view! { <Loading what="drops"/> }.into_any(),
        (Some(answer), _) if answer.total == 0 && answer.groups.is_empty() => view! { <Nothing/> }.into_any(),
        (Some(answer), _) => view! {
            <div class="drops">
                <Chart stack=Stack::build(&answer.timeline)/>
                <h2>"Who drops what"</h2>
                <Groups groups=answer.groups.clone() total=answer.total left_out=answer.left_out/>
            </div>
        }
        .into_any(),
    };
    view! {
        <section class="page drops-page" class:stale=move || polled.stale.get()>
            <header class="page-bar">
                <h1>"Drops"</h1>
                <p class="muted page-count">
                    {move || format!("{} packets in {}", units::grouped(total()), nav.view.with(|view| view.range.words()))}
                </p>
            </header>
            <Partial completeness/>
            <div class="page-scroll" tabindex="0" role="region" aria-label="Drops">{body}</div>
        </section>
    }
}

/// Good news.
#[component]
fn Nothing() -> impl IntoView {
    let nav = use_nav();
    let filtered = move || nav.view.with(|view| !view.conditions.0.is_empty());
    view! {
        <div class="state" role="status">
            <Icon name="pass"/>
            <h2>{move || format!("No drops in {}", nav.view.with(|view| view.range.words()))}</h2>
            <p class="muted">
                {move || if filtered() { "None that match the filter." } else { "Every packet that was seen got through." }}
            </p>
            <Show when=filtered>
                <button
                    type="button"
                    class="button"
                    on:click=move |_| nav.change(|view| view.conditions = crate::state::Conditions::default())
                >
                    "Clear filters"
                </button>
            </Show>
        </div>
    }
}
