//! Which namespaces were seen lately: remembered beside the history, which may hold seconds only where much happens.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flow::{Flow, Timestamp};

/// How long a namespace is told after its last flow, as by Hubble.
const LATELY: Duration = Duration::from_secs(3600);
/// Namespaces remembered at once. While there are so many, new ones are not told of.
const NAMESPACES_MAX: usize = 16_384;

/// Namespaces and when each was seen last. Written once a second and whenever there is a new one.
#[derive(Debug, Default)]
pub(crate) struct Namespaces(Mutex<BTreeMap<String, Timestamp>>);

/// What the one thread that sees all flows keeps of them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    last: HashMap<String, Timestamp, foldhash::fast::RandomState>,
    has_new: bool,
}

impl Namespaces {
    /// Those seen in the hour before `now`, sorted.
    pub(crate) fn lately(&self, now: Timestamp) -> Vec<String> {
        let since = now.before(LATELY);
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|(_, last)| **last >= since).map(|(name, _)| name.clone()).collect()
    }
}

impl Seen {
    /// Takes note of both sides of a flow.
    pub(crate) fn note(&mut self, flow: &Flow) {
        for name in flow.namespaces().into_iter().filter(|name| !name.is_empty()) {
            if let Some(last) = self.last.get_mut(name) {
                *last = flow.time.max(*last);
            } else if self.last.len() < NAMESPACES_MAX {
                self.last.insert(name.to_owned(), flow.time);
                self.has_new = true;
            }
        }
    }

    /// Tells of new namespaces, if there are any.
    pub(crate) fn tell_new(&mut self, namespaces: &Namespaces) {
        if std::mem::take(&mut self.has_new) {
            self.tell(namespaces);
        }
    }

    /// Forgets what was not seen for an hour, and tells when the others were.
    pub(crate) fn expire(&mut self, now: Timestamp, namespaces: &Namespaces) {
        let since = now.before(LATELY);
        self.last.retain(|_, last| *last >= since);
        self.tell(namespaces);
    }

    fn tell(&self, namespaces: &Namespaces) {
        let told = self.last.iter().map(|(name, last)| (name.clone(), *last)).collect();
        *namespaces.0.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flow::Endpoint;

    use super::*;

    fn flow(minute: i64, source: &str, destination: &str) -> Flow {
        let side =
            |namespace: &str| Some(Arc::new(Endpoint { namespace: namespace.to_owned(), ..Endpoint::default() }));
        let (source, destination) = (side(source), side(destination));
        Flow { time: minutes(minute), source, destination, ..Flow::default() }
    }

    const fn minutes(n: i64) -> Timestamp {
        Timestamp(n * 60 * Timestamp::NANOS_PER_SECOND)
    }

    #[test]
    fn a_namespace_is_told_for_an_hour() {
        let (mut seen, namespaces) = (Seen::default(), Namespaces::default());
        seen.note(&flow(100, "shop", "db"));
        assert_eq!(namespaces.lately(minutes(100)), Vec::<String>::new(), "not told yet");
        seen.tell_new(&namespaces);
        assert_eq!(namespaces.lately(minutes(100)), ["db", "shop"]);
        // Out of order, again, and one side without a namespace.
        seen.note(&flow(90, "", "late"));
        seen.note(&flow(120, "shop", ""));
        seen.tell_new(&namespaces);
        assert_eq!(namespaces.lately(minutes(150)), ["db", "late", "shop"]);
        assert_eq!(namespaces.lately(minutes(151)), ["db", "shop"]);
        seen.expire(minutes(170), &namespaces);
        assert_eq!((namespaces.lately(minutes(170)), seen.last.len()), (vec!["shop".to_owned()], 1));
        assert_eq!(namespaces.lately(minutes(181)), Vec::<String>::new());
    }

    #[test]
    fn there_are_not_too_many() {
        let (mut seen, namespaces) = (Seen::default(), Namespaces::default());
        for n in 0..=NAMESPACES_MAX {
            seen.note(&flow(1, &format!("n{n}"), ""));
        }
        seen.tell_new(&namespaces);
        assert_eq!(namespaces.lately(minutes(1)).len(), NAMESPACES_MAX);
    }
}
