//! A flow as fields with values.

use flow::Flow;
use proto::convert::{Details, flow_to_wire};
use serde_json::Value;

/// Names of Hubble's fields, with dots between those inside each other, and their values.
pub(super) fn fields(flow: &Flow) -> Vec<(String, String)> {
    let json = proto::json::to_json(&flow_to_wire(flow, Details::Send));
    let mut fields = Vec::new();
    match serde_json::from_str(&json) {
        Ok(value) => flatten("", &value, &mut fields),
        // What our own writer wrote can be read; if not, it is shown as it is.
        Err(_) => fields.push(("flow".to_owned(), json)),
    }
    fields.sort_by_key(|(path, _)| rank(path));
    fields
}

/// Fields that people look for first, by their outermost name; the others follow by name.
const FIRST: [&str; 12] = [
    "time",
    "verdict",
    "drop_reason_desc",
    "Summary",
    "source",
    "destination",
    "source_names",
    "destination_names",
    "IP",
    "l4",
    "l7",
    "extensions",
];

fn rank(path: &str) -> usize {
    let outermost = path.split(['.', '[']).next().unwrap_or(path);
    FIRST.iter().position(|name| *name == outermost).unwrap_or(FIRST.len())
}

fn flatten(path: &str, value: &Value, fields: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                // The type of an extension is of interest to programs only.
                if name != "@type" {
                    flatten(&path, value, fields);
                }
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{at}]"), item, fields);
            }
        }
        Value::Array(items) => fields.push((path.to_owned(), items.iter().map(text).collect::<Vec<_>>().join(", "))),
        value => fields.push((path.to_owned(), text(value))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
