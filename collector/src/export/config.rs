//! Settings of flow logs: the one of the configuration, and those of a file in Hubble's form that may change.

use std::path::PathBuf;
use std::time::Duration;

use flow::Timestamp;
use flow::filter::{FilterError, FilterSet};
use proto::filter::{WireFilterSet, compile_for_flows};
use proto::json::{JsonError, filters_from_text};
use proto::mask::{FieldMask, is_path};
use serde::{Deserialize, Serialize};

use super::rotate::Rotation;
use crate::text_file::TextFileError;

/// Place of a flow log that goes to standard output.
const STDOUT: &str = "stdout";
/// Mebibytes at which a file is set aside.
const FILE_MAX_SIZE_MB: u64 = 10;
/// Files set aside that are kept.
const FILE_MAX_BACKUPS: usize = 5;

/// Writing flows to files, as Hubble's exporter does. The names are those of its options without `hubble-export-`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExportConfig {
    /// File to write JSON lines to, or `stdout`; `null` (the default) writes none.
    pub file_path: Option<String>,
    /// Mebibytes at which the file is set aside. Default 10.
    pub file_max_size_mb: u64,
    /// Files set aside that are kept; 0 keeps all. Default 5.
    pub file_max_backups: usize,
    /// Whether files set aside are packed by gzip. Default `false`.
    pub file_compress: bool,
    /// Flow filters as JSON, one of which a flow must match. Default none: all are written.
    pub allow_list: Vec<String>,
    /// Flow filters as JSON, none of which a flow may match. Default none.
    pub deny_list: Vec<String>,
    /// Fields of flows that are written, such as `source.pod_name`. Default none: all are written.
    pub field_mask: Vec<String>,
    /// Fields by which flows are counted together; see `aggregation_interval`. Default none.
    pub field_aggregate: Vec<String>,
    /// Time over which they are, such as `30s`. Default `0s`: flows are written one by one.
    pub aggregation_interval: String,
    /// YAML file with further flow logs in Hubble's form (`flowLogs:`), read again every five seconds. Default none.
    pub flow_logs_file: Option<PathBuf>,
}

impl Default for ExportConfig {
    fn default() -> Self {
        Self {
            file_path: None,
            file_max_size_mb: FILE_MAX_SIZE_MB,
            file_max_backups: FILE_MAX_BACKUPS,
            file_compress: false,
            allow_list: Vec::new(),
            deny_list: Vec::new(),
            field_mask: Vec::new(),
            field_aggregate: Vec::new(),
            aggregation_interval: "0s".to_owned(),
            flow_logs_file: None,
        }
    }
}

/// A flow log cannot be as its settings say.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] TextFileError),
    /// The file of flow logs is none.
    #[error("{path} is no YAML document with flowLogs")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: serde_norway::Error,
    },
    /// A name or a path is missing or there twice, or a value is of the wrong kind.
    #[error("flow log {at}: {problem}")]
    Identity {
        /// Its place in the list, from 0.
        at: usize,
        /// What is wrong.
        problem: String,
    },
    /// A filter cannot be read.
    #[error("flow log {name:?} has a filter that cannot be read")]
    FilterSyntax {
        /// Name of the flow log.
        name: String,
        /// Why.
        #[source]
        cause: JsonError,
    },
    /// A filter is no JSON.
    #[error("flow log {name:?} has a filter that is no JSON")]
    FilterJson {
        /// Name of the flow log.
        name: String,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// A filter cannot be understood.
    #[error("flow log {name:?} has a filter that cannot be understood")]
    Filter {
        /// Name of the flow log.
        name: String,
        /// Why.
        #[source]
        cause: FilterError,
    },
    /// A path names no field.
    #[error("flow log {name:?}: {path:?} is no field of a flow")]
    Mask {
        /// Name of the flow log.
        name: String,
        /// The path.
        path: String,
    },
    /// A value cannot be understood.
    #[error("flow log {name:?}: {value:?} is no {what}")]
    Value {
        /// Name of the flow log.
        name: String,
        /// The value.
        value: String,
        /// What it should be.
        what: &'static str,
    },
    /// The file to write cannot be opened.
    #[error("flow log {name:?} cannot write {path}")]
    Open {
        /// Name of the flow log.
        name: String,
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// One flow log, as typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FlowLog {
    pub(super) name: String,
    pub(super) file_path: String,
    pub(super) field_mask: Vec<String>,
    pub(super) field_aggregate: Vec<String>,
    pub(super) aggregation_interval: String,
    pub(super) include_filters: Vec<serde_json::Value>,
    pub(super) exclude_filters: Vec<serde_json::Value>,
    pub(super) file_max_size_mb: u64,
    pub(super) file_max_backups: usize,
    pub(super) file_compress: bool,
    pub(super) end: Option<String>,
}

/// One flow log, checked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    /// `None` for standard output.
    pub(super) path: Option<PathBuf>,
    pub(super) rotation: Rotation,
    pub(super) filters: FilterSet,
    /// The same filters, for what is no flow.
    pub(super) event_filters: WireFilterSet,
    pub(super) mask: FieldMask,
    /// Fields and time of counting together.
    pub(super) aggregate: Option<(FieldMask, Duration)>,
    pub(super) end: Option<Timestamp>,
}

impl ExportConfig {
    /// The flow log of the settings themselves.
    ///
    /// # Errors
    /// A filter cannot be read.
    pub(super) fn own(&self) -> Result<Option<FlowLog>, ExportError> {
        let Some(file_path) = self.file_path.clone() else { return Ok(None) };
        let name = || STATIC.to_owned();
        let filters = |list: &[String]| {
            // A key that is there twice is gone once the text was read into values.
            for text in list {
                filters_from_text(text).map_err(|cause| ExportError::FilterSyntax { name: name(), cause })?;
            }
            // As Hubble's option has it, a text may hold several, one after the other.
            let parsed = list.iter().flat_map(|text| serde_json::Deserializer::from_str(text).into_iter());
            parsed.collect::<Result<_, _>>().map_err(|cause| ExportError::FilterJson { name: name(), cause })
        };
        Ok(Some(FlowLog {
            name: name(),
            file_path,
            field_mask: self.field_mask.clone(),
            field_aggregate: self.field_aggregate.clone(),
            aggregation_interval: self.aggregation_interval.clone(),
            include_filters: filters(&self.allow_list)?,
            exclude_filters: filters(&self.deny_list)?,
            file_max_size_mb: self.file_max_size_mb,
            // In the file of flow logs 0 is the default; here it keeps all.
            file_max_backups: if self.file_max_backups == 0 { usize::MAX } else { self.file_max_backups },
            file_compress: self.file_compress,
            end: None,
        }))
    }
}

/// Name of the flow log of the settings.
const STATIC: &str = "static";

impl FlowLog {
    /// Checks the values.
    ///
    /// # Errors
    /// One of them cannot be understood.
    pub(super) fn plan(&self) -> Result<Plan, ExportError> {
        let name = || self.name.clone();
        let wrong = |cause| ExportError::Filter { name: name(), cause };
        let (allow, deny) = (self.filters(&self.include_filters)?, self.filters(&self.exclude_filters)?);
        let event_filters = WireFilterSet::compile(&allow, &deny).map_err(wrong)?;
        let filters = compile_for_flows(allow, deny).map_err(wrong)?;
        let value = |text: &str, what| ExportError::Value { name: name(), value: text.to_owned(), what };
        let interval = match self.aggregation_interval.as_str() {
            "" => Duration::ZERO,
            text => parse_duration(text).ok_or_else(|| value(text, "duration such as 30s or 1m30s"))?,
        };
        let end = self.end.as_deref().map(|text| parse_end(text).ok_or_else(|| value(text, "time of RFC 3339")));
        let aggregate = self.mask(&self.field_aggregate)?;
        let aggregates = !self.field_aggregate.is_empty() && !interval.is_zero();
        let or = |value: u64, default: u64| if value == 0 { default } else { value };
        Ok(Plan {
            name: name(),
            path: (self.file_path != STDOUT).then(|| PathBuf::from(&self.file_path)),
            rotation: Rotation {
                bytes_max: or(self.file_max_size_mb, FILE_MAX_SIZE_MB) << 20,
                backups_max: if self.file_max_backups == 0 { FILE_MAX_BACKUPS } else { self.file_max_backups },
                compress: self.file_compress,
            },
            filters,
            event_filters,
            mask: self.mask(&self.field_mask)?,
            aggregate: aggregates.then_some((aggregate, interval)),
            end: end.transpose()?,
        })
    }

    fn filters(&self, list: &[serde_json::Value]) -> Result<Vec<proto::flow::FlowFilter>, ExportError> {
        let mut filters = Vec::new();
        for value in list {
            let read = filters_from_text(&value.to_string())
                .map_err(|cause| ExportError::FilterSyntax { name: self.name.clone(), cause })?;
            filters.extend(read);
        }
        Ok(filters)
    }

    fn mask(&self, paths: &[String]) -> Result<FieldMask, ExportError> {
        match paths.iter().find(|path| !is_path(path)) {
            Some(path) => Err(ExportError::Mask { name: self.name.clone(), path: path.clone() }),
            None => Ok(FieldMask::new(paths)),
        }
    }
}

/// Reads a duration as Go writes it: `1h30m`, `1.5s`, `300ms`; negative ones are as good as none.
fn parse_duration(text: &str) -> Option<Duration> {
    let nanos = flow::go_duration::parse(text, &[]).ok()?;
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}

/// Reads a time; one beyond what nanoseconds can tell, such as the year 9999, is the last or first of those.
fn parse_end(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(text).ok().or_else(|| {
        let (year, rest) = text.split_at_checked(4)?;
        let year: u16 = year.parse().ok()?;
        Timestamp::parse_rfc3339(&format!("2000{rest}")).ok()?;
        Some(Timestamp(if year < 1970 { i64::MIN } else { i64::MAX }))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::document::parse;
    use super::*;

    #[test]
    fn durations_are_gos() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("0s", Some(ms(0))),
            ("0", Some(ms(0))),
            ("30s", Some(ms(30_000))),
            ("1m30s", Some(ms(90_000))),
            ("1.5h", Some(ms(5_400_000))),
            ("250ms", Some(ms(250))),
            ("", None),
            ("30", None),
            ("-5s", Some(ms(0))),
            ("+1us", Some(Duration::from_micros(1))),
            ("5 s", None),
            ("5d", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn ends_may_be_very_far_away() {
        for (text, expected) in [
            ("2023-10-09T23:59:59-07:00", Some(1_696_921_199_000_000_000)),
            ("9999-12-31T23:59:59Z", Some(i64::MAX)),
            ("0001-01-01T00:00:00Z", Some(i64::MIN)),
            ("9999-13-31T23:59:59Z", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_end(text).map(|end| end.0), expected, "{text}");
        }
    }

    fn check(yaml: &str) -> Result<Vec<Plan>, String> {
        let text = |error: ExportError| format!("{:#}", anyhow::Error::new(error));
        let logs = parse(Path::new("FILE"), yaml).map_err(text)?;
        logs.iter().map(FlowLog::plan).collect::<Result<_, _>>().map_err(text)
    }

    #[test]
    fn hubbles_file_is_understood() {
        let plans = check(
            "flowLogs:\n- name: a\n  filePath: /var/log/a.log\n  fieldMask: [source.namespace, verdict]\n  \
             includeFilters:\n  - source_pod: [default/]\n    event_type: [{type: 1}]\n  fileMaxSizeMb: 3\n  \
             fileCompress: true\n  end: '2023-10-09T23:59:59-07:00'\n- name: b\n  filePath: stdout\n  fieldAggregate: \
             [source, verdict]\n  aggregationInterval: 30s\n  excludeFilters: [{destination_pod: [ingress/]}]\n",
        );
        let plans = plans.unwrap();
        assert_eq!(plans[0].rotation, Rotation { bytes_max: 3 << 20, backups_max: 5, compress: true });
        assert_eq!(plans[0].end, Some(Timestamp::parse_rfc3339("2023-10-10T06:59:59Z").unwrap()));
        assert!(plans[0].aggregate.is_none() && plans[1].path.is_none());
        assert_eq!(plans[1].aggregate.as_ref().unwrap().1, Duration::from_secs(30));
        for none in ["", "flowLogs: []", "flowLogs:", "# none\n", "null"] {
            assert!(check(none).unwrap().is_empty(), "{none}");
        }
        let bare = "flowLogs: [{name: a, filePath: /a, fieldMask: , includeFilters: null, excludeFilters: ~, end: }]";
        assert!(check(bare).unwrap()[0].end.is_none());
    }

    #[test]
    fn the_log_of_the_settings_has_hubbles_options() {
        let config = ExportConfig {
            file_path: Some("stdout".to_owned()),
            file_max_backups: 0,
            allow_list: vec![r#"{"source_pod":["a/"]} {"source_pod":["b/"]}"#.to_owned(), "{}".to_owned()],
            ..ExportConfig::default()
        };
        let plan = config.own().unwrap().unwrap().plan().unwrap();
        assert_eq!(plan.rotation.backups_max, usize::MAX, "0 keeps all");
        assert_eq!(plan.filters.whitelist().len(), 3);
    }

    #[test]
    fn a_filter_of_the_settings_says_nothing_twice() {
        let allow_list = vec![r#"{"source_pod":["a/"],"source_pod":["b/"]}"#.to_owned()];
        let config = ExportConfig { file_path: Some("stdout".to_owned()), allow_list, ..ExportConfig::default() };
        let error = format!("{:#}", anyhow::Error::new(config.own().unwrap_err()));
        assert!(error.contains("source_pod"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let two = |second: &str| format!("flowLogs: [{{name: a, filePath: /a}}, {{{second}}}]");
        for (yaml, expected) in [
            (two("name: a, filePath: /b"), "flow log 1: duplicated flowlog name a"),
            (two("name: b, filePath: /a"), "flow log 1: duplicated flowlog path /a"),
            (two("name: b"), "flow log 1: filePath is required"),
            (two("filePath: /b"), "flow log 1: name is required"),
            (
                two("name: b, filePath: /b, fieldMask: [source.pod]"),
                r#"flow log "b": "source.pod" is no field of a flow"#,
            ),
            (two("name: b, filePath: /b, end: soon"), r#"flow log "b": "soon" is no time of RFC 3339"#),
            (two("name: b, filePath: /b, includeFilters: [{sauce_pod: [x]}]"), "sauce_pod"),
            (two("name: b, filePath: /b, includeFilters: [{source_ip: [x]}]"), "invalid IP address"),
            ("flowLogs: 5".to_owned(), "FILE is no YAML document with flowLogs"),
        ] {
            let error = check(&yaml).unwrap_err();
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }
}
