//! Is this frame one of ours, and is it whole? Its headers are held against its bytes, and its
//! bytes against what was sent.
//!
//! A forwarder may rewrite addresses, ports, time to live and tags, so no header is compared with
//! the one that was sent: lengths must fit the frame, IPv4 header and UDP checksums are computed
//! again from nothing, and the probe says what every byte of the payload must be. Up to two VLAN
//! tags may stand before IPv4 or IPv6.

use zerocopy::FromBytes;

use crate::bench::traffic::probe::{self, Probe, ProbeError};
use crate::wire::checksum;
use crate::wire::eth::ether_type;
use crate::wire::ip4::{self, Ip4Header};
use crate::wire::ip6::{self, Ip6Header};
use crate::wire::proto::UDP;
use crate::wire::udp::UdpHeader;
use crate::wire::vlan::read_tags;

/// Bytes of the smallest frame with two tags, without check sequence: only up to here may padding
/// stand behind the IP packet.
const PADDED: usize = 68;
/// The most tags that a frame may carry.
const MOST_TAGS: usize = 2;

/// How closely the sink looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// At every length, checksum and byte.
    #[default]
    Full,
    /// At the payload alone: to see whether looking closely is what takes the time.
    Payload,
}

/// What the sink sees in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A whole frame with a probe.
    Whole(Probe),
    /// A broken frame.
    Corrupt,
    /// A frame that nothing says is ours: another protocol, or a payload without a probe.
    Foreign,
}

/// Looks at a frame, from its Ethernet header on. `is_ours` says whether a probe whose check
/// fails names a trial and a stream that are under way: such a payload is ours and broken.
#[inline]
pub fn look(frame: &[u8], check: Check, is_ours: impl Fn(&Probe) -> bool) -> Sight {
    let payload = match udp_payload(frame, check) {
        Ok(payload) => payload,
        Err(sight) => return sight,
    };
    match Probe::read(payload) {
        Ok(probe) => Sight::Whole(probe),
        Err((ProbeError::Filler, _)) => Sight::Corrupt,
        Err((ProbeError::NoProbe, probe)) if payload.len() >= probe::SIZE && is_ours(&probe) => {
            Sight::Corrupt
        }
        Err((ProbeError::NoProbe, _)) => Sight::Foreign,
    }
}

/// The payload of a UDP datagram whose headers hold.
#[inline]
fn udp_payload(frame: &[u8], check: Check) -> Result<&[u8], Sight> {
    let tags = read_tags(frame).ok_or(Sight::Foreign)?;
    if tags.len() > MOST_TAGS {
        return Err(Sight::Foreign);
    }
    let packet = &frame[tags.payload()..];
    let (datagram, pseudo) = match tags.ether_type {
        ether_type::IP4 => datagram4(packet, check)?,
        ether_type::IP6 => datagram6(packet)?,
        _ => return Err(Sight::Foreign),
    };
    let (header, payload) =
        UdpHeader::ref_from_prefix(datagram.bytes).map_err(|_| Sight::Corrupt)?;
    if check == Check::Full {
        let padding = packet.len() - datagram.end;
        let fits = usize::from(header.len.get()) == datagram.bytes.len()
            && (padding == 0 || frame.len() <= PADDED);
        // Every frame is sent with a checksum, so that none (0) is a wrong one. A right one makes
        // the sum all ones.
        let sums = header.checksum.get() != 0
            && checksum::fold(checksum::add(pseudo, datagram.bytes)) == 0xffff;
        if !(fits && sums) {
            return Err(Sight::Corrupt);
        }
    }
    Ok(payload)
}

/// What stands behind an IP header.
struct Datagram<'a> {
    bytes: &'a [u8],
    /// Where it ends in the packet.
    end: usize,
}

#[inline]
fn datagram4(packet: &[u8], check: Check) -> Result<(Datagram<'_>, u64), Sight> {
    let (header, _) = Ip4Header::ref_from_prefix(packet).map_err(|_| Sight::Corrupt)?;
    let (size, end) = (header.header_len(), usize::from(header.total_len.get()));
    if header.version() != 4 || size < ip4::HEADER || end < size || end > packet.len() {
        return Err(Sight::Corrupt);
    }
    if check == Check::Full && checksum::of(&packet[..size]) != 0 {
        return Err(Sight::Corrupt);
    }
    if header.proto != UDP {
        return Err(Sight::Foreign);
    }
    if header.is_fragment() {
        return Err(Sight::Corrupt);
    }
    let bytes = &packet[size..end];
    let len = u16::try_from(bytes.len()).map_err(|_| Sight::Corrupt)?;
    let (src, dst) = (header.src.get(), header.dst.get());
    Ok((Datagram { bytes, end }, checksum::pseudo_header(src, dst, UDP, len)))
}

#[inline]
fn datagram6(packet: &[u8]) -> Result<(Datagram<'_>, u64), Sight> {
    let (header, _) = Ip6Header::ref_from_prefix(packet).map_err(|_| Sight::Corrupt)?;
    let end = ip6::HEADER + usize::from(header.payload_len.get());
    if header.version() != 6 || end > packet.len() {
        return Err(Sight::Corrupt);
    }
    // Streams send no extension headers, so that whatever has one is somebody else's.
    if header.next_header != UDP {
        return Err(Sight::Foreign);
    }
    let bytes = &packet[ip6::HEADER..end];
    let len = u32::try_from(bytes.len()).map_err(|_| Sight::Corrupt)?;
    let pseudo = ip6::pseudo_header(&header.src, &header.dst, UDP, len);
    Ok((Datagram { bytes, end }, pseudo))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::wire::build::Packet;
    use crate::wire::eth::MacAddr;
    use crate::wire::vlan::TagStack;

    const PROBE: Probe = Probe { trial: 3, stream: 1, seq: 77, due_ns: 123_456 };
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn payload(size: usize) -> Vec<u8> {
        let mut payload = vec![0; size];
        PROBE.write(&mut payload);
        payload
    }

    /// Frames of our own, by the packet builder.
    fn frames(size: usize) -> Vec<Vec<u8>> {
        let four = Packet::ip4(Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 19, 0, 1));
        let six = Packet::ip6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        let packets = [four.udp(1024, 7, &payload(size)), six.udp(1024, 7, &payload(size))];
        let tags = [TagStack::UNTAGGED, TagStack::single(100), TagStack::double(200, 100)];
        let framed = packets.iter().map(|packet| packet.eth(MAC, MAC));
        framed.flat_map(|framed| tags.map(|tags| framed.clone().tags(tags).build())).collect()
    }

    fn full(frame: &[u8]) -> Sight {
        look(frame, Check::Full, |probe| (probe.trial, probe.stream) == (3, 1))
    }

    #[test]
    fn whole_frames_are_known_with_up_to_two_tags() {
        for size in [18, 19, 100, 1400] {
            for frame in frames(size) {
                assert_eq!(full(&frame), Sight::Whole(PROBE), "{} bytes", frame.len());
                assert_eq!(look(&frame, Check::Payload, |_| true), Sight::Whole(PROBE));
            }
        }
    }

    #[test]
    fn other_traffic_is_foreign() {
        let ours = || Packet::ip4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        let others = [
            vec![0; 5],
            ours().udp(1, 2, &[7; 40]).eth(MAC, MAC).build(),
            ours().udp(1, 2, &[]).eth(MAC, MAC).build(),
            ours().icmp_echo(8, 1, 1, &payload(40)).eth(MAC, MAC).build(),
        ];
        for frame in others {
            assert_eq!(full(&frame), Sight::Foreign, "{}", crate::wire::show::show(&frame));
        }
        let tagged = ours().udp(1, 2, &payload(40)).eth(MAC, MAC).tags(TagStack::double(1, 2));
        let tagged = tagged.tag(0x8100, 3).build();
        assert_eq!(full(&tagged), Sight::Foreign);
    }

    #[test]
    fn no_checksum_is_corrupt_even_where_the_sum_is_right_without_it() {
        let packet = |port| {
            let ip = Packet::ip4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
            ip.udp(port, 2, &payload(40)).eth(MAC, MAC).build()
        };
        // RFC 768: a checksum of 0 is sent as all ones.
        let mut frame = (0..=u16::MAX).map(packet).find(|frame| frame[40..42] == [0xff; 2]);
        let frame = frame.as_mut().expect("one of all ports has it");
        assert_eq!(full(frame), Sight::Whole(PROBE));
        frame[40..42].fill(0);
        assert_eq!(full(frame), Sight::Corrupt);
    }

    #[test]
    fn bytes_behind_the_packet_are_padding_only_in_the_smallest_frames() {
        for frame in frames(100) {
            assert_eq!(full(&[&*frame, &[0]].concat()), Sight::Corrupt);
        }
        let small = Packet::ip4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).udp(1, 2, &payload(18));
        let small = small.eth(MAC, MAC).build();
        assert_eq!(full(&[&*small, &[0; 8]].concat()), Sight::Whole(PROBE));
        assert_eq!(full(&[&*small, &[0; 9]].concat()), Sight::Corrupt);
    }

    #[test]
    fn a_payload_that_was_broken_before_its_checksum_was_made_is_corrupt() {
        for at in [10, 17, 30] {
            let mut payload = payload(40);
            payload[at] ^= 1;
            let packet = Packet::ip4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST).udp(1, 2, &payload);
            assert_eq!(full(&packet.eth(MAC, MAC).build()), Sight::Corrupt, "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_flipped_bit_behind_the_ethernet_header_goes_unnoticed(
            size in 18_usize..200, which in 0_usize..6, at: prop::sample::Index,
        ) {
            let mut frame = frames(size).swap_remove(which);
            let first = read_tags(&frame).unwrap().payload();
            // Traffic class, flow label and hop limit of IPv6 are under no checksum.
            let free = if which < 3 { first..first } else { first..first + 8 };
            let bit = first * 8 + at.index((frame.len() - first) * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            prop_assume!(!free.contains(&(bit / 8)));
            prop_assert!(!matches!(full(&frame), Sight::Whole(_)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = full(&bytes);
        }

        #[test]
        fn no_truncation_goes_unnoticed(which in 0_usize..6, at: prop::sample::Index) {
            let frame = frames(60).swap_remove(which);
            let cut = at.index(frame.len());
            prop_assert!(!matches!(full(&frame[..cut]), Sight::Whole(_)));
        }
    }
}
