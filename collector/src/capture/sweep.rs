//! Reading the totals the kernel keeps, and making room for new ones.

use aya::Ebpf;
use ebpf_abi::{DropKey, DropVal, FlowKey, FlowVal, protocol, tcp};

use super::config::CaptureConfig;
use super::map::{HashTable, MapError};

/// Longest tick of a kernel: how much older than it is a time of last use may look.
const TICK_NS: u64 = 10_000_000;

/// What became of an entry in a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepKind {
    /// It lives and has changed since the last sweep.
    Live,
    /// It was taken out: the conversation was closed, and nothing came for a while. These are its last totals.
    Closed,
    /// It was taken out because nothing came for long. These are its last totals.
    Idle,
}

impl SweepKind {
    /// Whether the entry is no longer in the map.
    #[must_use]
    pub fn is_gone(self) -> bool {
        self != Self::Live
    }
}

/// Ages at which entries leave, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Limits {
    idle_ns: u64,
    closed_ns: u64,
}

/// What a sweep of a map left behind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// Entries in the map after the last sweep.
    pub(super) live: u64,
    /// Entries all sweeps have taken out.
    pub(super) removed: u64,
    last_boot_ns: u64,
}

/// The flow map.
#[derive(Debug)]
pub(super) struct Flows {
    table: HashTable<FlowKey, FlowVal>,
    limits: Limits,
    pub(super) account: Account,
}

impl Flows {
    pub(super) fn take(ebpf: &mut Ebpf, config: &CaptureConfig) -> Result<Self, MapError> {
        let limits = Limits { idle_ns: ms(config.flow_idle_ms), closed_ns: ms(config.flow_closed_ms) };
        Ok(Self { table: HashTable::take(ebpf, "FLOWS")?, limits, account: Account::default() })
    }

    /// Hands over what has changed since the last sweep, and takes out what is over.
    pub(super) fn sweep(
        &mut self,
        now: u64,
        take: &mut dyn FnMut(FlowKey, FlowVal, SweepKind),
    ) -> Result<(), MapError> {
        let (limits, mut account) = (self.limits, self.account.begin());
        let mut failed = None;
        self.table.for_each(|entries, key, val| {
            let kind = judge_flow(&key, &val, now, limits);
            let seen_ns = val.last_boot_ns.max(val.first_boot_ns);
            match kind {
                SweepKind::Live => account.keep(seen_ns, || take(key, val, kind)),
                _ => account.remove(entries.remove(&key), &mut failed, |last| take(key, last, kind)),
            }
        })?;
        self.account = account.end(now);
        failed.map_or(Ok(()), Err)
    }
}

/// Whether a flow stays in the map.
fn judge_flow(key: &FlowKey, val: &FlowVal, now: u64, limits: Limits) -> SweepKind {
    let age = now.saturating_sub(val.last_boot_ns.max(val.first_boot_ns));
    let is_closed = key.protocol == protocol::TCP && val.flags & u16::from(tcp::FIN | tcp::RST) != 0;
    if is_closed && age > limits.closed_ns {
        SweepKind::Closed
    } else if age > limits.idle_ns {
        SweepKind::Idle
    } else {
        SweepKind::Live
    }
}

/// The drop map.
#[derive(Debug)]
pub(super) struct Drops {
    table: HashTable<DropKey, DropVal>,
    idle_ns: u64,
    pub(super) account: Account,
}

impl Drops {
    pub(super) fn take(ebpf: &mut Ebpf, config: &CaptureConfig) -> Result<Self, MapError> {
        Ok(Self {
            table: HashTable::take(ebpf, "DROPS")?,
            idle_ns: ms(config.drop_idle_ms),
            account: Account::default(),
        })
    }

    /// Hands over what has changed since the last sweep, and takes out what has not happened again for long.
    pub(super) fn sweep(
        &mut self,
        now: u64,
        take: &mut dyn FnMut(DropKey, DropVal, SweepKind),
    ) -> Result<(), MapError> {
        let (idle_ns, mut account) = (self.idle_ns, self.account.begin());
        let mut failed = None;
        self.table.for_each(|entries, key, val| {
            if now.saturating_sub(val.last_boot_ns) <= idle_ns {
                account.keep(val.last_boot_ns, || take(key, val, SweepKind::Live));
            } else {
                account.remove(entries.remove(&key), &mut failed, |last| take(key, last, SweepKind::Idle));
            }
        })?;
        self.account = account.end(now);
        failed.map_or(Ok(()), Err)
    }
}

impl Account {
    /// Of `made` entries, those that neither stayed nor were taken out.
    pub(super) fn missing(self, made: u64) -> u64 {
        made.saturating_sub(self.removed + self.live)
    }

    fn begin(self) -> Self {
        Self { live: 0, ..self }
    }

    fn end(self, now: u64) -> Self {
        Self { last_boot_ns: now, ..self }
    }

    /// Counts an entry that stays; calls `changed` if it was used since the last sweep.
    fn keep(&mut self, seen_ns: u64, changed: impl FnOnce()) {
        self.live += 1;
        if seen_ns.saturating_add(TICK_NS) >= self.last_boot_ns {
            changed();
        }
    }

    /// Counts an entry that was taken out; the map may have pushed it out just before.
    fn remove<V>(&mut self, removed: Result<Option<V>, MapError>, failed: &mut Option<MapError>, last: impl FnOnce(V)) {
        match removed {
            Ok(Some(val)) => {
                self.removed += 1;
                last(val);
            }
            Ok(None) => {}
            Err(error) => {
                self.live += 1;
                *failed = Some(error);
            }
        }
    }
}

fn ms(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_leave_when_closed_or_silent() {
        let limits = Limits { idle_ns: 100, closed_ns: 10 };
        let check = |protocol, flags: u8, last_boot_ns, now| {
            let key = FlowKey { protocol, ..FlowKey::ZERO };
            judge_flow(&key, &FlowVal { flags: flags.into(), last_boot_ns, ..FlowVal::ZERO }, now, limits)
        };
        assert_eq!(check(protocol::TCP, tcp::SYN | tcp::ACK, 50, 150), SweepKind::Live);
        assert_eq!(check(protocol::TCP, tcp::SYN | tcp::ACK, 50, 151), SweepKind::Idle);
        assert_eq!(check(protocol::TCP, tcp::FIN | tcp::ACK, 50, 60), SweepKind::Live);
        assert_eq!(check(protocol::TCP, tcp::FIN | tcp::ACK, 50, 61), SweepKind::Closed);
        assert_eq!(check(protocol::TCP, tcp::RST, 50, 61), SweepKind::Closed);
        assert_eq!(check(protocol::UDP, tcp::RST, 50, 61), SweepKind::Live);
        assert_eq!(check(protocol::UDP, 0, 200, 100), SweepKind::Live, "a clock of another CPU may be ahead");
    }
}
