//! How does a super-frame become ordinary frames? TCP and UDP frames up to 64 KiB are cut in
//! software, as a device with segmentation offload would.
//!
//! [`Segments`] borrows the super-frame and writes each segment straight into the buffer that it
//! shall leave in: no allocation, each payload byte is copied once. All checksums of a segment
//! are computed in full, so it does not matter whether the super-frame's were partial.
//!
//! Receive offload, which puts frames together, is not done here.

use super::checksum::Delta;
use super::offload::{OffloadError, Place, finish};
use super::tcp::flag;
use super::virtio::leave_open;
use super::{checksum, proto};

/// Offset of the total length in an IPv4 header.
const IP4_TOTAL_LEN: usize = 2;
/// Offset of the identification in an IPv4 header.
const IP4_ID: usize = 4;
/// Offset of the checksum in an IPv4 header.
const IP4_CHECKSUM: usize = 10;
/// Offset of the payload length in an IPv6 header.
const IP6_PAYLOAD_LEN: usize = 4;
/// Offset of the sequence number in a TCP header.
const TCP_SEQ: usize = 4;
/// Offset of the flags in a TCP header.
const TCP_FLAGS: usize = 13;
/// Offset of the urgent pointer in a TCP header.
const TCP_URGENT: usize = 18;
/// Offset of the length in a UDP header.
const UDP_LEN: usize = 4;

/// The ordinary frames of one super-frame.
///
/// ```
/// use thruway::wire::build::{Packet, TcpFields};
/// use thruway::wire::eth::MacAddr;
/// use thruway::wire::segment::Segments;
///
/// let frame = Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2])
///     .tcp(TcpFields { src: 1000, dst: 80, seq: 1, ..TcpFields::default() }, &[7; 4000])
///     .eth(MacAddr::ZERO, MacAddr::ZERO)
///     .build();
/// let segments = Segments::new(&frame, 1448)?;
/// let mut out = [0; 2048];
/// let sizes: Vec<_> = (0..segments.len()).filter_map(|i| segments.write(i, &mut out)).collect();
/// assert_eq!(sizes, [1502, 1502, 54 + 4000 - 2 * 1448]);
/// # Ok::<(), thruway::wire::offload::OffloadError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Segments<'a> {
    frame: &'a [u8],
    place: Place,
    gso_size: usize,
    len: usize,
}

impl<'a> Segments<'a> {
    /// Plans to cut `frame`, which begins with its Ethernet header, into segments of `gso_size`
    /// bytes of TCP or UDP payload each, the last as long as the rest.
    ///
    /// # Errors
    /// When the frame is no whole TCP or UDP packet over IP behind at most two tags, is a fragment,
    /// carries SYN or RST, or when `gso_size` is 0.
    pub fn new(frame: &'a [u8], gso_size: u16) -> Result<Self, OffloadError> {
        let place = Place::of(frame)?;
        if gso_size == 0 {
            return Err(OffloadError::NoSegmentSize);
        }
        if place.proto == proto::TCP && frame[place.l4 + TCP_FLAGS] & (flag::SYN | flag::RST) != 0 {
            return Err(OffloadError::TcpFlags);
        }
        let gso_size = usize::from(gso_size);
        let payload = place.end - place.payload;
        if place.payload - place.l3 + gso_size.min(payload) > usize::from(u16::MAX) {
            return Err(OffloadError::BadLength);
        }
        let len = payload.div_ceil(gso_size).max(1);
        Ok(Self { frame, place, gso_size, len })
    }

    /// How many segments there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is always a segment")]
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Where the super-frame's headers stand.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Bytes of segment `i` from its Ethernet header; of the last one for any `i` beyond it.
    #[inline]
    pub fn size(&self, i: usize) -> usize {
        let (start, end) = self.range(i);
        self.place.payload + end - start
    }

    /// Start and end of segment `i`'s payload in the frame.
    #[inline]
    fn range(&self, i: usize) -> (usize, usize) {
        let start = self.place.payload + i.min(self.len - 1) * self.gso_size;
        (start, (start + self.gso_size).min(self.place.end))
    }

    /// Writes segment `i` to the front of `out` and returns its size in bytes; `None` when there
    /// is no such segment or `out` is too small for it.
    pub fn write(&self, i: usize, out: &mut [u8]) -> Option<usize> {
        if i >= self.len {
            return None;
        }
        let (start, end) = self.range(i);
        let size = self.size(i);
        let out = out.get_mut(..size)?;
        out[..self.place.payload].copy_from_slice(&self.frame[..self.place.payload]);
        out[self.place.payload..].copy_from_slice(&self.frame[start..end]);
        self.write_ip(i, out);
        match self.place.proto {
            proto::TCP => self.write_tcp(i, out),
            _ => self.write_udp(out),
        }
        Some(size)
    }

    /// Length, identification and checksum of the IP header.
    fn write_ip(&self, i: usize, out: &mut [u8]) {
        let size = out.len() - self.place.l3;
        let ip = &mut out[self.place.l3..self.place.l4];
        if self.place.is_ip6 {
            put(ip, IP6_PAYLOAD_LEN, short(size - super::ip6::HEADER));
            return;
        }
        put(ip, IP4_TOTAL_LEN, short(size));
        let id = u16::from_be_bytes([ip[IP4_ID], ip[IP4_ID + 1]]);
        put(ip, IP4_ID, id.wrapping_add(short(i & 0xffff)));
        put(ip, IP4_CHECKSUM, 0);
        let sum = checksum::of(ip);
        put(ip, IP4_CHECKSUM, sum);
    }

    /// Sequence number, flags and checksum: FIN and PSH belong to the last segment, CWR to the
    /// first (RFC 3168 6.1.2), and the urgent pointer counts from the sequence number.
    #[expect(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
    fn write_tcp(&self, i: usize, out: &mut [u8]) {
        let before = i * self.gso_size;
        let tcp = &mut out[self.place.l4..];
        let mut seq = [0; 4];
        seq.copy_from_slice(&tcp[TCP_SEQ..TCP_SEQ + 4]);
        let seq = u32::from_be_bytes(seq).wrapping_add(before as u32);
        tcp[TCP_SEQ..TCP_SEQ + 4].copy_from_slice(&seq.to_be_bytes());
        if i + 1 < self.len {
            tcp[TCP_FLAGS] &= !(flag::FIN | flag::PSH);
        }
        if i > 0 {
            tcp[TCP_FLAGS] &= !flag::CWR;
        }
        if tcp[TCP_FLAGS] & flag::URG != 0 {
            let urgent = usize::from(u16::from_be_bytes([tcp[TCP_URGENT], tcp[TCP_URGENT + 1]]));
            match urgent.checked_sub(before) {
                Some(left) if left > 0 => put(tcp, TCP_URGENT, short(left)),
                _ => {
                    tcp[TCP_FLAGS] &= !flag::URG;
                    put(tcp, TCP_URGENT, 0);
                }
            }
        }
        self.write_checksum(out);
    }

    /// Length and checksum; a checksum of 0 over IPv4 says that there is none.
    fn write_udp(&self, out: &mut [u8]) {
        let udp = &mut out[self.place.l4..];
        put(udp, UDP_LEN, short(udp.len()));
        let field = self.place.checksum();
        if self.place.is_ip6 || out[field..field + 2] != [0, 0] {
            self.write_checksum(out);
        }
    }

    fn write_checksum(&self, out: &mut [u8]) {
        let field = self.place.checksum();
        put(out, field, 0);
        let pseudo_header = self.place.pseudo_header(out, out.len() - self.place.l4);
        let sum = checksum::add(pseudo_header, &out[self.place.l4..]);
        put(out, field, finish(sum, self.place.proto == proto::UDP));
    }
}

/// Shortens a super-frame, whose checksum is partial, to its first `len` segments, one at least;
/// returns its size in bytes, padding left out. What was the last segment's alone goes with it.
///
/// # Errors
/// When the frame is no whole TCP or UDP packet over IP behind at most two tags.
pub fn keep(frame: &mut [u8], gso_size: u16, len: usize) -> Result<usize, OffloadError> {
    let place = Place::of(frame)?;
    // No more than a length field can say: a jumbo frame has none.
    let most = usize::from(u16::MAX).saturating_sub(place.payload - place.l3);
    let len = len.min(most / usize::from(gso_size.max(1))).max(1);
    let end = len.saturating_mul(usize::from(gso_size)).saturating_add(place.payload);
    if end >= place.end {
        return Ok(place.end);
    }
    let ip = &mut frame[place.l3..place.l4];
    if place.is_ip6 {
        put(ip, IP6_PAYLOAD_LEN, short(end - place.l3 - super::ip6::HEADER));
    } else {
        let word = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
        let size = short(end - place.l3);
        let changed = Delta::NONE.word(word(IP4_TOTAL_LEN), size);
        let sum = changed.apply(word(IP4_CHECKSUM));
        put(ip, IP4_TOTAL_LEN, size);
        put(ip, IP4_CHECKSUM, sum);
    }
    match place.proto {
        proto::TCP => frame[place.l4 + TCP_FLAGS] &= !(flag::FIN | flag::PSH),
        _ => put(&mut frame[place.l4..], UDP_LEN, short(end - place.l4)),
    }
    leave_open(frame, &Place { end, ..place });
    Ok(end)
}

/// Writes a 16-bit field at `at`.
#[inline]
fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// A length that `Segments::new` has checked to fit 16 bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "see the check in Segments::new")]
const fn short(size: usize) -> u16 {
    debug_assert!(size <= u16::MAX as usize);
    size as u16
}

#[cfg(test)]
mod tests {
    use super::super::build::{Packet, TcpFields};
    use super::super::eth::MacAddr;
    use super::super::show;
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const PREFIX: &str = "02:00:00:00:00:01 > 02:00:00:00:00:01 IP 10.0.0.1.1 > 10.0.0.2.2: ";

    fn lines(packet: &Packet, gso_size: u16) -> Vec<String> {
        let frame = packet.eth(MAC, MAC).build();
        let segments = Segments::new(&frame, gso_size).unwrap();
        let mut out = [0; 9000];
        let write = |i| {
            let size = segments.write(i, &mut out).unwrap();
            assert_eq!(size, segments.size(i));
            show(&out[..size]).strip_prefix(PREFIX).unwrap().to_string()
        };
        (0..segments.len()).map(write).collect()
    }

    #[test]
    fn flags_stand_on_the_segments_they_belong_to() {
        let tcp = TcpFields {
            src: 1,
            dst: 2,
            seq: u32::MAX - 99,
            flags: 0xb9,
            urgent: 150,
            ack: 5,
            ..TcpFields::default()
        };
        let packet = Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).id(0xffff).df().tcp(tcp, &[7; 250]);
        assert_eq!(
            lines(&packet, 100),
            [
                "TCP [.UW] seq 4294967196 ack 5 win 65535 len 100 (ttl 64 id 65535 DF)",
                "TCP [.U] seq 0 ack 5 win 65535 len 100 (ttl 64 id 0 DF)",
                "TCP [FP.] seq 100 ack 5 win 65535 len 50 (ttl 64 id 1 DF)",
            ]
        );
    }

    #[test]
    fn a_datagram_of_many_messages_becomes_datagrams() {
        let ip = Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]);
        let whole =
            ["UDP len 100 (ttl 64 id 0)", "UDP len 100 (ttl 64 id 1)", "UDP len 1 (ttl 64 id 2)"];
        let packet = ip.udp(1, 2, &[7; 201]);
        assert_eq!(lines(&packet, 100), whole);
        assert_eq!(lines(&packet.clone().partial_checksum(), 100), whole);
        assert_eq!(lines(&packet.l4_checksum(0), 201), ["UDP len 201 [no cksum] (ttl 64 id 0)"]);
    }

    #[test]
    fn a_segment_that_does_not_fit_is_not_written() {
        let frame = Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2, &[7; 201]).eth(MAC, MAC);
        let frame = frame.build();
        let segments = Segments::new(&frame, 100).unwrap();
        assert_eq!(segments.write(0, &mut [0; 141]), None);
        assert_eq!(segments.write(0, &mut [0; 142]), Some(142));
        assert_eq!(segments.write(3, &mut [0; 2000]), None);
        assert_eq!(segments.write(usize::MAX, &mut [0; 2000]), None);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let ip = || Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]);
        let fault = |packet: Packet, size| {
            Segments::new(&packet.eth(MAC, MAC).build(), size).map(|s| s.len()).unwrap_err()
        };
        let syn = TcpFields { flags: flag::SYN, ..TcpFields::default() };
        assert_eq!(fault(ip().tcp(syn, &[7; 200]), 100), OffloadError::TcpFlags);
        assert_eq!(fault(ip().udp(1, 2, &[7; 200]), 0), OffloadError::NoSegmentSize);
        assert_eq!(fault(ip().icmp_echo(8, 1, 1, &[7; 200]), 100), OffloadError::NotTcpOrUdp);
    }

    #[test]
    fn a_packet_beyond_64_kib_is_cut_when_its_length_says_0() {
        let tcp = TcpFields { src: 1, dst: 2, ..TcpFields::default() };
        let packet = Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).total_len(0).tcp(tcp, &[7; 70_000]);
        let lines = lines(&packet, 7000);
        assert_eq!(lines.len(), 10);
        assert!(lines[9].starts_with("TCP [.] seq 63000 "), "{}", lines[9]);
        let frame = packet.eth(MAC, MAC).build();
        assert_eq!(Segments::new(&frame, u16::MAX).map(|s| s.len()), Err(OffloadError::BadLength));
    }
}
