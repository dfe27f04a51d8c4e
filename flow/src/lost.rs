//! Losses: what was seen but could not be delivered.

use std::time::Duration;

use crate::{LostEventSource, Timestamp};

/// Events that were lost before they could be delivered, as told to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostEvent {
    /// Queue that overflowed.
    pub source: LostEventSource,
    /// How many events.
    pub count: u64,
    /// Processor, where the queue is per processor.
    pub cpu: Option<i32>,
    /// Time of the first lost event, where it is known.
    pub first: Option<Timestamp>,
    /// Time of the last lost event, where it is known.
    pub last: Option<Timestamp>,
}

/// One line of the loss ledger: what one stage of one node saw and lost in a window of ten seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossRecord {
    /// Start of the window.
    pub window: Timestamp,
    /// Stage of the path of a flow.
    pub stage: LossStage,
    /// Cause, such as `ring_full`.
    pub cause: String,
    /// Events that entered the stage in the window.
    pub seen: u64,
    /// Events of those that were lost.
    pub lost: u64,
}

impl LossRecord {
    /// Length of a window.
    pub const WINDOW: Duration = Duration::from_secs(10);
}

/// Stages at which a flow can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LossStage {
    /// Kernel ring buffer or map was full.
    Kernel,
    /// Bytes could not be decoded.
    Decode,
    /// A connection's payload was given up.
    L7,
    /// The collector's ring overtook a reader.
    Ring,
    /// The spool to the relay was full.
    Ship,
    /// The relay could not take it.
    Ingest,
    /// A client read too slowly.
    Serve,
}

impl LossStage {
    /// All stages in the order a flow passes them.
    pub const ALL: [Self; 7] =
        [Self::Kernel, Self::Decode, Self::L7, Self::Ring, Self::Ship, Self::Ingest, Self::Serve];

    /// Name in tables and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Decode => "decode",
            Self::L7 => "l7",
            Self::Ring => "ring",
            Self::Ship => "ship",
            Self::Ingest => "ingest",
            Self::Serve => "serve",
        }
    }

    /// Finds a stage by name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}
