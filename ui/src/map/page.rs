//! The page of the map.

use std::sync::Arc;
use std::time::Duration;

use flow::view::{Completeness, ServiceMap};
use leptos::prelude::*;

use crate::app::use_hints;
use crate::map::details::Details;
use crate::map::graph::Graph;
use crate::map::legend::Legend;
use crate::map::list::List;
use crate::map::placing::Memory;
use crate::map::scales::Health;
use crate::map::scene::{Hit, Scene, layout_options};
use crate::map::surface::{StageHandle, Surface};
use crate::map::toolbar::{Toolbar, ZoomButtons};
use crate::net::{Failure, Polled, poll};
use crate::parts::states::{Empty, Failed, Loading, Partial};
use crate::state::{Form, Grouping, Nav, ViewState, use_nav};

/// Pause between two answers.
const EVERY: Duration = Duration::from_secs(4);
/// More services than this are shown by namespace, unless asked otherwise.
const SERVICES_MAX: usize = 150;

/// What the stage shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Picture {
    pub(crate) graph: Arc<Graph>,
    pub(crate) scene: Arc<Scene>,
    /// What was asked for.
    pub(crate) question: String,
    /// Whether services are at new places.
    pub(crate) is_new: bool,
}

impl Picture {
    /// The picture in a sentence, for those who cannot see it.
    pub(crate) fn words(&self) -> String {
        let count = |wanted: fn(Health) -> bool| self.graph.links.iter().filter(|link| wanted(link.health)).count();
        format!(
            "Service map: {} services, {} connections, {} blocked, {} with drops, {} with errors. \
             Arrow keys move it, plus and minus zoom, 0 shows all. The list has the same in words.",
            self.graph.services.len(),
            self.graph.links.len(),
            count(|health| health == Health::Blocked),
            count(|health| health == Health::Dropping),
            count(|health| health == Health::Failing),
        )
    }
}

/// The page.
#[component]
pub(crate) fn MapPage() -> impl IntoView {
    let nav = use_nav();
    let grouping = effective_grouping(nav);
    let polled = ask(nav, grouping.0);
    watch_size(polled, grouping);
    let hints = use_hints();
    Effect::new(move |_| {
        if let Some(map) = polled.answer.get() {
            hints.0.maybe_update(|names| {
                let before = names.clone();
                names.learn(&map);
                *names != before
            });
        }
    });
    let picture = picture(nav, polled, grouping.0);
    let selected = Memo::new(move |_| {
        let id = nav.view.with(|view| view.selected.clone());
        picture.with(|picture| selected_hit(&picture.graph, &id))
    });
    let select = move |hit: Option<Hit>| {
        let id = picture.with_untracked(|picture| id_of(&picture.graph, hit));
        nav.replace(|view| view.selected = id);
    };
    let handle: StageHandle = StoredValue::new_local(None);
    let completeness = Signal::derive(move || {
        polled.answer.with(|answer| answer.as_ref().map_or_else(Completeness::default, |map| map.completeness.clone()))
    });
    let form = Memo::new(move |_| nav.view.with(|view| view.form));
    let picture = Signal::from(picture);
    view! {
        <section class="page map-page" class:stale=move || polled.stale.get()>
            <h1 class="unseen">"Service map"</h1>
            <Toolbar picture grouped_by=grouping.0/>
            <Partial completeness/>
            <div class="map-body">
                {move || match form.get() {
                    Form::List => view! { <List picture select/> }.into_any(),
                    Form::Graph => view! {
                        <Surface picture selected=selected handle on_select=select/>
                        <Legend/>
                        <ZoomButtons handle/>
                    }
                    .into_any(),
                }}
                <Cover polled picture/>
                <Details picture selected=selected select/>
            </div>
        </section>
    }
}

/// What one box stands for now, and whether there are too many workloads to show each.
type EffectiveGrouping = (Memo<Grouping>, RwSignal<bool>);

fn effective_grouping(nav: Nav) -> EffectiveGrouping {
    let crowded = RwSignal::new(false);
    // Another filter may leave few enough.
    Effect::new(move |before: Option<String>| {
        let filter = nav.view.with(ViewState::stream_query);
        if before.is_some_and(|before| before != filter) {
            crowded.set(false);
        }
        filter
    });
    let grouping = Memo::new(move |_| match nav.view.with(|view| view.grouping) {
        Grouping::Auto if crowded.get() => Grouping::Namespace,
        Grouping::Auto => Grouping::Workload,
        chosen => chosen,
    });
    (grouping, crowded)
}

fn ask(nav: Nav, grouping: Memo<Grouping>) -> Polled<ServiceMap> {
    let url = move || {
        let query = nav.view.with(ViewState::api_query);
        format!("/api/v1/map?by={}&{query}", grouping.get().text())
    };
    poll(url, Signal::derive(move || nav.view.with(|view| view.live)), EVERY)
}

fn watch_size(polled: Polled<ServiceMap>, (grouping, crowded): EffectiveGrouping) {
    Effect::new(move |_| {
        let many = polled.answer.with(|map| map.as_ref().is_some_and(|map| map.nodes.len() > SERVICES_MAX));
        if many && grouping.get_untracked() == Grouping::Workload {
            crowded.set(true);
        }
    });
}

fn picture(nav: Nav, polled: Polled<ServiceMap>, grouping: Memo<Grouping>) -> Memo<Picture> {
    let memory = StoredValue::new_local(Memory::default());
    // Selecting changes the view but not the picture.
    let view = Memo::new(move |_| ViewState { selected: String::new(), form: Form::Graph, ..nav.view.get() });
    Memo::new(move |_| {
        let Some(map) = polled.answer.get() else { return Picture::default() };
        view.with(|view| {
            let graph = Graph::build(&map, view);
            let question = question(view, grouping.get_untracked());
            let places = memory
                .try_update_value(|memory| memory.place(&graph, &question, &layout_options(graph.services.len())))
                .unwrap_or_default();
            let scene = Scene::build(&graph, &places, view.metric);
            Picture { graph: Arc::new(graph), scene: Arc::new(scene), question, is_new: places.is_new }
        })
    })
}

/// What decides which services are on the picture; another range shows mostly the same ones and is not part of it.
fn question(view: &ViewState, grouping: Grouping) -> String {
    let flags = [view.problems, view.unfolded, view.all_edges].map(u8::from);
    format!("{} {flags:?} {}", grouping.text(), view.stream_query())
}

fn selected_hit(graph: &Graph, id: &str) -> Option<Hit> {
    if id.is_empty() {
        return None;
    }
    graph.service(id).map(Hit::Service).or_else(|| graph.link(id).map(Hit::Link))
}

fn id_of(graph: &Graph, hit: Option<Hit>) -> String {
    match hit {
        None => String::new(),
        Some(Hit::Service(index)) => graph.services.get(index).map_or_else(String::new, |s| s.id.clone()),
        Some(Hit::Link(index)) => graph.links.get(index).map_or_else(String::new, |l| l.id(&graph.services)),
    }
}

/// What lies over the map while there is nothing to see on it.
#[component]
fn Cover(polled: Polled<ServiceMap>, picture: Signal<Picture>) -> impl IntoView {
    #[derive(Clone, PartialEq)]
    enum Why {
        Loading,
        Failed(Failure),
        Empty,
        NoProblems,
    }
    let nav = use_nav();
    let why = Memo::new(move |_| {
        let failure = polled.failure.get();
        let answered = polled.answer.with(Option::is_some);
        let empty = picture.with(|picture| picture.graph.services.is_empty());
        let had_services = picture.with(|picture| picture.graph.services_seen > 0);
        match (answered, failure) {
            (false, Some(failure)) => Some(Why::Failed(failure)),
            (_, Some(failure @ Failure::Refused { .. })) => Some(Why::Failed(failure)),
            (false, None) => Some(Why::Loading),
            (true, _) if empty && had_services && nav.view.with(|view| view.problems) => Some(Why::NoProblems),
            (true, _) if empty => Some(Why::Empty),
            (true, _) => None,
        }
    });
    move || {
        why.get().map(|why| {
            let inside = match why {
                Why::Loading => view! { <Loading what="the service map"/> }.into_any(),
                Why::Failed(failure) => view! { <Failed failure on_retry=move || polled.retry()/> }.into_any(),
                Why::Empty => view! { <Empty what="No traffic"/> }.into_any(),
                Why::NoProblems => view! { <NoProblems/> }.into_any(),
            };
            view! { <div class="cover">{inside}</div> }
        })
    }
}

#[component]
fn NoProblems() -> impl IntoView {
    let nav = use_nav();
    view! {
        <div class="state" role="status">
            <crate::parts::icon::Icon name="pass"/>
            <h2>"No problems"</h2>
            <p class="muted">"Nothing is dropped and no requests fail in this range."</p>
            <button type="button" class="button" on:click=move |_| nav.change(|view| view.problems = false)>
                "Show everything"
            </button>
        </div>
    }
}
