//! Security identities.

/// Number that stands for a set of labels; small numbers are reserved and mean the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub u32);

/// Reserved identities by number, as Cilium defines them.
const RESERVED: [&str; 11] = [
    "unknown",
    "host",
    "world",
    "unmanaged",
    "health",
    "init",
    "remote-node",
    "kube-apiserver",
    "ingress",
    "world-ipv4",
    "world-ipv6",
];

/// First number that is not reserved for fixed or well-known identities.
const FIRST_FREE: u32 = 256;
/// Identities have 24 bits, so that they fit where Cilium carries them.
const BITS: u32 = 24;

impl Identity {
    /// Nothing is known about the address.
    pub const UNKNOWN: Self = Self(0);
    /// The observing node itself.
    pub const HOST: Self = Self(1);
    /// Outside of the cluster.
    pub const WORLD: Self = Self(2);
    /// Another node of the cluster.
    pub const REMOTE_NODE: Self = Self(6);

    /// Name of a reserved identity, `None` for any other.
    #[must_use]
    pub fn reserved_name(self) -> Option<&'static str> {
        RESERVED.get(self.0 as usize).copied()
    }

    /// Finds a reserved identity by name.
    #[must_use]
    pub fn from_reserved_name(name: &str) -> Option<Self> {
        RESERVED.iter().position(|n| *n == name).and_then(|i| u32::try_from(i).ok()).map(Self)
    }

    /// Draws a stable number from sorted labels: the same labels give the same number on every node.
    ///
    /// Where Cilium is present its own numbers are taken instead. Two label sets may share a number (24 bits), so the
    /// labels decide, the number only groups.
    #[must_use]
    pub fn from_labels(sorted_labels: &[String]) -> Self {
        // FNV-1a: the number is stored for years, so it must never depend on a library's seed.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for label in sorted_labels {
            for byte in label.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        let span = (1 << BITS) - u64::from(FIRST_FREE);
        let number = u64::from(FIRST_FREE) + hash % span;
        Self(u32::try_from(number).expect("24 bits fit"))
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reserved_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_give_a_stable_number_with_24_bits() {
        let labels = vec!["weir:app=api".to_owned(), "weir:ns=shop".to_owned()];
        let identity = Identity::from_labels(&labels);
        assert_eq!(identity, Identity::from_labels(&labels));
        assert!(identity.0 >= FIRST_FREE && identity.0 < 1 << BITS);
        assert_ne!(identity, Identity::from_labels(&labels[..1]));
    }
}
