//! What working out an expression may cost.

use super::value::Value;

/// The value cannot be worked out: a key is missing, a number too large, types do not go together, or it takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure;

/// Steps that one expression may take for a flow: expressions come from clients, and a comprehension in a comprehension
/// in a comprehension would otherwise run for hours. A value that is looked at is one, a long text or list is several.
pub(super) const STEPS_MAX: usize = 20_000;
/// Comparisons that are a step.
const COMPARISONS_PER_STEP: usize = 8;
/// Bytes of text that are a step.
const BYTES_PER_STEP: usize = 16;
/// Values of a list or a map that are a step.
const VALUES_PER_STEP: usize = 8;

/// Steps that are left.
#[derive(Debug)]
pub(super) struct Steps {
    /// In comparisons; `None` once they did not suffice.
    left: Option<usize>,
}

impl Steps {
    pub(super) const fn new(steps: usize) -> Self {
        Self { left: Some(steps.saturating_mul(COMPARISONS_PER_STEP)) }
    }

    /// # Errors
    /// So many are not left; then none is.
    pub(super) fn take(&mut self, steps: usize) -> Result<(), Failure> {
        self.spend(steps.saturating_mul(COMPARISONS_PER_STEP))
    }

    /// Takes what a comparison of two values costs, without what is in them.
    pub(super) fn take_comparison(&mut self) -> Result<(), Failure> {
        self.spend(1)
    }

    /// Takes what making, copying or reading through some bytes costs.
    pub(super) fn take_bytes(&mut self, bytes: usize) -> Result<(), Failure> {
        self.take(bytes / BYTES_PER_STEP)
    }

    /// Takes what making or copying a value costs. What is in a list or a map is shared.
    pub(super) fn take_copy(&mut self, value: &Value) -> Result<(), Failure> {
        match value {
            Value::Text(text) => self.take_bytes(text.len()),
            Value::Bytes(bytes) => self.take_bytes(bytes.len()),
            Value::Message(message) => self.take_bytes(message.bytes.len()),
            Value::List(list) => self.take(list.len() / VALUES_PER_STEP),
            Value::Map(map) => self.take(map.len() / VALUES_PER_STEP),
            _ => Ok(()),
        }
    }

    fn spend(&mut self, comparisons: usize) -> Result<(), Failure> {
        self.left = self.left.and_then(|left| left.checked_sub(comparisons));
        self.left.map(|_| ()).ok_or(Failure)
    }
}
