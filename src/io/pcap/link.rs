//! Which Ethernet frame would have carried this? Makes frames of packets from links that have no
//! Ethernet header, so that captures of tunnels, loopback and "any" interfaces can be read.
//!
//! The link's own header gives way to an Ethernet header with two made-up, locally administered MAC
//! addresses ([`SOURCE`], [`DESTINATION`]); everything behind it stays as it was. A packet whose link
//! has no known way to an EtherType becomes no frame: it is skipped, and counted by the link's name.
//!
//! Numbers and formats are those of <https://www.tcpdump.org/linktypes.html>.

use std::fmt;

use crate::wire::eth::{self, MacAddr, ether_type};

/// Source of a frame that was made here.
pub const SOURCE: MacAddr = MacAddr([0x02, 0x74, 0x77, 0, 0, 0x01]);
/// Destination of a frame that was made here.
pub const DESTINATION: MacAddr = MacAddr([0x02, 0x74, 0x77, 0, 0, 0x02]);

/// The least number that is an EtherType; below it the field is a length (IEEE 802.3 3.2.6).
const LEAST_ETHER_TYPE: u16 = 0x0600;

/// ARP hardware types of "cooked" captures whose protocol field is no EtherType: IEEE 802.11 with
/// its variants, frame relay, netlink (the link types' page, Linux's `if_arp.h`).
const NO_ETHER_TYPE: [u16; 6] = [770, 801, 802, 803, 804, 824];

/// A link-layer header type, as captures number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub u16);

impl Link {
    /// BSD's loopback: an address family in the byte order of the host.
    pub const NULL: Link = Link(0);
    /// Ethernet.
    pub const ETHERNET: Link = Link(1);
    /// OpenBSD's loopback: an address family in network byte order.
    pub const LOOP: Link = Link(108);
    /// IPv4 or IPv6 without anything in front.
    pub const RAW: Link = Link(101);
    /// What some systems wrote for [`Link::RAW`].
    pub const RAW_OTHERS: [Link; 2] = [Link(12), Link(14)];
    /// Linux's "cooked" capture.
    pub const LINUX_SLL: Link = Link(113);
    /// IPv4 without anything in front.
    pub const IPV4: Link = Link(228);
    /// IPv6 without anything in front.
    pub const IPV6: Link = Link(229);
    /// Linux's "cooked" capture, second version.
    pub const LINUX_SLL2: Link = Link(276);

    /// The link type of a pcap file's header, whose upper half says other things.
    pub(super) fn of_header(field: u32) -> Self {
        let [low, high, ..] = field.to_le_bytes();
        Self(u16::from_le_bytes([low, high]))
    }

    /// Its name in words, where it has a common one.
    const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "BSD loopback",
            1 => "Ethernet",
            3 => "AX.25",
            6 => "token ring",
            7 => "ARCNET",
            8 => "SLIP",
            9 => "PPP",
            10 => "FDDI",
            12 | 14 | 101 => "raw IP",
            50 => "PPP over HDLC",
            51 => "PPPoE without Ethernet",
            11 | 100 => "ATM (RFC 2684)",
            104 => "Cisco HDLC",
            105 => "IEEE 802.11",
            19 | 106 => "Linux classical IP over ATM",
            107 => "frame relay",
            108 => "OpenBSD loopback",
            113 => "Linux cooked",
            114 => "LocalTalk",
            117 => "OpenBSD pflog",
            119 => "IEEE 802.11 with Prism header",
            122 => "IP over Fibre Channel",
            123 => "SunATM",
            127 => "IEEE 802.11 with radiotap",
            129 => "ARCNET of Linux",
            130..=137 | 178..=183 | 194 | 200 | 238 => "Juniper's own",
            138 => "IP over IEEE 1394",
            139..=141 => "SS7",
            143 => "DOCSIS",
            144 => "Linux IrDA",
            147..=162 => "private use",
            163 => "IEEE 802.11 with AVS header",
            165 => "BACnet MS/TP",
            166 => "pppd with direction",
            169 => "GPRS LLC",
            187 | 201 | 251 | 254 | 255 => "Bluetooth",
            189 | 220 | 249 => "USB",
            192 => "PPI",
            195 | 215 | 230 | 283 => "IEEE 802.15.4",
            197 => "ERF",
            204 => "PPP with direction",
            205 => "Cisco HDLC with direction",
            206 => "frame relay with direction",
            219 | 223 | 224 => "DVB-CI or MPEG",
            226 => "Solaris IPNET",
            227 => "CAN",
            228 => "raw IPv4",
            229 => "raw IPv6",
            231 => "D-Bus",
            239 => "Linux NFLOG",
            242 | 247 | 250 | 258 | 266 | 274 => "a field bus",
            253 => "Linux netlink",
            271 => "Linux vsock",
            276 => "Linux cooked, version 2",
            281 | 282 | 284 | 285 => "Ethernet with a switch's tag",
            _ => return None,
        })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "link type {}", self.0),
        }
    }
}

/// Puts an Ethernet header in place of the link's own; the bytes that the link's own had, or `None`
/// when it cannot be said what the packet carries, and `bytes` stay as they are.
pub(super) fn to_ethernet(link: Link, bytes: &mut Vec<u8>) -> Option<usize> {
    let (size, kind) = match link {
        Link::ETHERNET => return Some(eth::HEADER),
        Link::IPV4 => (0, ether_type::IP4),
        Link::IPV6 => (0, ether_type::IP6),
        Link::RAW => (0, version(bytes)?),
        raw if Link::RAW_OTHERS.contains(&raw) => (0, version(bytes)?),
        Link::NULL | Link::LOOP => (4, family(bytes)?),
        Link::LINUX_SLL => (16, cooked(word(bytes, 2)?, word(bytes, 14)?)?),
        Link::LINUX_SLL2 => (20, cooked(word(bytes, 8)?, word(bytes, 0)?)?),
        _ => return None,
    };
    if bytes.len() < size {
        return None;
    }
    let header = DESTINATION.0.into_iter().chain(SOURCE.0).chain(kind.to_be_bytes());
    bytes.splice(..size, header);
    Some(size)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// What the first four bits say.
fn version(bytes: &[u8]) -> Option<u16> {
    match bytes.first()? >> 4 {
        4 => Some(ether_type::IP4),
        6 => Some(ether_type::IP6),
        _ => None,
    }
}

/// The address family in front, in either byte order: a host of the other order may have written the
/// file. IPv4 is 2 everywhere; IPv6 is 10 on Linux, 24, 28 and 30 on the BSDs and macOS.
fn family(bytes: &[u8]) -> Option<u16> {
    let four: [u8; 4] = *bytes.first_chunk()?;
    match u32::from_be_bytes(four).min(u32::from_le_bytes(four)) {
        2 => Some(ether_type::IP4),
        10 | 24 | 28 | 30 => Some(ether_type::IP6),
        _ => None,
    }
}

/// The EtherType of a cooked packet, where its protocol field is one.
fn cooked(hardware: u16, protocol: u16) -> Option<u16> {
    let known = protocol >= LEAST_ETHER_TYPE && !NO_ETHER_TYPE.contains(&hardware);
    known.then_some(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of these bytes: the EtherType, the rest, and the size of the link's header.
    fn made(link: Link, bytes: &[u8]) -> Option<(u16, Vec<u8>, usize)> {
        let mut frame = bytes.to_vec();
        let Some(size) = to_ethernet(link, &mut frame) else {
            assert_eq!(frame, bytes);
            return None;
        };
        let macs = [0x02, 0x74, 0x77, 0, 0, 2, 0x02, 0x74, 0x77, 0, 0, 1];
        assert_eq!(frame[..12], macs);
        Some((u16::from_be_bytes([frame[12], frame[13]]), frame[14..].to_vec(), size))
    }

    #[test]
    fn raw_packets_say_their_version() {
        for link in [12, 14, 101].map(Link) {
            assert_eq!(made(link, &[0x45, 7]), Some((0x0800, vec![0x45, 7], 0)));
            assert_eq!(made(link, &[0x60, 7]), Some((0x86dd, vec![0x60, 7], 0)));
            assert_eq!(made(link, &[0x55, 7]), None);
            assert_eq!(made(link, &[]), None);
        }
        // The link's word counts, not the packet's.
        assert_eq!(made(Link(228), &[0x60]), Some((0x0800, vec![0x60], 0)));
        assert_eq!(made(Link(229), &[]), Some((0x86dd, vec![], 0)));
    }

    #[test]
    fn loopback_has_an_address_family_in_either_byte_order() {
        for (family, kind) in [(2, 0x0800), (10, 0x86dd), (24, 0x86dd), (28, 0x86dd), (30, 0x86dd)]
        {
            for link in [0, 108].map(Link) {
                let expected = Some((kind, vec![9], 4));
                assert_eq!(made(link, &[0, 0, 0, family, 9]), expected);
                assert_eq!(made(link, &[family, 0, 0, 0, 9]), expected);
            }
        }
        assert_eq!(made(Link(0), &[7, 0, 0, 0, 9]), None);
        assert_eq!(made(Link(0), &[2, 0, 0]), None);
    }

    #[test]
    fn cooked_packets_keep_their_protocol() {
        // To us, Ethernet, a six-byte address, ARP; then a byte of payload.
        let one = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 0x08, 0x06, 0xaa];
        assert_eq!(made(Link(113), &one), Some((0x0806, vec![0xaa], 16)));
        // IPv6, interface 3, loopback (772), from us, no address.
        let two = [0x86, 0xdd, 0, 0, 0, 0, 0, 3, 3, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbb];
        assert_eq!(made(Link(276), &two), Some((0x86dd, vec![0xbb], 20)));
        assert_eq!(made(Link(113), &one[..15]), None);
        assert_eq!(made(Link(276), &two[..19]), None);
        // IEEE 802.2 has no EtherType, and netlink (824) has a family there.
        let mut llc = one;
        llc[14..16].copy_from_slice(&[0, 4]);
        assert_eq!(made(Link(113), &llc), None);
        let mut netlink = one;
        netlink[2..4].copy_from_slice(&824_u16.to_be_bytes());
        assert_eq!(made(Link(113), &netlink), None);
    }

    #[test]
    fn ethernet_stays_as_it_is_and_others_have_names() {
        let mut bytes = vec![1, 2, 3];
        assert_eq!((to_ethernet(Link(1), &mut bytes), &bytes[..]), (Some(14), &[1, 2, 3][..]));
        assert_eq!(made(Link(105), &[0; 60]), None);
        assert_eq!(Link(105).to_string(), "IEEE 802.11 (105)");
        assert_eq!(Link(9999).to_string(), "link type 9999");
        // 0x1400_0001: frames with their check sequence (draft-ietf-opsawg-pcap).
        assert_eq!(Link::of_header(0x1400_0001), Link::ETHERNET);
    }
}
