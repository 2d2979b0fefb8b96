//! The kernel as a device: a namespace that forwards, with static neighbours and routes, and nft
//! where addresses are translated.
//!
//! What it counts is what the interfaces, `/proc/net/snmp` and conntrack count. Netfilter drops
//! that conntrack does not count stand in no counter.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::Device;
use super::super::drops::DropMeter;
use super::super::error::MediumError;
use super::super::site::Site;
use super::{INPUT_FULL, conntrack, nft, note};
use crate::bench::record::trial::DeviceFrames;
use crate::lab::{Interface, LabError, Netns, Route};
use crate::wire::eth::MacAddr;

/// How the kernel forwards. Wires are named by their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Router {
    /// Addresses of its interfaces.
    pub addresses: Vec<(usize, Ipv4Net)>,
    /// Neighbours, which it never asks for.
    pub neighbours: Vec<(usize, Ipv4Addr, MacAddr)>,
    /// Routes: a prefix and the neighbour that it lies behind.
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
    /// What is translated.
    pub nat: Option<Nat>,
}

/// What lies on one side of a router with two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// The next hop's MAC address: the tester's.
    pub next_hop: MacAddr,
    /// The prefixes behind it.
    pub prefixes: Vec<Ipv4Net>,
}

impl Router {
    /// A router between two wires: everything on either side lies behind one next hop. The links
    /// to both have addresses of 192.0.2.0/24 (RFC 5737), which nothing else uses.
    pub fn between(sides: [Beyond; 2], nat: Option<Nat>) -> Self {
        let mut router = Self { nat, ..Self::default() };
        for (wire, (side, last)) in sides.into_iter().zip([0, 4]).enumerate() {
            let address = |host: u8| Ipv4Addr::new(192, 0, 2, last + host);
            router.addresses.push((wire, Ipv4Net::new_assert(address(1), 30)));
            router.neighbours.push((wire, address(2), side.next_hop));
            let routes = side.prefixes.into_iter().map(|prefix| (prefix, address(2)));
            router.routes.extend(routes);
        }
        router
    }
}

/// Source NAT of what leaves by one wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    /// Sources that are translated.
    pub inside: Ipv4Net,
    /// The first and the last address that they get; the interface's own without (masquerade).
    pub pool: Option<(Ipv4Addr, Ipv4Addr)>,
    /// The wire.
    pub out: usize,
    /// Sessions that there will be at most: conntrack gets room for twice as many.
    pub sessions: u32,
}

/// The kernel, forwarding.
#[derive(Debug)]
pub struct Kernel {
    netns: Netns,
    ends: Vec<Interface>,
    threads: Vec<(String, u32)>,
    intake: DropMeter,
    nat: bool,
    notes: Vec<String>,
    // Restores the host's limits when it goes.
    _limits: Option<conntrack::Limits>,
}

impl Kernel {
    /// Makes the site's device namespace a router.
    ///
    /// # Errors
    /// When the wires are no veth pairs, the kernel refuses a route, or nft is missing or refuses
    /// the rules.
    pub fn start(site: &Site, router: &Router) -> Result<Self, MediumError> {
        let ends = site.device_ends().to_vec();
        if ends.is_empty() {
            return Err(MediumError::refused(
                "the kernel forwards between veth pairs alone: on TAP devices it stands at the \
                 tester's end; choose the veth medium",
            ));
        }
        let netns = site.device_netns().clone();
        for (end, wire) in ends.iter().zip(&site.plan().wires) {
            if let Some(mac) = wire.device_mac {
                end.set_mac(mac)?;
            }
        }
        for (wire, address) in &router.addresses {
            ends[*wire].add_address(*address)?;
        }
        netns.make_router()?;
        for key in ["send_redirects", "accept_redirects"] {
            netns.sysctl_all("ipv4", key, "0")?;
        }
        for (wire, end) in ends.iter().enumerate() {
            let own = router.neighbours.iter().filter(|(on, ..)| *on == wire);
            end.add_neighbours(own.map(|(_, address, mac)| (*address, *mac)))?;
        }
        let routes = router.routes.iter().map(|(prefix, via)| Route::via(*prefix, *via));
        netns.add_routes(routes)?;
        let mut notes = Vec::new();
        let mut limits = None;
        if let Some(nat) = &router.nat {
            nft::translate(&netns, nat, ends[nat.out].name())?;
            limits = conntrack::Limits::raise(&netns, nat.sessions, &mut notes)?;
        }
        Ok(Self {
            netns,
            ends,
            threads: site.threads.clone(),
            intake: site.intake_drops()?,
            nat: router.nat.is_some(),
            notes,
            _limits: limits,
        })
    }

    /// What a reader of its figures must know; whole sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Sessions in its table now.
    ///
    /// # Errors
    /// When it keeps none.
    pub fn sessions(&self) -> Result<u64, MediumError> {
        Ok(conntrack::count(&self.netns)?)
    }

    fn read(&self) -> Result<DeviceFrames, LabError> {
        let mut frames = DeviceFrames::default();
        for end in &self.ends {
            let own = end.counters()?;
            frames.received += own.rx_packets;
            frames.sent += own.tx_packets;
        }
        for (reason, count) in self.netns.run(ip_drops)? {
            note(&mut frames.dropped, reason, count);
        }
        if self.nat {
            note(&mut frames.dropped, "conntrack_drop", conntrack::drops(&self.netns)?);
        }
        let full = self.intake.total()?;
        frames.received += full;
        note(&mut frames.dropped, INPUT_FULL, full);
        Ok(frames)
    }
}

impl Device for Kernel {
    fn name(&self) -> &str {
        "kernel"
    }

    fn accounts(&mut self) -> std::io::Result<Option<DeviceFrames>> {
        self.read().map(Some).map_err(std::io::Error::other)
    }

    fn threads(&self) -> Vec<(String, u32)> {
        self.threads.clone()
    }

    fn reset(&mut self) -> std::io::Result<bool> {
        if self.nat {
            conntrack::flush(&self.netns).map_err(std::io::Error::other)?;
        }
        Ok(true)
    }
}

/// Counters of IP that mean that a packet went no further; the rest of `/proc/net/snmp` counts
/// packets that did, or the namespace's own.
const REASONS: [(&str, &str); 7] = [
    ("InHdrErrors", "ip_header_or_ttl"),
    ("InAddrErrors", "ip_address"),
    ("InUnknownProtos", "ip_unknown_protocol"),
    ("InDiscards", "ip_in_discard"),
    ("OutDiscards", "ip_out_discard"),
    ("OutNoRoutes", "ip_no_route"),
    ("FragFails", "ip_needs_fragments"),
];
/// The same of the `IpExt` line of `/proc/net/netstat`.
const EXTENDED: [(&str, &str); 2] =
    [("InNoRoutes", "ip_in_no_route"), ("InTruncatedPkts", "ip_truncated")];

fn ip_drops() -> Vec<(&'static str, u64)> {
    let read = |file| fs::read_to_string(format!("/proc/thread-self/net/{file}"));
    let of = |file, table, reasons: &[(&'static str, &'static str)]| {
        let values = table_of(&read(file).unwrap_or_default(), table);
        let found =
            reasons.iter().map(|(name, reason)| (*reason, values.get(*name).copied().unwrap_or(0)));
        found.collect::<Vec<_>>()
    };
    [of("snmp", "Ip", &REASONS), of("netstat", "IpExt", &EXTENDED)].concat()
}

/// One table of such a file: a line of names and a line of numbers.
fn table_of(text: &str, table: &str) -> BTreeMap<String, u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut next = || lines.by_ref().find(|(name, _)| *name == table).map(|(_, rest)| rest);
    let (Some(names), Some(values)) = (next(), next()) else { return BTreeMap::new() };
    let pairs = names.split_whitespace().zip(values.split_whitespace());
    pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_by_its_name() {
        let text = "Ip: Forwarding InDiscards\nIp: 1 17\nIcmp: InMsgs\nIcmp: 3\n";
        assert_eq!(table_of(text, "Ip").get("InDiscards"), Some(&17));
        assert_eq!(table_of(text, "Icmp").get("InMsgs"), Some(&3));
        assert!(table_of(text, "Udp").is_empty());
    }
}
