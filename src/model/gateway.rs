//! Virtual network gateways.

use std::fmt;
use std::str::FromStr;

use ipnet::Ipv4Net;

use super::{GatewayLimits, Udr};

/// The name of the gateway's subnet, always.
pub const GATEWAY_SUBNET: &str = "GatewaySubnet";
/// The longest prefix of the gateway's subnet.
pub const MAX_GATEWAY_SUBNET_LEN: u8 = 27;
/// The longest prefix of the gateway's subnet with 16 circuits.
pub const MAX_GATEWAY_SUBNET_LEN_16_CIRCUITS: u8 = 26;
/// The most scale units of an `ErGwScale`.
pub const MAX_SCALE_UNITS: u8 = 40;
/// The most instances of one gateway.
pub const MAX_INSTANCES: u8 = 16;

/// A gateway's performance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewaySku {
    /// 1 Gbit/s.
    Standard,
    /// 2 Gbit/s.
    HighPerformance,
    /// 10 Gbit/s, with FastPath.
    UltraPerformance,
    /// As [`GatewaySku::Standard`], over zones.
    ErGw1Az,
    /// As [`GatewaySku::HighPerformance`], over zones.
    ErGw2Az,
    /// As [`GatewaySku::UltraPerformance`], over zones.
    ErGw3Az,
    /// 1 Gbit/s for each unit, 1 to [`MAX_SCALE_UNITS`].
    ErGwScale(u8),
}

impl GatewaySku {
    /// What such a gateway can do.
    pub const fn limits(self) -> GatewayLimits {
        GatewayLimits::of(self)
    }
}

impl fmt::Display for GatewaySku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("Standard"),
            Self::HighPerformance => f.write_str("HighPerformance"),
            Self::UltraPerformance => f.write_str("UltraPerformance"),
            Self::ErGw1Az => f.write_str("ErGw1AZ"),
            Self::ErGw2Az => f.write_str("ErGw2AZ"),
            Self::ErGw3Az => f.write_str("ErGw3AZ"),
            Self::ErGwScale(units) => write!(f, "ErGwScale ({units} units)"),
        }
    }
}

/// A text that names no SKU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no gateway: Standard, HighPerformance, UltraPerformance, ErGw1AZ, ErGw2AZ, ErGw3AZ, \
     or ErGwScale:UNITS with 1 to {MAX_SCALE_UNITS} units"
)]
pub struct BadGatewaySku(String);

impl FromStr for GatewaySku {
    type Err = BadGatewaySku;
    fn from_str(text: &str) -> Result<Self, BadGatewaySku> {
        let bad = || BadGatewaySku(text.to_owned());
        if let Some(units) = text.strip_prefix("ErGwScale:") {
            let units = units.parse().ok().filter(|units| (1..=MAX_SCALE_UNITS).contains(units));
            return units.map(Self::ErGwScale).ok_or_else(bad);
        }
        let named = [
            Self::Standard,
            Self::HighPerformance,
            Self::UltraPerformance,
            Self::ErGw1Az,
            Self::ErGw2Az,
            Self::ErGw3Az,
        ];
        named.into_iter().find(|sku| sku.to_string() == text).ok_or_else(bad)
    }
}

/// Whether a gateway answers what it cannot forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GatewayIcmp {
    /// Fragmentation needed, from the edge's address; never time exceeded.
    #[default]
    Answer,
    /// Nothing.
    Silent,
}

/// An ExpressRoute gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its performance.
    pub sku: GatewaySku,
    /// `GatewaySubnet`.
    pub subnet: Ipv4Net,
    /// Whether it answers what it cannot forward.
    pub icmp: GatewayIcmp,
    /// How many routers it consists of, 2 to [`MAX_INSTANCES`].
    pub instances: u8,
    /// User-defined routes on `GatewaySubnet`.
    pub udrs: Vec<Udr>,
}
