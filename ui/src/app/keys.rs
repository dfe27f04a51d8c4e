//! Keys that work on every page.

use leptos::ev;
use leptos::leptos_dom::helpers::window_event_listener;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::app::filter_bar;
use crate::app::top_bar::toggle_live;
use crate::state::{Nav, Page};

/// Milliseconds within which the second key of a pair counts.
const PAIR_MILLIS: f64 = 1500.0;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Help,
    Filter,
    Live,
    Close,
    Open(Page),
    /// The first key of a pair.
    Begin,
}

/// Keys and what they do, for the sheet.
pub(crate) const SHEET: [(&str, &str); 13] = [
    ("?", "this sheet"),
    ("/", "type a filter"),
    ("l", "pause, or go on"),
    ("g m", "go to the map"),
    ("g f", "go to the flows"),
    ("g d", "go to the drops"),
    ("g s", "go to the status"),
    ("Esc", "close the details"),
    ("Backspace", "in the empty filter: remove the last condition"),
    ("← ↑ ↓ →", "on the map: move it"),
    ("+ −", "on the map: zoom"),
    ("0", "on the map: show all"),
    ("j k", "on the rows of the flow table: next and previous flow"),
];

/// What a key asks for, after `g` or not. While the sheet is open the browser gives it its keys, and what is behind it
/// hears none.
fn wish(key: &str, after_g: bool, help_open: bool) -> Option<Wish> {
    if help_open {
        return None;
    }
    if after_g {
        let page = match key {
            "m" => Page::Map,
            "f" => Page::Flows,
            "d" => Page::Drops,
            "s" => Page::Status,
            _ => return None,
        };
        return Some(Wish::Open(page));
    }
    match key {
        "?" => Some(Wish::Help),
        "/" => Some(Wish::Filter),
        "l" => Some(Wish::Live),
        "g" => Some(Wish::Begin),
        "Escape" => Some(Wish::Close),
        _ => None,
    }
}

/// Listens as long as the frame lives.
pub(crate) fn listen(nav: Nav, help_open: RwSignal<bool>) {
    let begun = StoredValue::new(f64::NEG_INFINITY);
    let listener = window_event_listener(ev::keydown, move |event| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || (is_typing(&event) && event.key() != "Escape") {
            return;
        }
        let after_g = event.time_stamp() - begun.get_value() < PAIR_MILLIS;
        begun.set_value(f64::NEG_INFINITY);
        let Some(wish) = wish(&event.key(), after_g, help_open.get_untracked()) else { return };
        match wish {
            Wish::Help => help_open.set(true),
            Wish::Filter => focus_filter(),
            Wish::Live => toggle_live(nav),
            Wish::Close => close(nav, &event),
            Wish::Open(page) => nav.open(page),
            Wish::Begin => begun.set_value(event.time_stamp()),
        }
        if !matches!(wish, Wish::Close | Wish::Begin) {
            event.prevent_default();
        }
    });
    on_cleanup(move || listener.remove());
}

/// Whether the key goes into a text.
fn is_typing(event: &ev::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"))
}

fn focus_filter() {
    let input = document().get_element_by_id(filter_bar::INPUT_ID);
    if let Some(input) = input.and_then(|input| input.dyn_into::<web_sys::HtmlElement>().ok()) {
        // A window in the background cannot take the focus, nor needs it.
        drop(input.focus());
    }
}

/// Leaves the input, or closes the details.
fn close(nav: Nav, event: &ev::KeyboardEvent) {
    match event.target().and_then(|target| target.dyn_into::<web_sys::HtmlInputElement>().ok()) {
        Some(input) => drop(input.blur()),
        None => nav.replace(|view| view.selected.clear()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_single_keys() {
        assert_eq!(wish("g", false, false), Some(Wish::Begin));
        assert_eq!(wish("d", true, false), Some(Wish::Open(Page::Drops)));
        assert_eq!(wish("d", false, false), None);
        assert_eq!(wish("x", true, false), None);
        assert_eq!(wish("?", false, false), Some(Wish::Help));
    }

    #[test]
    fn what_is_behind_the_sheet_hears_no_key() {
        for (key, after_g) in [("Escape", false), ("g", false), ("d", true), ("l", false), ("/", false), ("?", false)] {
            assert_eq!(wish(key, after_g, true), None, "{key}");
        }
    }
}
