//! How fast a bucket fills: a reduced fraction of units per nanosecond.

use crate::time::Span;

/// A rate in units per nanosecond, as a reduced fraction: bytes for bandwidths, else packets or
/// flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    num: u64,
    den: u64,
}

/// A rate that no policer can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate of {value} {unit} is outside 1..={most}")]
pub struct BadRate {
    /// The number that was asked for.
    pub value: u64,
    /// Its unit.
    pub unit: &'static str,
    /// The largest that is possible.
    pub most: u64,
}

impl Rate {
    /// Fastest bandwidth in kbit/s: 400 Gbit/s, the largest ExpressRoute Direct port.
    pub const MOST_KBPS: u64 = 400_000_000;
    /// Most packets or flows a second.
    pub const MOST_PER_SECOND: u64 = 1_000_000_000;

    /// A bandwidth in kbit/s (1 kbit = 1,000 bits), from 1 to 400,000,000; its units are bytes.
    ///
    /// # Errors
    /// When `kbps` is out of range.
    pub fn kbps(kbps: u64) -> Result<Self, BadRate> {
        // 1 kbit/s = 125 bytes/s = 1 byte in 8,000,000 ns.
        Self::within(kbps, 8_000_000, "kbit/s", Self::MOST_KBPS)
    }

    /// Packets or flows a second, from 1 to 1,000,000,000; its units are those packets or flows.
    ///
    /// # Errors
    /// When `count` is out of range.
    pub fn per_second(count: u64) -> Result<Self, BadRate> {
        Self::within(count, 1_000_000_000, "a second", Self::MOST_PER_SECOND)
    }

    fn within(value: u64, den: u64, unit: &'static str, most: u64) -> Result<Self, BadRate> {
        if value == 0 || value > most {
            return Err(BadRate { value, unit, most });
        }
        let common = gcd(value, den);
        Ok(Self { num: value / common, den: den / common })
    }

    /// Parts of a unit that flow in per nanosecond; a unit has [`Rate::den`] parts.
    #[inline(always)]
    pub const fn num(self) -> u64 {
        self.num
    }

    /// Parts that one unit has.
    #[inline(always)]
    pub const fn den(self) -> u64 {
        self.den
    }

    /// Whole units that flow in during `span`, rounded down; saturates.
    pub fn units_in(self, span: Span) -> u64 {
        let units = u128::from(span.0) * u128::from(self.num) / u128::from(self.den);
        u64::try_from(units).unwrap_or(u64::MAX)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigabit_is_one_byte_in_eight_nanoseconds() {
        let rate = Rate::kbps(1_000_000).unwrap();
        assert_eq!((rate.num(), rate.den()), (1, 8));
        assert_eq!(rate.units_in(Span::secs(1)), 125_000_000);
    }

    #[test]
    fn odd_rates_keep_their_last_kilobit() {
        let rate = Rate::kbps(399_999_999).unwrap();
        assert_eq!(rate.units_in(Span::secs(8)), 399_999_999 * 1_000);
        assert_eq!(Rate::per_second(7_000).unwrap().units_in(Span::secs(3)), 21_000);
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        assert!(Rate::kbps(0).is_err());
        assert!(Rate::kbps(400_000_001).is_err());
        assert_eq!(
            Rate::per_second(0).unwrap_err().to_string(),
            "a rate of 0 a second is outside 1..=1000000000"
        );
    }
}
