//! What is built of fields is read as these fields, by us and by etherparse, and what is read of a
//! plain packet builds it again, byte by byte.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use thruway::frame::{Flags, HEADROOM, Row};
use thruway::wire::build::{Packet, TcpFields};
use thruway::wire::eth::MacAddr;
use thruway::wire::{icmp4, proto, show};

use super::parse_l2l4::read;
use thruway::hostile::Entropy;

/// Longest payload.
const PAYLOAD: usize = 1400;

struct Fields {
    src: u32,
    dst: u32,
    ttl: u8,
    id: u16,
    df: bool,
    load: Load,
    payload: Vec<u8>,
}

enum Load {
    Udp(u16, u16),
    Tcp(u16, u16, u32, u32, u8, u16),
    Echo(u16, u16),
}

impl Fields {
    fn read(input: &mut Entropy<'_>) -> Self {
        let (src, dst, ttl, id) = (input.word(), input.word(), input.byte(), input.half());
        let how = input.byte();
        let load = match how % 3 {
            0 => Load::Udp(input.half(), input.half()),
            1 => {
                let (src, dst, seq, ack) = (input.half(), input.half(), input.word(), input.word());
                Load::Tcp(src, dst, seq, ack, input.byte(), input.half())
            }
            _ => Load::Echo(input.half(), input.half()),
        };
        let payload = input.piece(PAYLOAD).to_vec();
        Self { src, dst, ttl, id, df: how & 0x80 != 0, load, payload }
    }

    fn packet(&self) -> Packet {
        let ip = Packet::ip4(self.src, self.dst).ttl(self.ttl).id(self.id);
        let ip = if self.df { ip.df() } else { ip };
        match self.load {
            Load::Udp(src, dst) => ip.udp(src, dst, &self.payload),
            Load::Tcp(src, dst, seq, ack, flags, window) => {
                let fields =
                    TcpFields { src, dst, seq, ack, flags, window, urgent: 0, options: &[] };
                ip.tcp(fields, &self.payload)
            }
            Load::Echo(id, seq) => ip.icmp_echo(icmp4::kind::ECHO_REQUEST, id, seq, &self.payload),
        }
    }

    /// The same fields, from what *validate* and etherparse read.
    fn of(bytes: &[u8], row: &Row) -> Option<Self> {
        let theirs = SlicedPacket::from_ethernet(bytes).ok()?;
        let Some(NetSlice::Ipv4(ip)) = &theirs.net else { return None };
        let l4 = usize::from(row.l4);
        let bare = &bytes[l4..usize::from(row.l3) + usize::from(row.ip_len)];
        let (load, at) = match &theirs.transport {
            Some(TransportSlice::Udp(_)) => (Load::Udp(row.sport, row.dport), 8),
            Some(TransportSlice::Tcp(tcp)) => {
                let (seq, ack) = (tcp.sequence_number(), tcp.acknowledgment_number());
                let window = tcp.window_size();
                (Load::Tcp(row.sport, row.dport, seq, ack, row.tcp_flags, window), 20)
            }
            Some(TransportSlice::Icmpv4(_)) => {
                (Load::Echo(row.sport, u16::from_be_bytes([bare[6], bare[7]])), 8)
            }
            _ => return None,
        };
        Some(Self {
            src: row.src,
            dst: row.dst,
            ttl: row.ttl,
            id: ip.header().identification(),
            df: row.flags.has(Flags::DF),
            load,
            payload: bare[at..].to_vec(),
        })
    }
}

/// Builds a frame of fields, reads it, and builds it again of what was read.
///
/// # Panics
/// When one is not the other.
pub fn check(data: &[u8]) {
    let mut input = Entropy::new(data);
    let tags: Vec<(u16, u16)> = (0..input.byte() % 3).map(|_| (0x8100, input.half())).collect();
    let fields = Fields::read(&mut input);
    let [a, b] = [MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2])];
    let build = |fields: &Fields| {
        let frame = fields.packet().eth(a, b);
        tags.iter().fold(frame, |frame, (tpid, tci)| frame.tag(*tpid, *tci)).build()
    };
    let bytes = build(&fields);
    let row = read(&bytes, HEADROOM, 0).expect("what was built is valid");
    assert_eq!((row.src, row.dst, row.ttl), (fields.src, fields.dst, fields.ttl));
    let (number, ports) = match fields.load {
        Load::Udp(src, dst) => (proto::UDP, (src, dst)),
        Load::Tcp(src, dst, ..) => (proto::TCP, (src, dst)),
        Load::Echo(id, _) => (proto::ICMP, (id, id)),
    };
    assert_eq!((row.proto, row.sport, row.dport), (number, ports.0, ports.1));
    assert_eq!(usize::from(row.tags), tags.len());
    let line = show(&bytes);
    // TCP's flags stand in brackets, and so does whatever is wrong.
    let flags = usize::from(number == proto::TCP);
    assert_eq!(line.matches('[').count(), flags, "a line that complains: {line}");
    let again = Fields::of(&bytes, &row).expect("etherparse reads what was built");
    assert_eq!(build(&again), bytes, "what was read builds the same");
}
