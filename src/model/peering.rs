//! Peerings: VLAN, addresses and autonomous systems of one routing domain of a circuit.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::{PerLink, VlanId};
use crate::ids::{Link, PeeringKind};

/// An autonomous system number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

impl Asn {
    /// Microsoft's on every peering.
    pub const MICROSOFT: Asn = Asn(12076);

    /// Why this cannot be a customer's; `None` when it can.
    pub const fn forbidden(self) -> Option<&'static str> {
        match self.0 {
            0 => Some("AS 0 is nobody's (RFC 7607)"),
            12076 => Some("AS 12076 is Microsoft's own"),
            23456 => Some("AS 23456 stands for 32-bit numbers (RFC 6793)"),
            65515..=65520 => Some("AS 65515 to 65520 are reserved by the service"),
            65535 | 4_294_967_295 => Some("the last number is reserved (RFC 7300)"),
            _ => None,
        }
    }

    /// Whether it is for private use (RFC 6996).
    pub const fn is_private(self) -> bool {
        matches!(self.0, 64512..=65534 | 4_200_000_000..=4_294_967_294)
    }

    /// Whether it is for documentation (RFC 5398).
    pub const fn is_documentation(self) -> bool {
        matches!(self.0, 64496..=64511 | 65536..=65551)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The addresses of one link of a peering in one address family.
///
/// The customer has the first usable address and Microsoft the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSubnet<N> {
    net: N,
}

impl<N: Copy> LinkSubnet<N> {
    /// The subnet.
    pub const fn net(&self) -> N {
        self.net
    }
}

impl LinkSubnet<Ipv4Net> {
    /// The subnet of a link: /30 to /24 with no host bits; which lengths the service takes is the
    /// configuration's to check.
    pub fn new(net: Ipv4Net) -> Option<Self> {
        let fits = (24..=30).contains(&net.prefix_len()) && net.trunc() == net;
        fits.then_some(Self { net })
    }

    fn host(&self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.net.network()) + number)
    }

    /// The customer's address: the first usable.
    pub fn customer(&self) -> Ipv4Addr {
        self.host(1)
    }

    /// The edge router's address: the second usable.
    pub fn edge(&self) -> Ipv4Addr {
        self.host(2)
    }
}

impl LinkSubnet<Ipv6Net> {
    /// The subnet of a link: a /126 with no host bits.
    pub fn new(net: Ipv6Net) -> Option<Self> {
        (net.prefix_len() == 126 && net.trunc() == net).then_some(Self { net })
    }

    fn host(&self, number: u128) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(self.net.network()) + number)
    }

    /// The customer's address: the first usable.
    pub fn customer(&self) -> Ipv6Addr {
        self.host(1)
    }

    /// The edge router's address: the second usable.
    pub fn edge(&self) -> Ipv6Addr {
        self.host(2)
    }
}

/// The subnets of a peering's two links in IPv4.
pub type Subnets4 = PerLink<LinkSubnet<Ipv4Net>>;
/// The subnets of a peering's two links in IPv6.
pub type Subnets6 = PerLink<LinkSubnet<Ipv6Net>>;

/// The two /30s of a /29.
pub fn halves4(net: Ipv4Net) -> Option<Subnets4> {
    let mut halves = (net.prefix_len() == 29).then(|| net.subnets(30).ok())??;
    let (primary, secondary) = (halves.next()?, halves.next()?);
    Some(PerLink {
        primary: LinkSubnet::<Ipv4Net>::new(primary)?,
        secondary: LinkSubnet::<Ipv4Net>::new(secondary)?,
    })
}

/// The two /126s of a /125.
pub fn halves6(net: Ipv6Net) -> Option<Subnets6> {
    let mut halves = (net.prefix_len() == 125).then(|| net.subnets(126).ok())??;
    let (primary, secondary) = (halves.next()?, halves.next()?);
    Some(PerLink {
        primary: LinkSubnet::<Ipv6Net>::new(primary)?,
        secondary: LinkSubnet::<Ipv6Net>::new(secondary)?,
    })
}

/// The most characters of a shared key.
pub const MAX_SHARED_KEY: usize = 25;

/// The key of the BGP sessions' TCP MD5 signature (RFC 2385); never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedKey(String);

impl SharedKey {
    /// The key, if it is 1 to [`MAX_SHARED_KEY`] letters and digits.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX_SHARED_KEY).contains(&text.len());
        (fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .then(|| Self(text.to_owned()))
    }

    /// The key itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(..)")
    }
}

/// A registry in which prefixes and autonomous systems are registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingRegistry {
    /// North America.
    Arin,
    /// Asia and the Pacific.
    Apnic,
    /// Africa.
    Afrinic,
    /// Latin America.
    Lacnic,
    /// Europe and the Middle East.
    RipeNcc,
    /// Merit's routing assets database.
    Radb,
    /// The alternative database.
    Altdb,
    /// Level 3's.
    Level3,
}

/// What the Microsoft peering has beyond the private one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicrosoftPeering {
    /// Public prefixes of the customer: sources outside them are dropped.
    pub advertised_public_prefixes: Vec<Ipv4Net>,
    /// The customer's public number when the peer's is private.
    pub customer_asn: Option<Asn>,
    /// Where the prefixes are registered.
    pub routing_registry: Option<RoutingRegistry>,
}

/// A peering of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peering {
    /// Which routing domain.
    pub kind: PeeringKind,
    /// Whether it is in use; a disabled peering forwards nothing on either link.
    pub enabled: bool,
    /// The C-tag on both links.
    pub vlan: VlanId,
    /// The customer's side of the BGP sessions.
    pub peer_asn: Asn,
    /// IPv4 addresses of the links.
    pub subnets: Subnets4,
    /// IPv6 addresses of the links.
    pub subnets6: Option<Subnets6>,
    /// Of the BGP sessions.
    pub shared_key: Option<SharedKey>,
    /// Present on the Microsoft peering alone.
    pub microsoft: Option<MicrosoftPeering>,
}

impl Peering {
    /// The customer's IPv4 address on `link`.
    pub fn customer(&self, link: Link) -> Ipv4Addr {
        self.subnets.get(link).customer()
    }

    /// The edge router's IPv4 address on `link`.
    pub fn edge(&self, link: Link) -> Ipv4Addr {
        self.subnets.get(link).edge()
    }

    /// The prefixes that sources must lie in; empty on the private peering, where none are checked.
    pub fn advertised_public_prefixes(&self) -> &[Ipv4Net] {
        self.microsoft.as_ref().map_or(&[], |own| &own.advertised_public_prefixes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_29_is_two_30s_with_the_customer_first_and_microsoft_second() {
        // The worked example of the service's documents: 192.168.100.128/29.
        let pair = halves4("192.168.100.128/29".parse().unwrap()).unwrap();
        assert_eq!(pair.primary.customer(), Ipv4Addr::new(192, 168, 100, 129));
        assert_eq!(pair.primary.edge(), Ipv4Addr::new(192, 168, 100, 130));
        assert_eq!(pair.secondary.customer(), Ipv4Addr::new(192, 168, 100, 133));
        assert_eq!(pair.secondary.edge(), Ipv4Addr::new(192, 168, 100, 134));
    }

    #[test]
    fn a_125_is_two_126s() {
        let pair = halves6("2001:db8::/125".parse().unwrap()).unwrap();
        assert_eq!(pair.secondary.customer().to_string(), "2001:db8::5");
        assert_eq!(pair.secondary.edge().to_string(), "2001:db8::6");
        assert!(halves6("2001:db8::/126".parse().unwrap()).is_none());
    }

    #[test]
    fn host_bits_make_no_link_subnet() {
        assert!(LinkSubnet::<Ipv4Net>::new("10.0.0.1/30".parse().unwrap()).is_none());
        assert!(LinkSubnet::<Ipv4Net>::new("10.0.0.0/31".parse().unwrap()).is_none());
    }

    #[test]
    fn a_shared_key_is_never_shown() {
        let key = SharedKey::new("s3cret").unwrap();
        assert!(!format!("{key:?}").contains("s3cret"));
        assert!(SharedKey::new("with-dash").is_none());
        assert!(SharedKey::new(&"a".repeat(26)).is_none());
    }
}
