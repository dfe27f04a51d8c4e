//! Rules on protocols.

use super::FilterError;
use super::pattern::lower;
use crate::{Flow, L4, L7Record};

/// Set of protocols, any of which may match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protocols(u16);

const TCP: u16 = 1;
const UDP: u16 = 1 << 1;
const SCTP: u16 = 1 << 2;
const ICMPV4: u16 = 1 << 3;
const ICMPV6: u16 = 1 << 4;
const VRRP: u16 = 1 << 5;
const IGMP: u16 = 1 << 6;
const DNS: u16 = 1 << 7;
const HTTP: u16 = 1 << 8;
const KAFKA: u16 = 1 << 9;

impl Protocols {
    /// Names a filter may use, in the order help shows them.
    pub const NAMES: [&'static str; 11] =
        ["icmp", "icmpv4", "icmpv6", "sctp", "tcp", "udp", "vrrp", "igmp", "dns", "http", "kafka"];

    /// Reads the names, in any case.
    ///
    /// # Errors
    /// A name is unknown.
    pub fn parse(values: &[String]) -> Result<Self, FilterError> {
        values.iter().try_fold(Self::default(), |all, name| Ok(Self(all.0 | bit(name)?)))
    }

    /// Whether this one, by its name in lower case, is among them.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        bit(name).is_ok_and(|bit| self.0 & bit != 0)
    }

    /// Whether the flow has one of them.
    #[must_use]
    pub fn matches(self, flow: &Flow) -> bool {
        self.matches_l4(flow.l4.as_ref()) || self.matches_l7(flow.l7.as_ref().map(|l7| &l7.record))
    }

    /// Whether the transport header is of one of them.
    #[must_use]
    pub const fn matches_l4(self, l4: Option<&L4>) -> bool {
        let bit = match l4 {
            None => 0,
            Some(L4::Tcp { .. }) => TCP,
            Some(L4::Udp { .. }) => UDP,
            Some(L4::Sctp { .. }) => SCTP,
            Some(L4::Icmpv4 { .. }) => ICMPV4,
            Some(L4::Icmpv6 { .. }) => ICMPV6,
            Some(L4::Vrrp { .. }) => VRRP,
            Some(L4::Igmp { .. }) => IGMP,
        };
        self.0 & bit != 0
    }

    /// Whether the application record is of one of them.
    #[must_use]
    pub const fn matches_l7(self, record: Option<&L7Record>) -> bool {
        let bit = match record {
            None | Some(L7Record::None) => 0,
            Some(L7Record::Dns(_)) => DNS,
            Some(L7Record::Http(_)) => HTTP,
            Some(L7Record::Kafka(_)) => KAFKA,
        };
        self.0 & bit != 0
    }
}

fn bit(name: &str) -> Result<u16, FilterError> {
    Ok(match lower(name).as_str() {
        "icmp" => ICMPV4 | ICMPV6,
        "icmpv4" => ICMPV4,
        "icmpv6" => ICMPV6,
        "tcp" => TCP,
        "udp" => UDP,
        "sctp" => SCTP,
        "vrrp" => VRRP,
        "igmp" => IGMP,
        "dns" => DNS,
        "http" => HTTP,
        "kafka" => KAFKA,
        _ => return Err(FilterError::Protocol { name: name.to_owned() }),
    })
}
