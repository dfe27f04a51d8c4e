//! Counters with labels and a limit to their number.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// Value of every label of the series that counts what is beyond the limit.
pub(crate) const OVERFLOW: &str = "overflow";

/// Buckets of durations in seconds: those of Prometheus' own clients, as Hubble has them.
const DURATION_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Names and values of the labels of one series.
type Labels<const N: usize> = [(&'static str, String); N];

/// A metric with `N` labels, at most so many series, and a short key for each of them.
#[derive(Debug)]
pub(crate) struct Series<K, M, const N: usize> {
    family: Family<Labels<N>, M, fn() -> M>,
    names: [&'static str; N],
    known: HashMap<K, M, RandomState>,
    max: usize,
    overflow: Option<M>,
}

impl<K: Eq + Hash, const N: usize> Series<K, Counter, N> {
    /// Registers a counter; `name` comes without `_total`.
    pub(crate) fn counter(
        registry: &mut Registry,
        name: &str,
        help: &str,
        names: [&'static str; N],
        max: usize,
    ) -> Self {
        Self::register(registry, name, help, names, (max, Counter::default))
    }
}

impl<K: Eq + Hash, const N: usize> Series<K, Histogram, N> {
    /// Registers a histogram of durations in seconds.
    pub(crate) fn durations(
        registry: &mut Registry,
        name: &str,
        help: &str,
        names: [&'static str; N],
        max: usize,
    ) -> Self {
        Self::register(registry, name, help, names, (max, || Histogram::new(DURATION_BUCKETS)))
    }
}

impl<K: Eq + Hash, M: Metric + Clone, const N: usize> Series<K, M, N>
where
    Family<Labels<N>, M, fn() -> M>: Metric,
{
    fn register(
        registry: &mut Registry,
        name: &str,
        help: &str,
        names: [&'static str; N],
        (max, make): (usize, fn() -> M),
    ) -> Self {
        let family = Family::new_with_constructor(make);
        registry.register(name, help, family.clone());
        Self { family, names, known: HashMap::default(), max: max.max(1), overflow: None }
    }

    /// The series of a key; `labels` is asked once for each key.
    pub(crate) fn of(&mut self, key: K, labels: impl FnOnce() -> [String; N]) -> &M {
        let room = self.known.len() < self.max;
        match self.known.entry(key) {
            hashbrown::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            hashbrown::hash_map::Entry::Vacant(entry) if room => entry.insert(make(&self.family, self.names, labels())),
            hashbrown::hash_map::Entry::Vacant(_) => {
                let (family, names) = (&self.family, self.names);
                self.overflow.get_or_insert_with(|| make(family, names, names.map(|_| OVERFLOW.to_owned())))
            }
        }
    }
}

fn make<M: Metric + Clone, const N: usize>(
    family: &Family<Labels<N>, M, fn() -> M>,
    names: [&'static str; N],
    values: [String; N],
) -> M {
    let mut values = values.into_iter();
    family.get_or_create_owned(&names.map(|name| (name, values.next().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_limit_is_counted_in_one_series() {
        let mut registry = Registry::default();
        let mut series = Series::counter(&mut registry, "things", "Things.", ["kind"], 2);
        for kind in [1, 2, 3, 1, 4] {
            series.of(kind, || [kind.to_string()]).inc();
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in ["things_total{kind=\"1\"} 2", "things_total{kind=\"2\"} 1", "things_total{kind=\"overflow\"} 2"] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(text.matches("things_total{").count(), 3);
    }
}
