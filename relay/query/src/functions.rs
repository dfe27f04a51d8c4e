//! Functions for addresses and labels.

mod bounded;
mod label_value;
mod percentile;

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use flow::filter::{Addresses, LabelSelectors};

pub(crate) use bounded::bound;
pub(crate) use label_value::LabelValue;
pub(crate) use percentile::SketchPercentile;

/// `cidr_match(address, prefix)`: whether an address is in a prefix such as `10.0.0.0/8`, or is the address itself.
/// NULL where either is NULL; text that is no address is in no prefix.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CidrMatch {
    signature: Signature,
}

/// `has_label(labels, selector)`: whether a list of labels meets a selector in Kubernetes' language, such as
/// `app=web`, `tier in (front,back)` or `!canary`. A key with a source (`k8s:app`) means that source only.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct HasLabel {
    signature: Signature,
}

impl CidrMatch {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl HasLabel {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for CidrMatch {
    fn name(&self) -> &'static str {
        "cidr_match"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        check_types(self.name(), types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        apply(&args, |prefix| {
            let addresses = Addresses::parse(&[prefix.to_owned()]).map_err(bad)?;
            Ok(move |text: &str| text.parse().is_ok_and(|address: IpAddr| addresses.matches(address)))
        })
    }
}

impl ScalarUDFImpl for HasLabel {
    fn name(&self) -> &'static str {
        "has_label"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        check_types(self.name(), types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        apply(&args, |selector| {
            let selectors = LabelSelectors::parse(&[selector.to_owned()]).map_err(|(_, error)| bad(error))?;
            Ok(move |labels: &str| selectors.matches(&table::read_list(labels)))
        })
    }
}

/// Both functions take two texts and say yes or no.
fn check_types(name: &str, types: &[DataType]) -> Result<DataType> {
    let is_text = |kind: &DataType| match kind {
        DataType::Dictionary(_, value) => value.is_string() || value.is_null(),
        kind => kind.is_string() || kind.is_null(),
    };
    if types.iter().all(is_text) {
        return Ok(DataType::Boolean);
    }
    Err(DataFusionError::Plan(format!("{name} needs two texts, not {}", join(types))))
}

fn join(types: &[DataType]) -> String {
    types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn bad(error: impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

/// Tests the texts of the first argument by what `prepare` makes of the second, which nearly always is one constant.
fn apply<T: Fn(&str) -> bool>(args: &ScalarFunctionArgs, prepare: impl Fn(&str) -> Result<T>) -> Result<ColumnarValue> {
    let [subject, pattern] = args.args.as_slice() else {
        return Err(DataFusionError::Internal("the signature asks for two arguments".to_owned()));
    };
    let ColumnarValue::Scalar(pattern) = pattern else {
        return each(subject, pattern, args.number_rows, prepare);
    };
    let Some(pattern) = pattern.try_as_str().flatten() else {
        return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
    };
    let matches = prepare(pattern)?;
    match subject {
        ColumnarValue::Scalar(subject) => {
            let matched = subject.try_as_str().flatten().map(matches);
            Ok(ColumnarValue::Scalar(ScalarValue::Boolean(matched)))
        }
        ColumnarValue::Array(subject) => Ok(ColumnarValue::Array(test_all(subject, &matches)?)),
    }
}

/// Tests each text of an array; a dictionary has each distinct text tested once.
fn test_all(subject: &ArrayRef, matches: &impl Fn(&str) -> bool) -> Result<ArrayRef> {
    if let Some(dictionary) = subject.as_any_dictionary_opt() {
        let answers = test_all(dictionary.values(), matches)?;
        return Ok(take(&answers, dictionary.keys(), None)?);
    }
    let texts = texts(subject)?;
    let answers: BooleanArray = texts.iter().map(|text| text.map(matches)).collect();
    Ok(Arc::new(answers))
}

/// Tests row by row, where the pattern is a column too.
fn each<T: Fn(&str) -> bool>(
    subject: &ColumnarValue,
    pattern: &ColumnarValue,
    rows: usize,
    prepare: impl Fn(&str) -> Result<T>,
) -> Result<ColumnarValue> {
    let subjects = texts(&subject.clone().into_array(rows)?)?;
    let patterns = texts(&pattern.clone().into_array(rows)?)?;
    let mut last: Option<(&str, T)> = None;
    let mut answers = Vec::with_capacity(rows);
    for (subject, pattern) in subjects.iter().zip(patterns.iter()) {
        let (Some(subject), Some(pattern)) = (subject, pattern) else {
            answers.push(None);
            continue;
        };
        if last.as_ref().is_none_or(|(known, _)| *known != pattern) {
            last = Some((pattern, prepare(pattern)?));
        }
        answers.push(last.as_ref().map(|(_, matches)| matches(subject)));
    }
    Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(answers))))
}

fn texts(array: &ArrayRef) -> Result<StringArray> {
    let array = cast(array, &DataType::Utf8)?;
    array
        .as_any()
        .downcast_ref::<StringArray>()
        .cloned()
        .ok_or_else(|| DataFusionError::Internal("a cast gives the type asked for".to_owned()))
}
