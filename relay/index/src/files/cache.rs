//! What was read lately, within a limit of bytes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Values by key; those that were not asked for the longest leave first.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    of: HashMap<K, Cached<V>>,
    bytes: usize,
    bytes_max: usize,
    tick: u64,
}

#[derive(Debug)]
struct Cached<V> {
    value: Arc<V>,
    bytes: usize,
    used: u64,
}

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { of: HashMap::new(), bytes: 0, bytes_max, tick: 0 }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<Arc<V>> {
        self.tick += 1;
        let cached = self.of.get_mut(key)?;
        cached.used = self.tick;
        Some(cached.value.clone())
    }

    /// Keeps a value of so many bytes, unless it is larger than all that may be kept.
    pub(super) fn put(&mut self, key: K, value: Arc<V>, bytes: usize) {
        if bytes > self.bytes_max {
            return;
        }
        self.remove(&key);
        while self.bytes + bytes > self.bytes_max {
            let oldest = self.of.iter().min_by_key(|(_, cached)| cached.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        self.bytes += bytes;
        self.of.insert(key, Cached { value, bytes, used: self.tick });
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(cached) = self.of.remove(key) {
            self.bytes -= cached.bytes;
        }
    }

    /// Bytes of all values.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
