//! Counters of the application parsers.

/// What the parsers took in, gave out and gave up, since the start unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L7Stats {
    /// Chunks taken in.
    pub chunks: u64,
    /// Datagrams taken in.
    pub datagrams: u64,
    /// Connections told of by `open`.
    pub opened: u64,
    /// Connections ended by `close`.
    pub closed: u64,
}
