//! Bandwidths: which the service sells, and how they are written.

use std::fmt;
use std::str::FromStr;

/// A bandwidth in bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bandwidth(u64);

const MEGA: u64 = 1_000_000;
const GIGA: u64 = 1_000_000_000;

impl Bandwidth {
    /// Of so many megabits a second.
    pub const fn mbps(mega: u32) -> Self {
        Self(mega as u64 * MEGA)
    }

    /// Of so many gigabits a second.
    pub const fn gbps(giga: u32) -> Self {
        Self(giga as u64 * GIGA)
    }

    /// In bits a second.
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// What a provider sells on a circuit.
    pub const PROVIDER: [Bandwidth; 8] = [
        Self::mbps(50),
        Self::mbps(100),
        Self::mbps(200),
        Self::mbps(500),
        Self::gbps(1),
        Self::gbps(2),
        Self::gbps(5),
        Self::gbps(10),
    ];
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(GIGA) {
            write!(f, "{} Gbps", self.0 / GIGA)
        } else {
            write!(f, "{} Mbps", self.0 / MEGA)
        }
    }
}

/// A text that is no bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a bandwidth")]
pub struct BadBandwidth;

impl FromStr for Bandwidth {
    type Err = BadBandwidth;
    fn from_str(text: &str) -> Result<Self, BadBandwidth> {
        let (number, unit) = text
            .find(|c: char| !c.is_ascii_digit())
            .map(|at| text.split_at(at))
            .ok_or(BadBandwidth)?;
        let scale = match unit.trim() {
            "Mbps" => MEGA,
            "Gbps" => GIGA,
            _ => return Err(BadBandwidth),
        };
        let number: u64 = number.parse().map_err(|_| BadBandwidth)?;
        number.checked_mul(scale).filter(|&bits| bits > 0).map(Self).ok_or(BadBandwidth)
    }
}

/// The speed of one port of an ExpressRoute Direct pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DirectSpeed {
    /// 10 Gbit/s.
    G10,
    /// 100 Gbit/s.
    G100,
    /// 400 Gbit/s.
    G400,
}

impl DirectSpeed {
    /// Every speed.
    pub const ALL: [DirectSpeed; 3] = [Self::G10, Self::G100, Self::G400];

    /// The speed of one port.
    pub const fn bandwidth(self) -> Bandwidth {
        match self {
            Self::G10 => Bandwidth::gbps(10),
            Self::G100 => Bandwidth::gbps(100),
            Self::G400 => Bandwidth::gbps(400),
        }
    }

    /// The bandwidths that a circuit on such a pair can have.
    pub const fn circuits(self) -> &'static [Bandwidth] {
        const G10: [Bandwidth; 4] =
            [Bandwidth::gbps(1), Bandwidth::gbps(2), Bandwidth::gbps(5), Bandwidth::gbps(10)];
        const G100: [Bandwidth; 4] =
            [Bandwidth::gbps(5), Bandwidth::gbps(10), Bandwidth::gbps(40), Bandwidth::gbps(100)];
        const G400: [Bandwidth; 6] = [
            Bandwidth::gbps(5),
            Bandwidth::gbps(10),
            Bandwidth::gbps(40),
            Bandwidth::gbps(100),
            Bandwidth::gbps(200),
            Bandwidth::gbps(400),
        ];
        match self {
            Self::G10 => &G10,
            Self::G100 => &G100,
            Self::G400 => &G400,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bandwidth_reads_as_it_is_written() {
        for bandwidth in Bandwidth::PROVIDER {
            assert_eq!(bandwidth.to_string().parse(), Ok(bandwidth));
        }
        assert_eq!("1Gbps".parse(), Ok(Bandwidth::gbps(1)));
        for bad in ["", "1", "Gbps", "1 gbit", "-1 Gbps", "0 Mbps", "99999999999999999999 Mbps"] {
            assert_eq!(bad.parse::<Bandwidth>(), Err(BadBandwidth), "{bad}");
        }
    }
}
