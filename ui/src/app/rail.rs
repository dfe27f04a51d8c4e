//! The pages, at the left.

use leptos::prelude::*;

use crate::app::theme::use_theme;
use crate::parts::icon::Icon;
use crate::state::{Page, use_nav};

/// Logo, pages, theme and help.
#[component]
pub(crate) fn Rail(help_open: RwSignal<bool>) -> impl IntoView {
    let theme = use_theme();
    view! {
        <nav class="rail" aria-label="Pages">
            <a class="logo" href="/map" aria-label="Weir: to the map">
                <svg viewBox="0 0 32 32" aria-hidden="true">
                    <use href="#i-logo"></use>
                </svg>
            </a>
            {Page::ALL.map(|page| view! { <Entry page/> }).collect_view()}
            <div class="rail-foot">
                <button
                    type="button"
                    class="icon-button"
                    aria-label=move || theme.choice().label()
                    title=move || theme.choice().label()
                    on:click=move |_| theme.advance()
                >
                    {move || view! { <Icon name=theme.choice().icon()/> }}
                </button>
                <button
                    type="button"
                    class="icon-button"
                    aria-label="Keyboard shortcuts"
                    title="Keyboard shortcuts (?)"
                    on:click=move |_| help_open.set(true)
                >
                    <Icon name="help"/>
                </button>
            </div>
        </nav>
    }
}

#[component]
fn Entry(page: Page) -> impl IntoView {
    let nav = use_nav();
    let icon = match page {
        Page::Map => "map",
        Page::Flows => "flows",
        Page::Drops => "drop",
        Page::Status => "status",
    };
    view! {
        <a
            class="rail-entry"
            href=move || nav.view.with(|view| page.href(&view.shared()))
            aria-current=move || (nav.page.get() == page).then_some("page")
        >
            <Icon name=icon/>
            <span>{page.title()}</span>
        </a>
    }
}
