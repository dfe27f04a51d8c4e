//! `weir doctor`: what this machine's kernel and privileges allow.

use anyhow::{Result, bail};
use collector::capture::{Feature, Tier, probe};

/// Prints one line a feature.
///
/// # Errors
/// A feature that nothing works without is missing.
pub(crate) fn run(json: bool) -> Result<()> {
    let features = probe();
    if json {
        let lines: Vec<_> = features.iter().map(as_json).collect();
        print(&serde_json::to_string_pretty(&lines)?);
    } else {
        print(&table(&features));
    }
    match features.iter().find(|f| !f.ok && f.tier == Tier::Base) {
        None => Ok(()),
        Some(missing) => bail!(
            "the kernel cannot be observed here: {}. `weir up --replay FILE` and `weir up --pcap FILE` need no privilege",
            missing.why
        ),
    }
}

fn table(features: &[Feature]) -> String {
    let width = features.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
    let line = |f: &Feature| {
        let mark = if f.ok { "ok     " } else { "missing" };
        format!("{mark}  {:5}  {:width$}  {}", tier(f.tier), f.name, f.why).trim_end().to_owned()
    };
    let head = format!("{:7}  {:5}  {:width$}  {}", "STATE", "TIER", "FEATURE", "FACT");
    std::iter::once(head).chain(features.iter().map(line)).collect::<Vec<_>>().join("\n")
}

fn as_json(feature: &Feature) -> serde_json::Value {
    serde_json::json!({ "name": feature.name, "tier": tier(feature.tier), "ok": feature.ok, "why": feature.why })
}

const fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Base => "base",
        Tier::Full => "full",
        Tier::Extra => "extra",
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn print(text: &str) {
    println!("{text}");
}
