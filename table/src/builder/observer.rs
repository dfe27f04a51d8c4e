//! Who observed a flow.

use std::sync::Arc;

use flow::{Emitter, Flow};

use super::group::Group;
use super::output::Output;
use crate::json;
use crate::schema::Col;

/// Columns of the observer under construction.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    group: Group<Entry>,
}

/// One observing node and program.
#[derive(Debug)]
struct Entry {
    node: Arc<str>,
    labels: Arc<[String]>,
    emitter: Option<Arc<Emitter>>,
}

impl Entry {
    fn is(&self, flow: &Flow) -> bool {
        same(&self.node, &flow.node_name)
            && same(&self.labels, &flow.node_labels)
            && match (&self.emitter, &flow.emitter) {
                (Some(a), Some(b)) => same(a, b),
                (None, None) => true,
                _ => false,
            }
    }
}

/// Compares pointers before what they point to.
fn same<T: ?Sized + PartialEq>(a: &Arc<T>, b: &Arc<T>) -> bool {
    Arc::ptr_eq(a, b) || **a == **b
}

impl Observer {
    #[inline]
    pub(crate) fn push_key(&mut self, key: u16) {
        self.group.push_key(key);
    }

    /// Key of the observer of a flow, without adding a row.
    #[inline]
    pub(crate) fn key(&mut self, flow: &Flow) -> u16 {
        self.group.key(
            &(&flow.node_name, &flow.node_labels, &flow.emitter),
            |entry| entry.is(flow),
            || Entry { node: flow.node_name.clone(), labels: flow.node_labels.clone(), emitter: flow.emitter.clone() },
        )
    }

    pub(crate) fn write(&self, output: &mut Output) {
        let keys = output.keys(self.group.keys());
        let entries = self.group.entries();
        output.text(Col::NodeName, &keys, entries.iter().map(|e| &*e.node));
        output.text(Col::NodeLabels, &keys, entries.iter().map(|e| json::write(&*e.labels)));
        output.text_or_null(Col::EmitterName, &keys, entries.iter().map(|e| e.emitter.as_ref().map(|e| &e.name)));
        output.text(Col::EmitterVersion, &keys, entries.iter().map(|e| e.emitter.as_ref().map_or("", |e| &e.version)));
    }

    pub(crate) fn clear(&mut self) {
        self.group.clear();
    }
}
