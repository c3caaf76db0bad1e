//! How those who connect are received: which of them speak for others, and what each address to listen on says of its viewers.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// What this edge's operator says of those who connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reception {
    /// Who is believed when it says for whom it asks.
    pub proxies: TrustedProxies,
    /// The addresses listened on that are not like others.
    pub entrances: Vec<(SocketAddr, Entrance)>,
}

impl Reception {
    /// What is special about the viewers of this address.
    #[must_use]
    pub fn entrance(&self, listening: SocketAddr) -> Entrance {
        let found = self.entrances.iter().find(|(address, _)| *address == listening);
        found.map_or_else(Entrance::default, |(_, entrance)| *entrance)
    }
}

/// What is special about the viewers of one address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entrance {
    /// Every connection begins with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Something in front has ended TLS: all viewers came by https.
    pub behind_tls: bool,
}

/// The networks whose `X-Forwarded-For`, `X-Forwarded-Proto` and PROXY protocol headers are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// These networks.
    #[must_use]
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whether this address is in one of them. An IPv4 address that is written as IPv6 counts as what it is.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        // Most edges trust nobody.
        !self.0.is_empty() && {
            let address = address.to_canonical();
            self.0.iter().any(|network| network.contains(address))
        }
    }

    /// The networks.
    #[must_use]
    pub fn networks(&self) -> &[Network] {
        &self.0
    }
}

/// All addresses that begin with the same bits (RFC 4632, RFC 4291 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The first address of the network.
    fn first(self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Why a text names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is no address, or its length is none.
    #[error(
        "is not a network; write an address, or one with the length of its prefix: 10.0.0.0/8, 2001:db8::/32"
    )]
    Malformed,
    /// Bits behind the prefix are set: a slip in the one or the other.
    #[error("has bits set behind its prefix; write {0}")]
    BitsBehindPrefix(Network),
}

impl FromStr for Network {
    type Err = NetworkError;

    /// An address, or one with the length of its prefix.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Malformed)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().filter(|prefix| *prefix <= bits).ok_or(NetworkError::Malformed)?
            }
            Some(_) => return Err(NetworkError::Malformed),
        };
        let network = Self { address, prefix };
        match network.first() {
            first if first == address => Ok(network),
            first => Err(NetworkError::BitsBehindPrefix(Self { address: first, prefix })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusting(networks: &[&str]) -> TrustedProxies {
        TrustedProxies::new(networks.iter().map(|n| n.parse().expect("network")).collect())
    }

    #[test]
    fn a_network_holds_what_begins_with_its_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
        ] {
            let proxies = trusting(&[network]);
            assert!(proxies.contain(inside.parse().expect("ip")), "{network} {inside}");
            assert!(!proxies.contain(outside.parse().expect("ip")), "{network} {outside}");
        }
        assert!(trusting(&["0.0.0.0/0"]).contain("203.0.113.9".parse().expect("ip")));
        assert!(trusting(&["::/0"]).contain("2001:db8::1".parse().expect("ip")));
        assert!(!trusting(&["::/0"]).contain("203.0.113.9".parse().expect("ip")), "another family");
        assert!(trusting(&["10.0.0.0/8"]).contain("::ffff:10.1.2.3".parse().expect("ip")));
        assert!(!TrustedProxies::default().contain("127.0.0.1".parse().expect("ip")));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "localhost", "10.0.0/8", "a/8"]
        {
            assert_eq!(text.parse::<Network>(), Err(NetworkError::Malformed), "{text}");
        }
        let error = "10.1.2.3/8".parse::<Network>().expect_err("bits");
        assert_eq!(error.to_string(), "has bits set behind its prefix; write 10.0.0.0/8");
        assert!("2001:db8::1/32".parse::<Network>().is_err());
    }
}
