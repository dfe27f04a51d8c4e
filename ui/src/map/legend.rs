//! What lines and marks mean.

use leptos::prelude::*;

use crate::parts::icon::Icon;

/// A folded card in the corner.
#[component]
pub(crate) fn Legend() -> impl IntoView {
    view! {
        <details class="legend">
            <summary>
                <Icon name="help"/>
                "Legend"
            </summary>
            <ul>
                <li>
                    <Sample class="fine"/>
                    "traffic from client to server; wider means more"
                </li>
                <li>
                    <Sample class="warn" mark="!"/>
                    "some drops (from 0.1 %) or failed requests (from 1 %)"
                </li>
                <li>
                    <Sample class="bad" mark="!"/>
                    "requests fail (from 5 %)"
                </li>
                <li>
                    <Sample class="bad" mark="×"/>
                    "packets are dropped (from 1 %)"
                </li>
                <li>
                    <Sample class="bad blocked" mark="×"/>
                    "blocked: nothing gets through"
                </li>
            </ul>
        </details>
    }
}

#[component]
fn Sample(class: &'static str, #[prop(optional)] mark: &'static str) -> impl IntoView {
    view! {
        <svg class=format!("sample {class}") viewBox="0 0 48 16" aria-hidden="true">
            <path d="M1 8h38"></path>
            <path class="sample-arrow" d="M47 8l-9-4v8z"></path>
            {(!mark.is_empty())
                .then(|| {
                    view! {
                        <circle cx="24" cy="8" r="7"></circle>
                        <text x="24" y="12">{mark}</text>
                    }
                })}
        </svg>
    }
}
