//! Functions that make much of little, kept from making too much.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry as _;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::prelude::SessionContext;

/// Bytes that one call may make of the rows it is given. The memory that queries share does not count what functions
/// make, and nothing interrupts one.
const BYTES_MAX: u64 = 64 << 20;
/// Bytes of a number or a time in a list.
const ELEMENT_BYTES: u64 = 16;
/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// Bytes of a character, at most.
const CHARACTER_BYTES: u64 = 4;

/// Names of the functions, and what they will make of their arguments.
const BOUNDED: [(&str, Size); 6] = [
    ("repeat", repeated_text),
    ("lpad", padded),
    ("rpad", padded),
    ("array_repeat", repeated_element),
    ("range", series),
    ("generate_series", series),
];

/// Bytes that a function makes of arguments, or more.
type Size = fn(&[ArrayRef]) -> Result<u64>;

/// Puts bounds on the engine's own functions.
pub(crate) fn bound(context: &SessionContext) -> Result<()> {
    for (name, size) in BOUNDED {
        let inner = context.udf(name)?;
        context.register_udf(ScalarUDF::from(Bounded { inner, size }));
    }
    Ok(())
}

/// A function of the engine that is refused where it would make too much.
#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    size: Size,
}

// A function has one bound, so the function alone tells.
impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl std::hash::Hash for Bounded {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = (self.size)(&ColumnarValue::values_to_arrays(&args.args)?)?;
        if bytes > BYTES_MAX {
            let (name, rows) = (self.name(), args.number_rows);
            let problem = format!(
                "{name} would make some {bytes} bytes of {rows} row(s), and {BYTES_MAX} are allowed: ask for less"
            );
            return Err(DataFusionError::Execution(problem));
        }
        self.inner.invoke_with_args(args)
    }
}

/// The numbers of an argument, NULL for what is none.
fn numbers(argument: &ArrayRef) -> Result<Int64Array> {
    Ok(cast(argument, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// How often, over all rows; what is negative makes nothing.
fn times(counts: &Int64Array) -> impl Iterator<Item = u64> + '_ {
    counts.iter().map(|count| count.map_or(0, |count| u64::try_from(count).unwrap_or(0)))
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}

/// `repeat(text, times)`.
fn repeated_text(arguments: &[ArrayRef]) -> Result<u64> {
    let [text, count] = arguments else { return Ok(0) };
    let (lengths, counts) = (numbers(&length(text)?)?, numbers(count)?);
    Ok(sum(times(&lengths).zip(times(&counts)).map(|(length, count)| length.saturating_mul(count))))
}

/// `lpad(text, characters)`, with another text to fill or without.
fn padded(arguments: &[ArrayRef]) -> Result<u64> {
    let Some(characters) = arguments.get(1) else { return Ok(0) };
    Ok(sum(times(&numbers(characters)?)).saturating_mul(CHARACTER_BYTES))
}

/// `array_repeat(element, times)`.
fn repeated_element(arguments: &[ArrayRef]) -> Result<u64> {
    let [element, count] = arguments else { return Ok(0) };
    let bytes = element.get_array_memory_size().div_ceil(element.len().max(1)) as u64;
    Ok(sum(times(&numbers(count)?)).saturating_mul(bytes.max(ELEMENT_BYTES)))
}

/// `range(stop)`, `range(start, stop)` or `range(start, stop, step)`, of numbers or times.
fn series(arguments: &[ArrayRef]) -> Result<u64> {
    let place = |argument: &ArrayRef| match argument.data_type() {
        kind if kind.is_integer() || kind.is_null() => numbers(argument),
        kind if kind.is_temporal() => numbers(&cast(argument, &DataType::Timestamp(TimeUnit::Microsecond, None))?),
        _ => Ok(Int64Array::new_null(argument.len())),
    };
    let rows = arguments.first().map_or(0, |argument| argument.len());
    let (start, stop, step) = match arguments {
        [stop] => (Int64Array::from(vec![0; rows]), place(stop)?, None),
        [start, stop] => (place(start)?, place(stop)?, None),
        [start, stop, step] => (place(start)?, place(stop)?, Some(steps(step)?)),
        _ => return Ok(0),
    };
    let elements = (0..rows).map(|row| {
        if start.is_null(row) || stop.is_null(row) {
            return 0;
        }
        let step = step.as_ref().map_or(1, |steps| if steps.is_null(row) { 0 } else { steps.value(row) });
        // A step of nothing is refused by the function.
        stop.value(row).abs_diff(start.value(row)).checked_div(step.unsigned_abs()).unwrap_or(0)
    });
    Ok(sum(elements).saturating_mul(ELEMENT_BYTES))
}

/// Numbers, or intervals in microseconds, the shorter of what they may stand for.
fn steps(step: &ArrayRef) -> Result<Int64Array> {
    if !matches!(step.data_type(), DataType::Interval(_)) {
        return numbers(step);
    }
    let step = cast(step, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let micros = |months: i32, days: i32, nanos: i64| {
        (i64::from(months) * 28 + i64::from(days)).saturating_mul(DAY).saturating_add(nanos / 1_000)
    };
    let steps = step.as_primitive::<IntervalMonthDayNanoType>().iter();
    Ok(steps.map(|step| step.map(|step| micros(step.months, step.days, step.nanoseconds))).collect())
}
