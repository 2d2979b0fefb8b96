//! A frame as one line, much as tcpdump prints it: for failing tests, `dissect` and people.
//!
//! ```text
//! SRC > DST s-tag 1001 c-tag 200 IP 10.0.0.1.1025 > 192.0.2.7.80: TCP [S] seq 9 … (ttl 64 id 7 DF)
//! ```
//!
//! Any bytes give a line: what cannot be read stands in square brackets, and so does a checksum
//! that is wrong, or partial, or (UDP) none. An ICMP error shows the packet it quotes in braces.

use std::fmt::{self, Display, Formatter};
use std::net::Ipv4Addr;

use zerocopy::FromBytes;

use super::arp::{self, ArpPacket};
use super::eth::{EthHeader, ether_type};
use super::icmp4::{self, Icmp4Header};
use super::icmp6;
use super::ip4::{self, Ip4Header};
use super::ip6::{self, Ip6Header};
use super::tcp::{self, TcpHeader};
use super::udp::{self, UdpHeader};
use super::vlan::{self, Tag};
use super::{checksum, proto};

/// Shows a frame, from its Ethernet header, as one line.
///
/// ```
/// use thruway::wire::{build, eth::MacAddr, show};
///
/// let [a, b] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
/// assert_eq!(
///     show(&build::arp(1, a, [10, 0, 0, 1], MacAddr::ZERO, [10, 0, 0, 2]).build()),
///     "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff ARP who has 10.0.0.2 tell 10.0.0.1"
/// );
/// assert_eq!(
///     show(&build::arp(2, b, [10, 0, 0, 2], a, [10, 0, 0, 1]).build()),
///     "02:00:00:00:00:02 > 02:00:00:00:00:01 ARP 10.0.0.2 is at 02:00:00:00:00:02"
/// );
/// ```
pub fn show(frame: &[u8]) -> String {
    Show(frame).to_string()
}

/// A frame that is shown as one line where it is formatted.
#[derive(Clone, Copy)]
pub struct Show<'a>(pub &'a [u8]);

impl fmt::Debug for Show<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl Display for Show<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Ok((header, _)) = EthHeader::ref_from_prefix(self.0) else {
            return write!(f, "[{} bytes: short frame]", self.0.len());
        };
        write!(f, "{} > {}", header.src, header.dst)?;
        let Some(tags) = vlan::read_tags(self.0) else { return f.write_str(" [short tag]") };
        let names = if tags.len() == 1 { &["c-tag"][..] } else { &["s-tag", "c-tag", "tag"] };
        for (tag, name) in tags.tags().iter().zip(names) {
            show_tag(f, name, *tag)?;
        }
        let payload = &self.0[tags.payload()..];
        match tags.ether_type {
            ether_type::IP4 => show_ip4(f, payload, Depth::Frame),
            ether_type::IP6 => show_ip6(f, payload, Depth::Frame),
            ether_type::ARP => show_arp(f, payload),
            other => write!(f, " type 0x{other:04x} len {}", payload.len()),
        }
    }
}

/// Whether a packet is the frame's own or one that it quotes, which may be cut off anywhere and
/// whose checksums say nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Frame,
    Quoted,
}

/// What a transport's line needs to know of the IP packet around it.
struct Carrier<'a> {
    depth: Depth,
    src: &'a dyn Display,
    dst: &'a dyn Display,
    /// The pseudo-header's sum; `None` when the bytes are not all there to check.
    pseudo_header: Option<u64>,
}

fn show_tag(f: &mut Formatter<'_>, name: &str, tag: Tag) -> fmt::Result {
    write!(f, " {name} {}", tag.vid())?;
    if tag.tpid != ether_type::VLAN {
        write!(f, "/{:04x}", tag.tpid)?;
    }
    match tag.tci >> 12 {
        0 => Ok(()),
        bits if bits & 1 != 0 => write!(f, " p{} dei", tag.pcp()),
        _ => write!(f, " p{}", tag.pcp()),
    }
}

fn show_arp(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let Ok((packet, _)) = ArpPacket::ref_from_prefix(bytes) else {
        return f.write_str(" ARP [short]");
    };
    if !packet.is_ip4_over_ethernet() {
        return f.write_str(" ARP [not IPv4 over Ethernet]");
    }
    let [sender, target] = [packet.sender, packet.target].map(|a| Ipv4Addr::from_bits(a.get()));
    match packet.operation.get() {
        arp::REQUEST => write!(f, " ARP who has {target} tell {sender}"),
        arp::REPLY => write!(f, " ARP {sender} is at {}", packet.sender_mac),
        other => write!(f, " ARP operation {other} from {sender} to {target}"),
    }
}

fn show_ip4(f: &mut Formatter<'_>, bytes: &[u8], depth: Depth) -> fmt::Result {
    let Ok((header, _)) = Ip4Header::ref_from_prefix(bytes) else {
        return f.write_str(" IP [short]");
    };
    if header.version() != 4 {
        return write!(f, " IP [version {}]", header.version());
    }
    let header_len = header.header_len();
    let total_len = usize::from(header.total_len.get());
    let (src, dst) = (header.src.get(), header.dst.get());
    let (src_text, dst_text) = (Ipv4Addr::from_bits(src), Ipv4Addr::from_bits(dst));
    f.write_str(" IP ")?;
    if header_len < ip4::HEADER || total_len < header_len {
        return write!(
            f,
            "{src_text} > {dst_text}: [header length {header_len}, total length {total_len}]"
        );
    }
    let payload = bytes.get(header_len..total_len.min(bytes.len())).unwrap_or_default();
    let whole = depth == Depth::Frame && total_len <= bytes.len() && !header.is_fragment();
    let sum = checksum::pseudo_header(src, dst, header.proto, 0) + payload.len() as u64;
    let carrier =
        Carrier { depth, src: &src_text, dst: &dst_text, pseudo_header: whole.then_some(sum) };
    if header.fragment_offset() == 0 {
        show_payload(f, header.proto, payload, &carrier)?;
    } else {
        let len = payload.len();
        write!(f, "{src_text} > {dst_text}: {} fragment len {len}", Proto(header.proto))?;
    }
    show_ip4_facts(f, header)?;
    if depth == Depth::Frame {
        if total_len > bytes.len() {
            write!(f, " [total length {total_len} of {}]", bytes.len())?;
        }
        if bytes.get(..header_len).is_some_and(|header| checksum::of(header) != 0) {
            f.write_str(" [bad ip cksum]")?;
        }
        show_padding(f, bytes.len().saturating_sub(total_len))?;
    }
    Ok(())
}

/// The IPv4 header's fields that are worth a look, in parentheses.
fn show_ip4_facts(f: &mut Formatter<'_>, header: &Ip4Header) -> fmt::Result {
    let bits = header.flags_fragment.get();
    write!(f, " (ttl {} id {}", header.ttl, header.id)?;
    if header.tos != 0 {
        write!(f, " tos 0x{:02x}", header.tos)?;
    }
    if bits & ip4::DF != 0 {
        f.write_str(" DF")?;
    }
    if header.is_fragment() {
        let more = if bits & ip4::MF != 0 { "+" } else { "" };
        write!(f, " frag {}{more}", header.fragment_offset())?;
    }
    if header.header_len() > ip4::HEADER {
        write!(f, " options {}", header.header_len() - ip4::HEADER)?;
    }
    f.write_str(")")
}

fn show_ip6(f: &mut Formatter<'_>, bytes: &[u8], depth: Depth) -> fmt::Result {
    let Ok((header, behind)) = Ip6Header::ref_from_prefix(bytes) else {
        return f.write_str(" IP6 [short]");
    };
    if header.version() != 6 {
        return write!(f, " IP6 [version {}]", header.version());
    }
    let (src, dst) = (header.source(), header.destination());
    f.write_str(" IP6 ")?;
    let size = usize::from(header.payload_len.get());
    let end = ip6::HEADER + size.min(behind.len());
    match ip6::upper(&bytes[..end]) {
        None => write!(f, "{src} > {dst}: [short extension header]")?,
        Some(upper) => {
            let payload = &bytes[upper.offset..end];
            let fragment = upper.fragment.as_ref();
            if fragment.is_some_and(|fragment| fragment.offset() != 0) {
                write!(f, "{src} > {dst}: {} fragment len {}", Proto(upper.proto), payload.len())?;
            } else {
                let whole = depth == Depth::Frame && size <= behind.len() && fragment.is_none();
                let sum = ip6::pseudo_header(&header.src, &header.dst, upper.proto, 0)
                    + payload.len() as u64;
                let pseudo_header = whole.then_some(sum);
                let carrier = Carrier { depth, src: &src, dst: &dst, pseudo_header };
                show_payload(f, upper.proto, payload, &carrier)?;
            }
            write!(f, " (hlim {}", header.hop_limit)?;
            if let Some(fragment) = fragment {
                let more = if fragment.more() { "+" } else { "" };
                write!(f, " id {} frag {}{more}", fragment.id, fragment.offset())?;
            }
            f.write_str(")")?;
        }
    }
    if depth == Depth::Frame {
        if size > behind.len() {
            write!(f, " [payload length {size} of {}]", behind.len())?;
        }
        show_padding(f, behind.len().saturating_sub(size))?;
    }
    Ok(())
}

fn show_padding(f: &mut Formatter<'_>, size: usize) -> fmt::Result {
    if size == 0 { Ok(()) } else { write!(f, " pad {size}") }
}

fn show_payload(f: &mut Formatter<'_>, number: u8, bytes: &[u8], ip: &Carrier<'_>) -> fmt::Result {
    match number {
        proto::TCP => show_tcp(f, bytes, ip),
        proto::UDP => show_udp(f, bytes, ip),
        proto::ICMP => show_icmp4(f, bytes, ip),
        proto::ICMP6 => show_icmp6(f, bytes, ip),
        _ => write!(f, "{} > {}: {} len {}", ip.src, ip.dst, Proto(number), bytes.len()),
    }
}

fn show_tcp(f: &mut Formatter<'_>, bytes: &[u8], ip: &Carrier<'_>) -> fmt::Result {
    let Ok((header, _)) = TcpHeader::ref_from_prefix(bytes) else {
        return show_short(f, "TCP", bytes, ip);
    };
    write!(f, "{}.{} > {}.{}: TCP [", ip.src, header.src, ip.dst, header.dst)?;
    let names = "FSRP.UEW".chars().enumerate().filter(|(bit, _)| header.flags & 1 << bit != 0);
    names.map(|(_, name)| name).try_for_each(|name| write!(f, "{name}"))?;
    write!(f, "] seq {}", header.seq)?;
    if header.flags & tcp::flag::ACK != 0 {
        write!(f, " ack {}", header.ack)?;
    }
    write!(f, " win {}", header.window)?;
    match bytes.len().checked_sub(header.header_len()) {
        Some(len) if header.header_len() >= tcp::HEADER => write!(f, " len {len}")?,
        _ => write!(f, " [header length {}]", header.header_len())?,
    }
    if header.header_len() > tcp::HEADER {
        write!(f, " options {}", header.header_len() - tcp::HEADER)?;
    }
    show_checksum(f, bytes, header.checksum.get(), ip.pseudo_header)
}

fn show_udp(f: &mut Formatter<'_>, bytes: &[u8], ip: &Carrier<'_>) -> fmt::Result {
    let Ok((header, payload)) = UdpHeader::ref_from_prefix(bytes) else {
        return show_short(f, "UDP", bytes, ip);
    };
    write!(f, "{}.{} > {}.{}: UDP", ip.src, header.src, ip.dst, header.dst)?;
    let len = usize::from(header.len.get());
    match len.checked_sub(udp::HEADER) {
        Some(data) if data == payload.len() || ip.pseudo_header.is_none() => {
            write!(f, " len {data}")?;
        }
        _ => write!(f, " [length {len} of {}]", bytes.len())?,
    }
    match header.checksum.get() {
        0 => f.write_str(" [no cksum]"),
        field => show_checksum(f, bytes, field, ip.pseudo_header),
    }
}

fn show_icmp4(f: &mut Formatter<'_>, bytes: &[u8], ip: &Carrier<'_>) -> fmt::Result {
    use icmp4::{kind, unreachable};
    let Ok((header, quoted)) = Icmp4Header::ref_from_prefix(bytes) else {
        return show_short(f, "ICMP", bytes, ip);
    };
    write!(f, "{} > {}: ICMP ", ip.src, ip.dst)?;
    match (header.kind, header.code) {
        (kind::ECHO_REQUEST, 0) => f.write_str("echo request")?,
        (kind::ECHO_REPLY, 0) => f.write_str("echo reply")?,
        (kind::TIME_EXCEEDED, 0) => f.write_str("time exceeded")?,
        (kind::UNREACHABLE, unreachable::NET) => f.write_str("net unreachable")?,
        (kind::UNREACHABLE, unreachable::HOST) => f.write_str("host unreachable")?,
        (kind::UNREACHABLE, unreachable::PROTOCOL) => f.write_str("protocol unreachable")?,
        (kind::UNREACHABLE, unreachable::PORT) => f.write_str("port unreachable")?,
        (kind::UNREACHABLE, unreachable::FRAGMENTATION_NEEDED) => {
            write!(f, "fragmentation needed mtu {}", header.seq)?;
        }
        (kind::UNREACHABLE, unreachable::ADMIN_PROHIBITED) => f.write_str("admin prohibited")?,
        (kind, code) => write!(f, "type {kind} code {code}")?,
    }
    if icmp4::is_query(header.kind) {
        write!(f, " id {} seq {} len {}", header.id, header.seq, quoted.len())?;
    }
    if icmp4::is_error(header.kind) {
        show_quoted(f, ip, |f| show_ip4(f, quoted, Depth::Quoted))?;
    }
    show_checksum(f, bytes, header.checksum.get(), ip.pseudo_header.map(|_| 0))
}

fn show_icmp6(f: &mut Formatter<'_>, bytes: &[u8], ip: &Carrier<'_>) -> fmt::Result {
    use icmp6::kind;
    let Ok((header, behind)) = icmp6::Icmp6Header::ref_from_prefix(bytes) else {
        return show_short(f, "ICMP6", bytes, ip);
    };
    write!(f, "{} > {}: ICMP6 ", ip.src, ip.dst)?;
    let neighbour = icmp6::NeighbourMessage::ref_from_prefix(bytes);
    let target = neighbour.map(|(m, _)| std::net::Ipv6Addr::from_octets(m.target));
    match (header.kind, target) {
        (kind::NEIGHBOUR_SOLICITATION, Ok(target)) => write!(f, "who has {target}")?,
        (kind::NEIGHBOUR_ADVERTISEMENT, Ok(target)) => write!(f, "{target} is here")?,
        (kind::ECHO_REQUEST, _) => write!(f, "echo request id {} seq {}", header.id, header.seq)?,
        (kind::ECHO_REPLY, _) => write!(f, "echo reply id {} seq {}", header.id, header.seq)?,
        (kind::PACKET_TOO_BIG, _) => {
            let mtu = u32::from(header.id.get()) << 16 | u32::from(header.seq.get());
            write!(f, "packet too big mtu {mtu}")?;
        }
        (kind::UNREACHABLE, _) => write!(f, "unreachable code {}", header.code)?,
        (kind::TIME_EXCEEDED, _) => f.write_str("time exceeded")?,
        (kind, _) => write!(f, "type {kind} code {}", header.code)?,
    }
    if icmp6::is_error(header.kind) {
        show_quoted(f, ip, |f| show_ip6(f, behind, Depth::Quoted))?;
    }
    show_checksum(f, bytes, header.checksum.get(), ip.pseudo_header)
}

/// Shows a quoted packet; what a quoted packet quotes itself is left out.
fn show_quoted(
    f: &mut Formatter<'_>,
    ip: &Carrier<'_>,
    quoted: impl FnOnce(&mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    if ip.depth == Depth::Quoted {
        return Ok(());
    }
    f.write_str(" {")?;
    quoted(f)?;
    f.write_str(" }")
}

fn show_short(f: &mut Formatter<'_>, name: &str, bytes: &[u8], ip: &Carrier<'_>) -> fmt::Result {
    write!(f, "{} > {}: {name} [short: {} bytes]", ip.src, ip.dst, bytes.len())
}

fn show_checksum(
    f: &mut Formatter<'_>,
    bytes: &[u8],
    field: u16,
    pseudo_header: Option<u64>,
) -> fmt::Result {
    let Some(sum) = pseudo_header else { return Ok(()) };
    if checksum::fold(checksum::add(sum, bytes)) == 0xffff {
        Ok(())
    } else if sum != 0 && checksum::fold(sum) == field {
        f.write_str(" [partial cksum]")
    } else {
        f.write_str(" [bad cksum]")
    }
}

/// A protocol by its name where it has one here.
struct Proto(u8);

impl Display for Proto {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            proto::ICMP => f.write_str("ICMP"),
            proto::TCP => f.write_str("TCP"),
            proto::UDP => f.write_str("UDP"),
            proto::ICMP6 => f.write_str("ICMP6"),
            number => write!(f, "proto {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{Framed, Packet, TcpFields, arp};
    use super::super::eth::MacAddr;
    use super::super::vlan::TagStack;
    use super::*;

    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn ip4() -> super::super::build::Ip4 {
        Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2])
    }

    /// The line without its MAC addresses.
    fn line(packet: &Packet) -> String {
        let line = show(&packet.eth(A, B).build());
        line.strip_prefix("02:00:00:00:00:01 > 02:00:00:00:00:02 ").unwrap().to_string()
    }

    #[test]
    fn tags_have_their_names() {
        let frame = |tags| show(&ip4().udp(1, 2, b"").eth(A, B).tags(tags).build());
        assert!(frame(TagStack::single(200)).contains(" c-tag 200 IP "));
        assert!(frame(TagStack::double(1001, 200)).contains(" s-tag 1001 c-tag 200 IP "));
        let frame = ip4().udp(1, 2, b"").eth(A, B).tag(0x88a8, 0xb001).tag(0x8100, 0x6002);
        assert!(show(&frame.clone().build()).contains(" s-tag 1/88a8 p5 dei c-tag 2 p3 IP "));
        let three = show(&frame.tag(0x8100, 3).build());
        assert!(three.contains(" s-tag 1/88a8 p5 dei c-tag 2 p3 tag 3 IP "), "{three}");
    }

    #[test]
    fn wrong_fields_stand_in_brackets() {
        let udp = |ip: super::super::build::Ip4| ip.udp(1, 2, b"four");
        let good = "IP 10.0.0.1.1 > 10.0.0.2.2: UDP len 4 (ttl 64 id 0)";
        assert_eq!(line(&udp(ip4())), good);
        assert_eq!(line(&udp(ip4().bad_ip_checksum())), format!("{good} [bad ip cksum]"));
        assert_eq!(line(&udp(ip4().total_len(40))), format!("{good} [total length 40 of 32]"));
        assert_eq!(
            line(&udp(ip4().total_len(30))),
            "IP 10.0.0.1.1 > 10.0.0.2.2: UDP [length 12 of 10] [bad cksum] (ttl 64 id 0) pad 2"
        );
        assert!(line(&udp(ip4()).bad_l4_checksum()).contains(" len 4 [bad cksum]"));
        assert!(line(&udp(ip4()).partial_checksum()).contains(" len 4 [partial cksum]"));
        assert!(line(&udp(ip4()).l4_checksum(0)).contains(" len 4 [no cksum]"));
        assert_eq!(
            line(&udp(ip4().version_ihl(0x42))),
            "IP 10.0.0.1 > 10.0.0.2: [header length 8, total length 32]"
        );
    }

    #[test]
    fn fragments_and_options_are_told() {
        let options = [0x94, 4, 0, 0];
        let packet = ip4().id(7).ttl(1).tos(0x2e).options(&options).udp(1, 2, &[0; 20]);
        let lines: Vec<_> = packet.fragments(16).iter().map(line).collect();
        assert_eq!(
            lines,
            [
                "IP 10.0.0.1.1 > 10.0.0.2.2: UDP len 20 (ttl 1 id 7 tos 0x2e frag 0+ options 4)",
                "IP 10.0.0.1 > 10.0.0.2: UDP fragment len 12 (ttl 1 id 7 tos 0x2e frag 16 options 4)",
            ]
        );
    }

    #[test]
    fn an_icmp_error_shows_the_packet_it_quotes() {
        let quoted = Packet::ip4([10, 0, 0, 2], [10, 0, 0, 1])
            .df()
            .tcp(TcpFields { src: 80, dst: 1025, seq: 9, ..TcpFields::default() }, &[0; 100])
            .build();
        assert_eq!(
            line(&ip4().icmp_error(3, 4, 1400, &quoted[..40])),
            "IP 10.0.0.1 > 10.0.0.2: ICMP fragmentation needed mtu 1400 \
             { IP 10.0.0.2.80 > 10.0.0.1.1025: TCP [.] seq 9 ack 0 win 65535 len 0 (ttl 64 id 0 DF) } \
             (ttl 64 id 0)"
        );
        assert_eq!(
            line(&ip4().icmp_error(11, 0, 0, &quoted[..28])),
            "IP 10.0.0.1 > 10.0.0.2: ICMP time exceeded \
             { IP 10.0.0.2 > 10.0.0.1: TCP [short: 8 bytes] (ttl 64 id 0 DF) } (ttl 64 id 0)"
        );
        assert_eq!(
            line(&ip4().icmp_echo(8, 7, 1, b"ping")),
            "IP 10.0.0.1 > 10.0.0.2: ICMP echo request id 7 seq 1 len 4 (ttl 64 id 0)"
        );
    }

    #[test]
    fn ip6_has_its_basics() {
        let ip = || Packet::ip6([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0; 16]);
        assert_eq!(
            line(&ip().udp(1, 2, b"x").bad_l4_checksum()),
            "IP6 fe80::1.1 > ::.2: UDP len 1 [bad cksum] (hlim 64)"
        );
        let target = [&[0; 15][..], &[9]].concat();
        assert_eq!(
            line(&ip().hop_limit(255).icmp_error(135, 0, 0, &target)),
            "IP6 fe80::1 > ::: ICMP6 who has ::9 (hlim 255)"
        );
        assert_eq!(
            line(&ip().extension(44, &[0, 0, 0, 8, 0, 0, 0, 5]).raw(17, b"rest")),
            "IP6 fe80::1 > ::: UDP fragment len 4 (hlim 64 id 5 frag 8)"
        );
    }

    #[test]
    fn what_is_cut_off_is_said_to_be_short() {
        let udp = ip4().udp(1, 2, b"four").eth(A, B).tags(TagStack::single(1));
        let cut = |size| show(&udp.clone().truncate(size).build());
        assert_eq!(cut(13), "[13 bytes: short frame]");
        assert!(cut(17).ends_with("[short tag]"));
        assert!(cut(37).ends_with("IP [short]"));
        assert!(cut(45).ends_with("UDP [short: 7 bytes] (ttl 64 id 0) [total length 32 of 27]"));
        assert!(show(&arp(1, A, [1; 4], B, [2; 4]).truncate(41).build()).ends_with("ARP [short]"));
        let other = show(&Framed::new(A, B, 0x88cc, b"lldp").build());
        assert!(other.ends_with(" type 0x88cc len 4"));
    }
}
