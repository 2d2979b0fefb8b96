//! Circuits: the logical connection, its two links, and how its bandwidth is enforced.

use std::fmt;
use std::str::FromStr;

use super::{Bandwidth, CircuitName, DirectName, DirectSpeed, Peering, PortName};
use crate::ids::{Link, PeeringKind};
use crate::wire::vlan::TagStack;

/// One value for each of a circuit's two links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerLink<T> {
    /// The primary link's.
    pub primary: T,
    /// The secondary link's.
    pub secondary: T,
}

impl<T> PerLink<T> {
    /// The value of `link`.
    pub const fn get(&self, link: Link) -> &T {
        match link {
            Link::Primary => &self.primary,
            Link::Secondary => &self.secondary,
        }
    }

    /// Both values, primary first.
    pub fn iter(&self) -> impl Iterator<Item = (Link, &T)> {
        Link::BOTH.into_iter().map(|link| (link, self.get(link)))
    }
}

/// A VLAN identifier, 1 to 4094 (IEEE 802.1Q 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// The identifier, if it is one that a tag may carry.
    pub const fn new(vid: u16) -> Option<Self> {
        if vid >= 1 && vid <= 4094 { Some(Self(vid)) } else { None }
    }

    /// As a number.
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A circuit's reach and limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CircuitSku {
    /// The regions near the peering location.
    Local,
    /// The regions of the geopolitical area.
    #[default]
    Standard,
    /// All regions, and higher limits.
    Premium,
}

/// How data is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Billing {
    /// By the byte; the edition says in which direction.
    #[default]
    Metered,
    /// At a flat rate.
    Unlimited,
}

/// How frames are tagged on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encapsulation {
    /// S-tag of the circuit and C-tag of the peering.
    QinQ,
    /// C-tag of the peering.
    Dot1Q,
    /// No tag, so one peering.
    Untagged,
}

/// The provider's progress with the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderState {
    /// The provider has not begun.
    NotProvisioned,
    /// The provider is at it.
    Provisioning,
    /// The circuit is ready.
    Provisioned,
    /// The provider is taking it down.
    Deprovisioning,
}

/// Microsoft's side of the circuit's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// In use.
    Enabled,
    /// Being created.
    Enabling,
    /// Being deleted.
    Disabling,
}

/// What a policer counts of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accounting {
    /// The frame with its tags, check sequence, preamble and gap.
    L1,
    /// The frame with its tags and check sequence.
    L2,
    /// The packet from its IP header.
    #[default]
    L3,
}

/// What one policer of a link and direction covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicerScope {
    /// All peerings of the link together: provider circuits.
    Link,
    /// Each peering of the link by itself: ExpressRoute Direct.
    Peering,
}

/// The depth of a policer's bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burst {
    /// What the bandwidth moves in so many milliseconds.
    Millis(u32),
    /// So many bytes.
    Bytes(u32),
}

/// How a circuit's bandwidth is enforced on each link and direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policing {
    /// Whether it is enforced at all; ExpressRoute Direct leaves that to the customer.
    pub enabled: bool,
    /// The depth of the bucket.
    pub burst: Burst,
    /// What counts.
    pub accounting: Accounting,
    /// Whether ARP, BGP and BFD are dropped too when there are no tokens.
    pub police_control: bool,
}

/// The smallest bucket: two full frames with two tags, so that a policer passes any frame.
pub const MIN_BURST_BYTES: u32 = 2 * 1526;
/// The burst without one of its own. The service publishes none; it says that it polices within
/// milliseconds.
pub const DEFAULT_BURST: Burst = Burst::Millis(10);

impl Policing {
    /// The depth of the bucket in bytes at `bandwidth`, never below [`MIN_BURST_BYTES`].
    pub fn burst_bytes(&self, bandwidth: Bandwidth) -> u64 {
        let bytes = match self.burst {
            Burst::Bytes(bytes) => u64::from(bytes),
            Burst::Millis(millis) => {
                (bandwidth.bits_per_second() / 8_000).saturating_mul(u64::from(millis))
            }
        };
        bytes.max(u64::from(MIN_BURST_BYTES))
    }
}

/// The GUID by which Microsoft, provider and customer know a circuit; no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey([u8; 16]);

impl ServiceKey {
    /// The key of a circuit that was given none: the same for the same names, always.
    pub fn derive(subscription: &str, resource_group: &str, circuit: &str) -> Self {
        // 128-bit FNV-1a; the unit separator keeps ("ab", "c") from being ("a", "bc").
        const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        let mut hash = OFFSET;
        for text in [subscription, resource_group, circuit] {
            for byte in text.bytes().chain([0x1f]) {
                hash = (hash ^ u128::from(byte)).wrapping_mul(PRIME);
            }
        }
        let mut key = hash.to_be_bytes();
        // RFC 9562 5.8: version 8 (made up by the application) and the variant of the RFC.
        key[6] = 0x80 | (key[6] & 0x0f);
        key[8] = 0x80 | (key[8] & 0x3f);
        Self(key)
    }

    /// The sixteen bytes.
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a GUID")]
pub struct BadServiceKey;

impl FromStr for ServiceKey {
    type Err = BadServiceKey;
    fn from_str(text: &str) -> Result<Self, BadServiceKey> {
        let groups: Vec<&str> = text.split('-').collect();
        if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
            return Err(BadServiceKey);
        }
        let digits = groups.concat();
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(BadServiceKey);
        }
        let number = u128::from_str_radix(&digits, 16).map_err(|_| BadServiceKey)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// An ExpressRoute circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Its name.
    pub name: CircuitName,
    /// The customer's subscription.
    pub subscription: String,
    /// The resource group in the subscription.
    pub resource_group: String,
    /// Who provides the circuit, as text; empty with ExpressRoute Direct.
    pub service_provider: String,
    /// Where the circuit meets Microsoft.
    pub peering_location: String,
    /// Of each link, in each direction, shared by all peerings.
    pub bandwidth: Bandwidth,
    /// Reach and limits.
    pub sku: CircuitSku,
    /// How data is charged.
    pub billing: Billing,
    /// Known to all three parties.
    pub service_key: ServiceKey,
    /// How frames are tagged on the links.
    pub encapsulation: Encapsulation,
    /// The circuit's outer tag; present with QinQ alone.
    pub s_tag: Option<VlanId>,
    /// The edges' ports of the links; `None` where this process does not have Microsoft's side.
    pub links: Option<PerLink<PortName>>,
    /// The port pair of ExpressRoute Direct that it is on, with its speed.
    pub direct: Option<(DirectName, DirectSpeed)>,
    /// How the bandwidth is enforced.
    pub policing: Policing,
    /// Microsoft's side of the state.
    pub state: CircuitState,
    /// The provider's side of the state.
    pub provider_state: ProviderState,
    /// Azure private peering.
    pub private: Option<Peering>,
    /// Microsoft peering.
    pub microsoft: Option<Peering>,
}

impl Circuit {
    /// The peering of this kind.
    pub const fn peering(&self, kind: PeeringKind) -> Option<&Peering> {
        match kind {
            PeeringKind::Private => self.private.as_ref(),
            PeeringKind::Microsoft => self.microsoft.as_ref(),
        }
    }

    /// The peerings that there are, private first.
    pub fn peerings(&self) -> impl Iterator<Item = &Peering> {
        self.private.iter().chain(&self.microsoft)
    }

    /// The tags of a peering's frames on the links.
    pub fn link_tags(&self, peering: &Peering) -> TagStack {
        match (self.encapsulation, self.s_tag) {
            (Encapsulation::QinQ, Some(s_tag)) => {
                TagStack::double(s_tag.value(), peering.vlan.value())
            }
            (Encapsulation::QinQ | Encapsulation::Dot1Q, _) => {
                TagStack::single(peering.vlan.value())
            }
            (Encapsulation::Untagged, _) => TagStack::UNTAGGED,
        }
    }

    /// Whether it forwards: provisioned by the provider and enabled by Microsoft.
    pub fn usable(&self) -> bool {
        self.state == CircuitState::Enabled && self.provider_state == ProviderState::Provisioned
    }

    /// What one policer covers.
    pub const fn policer_scope(&self) -> PolicerScope {
        if self.direct.is_some() { PolicerScope::Peering } else { PolicerScope::Link }
    }
}

/// A port pair of ExpressRoute Direct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direct {
    /// Its name.
    pub name: DirectName,
    /// Of one port.
    pub speed: DirectSpeed,
    /// How frames are tagged on both ports; QinQ or Dot1Q.
    pub encapsulation: Encapsulation,
    /// The edges' ports.
    pub ports: PerLink<PortName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_service_key_is_a_guid_that_depends_on_every_name() {
        let key = ServiceKey::derive("lab", "network", "contoso");
        assert_eq!(key, ServiceKey::derive("lab", "network", "contoso"));
        assert_ne!(key, ServiceKey::derive("labn", "etwork", "contoso"));
        let text = key.to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "8");
        assert_eq!(text.parse(), Ok(key));
    }

    #[test]
    fn a_service_key_has_five_groups_of_hex() {
        assert!("00000000-0000-0000-0000-000000000000".parse::<ServiceKey>().is_ok());
        for bad in [
            "",
            "0000",
            "00000000-0000-0000-0000-00000000000g",
            "+0000000-0000-0000-0000-000000000000",
        ] {
            assert_eq!(bad.parse::<ServiceKey>(), Err(BadServiceKey), "{bad}");
        }
    }

    #[test]
    fn a_burst_in_milliseconds_follows_the_bandwidth() {
        let mut policing = Policing {
            enabled: true,
            burst: Burst::Millis(10),
            accounting: Accounting::L3,
            police_control: false,
        };
        assert_eq!(policing.burst_bytes(Bandwidth::mbps(50)), 62_500);
        policing.burst = Burst::Bytes(1);
        assert_eq!(policing.burst_bytes(Bandwidth::mbps(50)), u64::from(MIN_BURST_BYTES));
    }
}
