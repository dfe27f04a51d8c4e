//! The page of the status.

use std::sync::Arc;

use flow::view::Status;
use leptos::prelude::*;

use crate::app::link::use_link;
use crate::parts::drawer::Tile;
use crate::parts::states::{Failed, Loading};
use crate::parts::units;
use crate::status::tables::{Losses, Nodes};

/// The page; the shell asks for the status anyway.
#[component]
pub(crate) fn StatusPage() -> impl IntoView {
    let polled = use_link().status;
    let body = move || match (polled.answer.get(), polled.failure.get()) {
        (None, Some(failure)) => view! { <Failed failure on_retry=move || polled.retry()/> }.into_any(),
        (None, None) => view! { <Loading what="the status"/> }.into_any(),
        (Some(status), _) => view! { <Body status/> }.into_any(),
    };
    view! {
        <section class="page status-page">
            <header class="page-bar">
                <h1>"Status"</h1>
            </header>
            <div class="page-scroll" tabindex="0" role="region" aria-label="Status">{body}</div>
        </section>
    }
}

#[component]
fn Body(status: Arc<Status>) -> impl IntoView {
    let held = if status.flows_max == 0 {
        String::new()
    } else {
        format!("{} of what fits", units::percent(status.flows as f64 / status.flows_max as f64))
    };
    let lost: u64 = status.losses.iter().map(|loss| loss.lost).sum();
    let tone = if lost > 0 { "warn" } else { "" }.to_owned();
    let memory = status.memory_bytes.map(|bytes| match status.memory_bytes_max {
        0 => units::bytes(bytes as f64),
        max => format!("{} ({})", units::bytes(bytes as f64), units::percent(bytes as f64 / max as f64)),
    });
    let version = if status.version.is_empty() { "–".to_owned() } else { status.version.clone() };
    view! {
        <div class="status">
            <div class="tiles wide">
                <Tile name="flows a second" value=units::count(status.flows_per_second)/>
                <Tile name="flows seen" value=units::grouped(status.flows_seen)/>
                <Tile name="flows held" value=units::grouped(status.flows)/>
                <Tile name="flows lost" value=units::grouped(lost) tone=tone/>
                <Tile name="index in memory" value=units::bytes(status.index_bytes as f64)/>
                {memory.map(|memory| view! { <Tile name="memory (of budget)" value=memory/> })}
                <Tile name="running for" value=units::seconds(status.uptime_seconds as f64)/>
                <Tile name="relay version" value=version/>
            </div>
            <Gauge label=held share=status.flows as f64 / status.flows_max.max(1) as f64/>
            <h2>"Nodes"</h2>
            <Nodes nodes=status.nodes.clone()/>
            <h2>"Losses"</h2>
            <Losses losses=status.losses.clone()/>
        </div>
    }
}

/// How full the index is.
#[component]
fn Gauge(label: String, share: f64) -> impl IntoView {
    (!label.is_empty()).then(|| {
        view! {
            <div class="gauge">
                <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
                    <rect width="100" height="4"></rect>
                    <rect class="gauge-part" width=(share * 100.0).clamp(0.0, 100.0) height="4"></rect>
                </svg>
                <span class="muted">{label}</span>
            </div>
        }
    })
}
