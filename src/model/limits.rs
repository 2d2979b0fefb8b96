//! The service's limits, in one place.

use super::{Bandwidth, Billing, CircuitSku, DirectSpeed, Edition, GatewaySku};

/// The AS of every gateway.
pub const GATEWAY_ASN: u32 = 65515;
/// The largest packet, in bytes, that a gateway forwards.
pub const GATEWAY_MTU: u16 = 1400;
/// The largest packet, in bytes, of a link and of FastPath.
pub const LINK_MTU: u16 = 1500;
/// The most circuits of one peering location that one virtual network is connected to.
pub const CIRCUITS_PER_LOCATION: usize = 4;
/// The most circuits that equal-cost paths spread over.
pub const ECMP_CIRCUITS: usize = 4;
/// The highest weight of a connection.
pub const MAX_WEIGHT: u16 = 32_000;

/// The most prefixes of on-premises on a Microsoft peering, for each session.
pub const ROUTES_MICROSOFT: usize = 200;

/// The most prefixes of on-premises on a private peering.
pub const fn routes_private(sku: CircuitSku) -> usize {
    match sku {
        CircuitSku::Local | CircuitSku::Standard => 4_000,
        CircuitSku::Premium => 10_000,
    }
}

/// What a gateway can do. Rates count what comes from on-premises: the way back does not cross it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayLimits {
    /// Bits a second.
    pub bits_per_second: u64,
    /// Packets a second.
    pub packets_per_second: u64,
    /// New flows a second.
    pub new_flows_per_second: u32,
    /// Flows at a time.
    pub flows: u32,
    /// Routes that it learns from on-premises.
    pub routes: u32,
    /// VMs it can serve.
    pub vms: u32,
    /// Circuits that it can be connected to.
    pub circuits: usize,
    /// Whether connections can bypass it.
    pub fastpath: bool,
}

impl GatewayLimits {
    const STANDARD: Self = Self {
        bits_per_second: 1_000_000_000,
        packets_per_second: 100_000,
        new_flows_per_second: 7_000,
        flows: 200_000,
        routes: 4_000,
        vms: 2_000,
        circuits: 4,
        fastpath: false,
    };
    const HIGH: Self = Self {
        bits_per_second: 2_000_000_000,
        packets_per_second: 200_000,
        new_flows_per_second: 14_000,
        flows: 400_000,
        routes: 9_500,
        vms: 4_500,
        circuits: 8,
        fastpath: false,
    };
    const ULTRA: Self = Self {
        bits_per_second: 10_000_000_000,
        packets_per_second: 1_000_000,
        new_flows_per_second: 16_000,
        flows: 1_000_000,
        routes: 9_500,
        vms: 11_000,
        circuits: 16,
        fastpath: true,
    };

    /// The limits of a SKU.
    pub const fn of(sku: GatewaySku) -> Self {
        match sku {
            GatewaySku::Standard | GatewaySku::ErGw1Az => Self::STANDARD,
            GatewaySku::HighPerformance | GatewaySku::ErGw2Az => Self::HIGH,
            GatewaySku::UltraPerformance | GatewaySku::ErGw3Az => Self::ULTRA,
            GatewaySku::ErGwScale(units) => Self::scale(units),
        }
    }

    // The documents give a rate for each unit in two bands, 1 to 10 and 11 to 40; a gateway's band
    // is taken to hold for all its units, which agrees with their sample of 8 M packets for 40.
    const fn scale(units: u8) -> Self {
        let many = units > 10;
        Self {
            bits_per_second: 1_000_000_000 * units as u64,
            packets_per_second: units as u64 * if many { 200_000 } else { 100_000 },
            new_flows_per_second: 7_000 * units as u32,
            flows: 100_000 * units as u32,
            routes: 9_500,
            vms: units as u32 * if many { 1_000 } else { 2_000 },
            circuits: match units {
                0 | 1 => 4,
                2..=9 => 8,
                _ => 16,
            },
            fastpath: units >= 10,
        }
    }
}

/// The most addresses that FastPath holds for a circuit of a provider.
pub const FASTPATH_PROVIDER: usize = 25_000;

/// The most addresses that FastPath holds for one port pair of ExpressRoute Direct, all its
/// circuits together.
pub const fn fastpath_direct(speed: DirectSpeed) -> usize {
    match speed {
        DirectSpeed::G10 => 100_000,
        DirectSpeed::G100 | DirectSpeed::G400 => 200_000,
    }
}

/// The bytes that a circuit's plan charges for. What enters Azure is free today; the seed edition
/// meters what enters and what leaves.
pub const fn charged_bytes(
    edition: Edition,
    billing: Billing,
    (in_bytes, out_bytes): (u64, u64),
) -> u64 {
    match (billing, edition) {
        (Billing::Unlimited, _) => 0,
        (Billing::Metered, Edition::Today) => out_bytes,
        (Billing::Metered, Edition::Seed) => in_bytes + out_bytes,
    }
}

/// The most circuits that a virtual network with this gateway is connected to.
pub const fn circuits_per_vnet(edition: Edition, sku: GatewaySku) -> usize {
    match edition {
        Edition::Seed => 4,
        Edition::Today => sku.limits().circuits,
    }
}

/// The most virtual networks that a circuit is connected to.
pub fn vnets_per_circuit(edition: Edition, sku: CircuitSku, bandwidth: Bandwidth) -> usize {
    const PREMIUM: [(Bandwidth, usize); 8] = [
        (Bandwidth::mbps(50), 20),
        (Bandwidth::mbps(200), 25),
        (Bandwidth::mbps(500), 40),
        (Bandwidth::gbps(1), 50),
        (Bandwidth::gbps(2), 60),
        (Bandwidth::gbps(5), 75),
        (Bandwidth::gbps(10), 100),
        (Bandwidth::gbps(400), 100),
    ];
    match (edition, sku) {
        (Edition::Today, CircuitSku::Premium) => {
            PREMIUM.iter().find(|(upto, _)| bandwidth <= *upto).map_or(100, |&(_, vnets)| vnets)
        }
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_scalable_gateway_follow_its_units() {
        let limits = GatewayLimits::of(GatewaySku::ErGwScale(40));
        assert_eq!(limits.bits_per_second, 40_000_000_000);
        assert_eq!(limits.packets_per_second, 8_000_000);
        let circuits = [(1, 4), (2, 8), (9, 8), (10, 16), (40, 16)];
        for (units, circuits) in circuits {
            assert_eq!(GatewayLimits::of(GatewaySku::ErGwScale(units)).circuits, circuits);
        }
        assert!(!GatewayLimits::of(GatewaySku::ErGwScale(9)).fastpath);
        assert!(GatewayLimits::of(GatewaySku::ErGwScale(10)).fastpath);
    }

    #[test]
    fn a_metered_circuit_pays_for_what_leaves_and_in_the_seed_edition_for_what_enters_too() {
        let charged = |edition, billing| charged_bytes(edition, billing, (100, 7));
        assert_eq!(charged(Edition::Today, Billing::Metered), 7);
        assert_eq!(charged(Edition::Seed, Billing::Metered), 107);
        for edition in [Edition::Today, Edition::Seed] {
            assert_eq!(charged(edition, Billing::Unlimited), 0);
        }
    }

    #[test]
    fn a_premium_circuit_takes_more_virtual_networks_by_bandwidth() {
        let premium = |bandwidth| vnets_per_circuit(Edition::Today, CircuitSku::Premium, bandwidth);
        assert_eq!(premium(Bandwidth::mbps(50)), 20);
        assert_eq!(premium(Bandwidth::mbps(100)), 25);
        assert_eq!(premium(Bandwidth::gbps(1)), 50);
        assert_eq!(premium(Bandwidth::gbps(100)), 100);
        let seed = vnets_per_circuit(Edition::Seed, CircuitSku::Premium, Bandwidth::gbps(1));
        assert_eq!(seed, 10);
    }
}
