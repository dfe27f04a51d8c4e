//! Copying text.

use leptos::leptos_dom::helpers::set_timeout;
use leptos::prelude::*;
use std::time::Duration;
use wasm_bindgen::JsCast;

use crate::parts::icon::Icon;

/// How long the button says that it has copied.
const SAID_FOR: Duration = Duration::from_millis(1500);

/// A button that copies `text`.
#[component]
pub(crate) fn CopyButton(label: &'static str, #[prop(into)] text: Signal<String>) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |_| {
        put_on_clipboard(&text.get_untracked());
        copied.set(true);
        set_timeout(move || _ = copied.try_set(false), SAID_FOR);
    };
    view! {
        <button type="button" class="button" on:click=copy>
            {move || if copied.get() { view! { <Icon name="check"/> } } else { view! { <Icon name="copy"/> } }}
            <span>{label}</span>
            <span class="unseen" role="status">
                {move || if copied.get() { "copied" } else { "" }}
            </span>
        </button>
    }
}

fn put_on_clipboard(text: &str) {
    let window = window();
    if window.is_secure_context() {
        // A refusal has no remedy here, so its promise is let go.
        drop(window.navigator().clipboard().write_text(text));
    } else {
        copy_by_selection(text);
    }
}

/// The way that works on a page served over plain HTTP from another machine.
fn copy_by_selection(text: &str) -> Option<()> {
    let document = document();
    let area: web_sys::HtmlTextAreaElement = document.create_element("textarea").ok()?.unchecked_into();
    area.set_value(text);
    area.set_class_name("unseen");
    let body = document.body()?;
    body.append_child(&area).ok()?;
    area.select();
    let html: web_sys::HtmlDocument = document.unchecked_into();
    let copied = html.exec_command("copy").ok();
    area.remove();
    copied.map(|_| ())
}
