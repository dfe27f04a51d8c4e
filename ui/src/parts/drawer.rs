//! The panel at the right with everything about one thing.

use leptos::prelude::*;

use crate::parts::icon::Icon;

/// A panel; its close button calls `on_close`, as the key Escape does for the page.
#[component]
pub(crate) fn Drawer(
    #[prop(into)] title: Signal<String>,
    #[prop(into)] subtitle: Signal<String>,
    on_close: impl Fn() + Copy + Send + Sync + 'static,
    children: Children,
) -> impl IntoView {
    view! {
        <aside class="drawer" aria-label="Details">
            <header class="drawer-head">
                <div class="drawer-names">
                    <h2 title=move || title.get()>{move || title.get()}</h2>
                    <p class="muted" title=move || subtitle.get()>
                        {move || subtitle.get()}
                    </p>
                </div>
                <button type="button" class="icon-button" aria-label="Close details" on:click=move |_| on_close()>
                    <Icon name="close"/>
                </button>
            </header>
            <div class="drawer-body">{children()}</div>
        </aside>
    }
}

/// One name and its value; nothing where the value is empty.
#[component]
pub(crate) fn Fact(name: &'static str, #[prop(into)] value: String) -> impl IntoView {
    (!value.is_empty()).then(|| {
        view! {
            <div class="fact">
                <dt>{name}</dt>
                <dd>{value}</dd>
            </div>
        }
    })
}

/// A number with its name, for the head of a panel.
#[component]
pub(crate) fn Tile(
    name: &'static str,
    #[prop(into)] value: Signal<String>,
    /// Extra class, such as `bad`.
    #[prop(into, optional)]
    tone: Signal<String>,
) -> impl IntoView {
    view! {
        <div class=move || format!("tile {}", tone.get())>
            <span class="tile-value">{move || value.get()}</span>
            <span class="tile-name">{name}</span>
        </div>
    }
}
