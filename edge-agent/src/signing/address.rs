//! Networks that a signature is restricted to: an address, or a block of them (RFC 4632), of IPv4 or IPv6.

use std::net::IpAddr;

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads "192.0.2.0/24", "192.0.2.1", "2001:db8::/32".
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= longest)?
            }
            Some(_) => return None,
        };
        Some(Self { address, prefix })
    }

    /// Whether an address lies in it. One of IPv4 that IPv6 carries is one of IPv4.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        let shared = match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        shared >= u32::from(self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network: &str, address: &str, expected: Option<bool>) {
        let found = Network::parse(network).map(|n| n.contains(address.parse().expect("address")));
        assert_eq!(found, expected, "{network} {address}");
    }

    #[test]
    fn an_address_lies_in_its_network_alone() {
        check("192.0.2.0/24", "192.0.2.255", Some(true));
        check("192.0.2.0/24", "192.0.3.0", Some(false));
        check("192.0.2.77/24", "192.0.2.1", Some(true));
        check("192.0.2.1", "192.0.2.1", Some(true));
        check("192.0.2.1/32", "192.0.2.2", Some(false));
        check("0.0.0.0/0", "203.0.113.9", Some(true));
        check("192.0.2.0/24", "::ffff:192.0.2.7", Some(true));
        check("2001:db8::/32", "2001:db8:1::1", Some(true));
        check("2001:db8::/32", "2001:db9::1", Some(false));
        check("2001:db8::1", "2001:db8::1", Some(true));
        check("::/0", "2001:db8::1", Some(true));
        check("::/0", "192.0.2.1", Some(false));
        check("0.0.0.0/0", "2001:db8::1", Some(false));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "x",
            "192.0.2",
            "192.0.2.0/",
            "192.0.2.0/33",
            "192.0.2.0/+1",
            "::/129",
            "192.0.2.0/24/1",
            "*",
        ] {
            check(text, "192.0.2.1", None);
        }
    }
}
