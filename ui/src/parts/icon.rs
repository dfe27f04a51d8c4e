//! Icons of the sprite in the page.

use leptos::prelude::*;

/// The icon `name` of `icons.svg`; decoration only, words stand beside it or in a label.
#[component]
pub(crate) fn Icon(name: &'static str) -> impl IntoView {
    view! {
        <svg class="icon" aria-hidden="true">
            <use href=format!("#i-{name}")></use>
        </svg>
    }
}
