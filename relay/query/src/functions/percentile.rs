//! Percentiles of the sketches that rollups keep.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use relay_index::Sketch;

/// `sketch_percentile(latency, share)`: the smallest latency in nanoseconds that at least this share (0 to 1) of the
/// latencies in all sketches do not exceed; NULL without latencies. Within 1.6 %, exact up to 64 latencies.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct SketchPercentile {
    signature: Signature,
}

impl SketchPercentile {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Binary, DataType::Float64], Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for SketchPercentile {
    fn name(&self) -> &'static str {
        "sketch_percentile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, _args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Joined::default()))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |name: &str, kind| Arc::new(Field::new(format_state_name(args.name, name), kind, true));
        Ok(vec![field("sketch", DataType::Binary), field("share", DataType::Float64)])
    }
}

/// All sketches of one group.
#[derive(Debug, Default)]
struct Joined {
    sketch: Sketch,
    share: Option<f64>,
}

impl Joined {
    fn join(&mut self, sketches: &ArrayRef, shares: &ArrayRef) -> Result<()> {
        let shares = shares.as_primitive::<Float64Type>();
        for (row, bytes) in sketches.as_binary::<i32>().iter().enumerate() {
            if shares.is_valid(row) {
                let share = shares.value(row);
                if !(0.0..=1.0).contains(&share) {
                    let message = format!("sketch_percentile needs a share from 0 to 1, such as 0.99, not {share}");
                    return Err(DataFusionError::Execution(message));
                }
                self.share = Some(share);
            }
            let Some(bytes) = bytes else { continue };
            let sketch = Sketch::decode(bytes, 0, 0).ok_or_else(|| {
                DataFusionError::Execution("sketch_percentile needs a sketch, such as the column latency".to_owned())
            })?;
            self.sketch.join(&sketch);
        }
        Ok(())
    }
}

impl Accumulator for Joined {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.merge_batch(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [sketches, shares] = states else {
            return Err(DataFusionError::Internal("the signature asks for two arguments".to_owned()));
        };
        self.join(sketches, shares)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.share.and_then(|share| self.sketch.percentile_ns(share))))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.sketch.encode())), ScalarValue::Float64(self.share)])
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.sketch.heap_bytes()
    }
}
