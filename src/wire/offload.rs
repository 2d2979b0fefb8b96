//! What did the sender leave to the device? Finds the TCP or UDP header of a whole frame and
//! writes the checksum that the sender left open.
//!
//! A partial checksum is the sum of the pseudo-header, not complemented: the kernel leaves it in
//! the field and expects the device to add the rest. Frames come as bytes from the Ethernet
//! header, behind up to two tags; nothing is read or written beyond them.

use zerocopy::FromBytes;

use super::eth::ether_type;
use super::ip4::Ip4Header;
use super::ip6::{self, Ip6Header};
use super::{checksum, ip4, proto, tcp, udp, vlan};

/// Why a frame's TCP or UDP payload cannot be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OffloadError {
    /// The frame ends inside a header.
    #[error("the frame ends inside a header")]
    TooShort,
    /// Neither IPv4 nor IPv6 behind at most two tags.
    #[error("the frame carries no IP packet behind at most two tags")]
    NotIp,
    /// A length field contradicts the frame.
    #[error("a length field contradicts the frame")]
    BadLength,
    /// A fragment.
    #[error("the packet is a fragment")]
    Fragment,
    /// Neither TCP nor UDP.
    #[error("the packet is neither TCP nor UDP")]
    NotTcpOrUdp,
    /// The checksum's place lies outside the frame.
    #[error("the checksum's place lies outside the frame")]
    BadChecksumPlace,
    /// A segment size of 0.
    #[error("the segment size is 0")]
    NoSegmentSize,
    /// TCP flags that belong to one segment alone.
    #[error("a SYN or RST cannot be cut into segments")]
    TcpFlags,
}

/// Where the TCP or UDP header of a frame stands; offsets from the Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether the packet is IPv6.
    pub is_ip6: bool,
    /// Where the IP header begins.
    pub l3: usize,
    /// Where the TCP or UDP header begins.
    pub l4: usize,
    /// Where its payload begins.
    pub payload: usize,
    /// Where the packet ends; what follows is padding.
    pub end: usize,
    /// [`proto::TCP`] or [`proto::UDP`].
    pub proto: u8,
}

impl Place {
    /// Finds the TCP or UDP header of `frame`. A total length of 0 means "to the end of the
    /// frame", as in packets over 65,535 bytes that only exist inside one host.
    ///
    /// # Errors
    /// When there is none that is whole.
    pub fn of(frame: &[u8]) -> Result<Place, OffloadError> {
        let tags = vlan::read_tags(frame).ok_or(OffloadError::TooShort)?;
        if tags.len() > 2 {
            return Err(OffloadError::NotIp);
        }
        let l3 = tags.payload();
        let packet = &frame[l3..];
        let (l4, end, proto) = match tags.ether_type {
            ether_type::IP4 => ip4_payload(packet)?,
            ether_type::IP6 => ip6_payload(packet)?,
            _ => return Err(OffloadError::NotIp),
        };
        let segment = packet.get(l4..end).ok_or(OffloadError::BadLength)?;
        let header = match proto {
            proto::TCP => {
                let (header, _) =
                    tcp::TcpHeader::ref_from_prefix(segment).map_err(|_| OffloadError::TooShort)?;
                header.header_len().max(tcp::HEADER)
            }
            proto::UDP => udp::HEADER,
            _ => return Err(OffloadError::NotTcpOrUdp),
        };
        if segment.len() < header {
            return Err(OffloadError::TooShort);
        }
        Ok(Place {
            is_ip6: tags.ether_type == ether_type::IP6,
            l3,
            l4: l3 + l4,
            payload: l3 + l4 + header,
            end: l3 + end,
            proto,
        })
    }

    /// Where the checksum's field begins.
    #[inline]
    pub const fn checksum(&self) -> usize {
        self.l4 + if self.proto == proto::TCP { tcp::CHECKSUM } else { udp::CHECKSUM }
    }

    /// The sum of the pseudo-header for a segment of `l4_len` bytes.
    #[inline]
    pub fn pseudo_header(&self, frame: &[u8], l4_len: usize) -> u64 {
        // Source and destination stand together in both headers and count word by word.
        let addresses =
            if self.is_ip6 { self.l3 + 8..self.l3 + 40 } else { self.l3 + 12..self.l3 + 20 };
        let addresses = frame.get(addresses).unwrap_or_default();
        checksum::add(l4_len as u64 + u64::from(self.proto), addresses)
    }
}

/// Start and end of an IPv4 packet's payload from its header, and its protocol.
fn ip4_payload(packet: &[u8]) -> Result<(usize, usize, u8), OffloadError> {
    let (header, _) = Ip4Header::ref_from_prefix(packet).map_err(|_| OffloadError::TooShort)?;
    if header.version() != 4 {
        return Err(OffloadError::NotIp);
    }
    if header.is_fragment() {
        return Err(OffloadError::Fragment);
    }
    let end = match usize::from(header.total_len.get()) {
        0 => packet.len(),
        end => end,
    };
    if header.header_len() < ip4::HEADER || end < header.header_len() {
        return Err(OffloadError::BadLength);
    }
    Ok((header.header_len(), end, header.proto))
}

/// Start and end of what an IPv6 packet's extension headers carry, and its protocol.
fn ip6_payload(packet: &[u8]) -> Result<(usize, usize, u8), OffloadError> {
    let (header, _) = Ip6Header::ref_from_prefix(packet).map_err(|_| OffloadError::TooShort)?;
    if header.version() != 6 {
        return Err(OffloadError::NotIp);
    }
    let upper = ip6::upper(packet).ok_or(OffloadError::TooShort)?;
    if upper.fragment.is_some_and(|fragment| fragment.is_fragment()) {
        return Err(OffloadError::Fragment);
    }
    let end = match usize::from(header.payload_len.get()) {
        0 => packet.len(),
        size => ip6::HEADER + size,
    };
    Ok((upper.offset, end, upper.proto))
}

/// The value for a checksum's field whose words, the field counted as 0, sum up to `sum`; UDP
/// writes 0xFFFF for 0 (RFC 768).
#[inline]
pub(super) const fn finish(sum: u64, is_udp: bool) -> u16 {
    match !checksum::fold(sum) {
        0 if is_udp => 0xffff,
        value => value,
    }
}

/// Completes a partial checksum as a virtio or packet socket header describes it: the sum of all
/// bytes from `csum_start` goes into the field `csum_offset` bytes behind it.
///
/// # Errors
/// When the field does not lie inside the frame.
pub fn complete_checksum(
    frame: &mut [u8],
    csum_start: u16,
    csum_offset: u16,
) -> Result<(), OffloadError> {
    let covered = frame.get_mut(usize::from(csum_start)..).ok_or(OffloadError::BadChecksumPlace)?;
    let sum = checksum::add(0, covered);
    let field = usize::from(csum_offset);
    let value = finish(sum, field == udp::CHECKSUM);
    covered
        .get_mut(field..field + 2)
        .ok_or(OffloadError::BadChecksumPlace)?
        .copy_from_slice(&value.to_be_bytes());
    Ok(())
}

/// Whether the TCP or UDP checksum of a frame is the bare sum of its pseudo-header, as a sender
/// leaves it to a device. One right checksum in 65,536 looks the same; completing it is harmless.
pub fn is_partial(frame: &[u8]) -> bool {
    let Ok(place) = Place::of(frame) else { return false };
    let field = place.checksum();
    let sum = checksum::fold(place.pseudo_header(frame, place.end - place.l4));
    frame.get(field..field + 2) == Some(&sum.to_be_bytes())
}

/// Writes the TCP or UDP checksum of a frame in full, whatever the field holds; a UDP checksum of
/// 0 over IPv4 stays 0, which says that there is none (RFC 768).
///
/// # Errors
/// When the frame has no whole TCP or UDP header.
pub fn complete_l4(frame: &mut [u8]) -> Result<(), OffloadError> {
    let place = Place::of(frame)?;
    let is_udp = place.proto == proto::UDP;
    let pseudo_header = place.pseudo_header(frame, place.end - place.l4);
    let segment = frame.get_mut(place.l4..place.end).ok_or(OffloadError::BadLength)?;
    let field = place.checksum() - place.l4..place.checksum() - place.l4 + 2;
    if is_udp && !place.is_ip6 && segment[field.clone()] == [0, 0] {
        return Ok(());
    }
    segment[field.clone()].fill(0);
    let value = finish(checksum::add(pseudo_header, segment), is_udp);
    segment[field].copy_from_slice(&value.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::build::{Packet, TcpFields};
    use super::super::eth::MacAddr;
    use super::super::vlan::TagStack;
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn udp() -> Packet {
        Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).udp(53, 5353, b"an odd payload!")
    }

    #[test]
    fn a_partial_checksum_is_seen_and_completed() {
        let tags = TagStack::double(1001, 200);
        let whole = udp().eth(MAC, MAC).tags(tags).build();
        let partial = udp().partial_checksum().eth(MAC, MAC).tags(tags).build();
        assert!(is_partial(&partial) && !is_partial(&whole));

        let mut frame = partial.clone();
        complete_l4(&mut frame).unwrap();
        assert_eq!(frame, whole);
        let mut frame = partial;
        complete_checksum(&mut frame, 22 + 20, 6).unwrap();
        assert_eq!(frame, whole);
    }

    #[test]
    fn padding_does_not_count() {
        let padded = udp().eth(MAC, MAC).pad(90).build();
        let mut frame = udp().bad_l4_checksum().eth(MAC, MAC).pad(90).build();
        complete_l4(&mut frame).unwrap();
        assert_eq!(frame, padded);
    }

    #[test]
    fn no_udp_checksum_stays_none() {
        let frame = udp().l4_checksum(0).eth(MAC, MAC).build();
        let mut completed = frame.clone();
        complete_l4(&mut completed).unwrap();
        assert_eq!(completed, frame);
    }

    #[test]
    fn a_udp_sum_of_zero_is_written_as_all_ones() {
        // The two bytes of payload make up what the sum lacks.
        let build = |fill: u16| {
            Packet::ip4([0, 0, 0, 0], [0, 0, 0, 0]).udp(0, 0, &fill.to_be_bytes()).eth(MAC, MAC)
        };
        let fill = 0xffff - (17 + 10 + 10);
        assert_eq!(build(fill).build()[40..42], [0xff, 0xff]);
        let mut frame = build(fill).build();
        frame[40..42].copy_from_slice(&(17_u16 + 10).to_be_bytes());
        complete_checksum(&mut frame, 34, 6).unwrap();
        assert_eq!(frame[40..42], [0xff, 0xff]);
    }

    #[test]
    fn a_field_outside_the_frame_is_refused() {
        let mut frame = udp().eth(MAC, MAC).build();
        let size = u16::try_from(frame.len()).unwrap();
        let refused = Err(OffloadError::BadChecksumPlace);
        assert_eq!(complete_checksum(&mut frame, size - 1, 0), refused);
        assert_eq!(complete_checksum(&mut frame, size + 1, 0), refused);
        assert_eq!(complete_checksum(&mut frame, 34, u16::MAX), refused);
    }

    #[test]
    fn what_has_no_whole_header_is_named() {
        let ip = || Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]);
        let tcp = TcpFields::default();
        let fault = |packet: Packet| Place::of(&packet.eth(MAC, MAC).build()).unwrap_err();
        assert_eq!(fault(ip().icmp_echo(8, 1, 1, b"")), OffloadError::NotTcpOrUdp);
        assert_eq!(fault(ip().fragment(0, true).tcp(tcp, b"")), OffloadError::Fragment);
        assert_eq!(fault(ip().fragment(8, false).tcp(tcp, b"")), OffloadError::Fragment);
        assert_eq!(fault(ip().total_len(41).tcp(tcp, b"")), OffloadError::BadLength);
        assert_eq!(fault(ip().total_len(39).tcp(tcp, b"")), OffloadError::TooShort);
        assert_eq!(fault(ip().version_ihl(0x44).tcp(tcp, b"")), OffloadError::BadLength);
        assert_eq!(fault(ip().version_ihl(0x65).tcp(tcp, b"")), OffloadError::NotIp);
        assert_eq!(fault(ip().tcp(tcp, b"").l4_bytes(12, &[0x60])), OffloadError::TooShort);
        let tagged =
            udp().eth(MAC, MAC).tag(0x8100, 1).tag(0x8100, 2).tag(0x8100, 3).tag(0x8100, 4);
        assert_eq!(Place::of(&tagged.build()), Err(OffloadError::NotIp));
    }

    #[test]
    fn an_atomic_fragment_is_no_fragment() {
        let ip = || Packet::ip6([1; 16], [2; 16]);
        let atomic = ip().extension(44, &[0; 8]).udp(1, 2, b"x").eth(MAC, MAC).build();
        assert_eq!(Place::of(&atomic).unwrap().l4, 14 + 48);
        let first = ip().extension(44, &[0, 0, 0, 1, 0, 0, 0, 0]).udp(1, 2, b"x").eth(MAC, MAC);
        assert_eq!(Place::of(&first.build()), Err(OffloadError::Fragment));
    }
}
