//! Values of labels.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// `label_value(labels, key)`: value of a label, NULL where the list has none of this key. A key with a source
/// (`k8s:app`) means that source only.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct LabelValue {
    signature: Signature,
}

impl LabelValue {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for LabelValue {
    fn name(&self) -> &'static str {
        "label_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        super::check_types(self.name(), types)?;
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [labels, key] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("the signature asks for two arguments".to_owned()));
        };
        let ColumnarValue::Scalar(key) = key else {
            return Err(DataFusionError::Plan("label_value needs a constant key, such as 'app'".to_owned()));
        };
        let Some(key) = key.try_as_str().flatten() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None)));
        };
        match labels {
            ColumnarValue::Scalar(labels) => {
                let value = labels.try_as_str().flatten().and_then(|labels| value_of(labels, key));
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8(value)))
            }
            ColumnarValue::Array(labels) => Ok(ColumnarValue::Array(values_of(labels, key)?)),
        }
    }
}

/// Values in an array of lists; a dictionary has each distinct list read once.
fn values_of(labels: &ArrayRef, key: &str) -> Result<ArrayRef> {
    if let Some(dictionary) = labels.as_any_dictionary_opt() {
        let values = values_of(dictionary.values(), key)?;
        return Ok(arrow::compute::take(&values, dictionary.keys(), None)?);
    }
    let texts = cast(labels, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let values: StringArray = texts.iter().map(|labels| labels.and_then(|labels| value_of(labels, key))).collect();
    debug_assert_eq!(values.len(), texts.len());
    Ok(Arc::new(values))
}

/// Value of a key in a list such as `["k8s:app=web"]`.
fn value_of(labels: &str, key: &str) -> Option<String> {
    table::read_list(labels).iter().find_map(|label| {
        let (name, value) = label.split_once('=').unwrap_or((label, ""));
        let without_source = name.split_once(':').map_or(name, |(_, name)| name);
        (name == key || without_source == key).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_with_and_without_a_source() {
        let labels = r#"["k8s:app=web","k8s:io.kubernetes.pod.namespace=shop","reserved:host","any:tier=a=b"]"#;
        for (key, expected) in [
            ("app", Some("web")),
            ("k8s:app", Some("web")),
            ("cidr:app", None),
            ("io.kubernetes.pod.namespace", Some("shop")),
            ("tier", Some("a=b")),
            ("host", Some("")),
            ("ap", None),
            ("", None),
        ] {
            assert_eq!(value_of(labels, key).as_deref(), expected, "{key}");
        }
        assert_eq!(value_of("no list", "app"), None);
    }
}
