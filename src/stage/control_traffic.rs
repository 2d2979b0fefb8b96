//! Does a packet keep the link alive? ARP and ND, and BGP and BFD between the two ends of a link:
//! what a policer counts and does not drop. The same protocols between any others are plain
//! traffic, or everybody could call theirs so.
//!
//! Asked only of packets that a policer refused, hence of any that no stage has validated; changes
//! and ends nothing.

use zerocopy::FromBytes;

use crate::frame::Row;
use crate::tables::{Role, Tables};
use crate::wire::eth::ether_type;
use crate::wire::icmp6::kind;
use crate::wire::ip4::{Ip4Header, OFFSET};
use crate::wire::ip6::{self, Ip6Header};
use crate::wire::proto;

/// BGP (RFC 4271).
const BGP: u16 = 179;
/// BFD control for single hop (RFC 5881) and multihop (RFC 5883).
const BFD: [u16; 2] = [3784, 4784];

/// Whether `packet`, which begins behind all tags, is control traffic of its link.
#[cold]
pub fn is_control(tables: &Tables, row: &Row, packet: &[u8]) -> bool {
    match row.ether_type {
        ether_type::ARP => true,
        ether_type::IP4 => is_control4(tables, row, packet).unwrap_or(false),
        ether_type::IP6 => is_control6(packet).unwrap_or(false),
        _ => false,
    }
}

fn is_control4(tables: &Tables, row: &Row, packet: &[u8]) -> Option<bool> {
    let (ip, _) = Ip4Header::ref_from_prefix(packet).ok()?;
    let (src, dst) = (ip.src.get(), ip.dst.get());
    let on_link = match &tables.attachment(row.attachment).role {
        Role::CrossConnect(cross) => {
            let own = |(net, mask): &(u32, u32)| src & mask == *net && dst & mask == *net;
            cross.own_subnets.iter().any(own)
        }
        Role::Peering(side) => dst == side.address,
        Role::Subnet(_) | Role::Service(_) | Role::Closed => false,
    };
    let whole = ip.flags_fragment.get() & OFFSET == 0;
    Some(on_link && whole && has_control_ports(ip.proto, packet.get(ip.header_len()..)?)?)
}

/// IPv6 peerings have no addresses in the tables yet, so the hop limit tells who is on the link:
/// 255 in ND (RFC 4861) and BFD (RFC 5881 5), and 1 or 255 (RFC 5082) in BGP between neighbours.
fn is_control6(packet: &[u8]) -> Option<bool> {
    let (ip, _) = Ip6Header::ref_from_prefix(packet).ok()?;
    let upper = ip6::upper(packet)?;
    let behind = packet.get(upper.offset..)?;
    Some(match (upper.proto, ip.hop_limit) {
        (proto::ICMP6, 255) => {
            matches!(*behind.first()?, kind::ROUTER_SOLICITATION..=kind::REDIRECT)
        }
        (proto::UDP, 255) | (proto::TCP, 1 | 255) => has_control_ports(upper.proto, behind)?,
        _ => false,
    })
}

fn has_control_ports(protocol: u8, l4: &[u8]) -> Option<bool> {
    let port = |at: usize| Some(u16::from_be_bytes([*l4.get(at)?, *l4.get(at + 1)?]));
    Some(match protocol {
        proto::TCP => port(0)? == BGP || port(2)? == BGP,
        proto::UDP => BFD.contains(&port(2)?),
        _ => false,
    })
}
