//! Whether an answer is still wanted.

use std::sync::{Arc, Weak};

/// Whoever asks, where it may go away before it is answered: the work for it ends then.
#[derive(Clone, Debug, Default)]
pub struct Asker(Option<Weak<()>>);

impl Asker {
    /// One that is there as long as this value is.
    #[must_use]
    pub fn of(presence: &Arc<()>) -> Self {
        Self(Some(Arc::downgrade(presence)))
    }

    /// Whether it is still there. The default one never leaves.
    pub(crate) fn is_there(&self) -> bool {
        self.0.as_ref().is_none_or(|presence| presence.strong_count() > 0)
    }
}
