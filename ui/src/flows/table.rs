//! The table: a fixed pool of rows over a list of any length.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;

use crate::flows::columns::{self, COLUMNS};
use crate::flows::feed::Feed;
use crate::flows::ring::Numbered;
use crate::flows::window::{ROW_HEIGHT, Window, window};
use crate::parts::clock::Zone;
use crate::parts::icon::Icon;
use crate::parts::verdict;

/// Rows that can be on the screen at once: enough for 2,500 CSS pixels.
const POOL: usize = 96;

type Slot = RwSignal<Option<Numbered>>;

/// What the table keeps between frames.
#[derive(Clone, Copy)]
struct Scroll {
    window: RwSignal<Window>,
    /// Rows that came since the reader left the upper end.
    newer: RwSignal<usize>,
    /// Whether some rows are of another day, so that times need more room.
    dated: RwSignal<bool>,
    /// [`Ring::received`](crate::flows::ring::Ring::received) when the reader was last there.
    anchor: StoredValue<u64>,
}

/// The table. `shown` is the flow that is shown in full.
#[component]
pub(crate) fn Table(
    feed: Feed,
    #[prop(into)] shown: Signal<Option<Numbered>>,
    on_open: impl Fn(Numbered) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let scroller = NodeRef::<html::Div>::new();
    let slots: StoredValue<Vec<Slot>> = StoredValue::new((0..POOL).map(|_| RwSignal::new(None)).collect());
    let scroll = Scroll {
        window: RwSignal::new(Window::default()),
        newer: RwSignal::new(0),
        dated: RwSignal::new(false),
        anchor: StoredValue::new(0),
    };
    let refresh = move || {
        let Some(element) = scroller.get_untracked() else { return };
        show(feed, slots, scroll, f64::from(element.scroll_top()));
    };
    Effect::new(move |_| {
        feed.version.track();
        refresh();
    });
    let to_top = move |_| {
        if let Some(element) = scroller.get() {
            element.set_scroll_top(0);
        }
    };
    let step = move |event: ev::KeyboardEvent| {
        let by = match event.key().as_str() {
            "ArrowDown" | "j" => 1,
            "ArrowUp" | "k" => -1,
            _ => return,
        };
        event.prevent_default();
        if let Some(flow) = feed.with(|ring| ring.neighbour(shown.get_untracked().as_ref(), by).cloned()) {
            on_open(flow);
        }
    };
    let row = move |(place, slot): (usize, Slot)| {
        let first = Signal::derive(move || scroll.window.get().first);
        view! { <Row held=slot place first shown on_open/> }
    };
    view! {
        <div class="table" class:dated=scroll.dated role="table" aria-label="Flows" aria-rowcount="-1">
            <div
                class="scroller"
                role="rowgroup"
                tabindex="0"
                aria-label="Rows"
                node_ref=scroller
                on:scroll=move |_| refresh()
                on:keydown=step
            >
                <Head/>
                <div class="spacer" role="presentation" style:height=move || px(scroll.window.get().height)>
                    <div
                        class="window"
                        role="presentation"
                        style:transform=move || format!("translateY({})", px(scroll.window.get().top))
                    >
                        {slots.get_value().into_iter().enumerate().map(row).collect_view()}
                    </div>
                </div>
            </div>
            <Show when=move || { scroll.newer.get() > 0 }>
                <button type="button" class="pill" on:click=to_top>
                    <Icon name="up"/>
                    {move || newer_words(scroll.newer.get())}
                </button>
            </Show>
        </div>
    }
}

#[component]
fn Head() -> impl IntoView {
    view! {
        <div class="row head" role="row">
            {COLUMNS
                .iter()
                .map(|(class, title)| view! { <span class=format!("cell {class}") role="columnheader">{*title}</span> })
                .collect_view()}
        </div>
    }
}

fn newer_words(count: usize) -> String {
    if count == 1 {
        "1 new flow".to_owned()
    } else {
        format!("{} new flows", crate::parts::units::grouped(count as u64))
    }
}

fn px(value: f64) -> String {
    format!("{value}px")
}

/// Fills the pool with what the window shows.
fn show(feed: Feed, slots: StoredValue<Vec<Slot>>, scroll: Scroll, scrolled: f64) {
    feed.with(|ring| {
        if scrolled < ROW_HEIGHT / 2.0 || ring.received() < scroll.anchor.get_value() {
            scroll.anchor.set_value(ring.received());
        }
        let newer = usize::try_from(ring.received() - scroll.anchor.get_value()).unwrap_or(usize::MAX).min(ring.len());
        let now = window(scrolled, ring.len(), newer, POOL);
        slots.with_value(|slots| {
            for (place, slot) in slots.iter().enumerate() {
                let row = (place < now.count).then(|| ring.get(now.first + place)).flatten();
                if slot.with_untracked(|held| held.as_ref() != row) {
                    slot.set(row.cloned());
                }
            }
        });
        if scroll.window.get_untracked() != now {
            scroll.window.set(now);
        }
        if scroll.newer.get_untracked() != newer {
            scroll.newer.set(newer);
        }
        let oldest = ring.len().checked_sub(1).and_then(|at| ring.get(at));
        let dated = oldest.is_some_and(|oldest| Zone::BROWSER.is_other_day(&oldest.row.time));
        if scroll.dated.get_untracked() != dated {
            scroll.dated.set(dated);
        }
    });
}

#[component]
fn Row(
    held: Slot,
    place: usize,
    first: Signal<usize>,
    shown: Signal<Option<Numbered>>,
    on_open: impl Fn(Numbered) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let look =
        move || held.with(|flow| flow.as_ref().map_or(("unknown", "dot"), |flow| verdict::look(&flow.row.verdict)));
    let is_open = move || {
        shown.with(|shown| held.with(|held| shown.as_ref().zip(held.as_ref()).is_some_and(|(a, b)| a.is_same(b))))
    };
    let open = move |_| {
        if let Some(flow) = held.get_untracked() {
            on_open(flow);
        }
    };
    let cell = move |column: usize| {
        held.with(|flow| flow.as_ref().map_or_else(String::new, |flow| columns::cell(&flow.row, column, Zone::BROWSER)))
    };
    view! {
        <div
            class=move || format!("row {}", look().0)
            class:opened=is_open
            role="row"
            aria-rowindex=move || (first.get() + place + 2).to_string()
            hidden=move || held.with(Option::is_none)
            on:click=open
        >
            {COLUMNS
                .iter()
                .enumerate()
                .map(|(column, (class, _))| {
                    view! {
                        <span class=format!("cell {class}") role="cell">
                            {(*class == "verdict").then(|| view! { <VerdictIcon look=Signal::derive(move || look().1)/> })}
                            <span>{move || cell(column)}</span>
                        </span>
                    }
                })
                .collect_view()}
        </div>
    }
}

/// Like [`Icon`], for a verdict that changes as rows scroll by.
#[component]
fn VerdictIcon(look: Signal<&'static str>) -> impl IntoView {
    view! {
        <svg class="icon" aria-hidden="true">
            <use href=move || format!("#i-{}", look.get())></use>
        </svg>
    }
}
