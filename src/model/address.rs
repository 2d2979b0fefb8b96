//! Which addresses are public, and which are only meant for documents and tests.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

const fn net(a: u8, b: u8, c: u8, d: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), len)
}

/// What is not public on the Microsoft peering, with the name of its kind.
const NOT_PUBLIC: [(Ipv4Net, &str); 9] = [
    (net(0, 0, 0, 0, 8), "this network (RFC 1122)"),
    (net(10, 0, 0, 0, 8), "private (RFC 1918)"),
    (net(100, 64, 0, 0, 10), "shared between providers (RFC 6598)"),
    (net(127, 0, 0, 0, 8), "loopback"),
    (net(169, 254, 0, 0, 16), "link-local"),
    (net(172, 16, 0, 0, 12), "private (RFC 1918)"),
    (net(192, 168, 0, 0, 16), "private (RFC 1918)"),
    (net(224, 0, 0, 0, 4), "multicast"),
    (net(240, 0, 0, 0, 4), "class E"),
];

/// Ranges for documents and benchmarks, which count as public here.
const DOCUMENTATION: [(Ipv4Net, &str); 4] = [
    (net(192, 0, 2, 0, 24), "documentation (RFC 5737)"),
    (net(198, 18, 0, 0, 15), "benchmarks (RFC 2544)"),
    (net(198, 51, 100, 0, 24), "documentation (RFC 5737)"),
    (net(203, 0, 113, 0, 24), "documentation (RFC 5737)"),
];

/// Whether the two prefixes have an address in common.
pub fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(b) || b.contains(a)
}

fn kind(table: &[(Ipv4Net, &'static str)], prefix: &Ipv4Net) -> Option<&'static str> {
    table.iter().find(|(range, _)| overlap(range, prefix)).map(|&(_, kind)| kind)
}

/// The kind of address that keeps `prefix` from being public; `None` when it is public.
pub fn not_public(prefix: &Ipv4Net) -> Option<&'static str> {
    kind(&NOT_PUBLIC, prefix)
}

/// The kind of documentation or benchmark range that `prefix` touches.
pub fn documentation(prefix: &Ipv4Net) -> Option<&'static str> {
    kind(&DOCUMENTATION, prefix)
}

/// Whether `address` is public.
pub fn is_public(address: Ipv4Addr) -> bool {
    not_public(&Ipv4Net::from(address)).is_none()
}

/// Whether every address of `prefix` lies in one of `ranges`, alone or together.
pub fn covered(prefix: &Ipv4Net, ranges: &[Ipv4Net]) -> bool {
    if ranges.iter().any(|range| range.contains(prefix)) {
        return true;
    }
    if !ranges.iter().any(|range| prefix.contains(range)) {
        return false;
    }
    match prefix.subnets(prefix.prefix_len() + 1) {
        Ok(mut halves) => halves.all(|half| covered(&half, ranges)),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    #[test]
    fn private_shared_loopback_link_local_multicast_and_class_e_are_not_public() {
        for text in [
            "10.0.0.0/8",
            "172.31.0.0/16",
            "192.168.1.0/24",
            "100.64.0.0/24",
            "127.0.0.1/32",
            "169.254.1.0/24",
            "224.0.0.0/24",
            "250.0.0.0/8",
            "0.0.0.0/0",
        ] {
            assert!(not_public(&p(text)).is_some(), "{text}");
        }
        for text in ["8.8.8.0/24", "172.32.0.0/16", "100.128.0.0/16", "11.0.0.0/8"] {
            assert!(not_public(&p(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn documentation_ranges_are_public_and_known() {
        let prefix = p("203.0.113.64/26");
        assert!(not_public(&prefix).is_none());
        assert!(documentation(&prefix).is_some());
        assert!(documentation(&p("8.8.8.0/24")).is_none());
    }

    #[test]
    fn halves_cover_the_whole() {
        let halves = [p("203.0.113.64/27"), p("203.0.113.96/27")];
        assert!(covered(&p("203.0.113.64/26"), &halves));
        assert!(!covered(&p("203.0.113.0/25"), &halves));
        assert!(covered(&p("0.0.0.0/0"), &[p("0.0.0.0/1"), p("128.0.0.0/1")]));
    }
}
