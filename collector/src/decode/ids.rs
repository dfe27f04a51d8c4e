//! Ids of flows.

use flow::{FlowId, Timestamp};

/// Gives each flow a UUID of version 8 (RFC 9562, section 5.8) that sorts by time and compresses well: 48 bits of
/// microseconds since the Unix epoch, 42 bits that tell node and run apart, 32 bits that count.
#[derive(Debug)]
pub(crate) struct FlowIds {
    run: u64,
    count: u32,
}

impl FlowIds {
    /// Ids of one run of the collector; `run` is any number that other runs and nodes do not have.
    pub(crate) const fn new(run: u64) -> Self {
        Self { run, count: 0 }
    }

    /// The next id.
    pub(crate) fn next(&mut self, time: Timestamp) -> FlowId {
        let micros = time.0.div_euclid(1_000).cast_unsigned();
        self.count = self.count.wrapping_add(1);
        let [.., m5, m4, m3, m2, m1, m0] = micros.to_be_bytes();
        let [_, _, r5, r4, r3, r2, r1, r0] = self.run.to_be_bytes();
        let [c3, c2, c1, c0] = self.count.to_be_bytes();
        FlowId::Uuid([m5, m4, m3, m2, m1, m0, 0x80 | (r5 & 0x0f), r4, 0x80 | (r3 & 0x3f), r2, r1, r0, c3, c2, c1, c0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_8_and_differ() {
        let mut ids = FlowIds::new(0xffff_ffff_ffff_ffff);
        let (a, b) = (ids.next(Timestamp(1_700_000_000_000_000_000)), ids.next(Timestamp(1_700_000_000_000_000_000)));
        assert_ne!(a, b);
        assert_eq!(a.to_string(), "0a24181e-4000-8fff-bfff-ffff00000001");
    }
}
