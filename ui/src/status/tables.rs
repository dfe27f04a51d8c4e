//! Nodes and losses.

use flow::view::{Loss, NodeRow};
use leptos::prelude::*;

use crate::parts::icon::Icon;
use crate::parts::units;

/// One row a node.
#[component]
pub(crate) fn Nodes(nodes: Vec<NodeRow>) -> impl IntoView {
    if nodes.is_empty() {
        return view! { <p class="muted">"No collector has reported yet. Start one with `weir collector`, or `weir up` on one machine."</p> }
            .into_any();
    }
    view! {
        <table class="list">
            <thead>
                <tr>
                    <th>"Node"</th>
                    <th>"State"</th>
                    <th>"Version"</th>
                    <th>"Address"</th>
                    <th class="number">"Flows"</th>
                    <th class="number">"Lost"</th>
                    <th class="number">"Last batch"</th>
                </tr>
            </thead>
            <tbody>{nodes.into_iter().map(node).collect_view()}</tbody>
        </table>
    }
    .into_any()
}

fn node(node: NodeRow) -> impl IntoView {
    let (class, icon) = match node.state.as_str() {
        "connected" => ("fine", "pass"),
        "unavailable" => ("warn", "warn"),
        _ => ("bad", "drop"),
    };
    let idle = node.idle_seconds.map_or_else(|| "never".to_owned(), |idle| format!("{} ago", units::seconds(idle)));
    view! {
        <tr class=class>
            <td>{node.name}</td>
            <td class="list-state">
                <Icon name=icon/>
                {node.state}
            </td>
            <td>{node.version}</td>
            <td>{node.address}</td>
            <td class="number">{units::grouped(node.flows_seen)}</td>
            <td class="number">{units::grouped(node.lost)}</td>
            <td class="number">{idle}</td>
        </tr>
    }
}

/// What each stage saw and lost.
#[component]
pub(crate) fn Losses(losses: Vec<Loss>) -> impl IntoView {
    if losses.is_empty() {
        return view! { <p class="muted">"Nothing was lost: every event that was seen is accounted for."</p> }
            .into_any();
    }
    view! {
        <table class="list">
            <thead>
                <tr>
                    <th>"Stage"</th>
                    <th>"Cause"</th>
                    <th>"Node"</th>
                    <th class="number">"Seen"</th>
                    <th class="number">"Lost"</th>
                    <th class="number">"Share"</th>
                </tr>
            </thead>
            <tbody>{losses.into_iter().map(loss).collect_view()}</tbody>
        </table>
    }
    .into_any()
}

fn loss(loss: Loss) -> impl IntoView {
    let class = if loss.lost > 0 { "warn" } else { "fine" };
    let share = if loss.seen == 0 { String::new() } else { units::percent(loss.lost as f64 / loss.seen as f64) };
    view! {
        <tr class=class>
            <td>{loss.stage}</td>
            <td>{loss.cause}</td>
            <td>{loss.node}</td>
            <td class="number">{units::grouped(loss.seen)}</td>
            <td class="number">{units::grouped(loss.lost)}</td>
            <td class="number">{share}</td>
        </tr>
    }
}
