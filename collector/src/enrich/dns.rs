//! Names of addresses, learned from DNS answers seen on the wire.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use flow::{Dns, Timestamp};

use crate::generations::Generations;

/// Names kept for one address: shared hosting puts many behind one.
const NAMES_PER_ADDRESS: usize = 4;
/// Addresses of one answer that are taken.
const ADDRESSES_PER_ANSWER: usize = 64;
/// Longest time a name is remembered, whatever its time to live says.
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);

/// Names of addresses with the time they hold until. Bounded; what was used least lately makes room.
#[derive(Debug)]
pub(crate) struct DnsNames {
    names: Generations<IpAddr, Vec<Learned>>,
    ttl_min: Duration,
}

#[derive(Debug)]
struct Learned {
    name: Arc<str>,
    until: Timestamp,
}

impl DnsNames {
    /// No names yet. A name is remembered for `ttl_min` at least.
    pub(crate) fn new(addresses_max: usize, ttl_min: Duration) -> Self {
        Self { names: Generations::new(addresses_max), ttl_min }
    }

    /// Takes an answer. The name asked for stands for all its addresses, also behind canonical names: it is what the
    /// client called the server.
    pub(crate) fn learn(&mut self, answer: &Dns, now: Timestamp) {
        let name = answer.query.trim_end_matches('.').to_ascii_lowercase();
        if name.is_empty() || answer.rcode != 0 {
            return;
        }
        let name: Arc<str> = name.into();
        let ttl = Duration::from_secs(u64::from(answer.ttl_seconds)).clamp(self.ttl_min, TTL_MAX.max(self.ttl_min));
        let until = now.after(ttl);
        for address in answer.ips.iter().take(ADDRESSES_PER_ANSWER).filter_map(|ip| ip.parse().ok()) {
            let (names, _) = self.names.get_or_insert_with(address, Vec::new);
            names.retain(|known| known.until > now && known.name != name);
            if names.len() >= NAMES_PER_ADDRESS {
                names.remove(0);
            }
            names.push(Learned { name: name.clone(), until });
        }
    }

    /// Names of an address that still hold, the one learned last in front.
    pub(crate) fn names_of(&mut self, address: IpAddr, now: Timestamp) -> Vec<String> {
        if self.names.len() == 0 {
            return Vec::new();
        }
        let Some(names) = self.names.get(&address) else { return Vec::new() };
        names.iter().rev().filter(|known| known.until > now).map(|known| known.name.to_string()).collect()
    }

    /// Addresses with a name.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Addresses forgotten for lack of room.
    pub(crate) const fn evicted(&self) -> u64 {
        self.names.evicted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = Timestamp::NANOS_PER_SECOND;

    fn answer(query: &str, ips: &[&str], ttl_seconds: u32) -> Dns {
        Dns {
            query: query.to_owned(),
            ips: ips.iter().map(|s| (*s).to_owned()).collect(),
            ttl_seconds,
            ..Dns::default()
        }
    }

    #[test]
    fn names_hold_for_their_time_to_live() {
        let mut names = DnsNames::new(16, Duration::from_secs(60));
        let address: IpAddr = "10.0.0.9".parse().unwrap();
        names.learn(&answer("API.shop.", &["10.0.0.9", "not an address"], 5), Timestamp(0));
        names.learn(&answer("www.shop.", &["10.0.0.9"], 300), Timestamp(SECOND));
        assert_eq!(names.names_of(address, Timestamp(2 * SECOND)), ["www.shop", "api.shop"]);
        assert_eq!(names.names_of(address, Timestamp(61 * SECOND)), ["www.shop"]);
        assert_eq!(names.names_of(address, Timestamp(302 * SECOND)), Vec::<String>::new());
        assert_eq!(names.len(), 1);
    }

    #[test]
    fn one_address_keeps_few_names_and_failures_none() {
        let mut names = DnsNames::new(16, Duration::ZERO);
        for n in 0..10 {
            names.learn(&answer(&format!("n{n}."), &["10.0.0.9"], 60), Timestamp(0));
        }
        let failed = Dns { rcode: 3, ..answer("gone.", &["10.0.0.9"], 60) };
        names.learn(&failed, Timestamp(0));
        assert_eq!(names.names_of("10.0.0.9".parse().unwrap(), Timestamp(1)), ["n9", "n8", "n7", "n6"]);
    }
}
