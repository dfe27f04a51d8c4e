//! Bytes that connections hold, and which of them hold the most.

use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Bytes from which on a connection is one of those that hold much: more than the unfinished messages and unanswered
/// requests of any usual one.
const MUCH_BYTES: usize = 4_096;

/// Bytes held by all connections together.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    bytes: usize,
    /// Connections that hold much, with what they hold: never more than `bytes` has room for.
    much: BTreeSet<(usize, Reverse<u64>)>,
}

impl Holdings {
    /// Of all connections.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A connection that held `before` holds `now`.
    pub(super) fn change(&mut self, conn: u64, before: usize, now: usize) {
        if before == now {
            return;
        }
        self.bytes = self.bytes + now - before;
        if before >= MUCH_BYTES {
            self.much.remove(&(before, Reverse(conn)));
        }
        if now >= MUCH_BYTES {
            self.much.insert((now, Reverse(conn)));
        }
    }

    /// The connection that holds the most, if any holds much.
    pub(super) fn largest(&self) -> Option<u64> {
        self.much.last().map(|(_, Reverse(conn))| *conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_known_whatever_changes() {
        let mut held = Holdings::default();
        assert_eq!((held.bytes(), held.largest()), (0, None));
        held.change(1, 0, MUCH_BYTES - 1);
        assert_eq!(held.largest(), None);
        held.change(2, 0, 9_000);
        held.change(3, 0, 9_000);
        assert_eq!((held.bytes(), held.largest()), (MUCH_BYTES - 1 + 18_000, Some(2)));
        held.change(1, MUCH_BYTES - 1, 10_000);
        assert_eq!(held.largest(), Some(1));
        held.change(1, 10_000, 0);
        held.change(2, 9_000, 8_000);
        assert_eq!((held.bytes(), held.largest()), (17_000, Some(3)));
        held.change(3, 9_000, 0);
        held.change(2, 8_000, 0);
        assert_eq!((held.bytes(), held.largest()), (0, None));
    }
}
