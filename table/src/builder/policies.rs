//! Policies that allowed or denied a flow.

use std::sync::Arc;

use flow::{Flow, Policy};

use super::group::Group;
use super::output::Output;
use crate::json;
use crate::schema::Col;

/// Columns of the policies under construction.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    group: Group<Entry>,
}

/// All that policies said of one flow.
#[derive(Debug)]
struct Entry {
    lists: [Vec<Arc<Policy>>; 4],
    log: Vec<String>,
}

fn lists(flow: &Flow) -> [&Vec<Arc<Policy>>; 4] {
    [&flow.egress_allowed_by, &flow.ingress_allowed_by, &flow.egress_denied_by, &flow.ingress_denied_by]
}

impl Policies {
    #[inline]
    pub(crate) fn push_key(&mut self, key: u16) {
        self.group.push_key(key);
    }

    /// Key of what policies said of a flow, without adding a row.
    #[inline]
    pub(crate) fn key(&mut self, flow: &Flow) -> u16 {
        let lists = lists(flow);
        self.group.key(
            &(lists, &flow.policy_log),
            |entry| entry.lists.each_ref() == lists && entry.log == flow.policy_log,
            || Entry { lists: lists.map(Clone::clone), log: flow.policy_log.clone() },
        )
    }

    pub(crate) fn write(&self, output: &mut Output) {
        let keys = output.keys(self.group.keys());
        let entries = self.group.entries();
        let columns = [Col::EgressAllowedBy, Col::IngressAllowedBy, Col::EgressDeniedBy, Col::IngressDeniedBy];
        for (i, col) in columns.into_iter().enumerate() {
            output.text(col, &keys, entries.iter().map(|e| json::write_policies(&e.lists[i])));
        }
        output.text(Col::PolicyLog, &keys, entries.iter().map(|e| json::write(&e.log)));
    }

    pub(crate) fn clear(&mut self) {
        self.group.clear();
    }
}
