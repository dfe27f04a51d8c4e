//! Counters of the application parsers.

/// What the parsers took in, gave out and gave up, since the start unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L7Stats {
    /// Chunks taken in.
    pub chunks: u64,
    /// Datagrams taken in.
    pub datagrams: u64,
    /// Captured bytes taken in.
    pub captured_bytes: u64,
    /// Connections told of by `open`.
    pub opened: u64,
    /// Connections ended by `close`.
    pub closed: u64,
    /// HTTP requests given out.
    pub http_requests: u64,
    /// HTTP responses given out.
    pub http_responses: u64,
    /// DNS queries given out.
    pub dns_queries: u64,
    /// DNS answers given out.
    pub dns_responses: u64,

    /// Interim HTTP responses (`100 Continue` and the like), which give no event.
    pub http_interim: u64,
    /// HTTP responses whose request was not seen, or is not remembered.
    pub http_unpaired: u64,
    /// HTTP requests whose response was not seen.
    pub http_unanswered: u64,
    /// HTTP messages whose head was not complete when the connection ended.
    pub http_unfinished: u64,
    /// DNS messages seen before at another point, which give no event.
    pub dns_repeats: u64,
    /// DNS messages without a question, which give no event.
    pub dns_no_question: u64,
    /// DNS answers whose query was not seen.
    pub dns_unpaired: u64,
    /// DNS queries without an answer in time.
    pub dns_unanswered: u64,
    /// Chunks that repeated what was there before.
    pub repeats: u64,
    /// Connections left to the records of their other socket, which is on this node as well.
    pub mirrored: u64,
    /// Connections that speak no known protocol.
    pub opaque: u64,
    /// Connections that speak HTTP/2.
    pub http2: u64,
    /// Connections that became a tunnel or were upgraded.
    pub tunnels: u64,
    /// Connections silent for too long.
    pub expired: u64,
    /// Bytes that were sent but not captured.
    pub skipped_bytes: u64,

    /// Holes: places where chunks were lost.
    pub gaps: u64,
    /// Bytes in these holes.
    pub gap_bytes: u64,
    /// Times a direction was taken up again at the start of a message.
    pub resyncs: u64,
    /// Heads read only in part, because the rest was not captured.
    pub heads_cut: u64,
    /// Heads longer than the limit, read in part.
    pub heads_too_long: u64,
    /// Heads with too many lines, read in part.
    pub header_floods: u64,
    /// Heads that are none.
    pub http_malformed: u64,
    /// Requests that are not remembered until their response, because too many of their connection waited.
    pub pipelines_too_deep: u64,
    /// URLs cut to the limit.
    pub urls_cut: u64,
    /// DNS messages that are none.
    pub dns_malformed: u64,
    /// DNS answers of which only a part was captured.
    pub dns_cut: u64,
    /// DNS queries forgotten because too many waited.
    pub dns_evicted: u64,
    /// Connections forgotten because there were too many.
    pub evicted: u64,
    /// Connections given up because all together held too many bytes.
    pub over_memory: u64,

    /// Connections known now.
    pub connections: u64,
    /// Bytes held now for unfinished messages and requests without response.
    pub bytes_held: u64,
    /// DNS queries remembered now.
    pub dns_pending: u64,
}

impl L7Stats {
    /// Counters of what went missing, by cause.
    #[must_use]
    pub const fn losses(&self) -> [(&'static str, u64); 12] {
        [
            ("gap", self.gaps),
            ("head_cut", self.heads_cut),
            ("head_too_long", self.heads_too_long),
            ("header_flood", self.header_floods),
            ("http_malformed", self.http_malformed),
            ("pipeline_too_deep", self.pipelines_too_deep),
            ("url_cut", self.urls_cut),
            ("dns_malformed", self.dns_malformed),
            ("dns_cut", self.dns_cut),
            ("dns_evicted", self.dns_evicted),
            ("connections_full", self.evicted),
            ("memory_full", self.over_memory),
        ]
    }

    /// Requests, responses, queries and answers given out.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.http_requests + self.http_responses + self.dns_queries + self.dns_responses
    }
}
