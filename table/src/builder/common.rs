//! What takes few values in a batch, and takes them together: what the observer saw happen, and why.

use flow::Flow;

use super::FlowBatchBuilder;
use super::facts::Facts;
use crate::json;

/// Keys of columns that are neither of an endpoint nor of a packet or request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common {
    /// Beside those of headers, application record and details.
    pub(crate) facts: Facts,
    is_reply: Option<bool>,
    tunnel: u16,
    file: u16,
    ip_trace_id: u16,
    policies: u16,
    aggregate: u16,
}

impl FlowBatchBuilder {
    #[inline]
    pub(super) fn common(&mut self, flow: &Flow) -> Common {
        Common {
            facts: Facts::common(flow),
            is_reply: flow.is_reply,
            tunnel: self.tunnel.text_key(&flow.tunnel.as_deref().map(json::write_tunnel).unwrap_or_default()),
            file: self.file.key(flow.file.as_ref()),
            ip_trace_id: self.ip_trace_id.value_key(flow.ip_trace_id),
            policies: self.policies.key(flow),
            aggregate: self.aggregate.value_key(flow.aggregate),
        }
    }

    /// Adds a row to all columns but the facts.
    #[inline]
    pub(super) fn push_common(&mut self, keys: &Common) {
        self.is_reply_known.push(keys.is_reply.is_some());
        self.is_reply.push(keys.is_reply == Some(true));
        self.tunnel.push_key(keys.tunnel);
        self.file.push_key(keys.file);
        self.ip_trace_id.push_key(keys.ip_trace_id);
        self.policies.push_key(keys.policies);
        self.aggregate.push_key(keys.aggregate);
    }
}
