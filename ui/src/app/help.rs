//! The sheet of keys.

use leptos::html;
use leptos::prelude::*;

use crate::app::keys::SHEET;
use crate::parts::icon::Icon;

/// A dialog; the browser keeps the focus in it and closes it by Escape.
#[component]
pub(crate) fn Help(open: RwSignal<bool>) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let (Some(dialog), open) = (dialog.get(), open.get()) else { return };
        if open && !dialog.open() {
            // Fails only for a dialog that is open or not in the page.
            drop(dialog.show_modal());
        }
        if !open && dialog.open() {
            dialog.close();
        }
    });
    view! {
        <dialog node_ref=dialog class="help" aria-labelledby="help-title" on:close=move |_| open.set(false)>
            <header>
                <h2 id="help-title">"Keyboard"</h2>
                <button type="button" class="icon-button" aria-label="Close" on:click=move |_| open.set(false)>
                    <Icon name="close"/>
                </button>
            </header>
            <dl class="keys">
                {SHEET
                    .map(|(keys, what)| {
                        view! {
                            <div>
                                <dt>{keys.split(' ').map(|key| view! { <kbd>{key}</kbd> }).collect_view()}</dt>
                                <dd>{what}</dd>
                            </div>
                        }
                    })
                    .collect_view()}
            </dl>
        </dialog>
    }
}
