//! Like drops, ranked.

use flow::view::{DropGroup, Party};
use leptos::prelude::*;

use crate::flows::columns;
use crate::parts::clock::Zone;
use crate::parts::icon::Icon;
use crate::parts::units;
use crate::state::questions::{self, Side};
use crate::state::{Condition, Page, use_nav};

/// Groups shown; beyond this many nobody reads on.
pub(crate) const GROUPS_MAX: usize = 200;

/// The ranking; each group can be opened for what its reason means.
#[component]
pub(crate) fn Groups(groups: Vec<DropGroup>, total: u64, left_out: u64) -> impl IntoView {
    let largest = groups.iter().map(|group| group.packets).max().unwrap_or(0);
    let more = groups.len().saturating_sub(GROUPS_MAX);
    let unlisted = (left_out > 0).then(|| format!("{} packets are of still smaller groups.", units::grouped(left_out)));
    view! {
        <ol class="groups">
            {groups
                .into_iter()
                .take(GROUPS_MAX)
                .map(|group| view! { <Group group total largest/> })
                .collect_view()}
        </ol>
        {(more > 0).then(|| view! { <p class="muted">{format!("{more} smaller groups are not shown: narrow the filter.")}</p> })}
        {unlisted.map(|text| view! { <p class="muted">{text}</p> })}
    }
}

#[component]
fn Group(group: DropGroup, total: u64, largest: u64) -> impl IntoView {
    let nav = use_nav();
    let conditions = StoredValue::new(conditions(&group));
    let href = move || {
        nav.view.with(|view| {
            let mut view = view.shared();
            conditions.with_value(|asked| view.conditions.narrow(asked));
            Page::Flows.href(&view)
        })
    };
    let share = units::percent(group.packets as f64 / total.max(1) as f64);
    let target = match (group.port, group.is_reply) {
        (0, _) => group.protocol.clone(),
        (port, false) => format!("{} {port}", group.protocol),
        (port, true) => format!("replies of {} {port}", group.protocol),
    };
    let process = process(&group);
    let seen = Zone::BROWSER.span(&group.first, &group.last);
    view! {
        <li class="group">
            <div class="group-packets">
                <strong>{units::count(group.packets as f64)}</strong>
                <span class="muted">{share}</span>
                <svg class="group-bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
                    <rect width="100" height="4"></rect>
                    <rect class="group-bar-part" width=100.0 * group.packets as f64 / largest.max(1) as f64 height="4"></rect>
                </svg>
            </div>
            <div class="group-body">
                <p class="group-ends">
                    <Icon name="drop"/>
                    <span class="group-end">{end(&group.source)}</span>
                    <Icon name="arrow"/>
                    <span class="group-end">{end(&group.destination)}</span>
                    <span class="tag">{target}</span>
                </p>
                <p class="group-reason">
                    <strong>{group.reason.clone()}</strong>
                    {(!group.function.is_empty()).then(|| view! { <span class="muted">{format!("in {}", group.function)}</span> })}
                    {(!process.is_empty()).then(|| view! { <span class="muted">{process}</span> })}
                </p>
                {(!group.explanation.is_empty()).then(|| view! { <p class="group-why muted">{group.explanation.clone()}</p> })}
            </div>
            <div class="group-side">
                <span class="muted" title=format!("{} to {}", group.first, group.last)>
                    {seen}
                </span>
                <a class="button" href=href>
                    <Icon name="flows"/>
                    "Flows"
                </a>
            </div>
        </li>
    }
}

fn end(party: &Party) -> String {
    columns::party(&Party { port: 0, ..party.clone() })
}

fn process(group: &DropGroup) -> String {
    match (group.source.process.as_str(), group.destination.process.as_str()) {
        ("", "") => String::new(),
        (source, "") => format!("by process {source}"),
        ("", destination) => format!("to process {destination}"),
        (source, destination) => format!("by process {source} to {destination}"),
    }
}

/// The question for the flows of a group.
fn conditions(group: &DropGroup) -> Vec<Condition> {
    let mut conditions = vec![Condition::new("verdict", "DROPPED")];
    conditions.extend(questions::of_party(&group.source, Side::From));
    conditions.extend(questions::of_party(&group.destination, Side::To));
    if group.port != 0 {
        let side = if group.is_reply { "from-port" } else { "to-port" };
        conditions.push(Condition::new(side, &group.port.to_string()));
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_leads_to_its_flows() {
        let group = DropGroup {
            source: Party {
                workload: "thief".into(),
                namespace: "shop".into(),
                ip: "10.0.0.7".into(),
                ..Party::default()
            },
            destination: Party { ip: "10.0.0.5".into(), ..Party::default() },
            port: 5432,
            ..DropGroup::default()
        };
        let texts: Vec<String> = conditions(&group).iter().map(Condition::text).collect();
        let expected =
            ["verdict=DROPPED", "from-namespace=shop", "from-workload=thief", "to-ip=10.0.0.5", "to-port=5432"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn dropped_replies_are_looked_for_by_the_port_they_come_from() {
        let source = Party { ip: "10.0.0.5".into(), port: 5432, ..Party::default() };
        let destination = Party { ip: "10.0.0.7".into(), ..Party::default() };
        let group = DropGroup { source, destination, port: 5432, is_reply: true, ..DropGroup::default() };
        let texts: Vec<String> = conditions(&group).iter().map(Condition::text).collect();
        assert_eq!(texts, ["verdict=DROPPED", "from-ip=10.0.0.5", "to-ip=10.0.0.7", "from-port=5432"]);
    }
}
