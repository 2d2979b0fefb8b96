//! Where ARP is spoken: our addresses on one attachment, and which addresses lie beyond it.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::ids::AttachmentId;
use crate::wire::eth::MacAddr;

/// One place where ARP is spoken. No address is answered for but our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The attachment.
    pub id: AttachmentId,
    /// Our MAC address there.
    pub mac: MacAddr,
    /// Our addresses there; requests for them are answered.
    pub addresses: Vec<Ipv4Addr>,
    /// The subnets whose hosts are neighbours there.
    pub on_link: Vec<Ipv4Net>,
}

impl Interface {
    /// Whether `ip` is one of ours.
    pub(super) fn is_ours(&self, ip: Ipv4Addr) -> bool {
        self.addresses.contains(&ip)
    }

    /// Whether `ip` can be a neighbour here: in a subnet, and neither its network nor its
    /// broadcast address (which subnets of 31 and 32 bits do not have, RFC 3021).
    pub(super) fn can_be_neighbour(&self, ip: Ipv4Addr) -> bool {
        let is_host = |net: &Ipv4Net| {
            net.prefix_len() >= 31 || (ip != net.network() && ip != net.broadcast())
        };
        !self.is_ours(ip) && self.on_link.iter().any(|net| net.contains(&ip) && is_host(net))
    }

    /// The address that asks for `target`: ours in the same subnet, else our first. An interface
    /// without addresses asks as 0.0.0.0 (RFC 5227 2.1.1).
    pub(super) fn asks_as(&self, target: Ipv4Addr) -> Ipv4Addr {
        let subnet = self.on_link.iter().filter(|net| net.contains(&target));
        let in_subnet = subnet
            .max_by_key(|net| net.prefix_len())
            .and_then(|net| self.addresses.iter().find(|ours| net.contains(*ours)));
        in_subnet.or(self.addresses.first()).copied().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_has_hosts_between_its_first_and_last_address() {
        let interface = Interface {
            id: AttachmentId(1),
            mac: MacAddr([2; 6]),
            addresses: vec![Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 9, 0, 1)],
            on_link: vec!["10.0.0.0/30".parse().unwrap(), "10.9.0.0/31".parse().unwrap()],
        };
        let hosts: Vec<_> = (0..5).map(|i| Ipv4Addr::new(10, 0, 0, i)).collect();
        let can: Vec<_> = hosts.iter().map(|&ip| interface.can_be_neighbour(ip)).collect();
        assert_eq!(can, [false, true, false, false, false]);
        assert!(interface.can_be_neighbour(Ipv4Addr::new(10, 9, 0, 0)));
        assert_eq!(interface.asks_as(Ipv4Addr::new(10, 9, 0, 0)), Ipv4Addr::new(10, 9, 0, 1));
        assert_eq!(interface.asks_as(Ipv4Addr::new(10, 0, 0, 1)), Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(interface.asks_as(Ipv4Addr::new(8, 8, 8, 8)), Ipv4Addr::new(10, 0, 0, 2));
    }
}
