//! The file of flow logs, read as Hubble reads it: keys in any case, merges, numbers where texts are meant.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize as _;
use serde::de::Error as _;
use serde_norway::{Deserializer, Error, Mapping, Value};

use super::config::{ExportError, FlowLog};
use crate::text_file;

/// Bytes of the file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Text of the file.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_text(path: &Path) -> Result<String, ExportError> {
    Ok(text_file::read(path, FILE_BYTES_MAX)?)
}

/// The flow logs that a file with this text lists.
///
/// # Errors
/// It is none; a name or a path is missing or there twice.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<FlowLog>, ExportError> {
    let syntax = |cause| ExportError::Syntax { path: path.to_owned(), cause };
    let logs = listed(text).map_err(syntax)?;
    let read = |(at, log): (usize, &Value)| {
        let entries = Entries(log.as_mapping().ok_or_else(|| wrong(at, "expected keys and values".to_owned()))?);
        entries.flow_log().map_err(|problem| wrong(at, problem))
    };
    let logs: Vec<FlowLog> = logs.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    check_identities(&logs)?;
    Ok(logs)
}

fn wrong(at: usize, problem: String) -> ExportError {
    ExportError::Identity { at, problem }
}

fn check_identities(logs: &[FlowLog]) -> Result<(), ExportError> {
    let (mut names, mut paths) = (HashSet::new(), HashSet::new());
    for (at, log) in logs.iter().enumerate() {
        if log.name.is_empty() {
            return Err(wrong(at, "name is required".to_owned()));
        }
        if log.file_path.is_empty() {
            return Err(wrong(at, "filePath is required".to_owned()));
        }
        if !names.insert(&log.name) {
            return Err(wrong(at, format!("duplicated flowlog name {}", log.name)));
        }
        if !paths.insert(&log.file_path) {
            return Err(wrong(at, format!("duplicated flowlog path {}", log.file_path)));
        }
    }
    Ok(())
}

/// What stands under `flowLogs`, in the first document.
fn listed(text: &str) -> Result<Vec<Value>, Error> {
    let text = text.trim_start_matches('\u{feff}');
    let Some(first) = Deserializer::from_str(text).next() else { return Ok(Vec::new()) };
    let mut document = Value::deserialize(first)?;
    document.apply_merge()?;
    match document {
        Value::Null => Ok(Vec::new()),
        Value::Mapping(entries) => match Entries(&entries).get("flowLogs") {
            None => Ok(Vec::new()),
            Some(Value::Sequence(logs)) => Ok(logs.clone()),
            Some(_) => Err(Error::custom("flowLogs: expected a list")),
        },
        _ => Err(Error::custom("expected keys and values")),
    }
}

/// Keys and values of one flow log. Keys that are not known are passed over, as are those without a value, which
/// templates leave behind.
struct Entries<'a>(&'a Mapping);

impl Entries<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        let same = |name: &Value| name.as_str().is_some_and(|name| name.eq_ignore_ascii_case(key));
        self.0.iter().filter(|(name, value)| same(name) && !value.is_null()).last().map(|(_, value)| value)
    }

    fn flow_log(&self) -> Result<FlowLog, String> {
        Ok(FlowLog {
            name: self.value("name", text)?,
            file_path: self.value("filePath", text)?,
            field_mask: self.value("fieldMask", texts)?,
            field_aggregate: self.value("fieldAggregate", texts)?,
            aggregation_interval: self.value("aggregationInterval", text)?,
            include_filters: self.value("includeFilters", filters)?,
            exclude_filters: self.value("excludeFilters", filters)?,
            file_max_size_mb: self.value("fileMaxSizeMb", whole_number)?,
            file_max_backups: self.value("fileMaxBackups", backups)?,
            file_compress: self.value("fileCompress", truth)?,
            end: self.value("end", |value| text(value).map(Some))?,
        })
    }

    fn value<T: Default>(&self, key: &str, read: impl Fn(&Value) -> Result<T, String>) -> Result<T, String> {
        self.get(key).map_or_else(|| Ok(T::default()), read).map_err(|problem| format!("{key}: {problem}"))
    }
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        _ => Err("expected a text".to_owned()),
    }
}

/// In an order of their own: a log whose fields are listed in another one is the same log.
fn texts(value: &Value) -> Result<Vec<String>, String> {
    let or_none = |value: &Value| if value.is_null() { Ok(String::new()) } else { text(value) };
    let texts = value.as_sequence().ok_or_else(|| "expected a list".to_owned())?.iter().map(or_none);
    let mut texts: Vec<_> = texts.collect::<Result<_, _>>()?;
    texts.sort_unstable();
    Ok(texts)
}

/// In an order of their own, as texts are, and each but once.
fn filters(value: &Value) -> Result<Vec<serde_json::Value>, String> {
    let filter = |value: &Value| match value {
        Value::Null => Ok(serde_json::json!({})),
        value => serde_json::to_value(value).map_err(|error| error.to_string()),
    };
    let filters = value.as_sequence().ok_or_else(|| "expected a list".to_owned())?.iter().map(filter);
    let mut filters: Vec<_> = filters.collect::<Result<_, _>>()?;
    filters.sort_by_cached_key(ToString::to_string);
    filters.dedup();
    Ok(filters)
}

fn whole_number(value: &Value) -> Result<u64, String> {
    let whole = |number: f64| number.fract() == 0.0 && (0.0..=1e15).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and to fit")]
    let float = || value.as_f64().filter(|number| whole(*number)).map(|number| number as u64);
    value.as_u64().or_else(float).ok_or_else(|| "expected a whole number".to_owned())
}

/// Files set aside that are kept: all of them where there is a number below zero, for 0 is the default.
fn backups(value: &Value) -> Result<usize, String> {
    if value.as_i64().is_some_and(i64::is_negative) {
        return Ok(usize::MAX);
    }
    whole_number(value).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// As YAML 1.1 has it, which Hubble's library reads.
fn truth(value: &Value) -> Result<bool, String> {
    let word = |words: [&str; 4]| value.as_str().is_some_and(|w| words.iter().any(|word| word.eq_ignore_ascii_case(w)));
    match value {
        Value::Bool(truth) => Ok(*truth),
        _ if word(["true", "yes", "on", "y"]) => Ok(true),
        _ if word(["false", "no", "off", "n"]) => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of the file, in short.
    fn told(yaml: &str) -> String {
        match parse(Path::new("FILE"), yaml) {
            Ok(logs) => logs.iter().map(short).collect::<Vec<_>>().join("; "),
            Err(error) => format!("{:#}", anyhow::Error::new(error)),
        }
    }

    fn short(log: &FlowLog) -> String {
        let FlowLog { name, file_path, file_max_size_mb, file_max_backups, file_compress, end, .. } = log;
        let end = end.as_deref().unwrap_or("-");
        format!("{name} {file_path} {file_max_size_mb} {file_max_backups} {file_compress} {end}")
    }

    /// Each is what Hubble 1.19.4 reads of the same file.
    #[test]
    fn what_hubble_reads_is_read() {
        let log = |rest: &str| format!("flowLogs:\n- name: a\n  filePath: /a\n{rest}");
        for (yaml, expected) in [
            ("FLOWLOGS:\n- NAME: a\n  filepath: /a\n  filemaxsizemb: 3\n".to_owned(), "a /a 3 0 false -"),
            ("x: &x {name: a, filePath: /a}\nflowLogs:\n- <<: *x\n  name: b\n".to_owned(), "b /a 0 0 false -"),
            ("1: 2\nflowLogs:\n- {name: 5, filePath: 7}\n".to_owned(), "5 7 0 0 false -"),
            ("flowLogs: [{name: 2020-01-01, filePath: true}]".to_owned(), "2020-01-01 true 0 0 false -"),
            (format!("\u{feff}{}", log("")), "a /a 0 0 false -"),
            (log("---\nflowLogs: []\n"), "a /a 0 0 false -"),
            (log("  fileMaxSizeMb: 5.0\n  fileMaxBackups: 1e2\n"), "a /a 5 100 false -"),
            (log("  fileMaxSizeMb: 0x10\n  fileCompress: yes\n"), "a /a 16 0 true -"),
            (log("  fileMaxBackups: -1\n"), "a /a 0 18446744073709551615 false -"),
            (log("  fieldMask: [~]\n"), "a /a 0 0 false -"),
            (log("  end: 2023-10-09T23:59:59Z\n  bogus: {a: 1}\n"), "a /a 0 0 false 2023-10-09T23:59:59Z"),
            (log("  end: ~\n  fileCompress: on\n").replace('\n', "\r\n"), "a /a 0 0 true -"),
            (r#"{"flowLogs":[{"name":"a","filePath":"/a"}]}"#.to_owned(), "a /a 0 0 false -"),
            ("other: 1\n".to_owned(), ""),
            (String::new(), ""),
        ] {
            assert_eq!(told(&yaml), expected, "{yaml}");
        }
    }

    #[test]
    fn a_log_listed_in_another_order_is_the_same() {
        let read = |fields: &str, filters: &str| {
            let text = format!(
                "flowLogs: [{{name: a, filePath: /a, fieldMask: {fields}, fieldAggregate: {fields}, \
                 includeFilters: {filters}, excludeFilters: {filters}}}]"
            );
            parse(Path::new("FILE"), &text).unwrap()
        };
        let log = read("[time, verdict]", "[{source_pod: [a]}, {source_pod: [b], reply: [true]}]");
        let other = "[{reply: [true], source_pod: [b]}, {source_pod: [a]}, {source_pod: [a]}]";
        assert_eq!(read("[verdict, time]", other), log);
        assert_ne!(read("[verdict]", other), log);
        assert_ne!(read("[verdict, time]", "[{source_pod: [a]}]"), log);
    }

    #[test]
    fn what_hubble_refuses_is_refused() {
        let log = |rest: &str| format!("flowLogs: [{{name: a, filePath: /a, {rest}}}]");
        for (yaml, expected) in [
            ("flowLogs: [~]".to_owned(), "flow log 0: expected keys and values"),
            ("flowLogs: [{}]".to_owned(), "flow log 0: name is required"),
            ("flowLogs: [{name: ~, filePath: /a}]".to_owned(), "flow log 0: name is required"),
            (log("fileMaxSizeMb: 5.5"), "flow log 0: fileMaxSizeMb: expected a whole number"),
            (log("fileMaxSizeMb: '5'"), "flow log 0: fileMaxSizeMb: expected a whole number"),
            (log("fileCompress: 1"), "flow log 0: fileCompress: expected true or false"),
            (log("fieldMask: verdict"), "flow log 0: fieldMask: expected a list"),
            (log("includeFilters: {source_pod: [a]}"), "flow log 0: includeFilters: expected a list"),
            (log("aggregationInterval: [5s]"), "flow log 0: aggregationInterval: expected a text"),
            ("[]".to_owned(), "FILE is no YAML document with flowLogs: expected keys and values"),
            ("flowLogs: {}".to_owned(), "FILE is no YAML document with flowLogs: flowLogs: expected a list"),
        ] {
            assert_eq!(told(&yaml), expected, "{yaml}");
        }
    }
}
