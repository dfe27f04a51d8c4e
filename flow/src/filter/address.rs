//! Rules on addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::FilterError;

/// Addresses and prefixes, any of which may match.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    exact: Vec<IpAddr>,
    /// All addresses as given, for flows whose addresses are texts.
    texts: Vec<String>,
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
                // Lengths are written without leading zeros.
                let padded = text.rsplit_once('/').is_some_and(|(_, bits)| bits.len() > 1 && bits.starts_with('0'));
                if padded {
                    return Err(FilterError::PrefixLength { text: text.clone() });
                }
                let prefix = text.parse().map_err(|source| FilterError::Prefix { text: text.clone(), source })?;
                addresses.prefixes.push(prefix);
                continue;
            }
            // A zone (`fe80::1%eth0`) is part of an address, but never of a flow.
            let (plain, zone) = text.split_once('%').map_or((text.as_str(), None), |(a, z)| (a, Some(z)));
            addresses.texts.push(text.clone());
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

    /// The texts that match, where there are no prefixes.
    #[must_use]
    pub fn texts(&self) -> Option<&[String]> {
        self.prefixes.is_empty().then_some(&self.texts)
    }

    /// Whether one of them is the text, or contains the address that it stands for; an empty text is no address.
    #[must_use]
    pub fn matches_text(&self, address: &str) -> bool {
        if address.is_empty() {
            return false;
        }
        if self.texts.iter().any(|text| text == address) {
            return true;
        }
        // A zone (`fe80::1%eth0`) is part of an address, but of no prefix; and an IPv4 address in IPv6 is none of IPv4.
        !self.prefixes.is_empty()
            && address.parse().is_ok_and(|address: IpAddr| self.prefixes.iter().any(|prefix| prefix.contains(&address)))
    }

    /// Whether one of them is or contains the address.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> bool {
        self.exact.contains(&address) || self.prefixes.iter().any(|p| p.contains(&address))
    }
}
