//! What is asked for: filters, part of the history, fields.

use anyhow::{Context, Result, bail};
use flow::filter::Query as Expression;
use prost::{Message as _, Name as _};
use prost_types::Timestamp;
use proto::convert::{filter_from_wire, filter_to_wire};
use proto::flow::FlowFilter;
use proto::mask::FieldMask;
use proto::observer::{GetAgentEventsRequest, GetDebugEventsRequest, GetFlowsRequest};
use proto::weir::GetFlowsOptions;

use super::rest::Rest;
use crate::cli::Given;
use crate::moments::{is_valid, parse_moment};
use crate::print::{MASKED_FIELDS, Output};
use crate::settings::{Settings, yaml_text};

/// Flows printed where nothing says how many.
const DEFAULT_NUMBER: u64 = 20;

/// Which part of the history.
#[derive(Clone, Debug, Default)]
pub(super) struct Selectors {
    /// How many; 0 for no limit.
    pub(super) number: u64,
    /// Whether `number` counts from the start of the history.
    pub(super) first: bool,
    pub(super) follow: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) whitelist: Vec<FlowFilter>,
    pub(super) blacklist: Vec<FlowFilter>,
    pub(super) selectors: Selectors,
    /// Fields asked for; empty for all.
    pub(super) mask: Vec<String>,
    /// Whether the mask is ours, so that it may be left out for a server that does not know all its fields.
    pub(super) mask_is_ours: bool,
    /// Whether to ask for what Hubble has no field for.
    details: bool,
    /// What the filters cannot say of the expression of `--where`.
    pub(super) rest: Option<Rest>,
}

impl Selectors {
    /// Reads the flags of events: the first ones cannot be asked for.
    ///
    /// # Errors
    /// A time cannot be understood.
    pub(super) fn of_events(given: &Given, now: Timestamp) -> Result<Self> {
        let (since, until) = times(given, now)?;
        let open = since.is_none() && until.is_none();
        let number = match given.number("last", 0) {
            _ if open && given.is_on("all", false) => u64::MAX,
            0 if open => DEFAULT_NUMBER,
            last => last,
        };
        Ok(Self { number, first: false, follow: given.is_on("follow", false), since, until })
    }

    /// Reads the flags of flows.
    ///
    /// # Errors
    /// Flags contradict each other or a time cannot be understood.
    fn of_flows(given: &Given, counted: bool, now: Timestamp) -> Result<Self> {
        let (first, last) = (given.number("first", 0), given.number("last", 0));
        let (all, follow) = (given.is_on("all", false), given.is_on("follow", false));
        for (one, other, names) in [
            (first > 0, last > 0, "--first and --last"),
            (first > 0, all, "--first and --all"),
            (first > 0, follow, "--first and --follow"),
            (last > 0, all, "--last and --all"),
        ] {
            if one && other {
                bail!("cannot set both {names}");
            }
        }
        let (since, until) = times(given, now)?;
        let positioned = since.is_some() || until.is_some() || first > 0;
        let from_file = !given.text("input-file", "").is_empty();
        let number = match (first, last) {
            (first, _) if first > 0 => first,
            (_, 0) if all && !positioned => u64::MAX,
            // What is counted is all there is, where nothing says which part.
            (_, 0) if counted && !positioned && !follow && !from_file => u64::MAX,
            (_, 0) if !positioned && !follow && !from_file => DEFAULT_NUMBER,
            (_, last) => last,
        };
        Ok(Self { number, first: first > 0, follow, since, until })
    }
}

/// The values of `--since` and `--until`. A stream that is followed has no end.
fn times(given: &Given, now: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    let moment = |name: &str| {
        let text = given.text(name, "");
        if text.is_empty() {
            return Ok(None);
        }
        let moment = parse_moment(text, now).with_context(|| format!("failed to parse the {name} time"))?;
        if !is_valid(moment) {
            bail!("failed to convert `{name}` timestamp to proto: it is not of the years 1 to 9999");
        }
        Ok(Some(moment))
    };
    let since = moment("since")?;
    let until = if given.is_on("follow", false) { None } else { moment("until")? };
    Ok((since, until))
}

impl Query {
    /// Puts the flags together.
    ///
    /// # Errors
    /// Flags contradict each other or a value cannot be understood.
    pub(super) fn from_flags(given: &Given, output: Output, settings: &Settings, now: Timestamp) -> Result<Self> {
        let selectors = Selectors::of_flows(given, output == Output::Counts, now)?;
        let (whitelist, blacklist) = given.selection.clone().finish()?;
        let [mut whitelist, mut blacklist] =
            [whitelist, blacklist].map(|filters| filters.iter().map(filter_to_wire).collect::<Vec<_>>());
        whitelist.extend(raw_filters(settings, "allowlist")?);
        blacklist.extend(raw_filters(settings, "denylist")?);

        let mask = given.list("field-mask");
        let mask_is_ours = mask.is_empty();
        let fits = matches!(output, Output::Compact | Output::Dict | Output::Table | Output::LegacyJson);
        let mask = if !mask_is_ours {
            mask
        } else if fits && given.is_on("use-default-field-masks", true) {
            MASKED_FIELDS.iter().map(|field| (*field).to_owned()).collect()
        } else {
            Vec::new()
        };
        if let Some(path) = mask.iter().find(|path| !proto::mask::is_path(path)) {
            bail!("failed to construct field mask: invalid path {path:?} for message \"flow.Flow\"");
        }
        let shows_details = match output {
            Output::Wide | Output::Counts | Output::Rows(_) => true,
            // The stock client has no type for them, and prints none.
            Output::Json => given.is_on("details", false),
            _ => false,
        };
        let details = shows_details && mask.is_empty();
        let mut query = Self { whitelist, blacklist, selectors, mask, mask_is_ours, details, rest: None };
        for text in given.all("where") {
            query.narrow(crate::expression::parse(text).context("invalid argument for \"--where\" flag")?);
        }
        Ok(query)
    }

    /// Asks for flows that match this expression too: the filters say what they can of it.
    pub(super) fn narrow(&mut self, expression: Expression) {
        let [white, black] = [&self.whitelist, &self.blacklist]
            .map(|filters| filters.iter().cloned().map(filter_from_wire).collect::<Vec<_>>());
        let pushed = expression.push().within(white, black);
        self.whitelist = pushed.whitelist.iter().map(filter_to_wire).collect();
        self.blacklist = pushed.blacklist.iter().map(filter_to_wire).collect();
        if !pushed.exact {
            self.rest.get_or_insert_default().0.push(expression);
            // Whatever it asks for has to be there.
            self.details = true;
        }
    }

    /// What to take away from flows that came with all their fields, for the rest of the expression to be asked.
    pub(super) fn late_mask(&self) -> FieldMask {
        if self.rest.is_some() { FieldMask::new(&self.mask) } else { FieldMask::default() }
    }

    /// The request for a server.
    pub(super) fn to_request(&self) -> GetFlowsRequest {
        let options = GetFlowsOptions { details: true };
        let Selectors { number, first, follow, since, until } = self.selectors.clone();
        GetFlowsRequest {
            number,
            first,
            follow,
            whitelist: self.whitelist.clone(),
            blacklist: self.blacklist.clone(),
            since,
            until,
            field_mask: (!self.mask.is_empty() && self.rest.is_none())
                .then(|| prost_types::FieldMask { paths: self.mask.clone() }),
            experimental: None,
            extensions: self
                .details
                .then(|| prost_types::Any { type_url: GetFlowsOptions::type_url(), value: options.encode_to_vec() }),
        }
    }

    /// The filters as the configuration file takes them.
    pub(super) fn filters_as_yaml(&self) -> String {
        let lists = [("allowlist", &self.whitelist), ("denylist", &self.blacklist)];
        let entries: serde_norway::Mapping = lists
            .into_iter()
            .filter(|(_, filters)| !filters.is_empty())
            .map(|(name, filters)| {
                let texts: Vec<String> = filters.iter().map(proto::json::filter_to_line).collect();
                (name.into(), texts.into())
            })
            .collect();
        yaml_text(&serde_norway::Value::Mapping(entries))
    }
}

impl From<Selectors> for GetAgentEventsRequest {
    fn from(selectors: Selectors) -> Self {
        let Selectors { number, first, follow, since, until } = selectors;
        Self { number, first, follow, since, until }
    }
}

impl From<Selectors> for GetDebugEventsRequest {
    fn from(selectors: Selectors) -> Self {
        let Selectors { number, first, follow, since, until } = selectors;
        Self { number, first, follow, since, until }
    }
}

fn raw_filters(settings: &Settings, name: &'static str) -> Result<Vec<FlowFilter>> {
    let mut filters = Vec::new();
    for text in settings.list(name) {
        let read = proto::json::filters_from_text(&text)
            .with_context(|| format!("invalid --{name} flag: failed to decode '{text}'"))?;
        filters.extend(read);
    }
    Ok(filters)
}
