//! The filter: chips, and an input that completes.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;

use crate::app::suggest::{Suggestion, suggest};
use crate::app::use_hints;
use crate::parts::icon::Icon;
use crate::state::{Condition, Conditions, use_nav};

/// Id of the input, for the key `/`.
pub(crate) const INPUT_ID: &str = "filter";

/// What the input knows.
#[derive(Clone, Copy)]
struct Entry {
    text: RwSignal<String>,
    open: RwSignal<bool>,
    /// Place of the suggestion that Enter takes.
    active: RwSignal<Option<usize>>,
    suggestions: Memo<Vec<Suggestion>>,
    input: NodeRef<html::Input>,
}

/// The bar.
#[component]
pub(crate) fn FilterBar() -> impl IntoView {
    let nav = use_nav();
    let hints = use_hints();
    let text = RwSignal::new(String::new());
    let entry = Entry {
        text,
        open: RwSignal::new(false),
        active: RwSignal::new(None),
        suggestions: Memo::new(move |_| hints.0.with(|names| suggest(&text.get(), names))),
        input: NodeRef::new(),
    };
    let conditions = move || nav.view.with(|view| view.conditions.0.clone());
    let some = move || nav.view.with(|view| !view.conditions.0.is_empty());
    view! {
        <div class="filter-bar" role="search">
            <Icon name="filter"/>
            <For each=conditions key=Condition::text let:condition>
                <Chip condition/>
            </For>
            <Input entry some=Signal::derive(some)/>
            <Show when=some>
                <button
                    type="button"
                    class="icon-button small"
                    aria-label="Clear all filters"
                    title="Clear all filters"
                    on:click=move |_| nav.change(|view| view.conditions = Conditions::default())
                >
                    <Icon name="close"/>
                </button>
            </Show>
            <List entry/>
        </div>
    }
}

#[component]
fn Chip(condition: Condition) -> impl IntoView {
    let nav = use_nav();
    let class = if condition.negated { "chip not" } else { "chip" };
    let sense = if condition.negated { "not " } else { "" };
    let remove_label = format!("Remove filter {}", condition.text());
    let flip_label = format!("{}: click to turn into its opposite", condition.text());
    let (flipped, removed) = (condition.clone(), condition.clone());
    view! {
        <span class=class>
            <button
                type="button"
                class="chip-text"
                title=flip_label
                on:click=move |_| nav.change(|view| view.conditions.negate(&flipped))
            >
                <span class="chip-name">{sense} {condition.name}</span>
                {condition.value}
            </button>
            <button
                type="button"
                class="chip-close"
                aria-label=remove_label
                on:click=move |_| nav.change(|view| view.conditions.remove(&removed))
            >
                <Icon name="close"/>
            </button>
        </span>
    }
}

#[component]
fn Input(entry: Entry, some: Signal<bool>) -> impl IntoView {
    let nav = use_nav();
    let take = move |text: &str| {
        if let Some(condition) = Condition::parse(text) {
            nav.change(|view| view.conditions.add(condition));
            entry.text.set(String::new());
            entry.active.set(None);
        }
    };
    let on_key = move |event: ev::KeyboardEvent| match event.key().as_str() {
        "Enter" => {
            event.prevent_default();
            match chosen(entry) {
                Some(suggestion) if !suggestion.complete => type_in(entry, &suggestion.text),
                Some(suggestion) => take(&suggestion.text),
                None => take(&entry.text.get_untracked()),
            }
        }
        "Tab" if !entry.text.with_untracked(String::is_empty) && !event.shift_key() => {
            let first = entry.suggestions.with_untracked(|all| all.first().cloned());
            if let Some(suggestion) = chosen(entry).or(first) {
                event.prevent_default();
                type_in(entry, &suggestion.text);
            }
        }
        "ArrowDown" | "ArrowUp" => {
            event.prevent_default();
            entry.open.set(true);
            step(entry, event.key() == "ArrowDown");
        }
        "Escape" => {
            entry.open.set(false);
            entry.active.set(None);
        }
        "Backspace" if entry.text.with_untracked(String::is_empty) => {
            nav.change(|view| _ = view.conditions.0.pop());
        }
        _ => {}
    };
    view! {
        <input
            id=INPUT_ID
            type="text"
            autocomplete="off"
            autocapitalize="off"
            spellcheck="false"
            role="combobox"
            aria-label="Add a filter"
            aria-autocomplete="list"
            aria-controls="filter-list"
            aria-expanded=move || is_open(entry).to_string()
            aria-activedescendant=move || entry.active.get().map(|at| format!("filter-{at}"))
            placeholder=move || if some.get() { "add a filter" } else { "Filter: namespace=shop, 8080, -verdict=DROPPED …" }
            node_ref=entry.input
            prop:value=move || entry.text.get()
            on:input=move |event| {
                entry.text.set(event_target_value(&event));
                entry.active.set(None);
                entry.open.set(true);
            }
            on:focus=move |_| entry.open.set(true)
            on:blur=move |_| entry.open.set(false)
            on:keydown=on_key
        />
    }
}

#[component]
fn List(entry: Entry) -> impl IntoView {
    let nav = use_nav();
    let pick = move |suggestion: Suggestion| {
        if !suggestion.complete {
            type_in(entry, &suggestion.text);
        } else if let Some(condition) = Condition::parse(&suggestion.text) {
            nav.change(|view| view.conditions.add(condition));
            entry.text.set(String::new());
        }
    };
    let line = move |(at, suggestion): (usize, Suggestion)| {
        let picked = suggestion.clone();
        view! {
            <li
                id=format!("filter-{at}")
                role="option"
                aria-selected=move || (entry.active.get() == Some(at)).to_string()
                // Before the input loses the focus and the list goes.
                on:pointerdown=move |event| {
                    event.prevent_default();
                    pick(picked.clone());
                }
            >
                <span>{suggestion.text}</span>
                <span class="muted">{suggestion.help}</span>
            </li>
        }
    };
    view! {
        <ul id="filter-list" class="filter-list" role="listbox" aria-label="Suggestions" hidden=move || !is_open(entry)>
            {move || entry.suggestions.get().into_iter().enumerate().map(line).collect_view()}
        </ul>
    }
}

fn is_open(entry: Entry) -> bool {
    entry.open.get() && entry.suggestions.with(|all| !all.is_empty())
}

fn chosen(entry: Entry) -> Option<Suggestion> {
    let at = entry.active.get_untracked()?;
    entry.suggestions.with_untracked(|all| all.get(at).cloned())
}

fn type_in(entry: Entry, text: &str) {
    entry.text.set(text.to_owned());
    entry.active.set(None);
    entry.open.set(true);
    if let Some(input) = entry.input.get_untracked() {
        // A page that has lost its window cannot take the focus, nor needs it.
        drop(input.focus());
    }
}

fn step(entry: Entry, down: bool) {
    let count = entry.suggestions.with_untracked(Vec::len);
    if count == 0 {
        return;
    }
    entry.active.update(|active| {
        *active = Some(match (*active, down) {
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
        });
    });
}
