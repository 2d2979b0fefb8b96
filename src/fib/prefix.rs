//! Which addresses does a route cover?
//!
//! A prefix's host bits are always zero: every way to make one clears them. Prefixes order by
//! address and then by length, so a prefix stands directly before everything nested in it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{AddrParseError, Ipv4Net, Ipv6Net, PrefixLenError};

/// What a structure keyed by prefixes needs to know of them, for either address family.
pub trait Prefix: Copy + Ord + fmt::Debug {
    /// An address as a number in host order.
    type Addr: Copy + Ord;
    /// Bits of an address.
    const MAX_LEN: u8;

    /// The prefix of `len` bits around `addr`; `len` above [`Prefix::MAX_LEN`] counts as that.
    fn around(addr: Self::Addr, len: u8) -> Self;
    /// First address.
    fn first(self) -> Self::Addr;
    /// Last address.
    fn last(self) -> Self::Addr;
    /// Length in bits, 0 to [`Prefix::MAX_LEN`].
    fn bits(self) -> u8;

    /// Whether every address of `other` is one of this prefix's.
    fn covers(self, other: Self) -> bool {
        self.bits() <= other.bits() && Self::around(other.first(), self.bits()) == self
    }
}

macro_rules! prefix {
    ($(#[$doc:meta])* $name:ident, $addr:ty, $max:literal, $ip:ty, $net:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            addr: $addr,
            len: u8,
        }

        impl $name {
            /// The default route's prefix: every address.
            pub const ALL: Self = Self { addr: 0, len: 0 };

            /// The prefix of `len` bits that `addr` lies in, or nothing when `len` is too long.
            pub const fn new(addr: $addr, len: u8) -> Option<Self> {
                if len > $max { None } else { Some(Self::cut(addr, len)) }
            }

            /// The prefix of one address.
            pub const fn host(addr: $addr) -> Self {
                Self { addr, len: $max }
            }

            /// Network address in host order.
            pub const fn addr(self) -> $addr {
                self.addr
            }

            /// Length in bits.
            #[expect(clippy::len_without_is_empty, reason = "the field's word; none is empty")]
            pub const fn len(self) -> u8 {
                self.len
            }

            /// Last address in host order.
            pub const fn last_addr(self) -> $addr {
                self.addr | !Self::mask(self.len)
            }

            /// Whether `addr` lies inside.
            pub const fn contains(self, addr: $addr) -> bool {
                (addr ^ self.addr) & Self::mask(self.len) == 0
            }

            const fn cut(addr: $addr, len: u8) -> Self {
                let len = if len > $max { $max } else { len };
                Self { addr: addr & Self::mask(len), len }
            }

            const fn mask(len: u8) -> $addr {
                if len == 0 { 0 } else { <$addr>::MAX << ($max - len) }
            }
        }

        impl Prefix for $name {
            type Addr = $addr;
            const MAX_LEN: u8 = $max;

            fn around(addr: $addr, len: u8) -> Self {
                Self::cut(addr, len)
            }
            fn first(self) -> $addr {
                self.addr
            }
            fn last(self) -> $addr {
                self.last_addr()
            }
            fn bits(self) -> u8 {
                self.len
            }
        }

        impl From<$net> for $name {
            fn from(net: $net) -> Self {
                Self::cut(net.addr().to_bits(), net.prefix_len())
            }
        }

        impl From<$name> for $net {
            fn from(prefix: $name) -> Self {
                <$net>::new_assert(<$ip>::from_bits(prefix.addr), prefix.len)
            }
        }

        impl TryFrom<($ip, u8)> for $name {
            type Error = PrefixLenError;
            fn try_from((addr, len): ($ip, u8)) -> Result<Self, PrefixLenError> {
                Self::new(addr.to_bits(), len).ok_or(PrefixLenError)
            }
        }

        impl FromStr for $name {
            type Err = AddrParseError;
            fn from_str(text: &str) -> Result<Self, AddrParseError> {
                text.parse::<$net>().map(Self::from)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&<$net>::from(*self), f)
            }
        }
    };
}

prefix! {
    /// An IPv4 prefix.
    ///
    /// ```
    /// use thruway::fib::Prefix4;
    /// let prefix: Prefix4 = "10.1.2.3/16".parse().expect("a prefix");
    /// assert_eq!(prefix.to_string(), "10.1.0.0/16");
    /// assert!(prefix.contains(0x0a01_ffff));
    /// ```
    Prefix4, u32, 32, Ipv4Addr, Ipv4Net
}

prefix! {
    /// An IPv6 prefix.
    Prefix6, u128, 128, Ipv6Addr, Ipv6Net
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_cleared_however_a_prefix_is_made() {
        let wanted = Prefix4 { addr: 0xc000_0200, len: 24 };
        assert_eq!(Prefix4::new(0xc000_02ff, 24), Some(wanted));
        assert_eq!("192.0.2.77/24".parse(), Ok(wanted));
        assert_eq!(Prefix4::around(0xc000_0201, 24), wanted);
        assert_eq!(Prefix4::try_from((Ipv4Addr::new(192, 0, 2, 9), 24)), Ok(wanted));
        assert_eq!("2001:db8::1/32".parse::<Prefix6>().unwrap().to_string(), "2001:db8::/32");
    }

    #[test]
    fn a_length_beyond_the_address_is_refused() {
        assert_eq!(Prefix4::new(0, 33), None);
        assert_eq!(Prefix6::new(0, 129), None);
        assert!("10.0.0.0/33".parse::<Prefix4>().is_err());
        assert!(Prefix4::try_from((Ipv4Addr::LOCALHOST, 200)).is_err());
    }

    #[test]
    fn the_ends_of_the_length_range_cover_everything_and_one_address() {
        assert_eq!(Prefix4::ALL.last_addr(), u32::MAX);
        assert!(Prefix4::ALL.contains(u32::MAX));
        assert_eq!(Prefix4::host(7).last_addr(), 7);
        assert!(!Prefix4::host(7).contains(6));
        assert_eq!(Prefix6::ALL.last_addr(), u128::MAX);
        assert_eq!("0.0.0.0/0".parse(), Ok(Prefix4::ALL));
    }

    #[test]
    fn a_prefix_stands_directly_before_what_is_nested_in_it() {
        let mut prefixes: Vec<Prefix4> =
            ["10.0.1.0/24", "10.0.0.0/8", "10.0.0.0/24", "0.0.0.0/0", "9.0.0.0/8", "10.0.0.0/32"]
                .iter()
                .map(|text| text.parse().unwrap())
                .collect();
        prefixes.sort();
        let text: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            ["0.0.0.0/0", "9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/24", "10.0.0.0/32", "10.0.1.0/24"]
        );
        assert!(prefixes[2].covers(prefixes[5]) && !prefixes[5].covers(prefixes[2]));
        assert!(!prefixes[1].covers(prefixes[2]));
    }
}
