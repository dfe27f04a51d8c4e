//! Transport headers.

/// Transport header of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum L4 {
    /// TCP.
    Tcp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
        /// Flags of the header, `None` where the observer did not say.
        flags: Option<TcpFlags>,
    },
    /// UDP.
    Udp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
    },
    /// SCTP.
    Sctp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        destination_port: u16,
    },
    /// ICMP of IPv4.
    Icmpv4 {
        /// Message type.
        kind: u8,
        /// Message code.
        code: u8,
    },
    /// ICMP of IPv6.
    Icmpv6 {
        /// Message type.
        kind: u8,
        /// Message code.
        code: u8,
    },
    /// VRRP.
    Vrrp {
        /// Message type.
        kind: u32,
        /// Virtual router id.
        vrid: u32,
        /// Priority.
        priority: u32,
    },
    /// IGMP.
    Igmp {
        /// Message type.
        kind: u32,
        /// Multicast group.
        group: std::net::IpAddr,
    },
}

impl L4 {
    /// Source and destination port; `None` for protocols without ports.
    #[must_use]
    pub const fn ports(&self) -> Option<(u16, u16)> {
        match *self {
            Self::Tcp { source_port, destination_port, .. }
            | Self::Udp { source_port, destination_port }
            | Self::Sctp { source_port, destination_port } => Some((source_port, destination_port)),
            _ => None,
        }
    }

    /// TCP flags; `None` for other protocols and where the observer did not say.
    #[must_use]
    pub const fn tcp_flags(&self) -> Option<TcpFlags> {
        match *self {
            Self::Tcp { flags, .. } => flags,
            _ => None,
        }
    }

    /// Name of the protocol as Hubble writes it: `TCP`, `UDP`, `SCTP`, `ICMPv4`, `ICMPv6`, `VRRP`, `IGMP`.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::Tcp { .. } => "TCP",
            Self::Udp { .. } => "UDP",
            Self::Sctp { .. } => "SCTP",
            Self::Icmpv4 { .. } => "ICMPv4",
            Self::Icmpv6 { .. } => "ICMPv6",
            Self::Vrrp { .. } => "VRRP",
            Self::Igmp { .. } => "IGMP",
        }
    }
}

/// Set of TCP flags: bit 0 FIN, 1 SYN, 2 RST, 3 PSH, 4 ACK, 5 URG, 6 ECE, 7 CWR, 8 NS, as in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// End of data.
    pub const FIN: Self = Self(1);
    /// Start of a connection.
    pub const SYN: Self = Self(1 << 1);
    /// Abort.
    pub const RST: Self = Self(1 << 2);
    /// Push.
    pub const PSH: Self = Self(1 << 3);
    /// Acknowledgment.
    pub const ACK: Self = Self(1 << 4);
    /// Urgent data.
    pub const URG: Self = Self(1 << 5);
    /// Congestion seen.
    pub const ECE: Self = Self(1 << 6);
    /// Congestion window reduced.
    pub const CWR: Self = Self(1 << 7);
    /// Nonce sum.
    pub const NS: Self = Self(1 << 8);

    /// Order in which Hubble writes the flags.
    const TEXT_ORDER: [(Self, &'static str); 9] = [
        (Self::SYN, "SYN"),
        (Self::ACK, "ACK"),
        (Self::RST, "RST"),
        (Self::FIN, "FIN"),
        (Self::PSH, "PSH"),
        (Self::URG, "URG"),
        (Self::ECE, "ECE"),
        (Self::CWR, "CWR"),
        (Self::NS, "NS"),
    ];

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Flags set in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Names of the flags that are set, in the order in which Hubble writes them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::TEXT_ORDER.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }

    /// Finds one flag by name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::TEXT_ORDER.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(flag, _)| *flag)
    }
}

impl std::fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, name) in self.names().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}
