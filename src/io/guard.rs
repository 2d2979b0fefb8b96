//! Is this interface the host's own? Nobody shall lose the way into a machine to a lab tool.
//!
//! An interface counts as the host's when a default route leads out of it or it has an address;
//! IPv6 link-local addresses do not count, since every interface that is up has one. Reads the
//! calling thread's network namespace.

use std::fs;
use std::net::IpAddr;

/// What the host uses the interface for, in words; `None` when for nothing.
pub fn host_use(interface: &str) -> Option<String> {
    if has_default_route(interface) {
        return Some("carries this host's default route".to_owned());
    }
    address(interface).map(|address| format!("has the address {address}"))
}

fn address(interface: &str) -> Option<IpAddr> {
    pnet::datalink::interfaces()
        .into_iter()
        // Labels of further addresses look like `eth0:1`.
        .filter(|i| i.name.split(':').next() == Some(interface))
        .flat_map(|i| i.ips)
        .map(|network| network.ip())
        .find(|ip| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()))
}

fn has_default_route(interface: &str) -> bool {
    // `/proc/net` is the process's; a thread may be in another namespace.
    let read =
        |file| fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
    ip4_default(&read("route"), interface) || ip6_default(&read("ipv6_route"), interface)
}

/// Columns: interface, destination, gateway, flags, refcnt, use, metric, mask, ...
fn ip4_default(table: &str, interface: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_whitespace();
        columns.next() == Some(interface)
            && columns.next() == Some("00000000")
            && columns.nth(5) == Some("00000000")
    })
}

/// Columns: destination, its length, source, its length, next hop, metric, refcnt, use, flags,
/// interface. The kernel keeps an unreachable ::/0 on `lo`.
fn ip6_default(table: &str, interface: &str) -> bool {
    const ZERO: &str = "00000000000000000000000000000000";
    table.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        matches!(columns[..], [ZERO, "00", .., on] if on == interface && on != "lo")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_is_found_by_its_mask() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\n\
            eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\n\
            eth1\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\n\
            eth2\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\n";
        assert!(ip4_default(table, "eth0"));
        assert!(!ip4_default(table, "eth1"), "0.0.0.0/1 is no default route");
        assert!(!ip4_default(table, "eth2"));
        assert!(!ip4_default("", "eth0"));
    }

    #[test]
    fn an_ip6_default_route_is_found() {
        let zero = "0".repeat(32);
        let line = |length: &str, interface: &str| {
            format!("{zero} {length} {zero} 00 {zero} 00000400 1 0 00000003 {interface}\n")
        };
        assert!(ip6_default(&line("00", "eth0"), "eth0"));
        assert!(!ip6_default(&line("40", "eth0"), "eth0"));
        assert!(!ip6_default(&line("00", "eth1"), "eth0"));
        assert!(!ip6_default("junk\n\n", "eth0"));
    }

    #[test]
    fn an_address_makes_an_interface_the_host_s() {
        assert_eq!(host_use("lo"), Some("has the address 127.0.0.1".to_owned()));
        assert_eq!(host_use("no-such-one"), None);
    }
}
