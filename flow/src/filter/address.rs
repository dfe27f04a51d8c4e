//! Rules on addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::FilterError;

/// Addresses and prefixes, any of which may match.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    exact: Vec<IpAddr>,
    prefixes: Vec<IpNet>,
}

impl Addresses {
    /// Reads addresses (`10.0.0.1`) and prefixes (`10.0.0.0/8`).
    ///
    /// Addresses are compared as text, as Hubble does: one that is not in canonical form (`0:0::1`) is accepted and
    /// matches nothing.
    ///
    /// # Errors
    /// A value is neither.
    pub fn parse(values: &[String]) -> Result<Self, FilterError> {
        let mut addresses = Self::default();
        for text in values {
            if text.contains('/') {
                let prefix = text.parse().map_err(|source| FilterError::Prefix { text: text.clone(), source })?;
                addresses.prefixes.push(prefix);
                continue;
            }
            // A zone (`fe80::1%eth0`) is part of an address, but never of a flow.
            let (plain, zone) = text.split_once('%').map_or((text.as_str(), None), |(a, z)| (a, Some(z)));
            let address: Option<IpAddr> = plain.parse().ok();
            match address {
                Some(IpAddr::V6(_)) if zone.is_some_and(|z| !z.is_empty()) => {}
                Some(address) if zone.is_none() => {
                    if address.to_string() == *text {
                        addresses.exact.push(address);
                    }
                }
                _ => return Err(FilterError::Address { text: text.clone() }),
            }
        }
        Ok(addresses)
    }

    /// Whether one of them is or contains the address.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        self.exact.contains(&address) || self.prefixes.iter().any(|p| p.contains(&address))
    }
}
