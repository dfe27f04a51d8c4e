//! What is asked for: filters, part of the history, fields.

use anyhow::{Context, Result, bail};
use flow::filter::Selection;
use flow::{FlowFilter, Timestamp};
use prost::{Message as _, Name as _};
use proto::convert::{filter_from_wire, filter_to_wire, time_to_wire};
use proto::observer::GetFlowsRequest;
use proto::weir::GetFlowsOptions;

use crate::cli::{FilterFlags, ObserveFlags, SelectorFlags};
use crate::moments::parse_moment;
use crate::print::Output;
use crate::settings::Settings;

/// Flows printed where nothing says how many.
const DEFAULT_NUMBER: u64 = 20;

/// Fields that compact, dict and table show. Hubble's own list leaves out the ones from `traffic_direction` on, so that
/// its policy verdicts lose their direction, match and names.
const SHOWN_FIELDS: &[&str] = &[
    "time",
    "verdict",
    "ethernet",
    "IP",
    "l4",
    "source.identity",
    "source.namespace",
    "source.pod_name",
    "destination.identity",
    "destination.namespace",
    "destination.pod_name",
    "Type",
    "node_name",
    "l7",
    "event_type",
    "source_service",
    "destination_service",
    "is_reply",
    "Summary",
    "ip_trace_id",
    "traffic_direction",
    "policy_match_type",
    "source_names",
    "destination_names",
    "sock_xlate_point",
    "debug_capture_point",
    "auth_type",
    "egress_allowed_by",
    "ingress_allowed_by",
    "egress_denied_by",
    "ingress_denied_by",
];

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) whitelist: Vec<FlowFilter>,
    pub(super) blacklist: Vec<FlowFilter>,
    /// How many flows; 0 for no limit.
    pub(super) number: u64,
    /// Whether `number` counts from the start of the history.
    pub(super) first: bool,
    pub(super) follow: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// Fields asked for; empty for all.
    pub(super) mask: Vec<String>,
    /// Whether the mask is ours, so that it may be left out for a server that does not know all its fields.
    pub(super) mask_is_ours: bool,
    /// Whether to ask for what Hubble has no field for.
    details: bool,
}

impl Query {
    /// Puts the flags together.
    ///
    /// # Errors
    /// Flags contradict each other or a value cannot be understood.
    pub(super) fn from_flags(
        flags: &ObserveFlags,
        output: Output,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Self> {
        let (mut whitelist, mut blacklist) = selected(&flags.filters)?;
        let SelectorFlags { all, last, first, follow, since, until } = &flags.selectors;
        for (one, other, names) in [
            (*first > 0, *last > 0, "--first and --last"),
            (*first > 0, *all, "--first and --all"),
            (*first > 0, *follow, "--first and --follow"),
            (*last > 0, *all, "--last and --all"),
        ] {
            if one && other {
                bail!("cannot set both {names}");
            }
        }
        let moment =
            |text: &Option<String>| text.as_deref().filter(|t| !t.is_empty()).map(|t| parse_moment(t, now)).transpose();
        let since = moment(since).context("failed to parse the since time")?;
        // A stream that is followed has no end.
        let until = if *follow { None } else { moment(until).context("failed to parse the until time")? };

        let from_file = flags.other.input_file.is_some();
        let positioned = since.is_some() || until.is_some() || *first > 0;
        let number = match (*first, *last) {
            (first, _) if first > 0 => first,
            (_, 0) if *all && !positioned => u64::MAX,
            (_, 0) if !positioned && !follow && !from_file => DEFAULT_NUMBER,
            (_, last) => last,
        };
        whitelist.extend(raw_filters(settings, "allowlist")?);
        blacklist.extend(raw_filters(settings, "denylist")?);

        let mask_is_ours = flags.other.field_mask.is_empty();
        let fits = matches!(output, Output::Compact | Output::Dict | Output::Table);
        let mask = if !mask_is_ours {
            flags.other.field_mask.clone()
        } else if fits && flags.other.use_default_field_masks {
            SHOWN_FIELDS.iter().map(|field| (*field).to_owned()).collect()
        } else {
            Vec::new()
        };
        let details = matches!(output, Output::Wide | Output::Json) && mask.is_empty();
        Ok(Self {
            whitelist,
            blacklist,
            number,
            first: *first > 0,
            follow: *follow,
            since,
            until,
            mask,
            mask_is_ours,
            details,
        })
    }

    /// The request for a server.
    pub(super) fn to_request(&self) -> GetFlowsRequest {
        let options = GetFlowsOptions { details: true };
        GetFlowsRequest {
            number: self.number,
            first: self.first,
            follow: self.follow,
            whitelist: self.whitelist.iter().map(filter_to_wire).collect(),
            blacklist: self.blacklist.iter().map(filter_to_wire).collect(),
            since: self.since.map(time_to_wire),
            until: self.until.map(time_to_wire),
            field_mask: (!self.mask.is_empty()).then(|| prost_types::FieldMask { paths: self.mask.clone() }),
            experimental: None,
            extensions: self
                .details
                .then(|| prost_types::Any { type_url: GetFlowsOptions::type_url(), value: options.encode_to_vec() }),
        }
    }

    /// The filters as the configuration file takes them.
    ///
    /// # Errors
    /// A filter has no JSON form.
    pub(super) fn filters_as_yaml(&self) -> Result<String> {
        let mut yaml = String::new();
        for (name, filters) in [("allowlist", &self.whitelist), ("denylist", &self.blacklist)] {
            if filters.is_empty() {
                continue;
            }
            yaml += &format!("{name}:\n");
            for filter in filters {
                let json = proto::json::filter_to_line(&filter_to_wire(filter));
                yaml += &format!("    - '{}'\n", json.replace('\'', "''"));
            }
        }
        // An empty YAML document, as Hubble prints it.
        Ok(if yaml.is_empty() { "{}\n".to_owned() } else { yaml })
    }
}

/// Whitelist and blacklist of the filter flags; `--not` tells on the flag right after it.
fn selected(flags: &FilterFlags) -> Result<(Vec<FlowFilter>, Vec<FlowFilter>)> {
    let mut selection = Selection::new();
    let mut negated = false;
    for occurrence in &flags.typed {
        if occurrence.is_not() {
            if negated {
                bail!("invalid argument for \"--not\" flag: consecutive --not statements");
            }
            negated = true;
            continue;
        }
        selection
            .add(occurrence.name, &[occurrence.value.as_str()], negated)
            .with_context(|| format!("invalid argument {:?} for \"--{}\" flag", occurrence.value, occurrence.name))?;
        negated = false;
    }
    Ok(selection.finish()?)
}

fn raw_filters(settings: &Settings, name: &'static str) -> Result<Vec<FlowFilter>> {
    let mut filters = Vec::new();
    for text in settings.raw_filters(name) {
        let read = proto::json::filters_from_text(text)
            .with_context(|| format!("invalid --{name} flag: failed to decode '{text}'"))?;
        filters.extend(read.into_iter().map(filter_from_wire));
    }
    Ok(filters)
}
