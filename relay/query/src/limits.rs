//! What one query and all queries together may use.

use std::time::Duration;

/// Limits of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all queries together, in bytes.
    pub memory_bytes: usize,
    /// Temporary files of all queries together, in bytes: sorts and groupings that do not fit into memory go there.
    pub spill_bytes: u64,
    /// Queries that run at the same time.
    pub concurrent: usize,
    /// Longest wait for another query to end before a query is refused as busy.
    pub wait: Duration,
    /// Longest time a query may take, reading its answer included.
    pub deadline: Duration,
    /// Rows an answer may have; the rest is cut off and the answer says so.
    pub rows_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            spill_bytes: 2 << 30,
            concurrent: 4,
            wait: Duration::from_secs(2),
            deadline: Duration::from_secs(30),
            rows_max: 100_000,
        }
    }
}

/// The limits make no sense, or the engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// A limit is too small to work with.
    #[error("{name} is {value}, it must be at least {min}")]
    TooSmall {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        value: usize,
        /// Smallest value allowed.
        min: usize,
    },
    /// The threads for queries could not be started.
    #[error("cannot start the threads for queries")]
    Threads(#[source] std::io::Error),
    /// The engine refused the limits.
    #[error("the query engine refused its limits: {message}")]
    Refused {
        /// What it says.
        message: String,
    },
}

impl Limits {
    /// Least memory with which a query gets anywhere.
    const MEMORY_BYTES_MIN: usize = 1 << 20;

    /// Checks the limits.
    ///
    /// # Errors
    /// A limit is too small.
    pub fn check(&self) -> Result<(), LimitsError> {
        let limits = [
            ("memory_bytes", self.memory_bytes, Self::MEMORY_BYTES_MIN),
            ("concurrent", self.concurrent, 1),
            ("rows_max", self.rows_max, 1),
        ];
        for (name, value, min) in limits {
            if value < min {
                return Err(LimitsError::TooSmall { name, value, min });
            }
        }
        Ok(())
    }
}
