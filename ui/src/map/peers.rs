//! Lines of the details: one peer or one port each, with its numbers.

use leptos::prelude::*;

use crate::map::graph::Talk;
use crate::map::list;
use crate::map::scales::{Health, Totals};
use crate::parts::icon::Icon;
use crate::parts::units;

/// What one line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Line {
    /// Name of the peer or port.
    pub(crate) name: String,
    /// Smaller, after the name.
    pub(crate) note: String,
    pub(crate) totals: Totals,
    pub(crate) health: Health,
    pub(crate) drop_reason: String,
    /// Length of the range in seconds.
    pub(crate) seconds: f64,
}

impl Line {
    /// A line for one port.
    pub(crate) fn of_talk(talk: &Talk, seconds: f64) -> Self {
        Self {
            name: talk.label(),
            note: if talk.l7.is_empty() { String::new() } else { talk.protocol.clone() },
            totals: talk.totals,
            health: talk.totals.health(),
            drop_reason: talk.drop_reason.clone(),
            seconds,
        }
    }

    /// Requests and latency in one text; empty where there are none.
    fn requests(&self) -> String {
        let mut parts = Vec::new();
        if self.totals.requests > 0 {
            parts.push(format!("{} req/s", units::count(self.totals.requests as f64 / self.seconds)));
        }
        if self.totals.errors > 0 {
            parts.push(format!("{} failed", units::percent(self.totals.error_share())));
        }
        if let Some(p50) = self.totals.p50_us {
            parts.push(format!("p50 {}", units::micros(p50)));
        }
        if let Some(p99) = self.totals.p99_us {
            parts.push(format!("p99 {}", units::micros(p99)));
        }
        parts.join(" · ")
    }

    /// Drops in one text; empty where there are none.
    fn drops(&self) -> String {
        if self.totals.dropped == 0 {
            return String::new();
        }
        let share = if self.health == Health::Blocked {
            "nothing gets through".to_owned()
        } else {
            units::percent(self.totals.drop_share())
        };
        let mut text = format!("{} dropped · {share}", units::grouped(self.totals.dropped));
        if !self.drop_reason.is_empty() {
            text.push_str(" · ");
            text.push_str(&self.drop_reason);
        }
        text
    }
}

/// One line; `on_open` makes its name a button.
#[component]
pub(crate) fn PeerLine(line: Line, #[prop(optional)] on_open: Option<Callback<()>>) -> impl IntoView {
    let (requests, drops) = (line.requests(), line.drops());
    let rate = units::bytes_per_second(line.totals.bytes() as f64 / line.seconds);
    let exact = format!(
        "{} sent, {} received",
        units::bytes(line.totals.bytes_sent as f64),
        units::bytes(line.totals.bytes_received as f64)
    );
    let name = line.name.clone();
    let head = match on_open {
        Some(open) => view! {
            <button type="button" class="link peer-name" on:click=move |_| open.run(())>
                {name}
            </button>
        }
        .into_any(),
        None => view! { <span class="peer-name">{name}</span> }.into_any(),
    };
    view! {
        <li class=format!("peer {}", list::class(line.health))>
            <div class="peer-head">
                {head}
                <span class="muted peer-note">{line.note}</span>
                <span class="peer-rate" title=exact>
                    {rate}
                </span>
            </div>
            {(!requests.is_empty()).then(|| view! { <p class="muted peer-numbers">{requests}</p> })}
            {(!drops.is_empty())
                .then(|| {
                    view! {
                        <p class="peer-drops">
                            <Icon name="drop"/>
                            {drops}
                        </p>
                    }
                })}
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_requests_and_drops() {
        let totals = Totals {
            requests: 200,
            errors: 4,
            p50_us: Some(1500.0),
            dropped: 1200,
            packets: 12_000,
            bytes_received: 1,
            ..Totals::default()
        };
        let line = Line {
            totals,
            health: totals.health(),
            drop_reason: "NETFILTER_DROP".into(),
            seconds: 10.0,
            ..Line::default()
        };
        assert_eq!(line.requests(), "20 req/s · 2.0 % failed · p50 1.5 ms");
        assert_eq!(line.drops(), "1\u{202f}200 dropped · 10 % · NETFILTER_DROP");
        assert_eq!(Line { seconds: 1.0, ..Line::default() }.drops(), "");
    }
}
