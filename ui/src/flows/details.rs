//! The panel about one flow: everything that is known of it.

use std::sync::Arc;

use flow::text::explain_drop;
use flow::view::{FlowRow, Party};
use leptos::prelude::*;

use crate::flows::{columns, command};
use crate::parts::copy::CopyButton;
use crate::parts::drawer::{Drawer, Fact};
use crate::parts::icon::Icon;
use crate::parts::{units, verdict};
use crate::state::{Condition, use_nav};

/// The panel.
#[component]
pub(crate) fn FlowDetails(row: Arc<FlowRow>, on_close: impl Fn() + Copy + Send + Sync + 'static) -> impl IntoView {
    let (class, icon) = verdict::look(&row.verdict);
    let title = format!("{} → {}", short(&row.source), short(&row.destination));
    let json = serde_json::to_string_pretty(&*row).unwrap_or_default();
    view! {
        <Drawer title subtitle=row.time.clone() on_close>
            <p class=format!("verdict-line {class}")>
                <Icon name=icon/>
                <strong>{row.verdict.clone()}</strong>
                <span>{columns::info(&row)}</span>
            </p>
            <Why row=row.clone()/>
            <div class="drawer-ways">
                <CopyButton label="flowctl" text=Signal::stored(command::of_flow(&row))/>
                <CopyButton label="JSON" text=Signal::stored(json)/>
            </div>
            <About row=row.clone()/>
            <Side title="Source" prefix="from-" party=row.source.clone()/>
            <Side title="Destination" prefix="to-" party=row.destination.clone()/>
        </Drawer>
    }
}

fn short(party: &Party) -> String {
    columns::party(&Party { port: 0, ..party.clone() })
}

/// What a drop means and what to check.
#[component]
fn Why(row: Arc<FlowRow>) -> impl IntoView {
    let text = explain_drop(&row.drop_reason);
    (!row.drop_reason.is_empty()).then(|| {
        view! {
            <section class="drawer-section why">
                <h3>{row.drop_reason.clone()}</h3>
                {(!text.is_empty()).then(|| view! { <p>{text}</p> })}
                {(!row.drop_function.is_empty())
                    .then(|| view! { <p class="muted">{format!("in the kernel function {}", row.drop_function)}</p> })}
            </section>
        }
    })
}

#[component]
fn About(row: Arc<FlowRow>) -> impl IntoView {
    let size = match (row.packets, row.bytes) {
        (0, 0) => String::new(),
        (1, bytes) => format!("{} in one packet", units::bytes(bytes as f64)),
        (packets, bytes) => format!("{} in {} packets", units::bytes(bytes as f64), units::grouped(packets)),
    };
    let direction = match row.is_reply {
        Some(true) => format!("{} (reply)", row.direction),
        Some(false) | None => row.direction.clone(),
    };
    let port = columns::server_port(&row);
    view! {
        <section class="drawer-section">
            <h3>"Flow"</h3>
            <dl class="facts">
                <FilterFact name="Protocol" condition="protocol" value=row.protocol.clone()/>
                <FilterFact name="Port" condition="port" value=if port == 0 { String::new() } else { port.to_string() }/>
                <Fact name="Type" value=row.kind.clone()/>
                <Fact name="Direction" value=direction/>
                <Fact name="Latency" value=row.latency_us.map(units::micros).unwrap_or_default()/>
                <Fact name="Size" value=size/>
                <FilterFact name="Node" condition="node-name" value=row.node.clone()/>
                <FilterFact name="Interface" condition="interface" value=row.interface.clone()/>
                <Fact name="Id" value=row.id.clone()/>
            </dl>
        </section>
    }
}

#[component]
fn Side(title: &'static str, prefix: &'static str, party: Party) -> impl IntoView {
    let name = |condition: &str| format!("{prefix}{condition}");
    let port = if party.port == 0 { String::new() } else { party.port.to_string() };
    view! {
        <section class="drawer-section">
            <h3>{title}</h3>
            <dl class="facts">
                <Fact name="Name" value=party.name/>
                <FilterFact name="Namespace" condition=name("namespace") value=party.namespace/>
                <FilterFact name="Workload" condition=name("workload") value=party.workload/>
                <FilterFact name="Address" condition=name("ip") value=party.ip/>
                <FilterFact name="Port" condition=name("port") value=port/>
                <FilterFact name="Identity" condition=name("identity") value=party.identity/>
                <Fact name="Process" value=party.process/>
                <Fact name="Cgroup" value=party.cgroup/>
            </dl>
            {(!party.labels.is_empty())
                .then(|| {
                    view! {
                        <ul class="labels">
                            {party.labels.into_iter().map(|label| view! { <li>{label}</li> }).collect_view()}
                        </ul>
                    }
                })}
        </section>
    }
}

/// A fact with buttons that ask for flows with this value, or without; without buttons where that cannot be asked.
#[component]
fn FilterFact(name: &'static str, #[prop(into)] condition: String, value: String) -> impl IntoView {
    let nav = use_nav();
    let with = Condition::new(&condition, &value);
    if value.is_empty() || !with.is_understood() {
        return view! { <Fact name value/> }.into_any();
    }
    let without = Condition { negated: true, ..with.clone() };
    let ask = move |_| nav.change(|view| view.conditions.narrow(std::slice::from_ref(&with)));
    let exclude = move |_| nav.change(|view| view.conditions.add(without.clone()));
    let labels = [format!("Only {condition} {value}"), format!("Not {condition} {value}")];
    let [only, not] = labels;
    view! {
        <div class="fact">
            <dt>{name}</dt>
            <dd>{value}</dd>
            <button type="button" class="fact-way" aria-label=only.clone() title=only on:click=ask>
                <Icon name="plus"/>
            </button>
            <button type="button" class="fact-way" aria-label=not.clone() title=not on:click=exclude>
                <Icon name="minus"/>
            </button>
        </div>
    }
    .into_any()
}
