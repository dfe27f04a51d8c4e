//! A row of buttons of which one is pressed.

use leptos::prelude::*;

/// Offers `choices` (value, label); `chosen` is the value of the pressed one.
#[component]
pub(crate) fn Choices<T>(
    /// What is chosen here, for those who cannot see it.
    label: &'static str,
    choices: &'static [(T, &'static str)],
    #[prop(into)] chosen: Signal<T>,
    on_choose: impl Fn(T) + Copy + Send + Sync + 'static,
) -> impl IntoView
where
    T: Copy + PartialEq + Send + Sync + 'static,
{
    view! {
        <div class="choices" role="group" aria-label=label>
            {choices
                .iter()
                .map(|&(value, text)| {
                    view! {
                        <button
                            type="button"
                            aria-pressed=move || (chosen.get() == value).to_string()
                            on:click=move |_| on_choose(value)
                        >
                            {text}
                        </button>
                    }
                })
                .collect_view()}
        </div>
    }
}
