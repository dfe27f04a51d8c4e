//! What is set for the map alone.

use leptos::prelude::*;

use crate::map::page::Picture;
use crate::map::stage::Stage;
use crate::map::surface::{StageHandle, ZOOM_STEP, with_stage};
use crate::parts::choices::Choices;
use crate::parts::icon::Icon;
use crate::parts::units;
use crate::state::{Form, Grouping, Metric, use_nav};

/// Grouping, metric, only problems, graph or list, and what is on the picture.
#[component]
pub(crate) fn Toolbar(picture: Signal<Picture>, grouped_by: Memo<Grouping>) -> impl IntoView {
    let nav = use_nav();
    let form = Signal::derive(move || nav.view.with(|view| view.form));
    let problems = move || nav.view.with(|view| view.problems);
    view! {
        <div class="toolbar">
            <Choices label="Form" choices=Form::ALL chosen=form on_choose=move |form| nav.change(|view| view.form = form)/>
            <Select
                label="Show"
                options=Grouping::ALL
                chosen=Signal::derive(move || nav.view.with(|view| view.grouping))
                on_choose=move |grouping| nav.change(|view| view.grouping = grouping)
            />
            <Select
                label="Width"
                options=Metric::ALL
                chosen=Signal::derive(move || nav.view.with(|view| view.metric))
                on_choose=move |metric| nav.change(|view| view.metric = metric)
            />
            <button
                type="button"
                class="button toggle"
                aria-pressed=move || problems().to_string()
                on:click=move |_| nav.change(|view| view.problems = !view.problems)
            >
                <Icon name="warn"/>
                "Only problems"
            </button>
            <Summary picture grouped_by/>
        </div>
    }
}

/// A drop-down with its label before it.
#[component]
fn Select<T>(
    label: &'static str,
    options: &'static [(T, &'static str)],
    chosen: Signal<T>,
    on_choose: impl Fn(T) + Copy + Send + Sync + 'static,
) -> impl IntoView
where
    T: Copy + PartialEq + Send + Sync + 'static,
{
    let chosen_index = move || options.iter().position(|(value, _)| *value == chosen.get()).unwrap_or(0).to_string();
    let choose = move |event: leptos::ev::Event| {
        let index: usize = event_target_value(&event).parse().unwrap_or(0);
        if let Some((value, _)) = options.get(index) {
            on_choose(*value);
        }
    };
    view! {
        <label class="select">
            <span class="muted">{label}</span>
            <select prop:value=chosen_index on:change=choose>
                {options
                    .iter()
                    .enumerate()
                    .map(|(index, (_, text))| view! { <option value=index.to_string()>{*text}</option> })
                    .collect_view()}
            </select>
        </label>
    }
}

/// How much is on the picture, and what is not, with the way to see it.
#[component]
fn Summary(picture: Signal<Picture>, grouped_by: Memo<Grouping>) -> impl IntoView {
    let nav = use_nav();
    let hidden = move || picture.with(|picture| picture.graph.links_hidden);
    let left_out = move || picture.with(|picture| picture.graph.left_out);
    let folded = move || picture.with(|p| p.graph.services.iter().map(|s| s.members.len()).sum::<usize>());
    let by_itself =
        move || nav.view.with(|view| view.grouping == Grouping::Auto) && grouped_by.get() == Grouping::Namespace;
    let text = move || {
        picture.with(|picture| {
            let word = if grouped_by.get() == Grouping::Namespace { "namespaces" } else { "services" };
            format!("{} {word} · {} connections", picture.graph.services.len(), picture.graph.links.len())
        })
    };
    view! {
        <p class="toolbar-summary muted">
            <span>{text}</span>
            <Show when=move || { hidden() > 0 }>
                <button type="button" class="link" on:click=move |_| nav.change(|view| view.all_edges = true)>
                    {move || format!("{} small ones hidden: show", units::grouped(hidden() as u64))}
                </button>
            </Show>
            <Show when=move || { left_out() > 0 }>
                <span title="Choose a shorter range, or group by namespace, to see them">
                    {move || format!("{} of the smallest are too many to list", units::grouped(left_out()))}
                </span>
            </Show>
            <Show when=move || { folded() > 0 }>
                <button type="button" class="link" on:click=move |_| nav.change(|view| view.unfolded = true)>
                    {move || format!("{} outside peers folded: show", folded())}
                </button>
            </Show>
            <Show when=move || nav.view.with(|view| view.unfolded)>
                <button type="button" class="link" on:click=move |_| nav.change(|view| view.unfolded = false)>
                    "Fold outside peers"
                </button>
            </Show>
            <Show when=by_itself>
                <button type="button" class="link" on:click=move |_| nav.change(|view| view.grouping = Grouping::Workload)>
                    "Many services, so by namespace: show each"
                </button>
            </Show>
        </p>
    }
}

/// Zoom in, out, and to the whole.
#[component]
pub(crate) fn ZoomButtons(handle: StageHandle) -> impl IntoView {
    let act = move |act: fn(&mut Stage)| _ = with_stage(handle, act);
    view! {
        <div class="zoom-buttons" role="group" aria-label="Zoom">
            <button type="button" class="icon-button" aria-label="Zoom in" on:click=move |_| act(|s| s.zoom(None, ZOOM_STEP))>
                <Icon name="plus"/>
            </button>
            <button
                type="button"
                class="icon-button"
                aria-label="Zoom out"
                on:click=move |_| act(|s| s.zoom(None, 1.0 / ZOOM_STEP))
            >
                <Icon name="minus"/>
            </button>
            <button type="button" class="icon-button" aria-label="Show all" on:click=move |_| act(Stage::fit)>
                <Icon name="fit"/>
            </button>
        </div>
    }
}
