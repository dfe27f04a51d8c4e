//! The panel about the selected service or connection.

use leptos::prelude::*;

use crate::map::graph::{Graph, Link, Service};
use crate::map::page::Picture;
use crate::map::peers::{Line, PeerLine};
use crate::map::scales::{Health, Totals};
use crate::map::scene::Hit;
use crate::parts::drawer::{Drawer, Tile};
use crate::parts::icon::Icon;
use crate::parts::units;
use crate::state::questions::{self, Named, Side};
use crate::state::{Condition, Page, use_nav};

/// Lines shown of a list; the list view has all.
const LINES_MAX: usize = 40;

/// The panel; nothing while nothing is selected.
#[component]
pub(crate) fn Details(
    picture: Signal<Picture>,
    #[prop(into)] selected: Signal<Option<Hit>>,
    select: impl Fn(Option<Hit>) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let open = Callback::new(move |hit: Option<Hit>| select(hit));
    move || {
        let picture = picture.get();
        match selected.get()? {
            Hit::Service(index) => {
                let service = picture.graph.services.get(index)?.clone();
                Some(view! { <ServiceDetails picture service index open/> }.into_any())
            }
            Hit::Link(index) => {
                let link = picture.graph.links.get(index)?.clone();
                Some(view! { <LinkDetails picture link open/> }.into_any())
            }
        }
    }
}

#[component]
fn ServiceDetails(picture: Picture, service: Service, index: usize, open: Callback<Option<Hit>>) -> impl IntoView {
    let graph = &picture.graph;
    let seconds = graph.seconds;
    let (as_server, clients) = side(graph, |link| (link.to == index).then_some(link.from));
    let (as_client, servers) = side(graph, |link| (link.from == index).then_some(link.to));
    let conditions = questions::of_service(named(&service), Side::Either);
    let members = service.members.clone();
    view! {
        <Drawer title=service.name.clone() subtitle=kind_words(&service) on_close=move || open.run(None)>
            <Tiles totals=as_server other=as_client seconds/>
            <Ways conditions/>
            {(!service.ports.is_empty()).then(|| view! { <Section title="Serves".to_owned()><p>{service.ports.join(", ")}</p></Section> })}
            <Peers title="Called by" lines=clients open/>
            <Peers title="Calls" lines=servers open/>
            {(!members.is_empty())
                .then(|| {
                    view! {
                        <Section title=format!("Stands for {} peers", members.len())>
                            <ul class="members">
                                {members.into_iter().take(LINES_MAX).map(|name| view! { <li>{name}</li> }).collect_view()}
                            </ul>
                        </Section>
                    }
                })}
        </Drawer>
    }
}

#[component]
fn LinkDetails(picture: Picture, link: Link, open: Callback<Option<Hit>>) -> impl IntoView {
    let graph = &picture.graph;
    let (from, to) = (&graph.services[link.from], &graph.services[link.to]);
    let mut conditions = questions::of_service(named(from), Side::From);
    conditions.extend(questions::of_service(named(to), Side::To));
    let seconds = graph.seconds;
    let totals = link.totals;
    let lines: Vec<Line> = link.talks.iter().map(|talk| Line::of_talk(talk, seconds)).collect();
    let state = link.health.words();
    let ends = [(link.from, from.name.clone()), (link.to, to.name.clone())];
    view! {
        <Drawer
            title=format!("{} → {}", from.name, to.name)
            subtitle=if state.is_empty() { "connection".to_owned() } else { state.to_owned() }
            on_close=move || open.run(None)
        >
            <Tiles totals other=Totals::default() seconds/>
            <Ways conditions/>
            <Section title="Ports".to_owned()>
                <ul class="peers">
                    {lines.into_iter().take(LINES_MAX).map(|line| view! { <PeerLine line/> }).collect_view()}
                </ul>
            </Section>
            <Section title="Ends".to_owned()>
                <p class="ends">
                    {ends
                        .map(|(index, name)| {
                            view! {
                                <button type="button" class="button" on:click=move |_| open.run(Some(Hit::Service(index)))>
                                    {name}
                                </button>
                            }
                        })
                        .collect_view()}
                </p>
            </Section>
        </Drawer>
    }
}

/// Sum of the links that `other_end` takes, and a line for each.
fn side(graph: &Graph, other_end: impl Fn(&Link) -> Option<usize>) -> (Totals, Vec<(usize, Line)>) {
    let mut sum = Totals::default();
    let mut lines = Vec::new();
    for link in &graph.links {
        let Some(other) = other_end(link) else { continue };
        sum.add(&link.totals);
        let line = Line {
            name: graph.services[other].name.clone(),
            note: crate::map::list::protocols(&link.talks),
            totals: link.totals,
            health: link.health,
            drop_reason: link.drop_reason().to_owned(),
            seconds: graph.seconds,
        };
        lines.push((other, line));
    }
    (sum, lines)
}

#[component]
fn Peers(title: &'static str, lines: Vec<(usize, Line)>, open: Callback<Option<Hit>>) -> impl IntoView {
    let count = lines.len();
    let more = count.saturating_sub(LINES_MAX);
    (count > 0).then(|| {
        let lines = lines
            .into_iter()
            .take(LINES_MAX)
            .map(|(index, line)| {
                let on_open = Callback::new(move |()| open.run(Some(Hit::Service(index))));
                view! { <PeerLine line on_open/> }
            })
            .collect_view();
        view! {
            <Section title=format!("{title} ({count})")>
                <ul class="peers">{lines}</ul>
                {(more > 0).then(|| view! { <p class="muted">{format!("and {more} more: see the list")}</p> })}
            </Section>
        }
    })
}

#[component]
fn Section(title: String, children: Children) -> impl IntoView {
    view! {
        <section class="drawer-section">
            <h3>{title}</h3>
            {children()}
        </section>
    }
}

/// The numbers at the head: as a server, or as a client where it serves nothing.
#[component]
fn Tiles(totals: Totals, other: Totals, seconds: f64) -> impl IntoView {
    let mut all = totals;
    all.add(&other);
    let main = if totals.requests > 0 || other.requests == 0 { totals } else { other };
    let failed = match main.health() {
        _ if main.requests == 0 => ("–".to_owned(), ""),
        Health::Failing => (units::percent(main.error_share()), "bad"),
        _ if main.errors > 0 => (units::percent(main.error_share()), "warn"),
        _ => ("0 %".to_owned(), ""),
    };
    let requests =
        if main.requests == 0 { "–".to_owned() } else { units::per_second(main.requests as f64 / seconds) };
    let latency = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), units::micros);
    let dropped = if all.dropped > 0 { "bad" } else { "" };
    view! {
        <div class="tiles">
            <Tile name="bytes" value=units::bytes_per_second(all.bytes() as f64 / seconds)/>
            <Tile name="requests" value=requests/>
            <Tile name="failed" value=failed.0 tone=failed.1.to_owned()/>
            <Tile name="p50" value=latency(main.p50_us)/>
            <Tile name="p99" value=latency(main.p99_us)/>
            <Tile name="dropped" value=units::count(all.dropped as f64) tone=dropped.to_owned()/>
        </div>
    }
}

/// Links to the other pages, and the filter.
#[component]
fn Ways(conditions: Vec<Condition>) -> impl IntoView {
    let nav = use_nav();
    let asked = StoredValue::new(conditions);
    let href = move |page: Page| {
        nav.view.with(|view| {
            let mut view = view.shared();
            asked.with_value(|asked| view.conditions.narrow(asked));
            page.href(&view)
        })
    };
    let narrow = move |_| nav.change(|view| asked.with_value(|asked| view.conditions.narrow(asked)));
    let known = asked.with_value(|asked| !asked.is_empty());
    known.then(|| {
        view! {
            <div class="drawer-ways">
                <a class="button" href=move || href(Page::Flows)>
                    <Icon name="flows"/>
                    "Flows"
                </a>
                <a class="button" href=move || href(Page::Drops)>
                    <Icon name="drop"/>
                    "Drops"
                </a>
                <button type="button" class="button" on:click=narrow>
                    <Icon name="filter"/>
                    "Filter"
                </button>
            </div>
        }
    })
}

fn named(service: &Service) -> Named<'_> {
    Named { kind: &service.kind, name: &service.name, namespace: &service.namespace, members: &service.members }
}

fn kind_words(service: &Service) -> String {
    let kind = match service.kind.as_str() {
        "world" => "outside of the network",
        "host" => "the node itself",
        "dns" => "outside, by its DNS name",
        "address" => "address",
        kind => kind,
    };
    let place = service.place();
    if place.is_empty() { kind.to_owned() } else { format!("{kind} in {place}") }
}
