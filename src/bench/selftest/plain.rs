//! The plainest frames: 64 bytes on a wire, UDP over IPv4 without tags, one source port a flow.

use crate::bench::traffic::Stream;
use crate::bench::traffic::probe::{Probe, SIZE};
use crate::wire::build::Packet;
use crate::wire::eth::MacAddr;
use crate::wire::{checksum, eth, ip4, udp};

/// Where the UDP header begins.
const UDP: usize = eth::HEADER + ip4::HEADER;
/// Where its payload does.
const PAYLOAD: usize = UDP + udp::HEADER;
/// Bytes of a frame, without check sequence.
const FRAME: usize = PAYLOAD + SIZE;
/// The first flow's source port.
const FIRST_PORT: u16 = 1024;

/// Frames from 198.18.0.1 to 198.19.0.1, which RFC 2544 sets apart for benchmarks.
#[derive(Clone, Debug)]
pub struct Plain {
    flows: u16,
    /// A frame with zeros for source port, checksum and payload.
    template: [u8; FRAME],
    /// Sum over pseudo-header and UDP header of the template.
    sum: u64,
}

impl Plain {
    /// Frames of so many flows, 1 to 60,000.
    pub fn new(flows: u16) -> Self {
        let packet = Packet::ip4([198, 18, 0, 1], [198, 19, 0, 1]).udp(0, 7, &[0; SIZE]);
        let mac = |last| MacAddr([2, 0, 0, 0, 0, last]);
        let bytes = packet.eth(mac(1), mac(2)).build();
        let mut template: [u8; FRAME] = bytes.try_into().expect("the sizes of its headers");
        let at = UDP + udp::CHECKSUM;
        // The checksum is the complement of the sum over everything else.
        let sum = u64::from(!u16::from_be_bytes([template[at], template[at + 1]]));
        template[at..at + 2].fill(0);
        Self { flows: flows.clamp(1, 60_000), template, sum }
    }
}

impl Stream for Plain {
    #[inline]
    fn write(&mut self, probe: &Probe, buf: &mut [u8]) -> usize {
        let flow = u16::try_from(probe.seq % u64::from(self.flows)).expect("less than the flows");
        let port = FIRST_PORT + flow;
        let frame = &mut buf[..FRAME];
        frame.copy_from_slice(&self.template);
        frame[UDP..UDP + 2].copy_from_slice(&port.to_be_bytes());
        probe.write(&mut frame[PAYLOAD..]);
        let sum = checksum::add(self.sum + u64::from(port), &frame[PAYLOAD..]);
        // 0 would say that there is no checksum (RFC 768).
        let sum = Some(!checksum::fold(sum)).filter(|sum| *sum != 0).unwrap_or(0xffff);
        frame[UDP + udp::CHECKSUM..PAYLOAD].copy_from_slice(&sum.to_be_bytes());
        FRAME
    }

    fn flows(&self) -> u64 {
        self.flows.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_packet_builder() {
        let mut plain = Plain::new(7);
        for seq in 0..3_000 {
            let probe = Probe { trial: 1, stream: 0, seq, due_ns: seq * 977 };
            let (mut frame, mut payload) = ([0xff; 100], [0; SIZE]);
            probe.write(&mut payload);
            let port = 1024 + u16::try_from(seq % 7).unwrap();
            let expected = Packet::ip4([198, 18, 0, 1], [198, 19, 0, 1]).udp(port, 7, &payload);
            let expected =
                expected.eth(MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])).build();
            assert_eq!(plain.write(&probe, &mut frame), 60);
            assert_eq!(frame[..60], expected, "frame {seq}");
        }
    }
}
