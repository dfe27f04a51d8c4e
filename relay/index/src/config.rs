//! Limits of the index.

use std::time::Duration;

use crate::RollupLimits;

/// How much the index may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Rows held at most; the oldest are evicted. 10 million are 17 minutes of 10,000 flows a second.
    pub rows_max: usize,
    /// Bytes held at most; the oldest rows are evicted. 2 GiB hold the rows of the default above.
    pub bytes_max: usize,
    /// Age at which a segment that is not full is sealed all the same, so that quiet relays become compact too.
    pub segment_age: Duration,
    /// Lines the loss ledger keeps; the oldest windows are folded into one line per node, stage and cause.
    pub ledger_lines_max: usize,
    /// Nodes remembered; the one that was silent for longest is forgotten first.
    pub nodes_max: usize,
    /// Limits of the rollups.
    pub rollups: RollupLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rows_max: 10_000_000,
            bytes_max: 2 << 30,
            segment_age: Duration::from_secs(60),
            ledger_lines_max: 100_000,
            nodes_max: 10_000,
            rollups: RollupLimits::default(),
        }
    }
}

/// The limits make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
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
}

impl Config {
    /// Checks the limits.
    ///
    /// # Errors
    /// A limit is too small.
    pub fn check(&self) -> Result<(), ConfigError> {
        let limits = [
            ("rows_max", self.rows_max, 1),
            ("bytes_max", self.bytes_max, 1 << 20),
            ("ledger_lines_max", self.ledger_lines_max, 1),
            ("nodes_max", self.nodes_max, 1),
        ];
        for (name, value, min) in limits {
            if value < min {
                return Err(ConfigError::TooSmall { name, value, min });
            }
        }
        Ok(())
    }
}
