//! Fragments in any order, overlapping, doubled, or lying about their place: none that would reach
//! over a header or beyond the longest packet is let in, NAT lets later ones follow the first and
//! changes nothing of what they carry, and what thruway cuts can be put together again.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use thruway::frame::DropReason;
use thruway::ids::ShardId;
use thruway::mem::Arena;
use thruway::model::Model;
use thruway::nat::{Bindings, Nat44Shard, NatConfig, shard_of_inside};
use thruway::replay::{Options, Replay, Room};
use thruway::time::{Now, Span};
use thruway::wire::build;

use super::checksum_incremental::naive;
use super::lab;
use super::packet::Packet;
use thruway::hostile::Entropy;

/// Most fragments of one run.
const FRAGMENTS: usize = 24;
const SHARD: ShardId = ShardId(9);
const REMOTE: u32 = 0xc633_6401;
/// How long later fragments may follow.
const IDLE: Span = Span::secs(3);
/// Bytes of the subnet's MTU where packets are cut.
const MTU: usize = 600;

fn rules() -> &'static Arc<Bindings> {
    static RULES: OnceLock<Arc<Bindings>> = OnceLock::new();
    RULES.get_or_init(|| {
        let net = |text: &str| text.parse().expect("a prefix");
        let mut config = NatConfig {
            inside: vec![net("10.0.0.0/8")],
            pool: vec![net("203.0.113.64/32")],
            sessions: 64,
            ..NatConfig::default()
        };
        config.timeouts.fragment = IDLE;
        config.compile().expect("the configuration is right")
    })
}

fn host() -> u32 {
    static HOST: OnceLock<u32> = OnceLock::new();
    *HOST.get_or_init(|| {
        let host = (0x0a00_0001..).find(|&address| shard_of_inside(address) == SHARD);
        host.expect("there are many")
    })
}

/// One fragment, before it is a packet.
struct Made {
    proto: u8,
    id: u16,
    /// In units of eight bytes.
    offset: u16,
    more: bool,
    payload: Vec<u8>,
}

impl Made {
    fn read(input: &mut Entropy<'_>) -> Self {
        let how = input.byte();
        let offset = match how % 4 {
            0 => 0,
            1 => u16::from(input.byte() % 32),
            2 => 8191 - u16::from(input.byte() % 4),
            _ => input.half() % 8192,
        };
        let proto = [6, 17, 17, 1, 47][usize::from(how >> 2) % 5];
        let size = match input.byte() {
            size @ 0..=127 => usize::from(size),
            size => usize::from(size) * 5,
        };
        let mut payload = input.piece(size).to_vec();
        // A header that could be whole.
        if offset == 0 && payload.len() >= 20 {
            match proto {
                6 => payload[12] = 0x50,
                17 => payload[4..6].copy_from_slice(&[0x7f, 0]),
                1 => payload[0] = 8,
                _ => {}
            }
        }
        let id = u16::from(how >> 5 & 3);
        Self { proto, id, offset, more: how & 0x80 == 0 || offset == 0, payload }
    }

    fn packet(&self) -> build::Packet {
        let ip =
            build::Packet::ip4(host(), REMOTE).id(self.id).fragment(self.offset * 8, self.more);
        ip.raw(self.proto, &self.payload)
    }

    /// Why no router lets it in, by the words of RFC 791 3.2 and RFC 1858 3.
    fn refused(&self) -> bool {
        let end = 20 + usize::from(self.offset) * 8 + self.payload.len();
        let first = match self.proto {
            6 => self.payload.len() < 20,
            // A UDP length counts its own header (RFC 768).
            17 => self.payload.len() < 8 || self.payload[4..6] < [0, 8][..],
            1 => self.payload.len() < 8,
            _ => false,
        };
        let in_header = self.proto == 6 && self.offset == 1;
        end > 65_535 || in_header || (self.offset == 0 && first)
    }
}

/// Sends fragments into NAT, and a packet into a link that is too small for it.
///
/// # Panics
/// When something does not hold.
pub fn check(data: &[u8]) {
    let mut input = Entropy::new(data);
    let whole = input.byte();
    if whole == 0xff {
        return cut(&mut input);
    }
    let mut shard = Nat44Shard::new(&mut Arena::default(), SHARD, Arc::clone(rules()), 3);
    let mut followed: BTreeMap<(u16, u8), Now> = BTreeMap::new();
    let mut now = Now(7_000_000_000_000);
    for _ in 0..FRAGMENTS {
        if input.is_empty() {
            return;
        }
        now = now + Span::millis(u64::from(input.byte()) * 16);
        let made = Made::read(&mut input);
        let eth =
            [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], &made.packet().build()[..]].concat();
        let read = Packet::read(&eth, now);
        assert_eq!(read.as_ref().err().is_some(), made.refused(), "{:02x?}", made.packet().build());
        let Ok(packet) = read else { continue };
        translate(&mut shard, &mut followed, &made, packet);
    }
}

/// Lets a fragment through NAT: the first opens the way for the later ones.
fn translate(
    shard: &mut Nat44Shard,
    followed: &mut BTreeMap<(u16, u8), Now>,
    made: &Made,
    original: Packet,
) {
    let now = original.row.arrival;
    let mut packet = original.clone();
    let outcome = shard.in2out(&mut packet.buf[..], &mut packet.row);
    let key = (made.id, made.proto);
    let is_known = followed.get(&key).is_some_and(|until| *until > now);
    if made.offset > 0 {
        assert_eq!(outcome.is_ok(), is_known, "a later fragment follows the first: {outcome:?}");
        if !is_known {
            assert_eq!(outcome, Err(DropReason::NatFragmentUnknown));
        }
    }
    if outcome.is_err() {
        assert!(packet.buf == original.buf, "a packet that is dropped stays as it is");
        return;
    }
    followed.insert(key, now + IDLE);
    packet.check();
    assert_eq!(packet.row.src >> 8, 0x00cb_0071, "the source is public");
    let (before, after) = (original.ip(), packet.ip());
    assert_eq!(naive(&after[..20]), 0, "the header's sum");
    assert_eq!(before[..10], after[..10], "a fragment keeps its place");
    assert_eq!(before[16..20], after[16..20], "the destination stays");
    if made.offset > 0 {
        assert_eq!(before[20..], after[20..], "what a later fragment carries stays");
    } else {
        // Port or identifier, and the sum.
        let changed = before[20..].iter().zip(&after[20..]).filter(|(a, b)| a != b);
        assert!(changed.count() <= 4, "port and sum change alone");
    }
}

/// The lab with a subnet where packets are cut.
fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let text =
            lab::CONFIG.replace("name = \"spoke\"", &format!("name = \"spoke\"\nmtu = {MTU}"));
        assert_ne!(text, lab::CONFIG);
        lab::model(&text)
    })
}

/// Sends one packet, a fragment itself perhaps, to a VM behind a small link.
fn cut(input: &mut Entropy<'_>) {
    let how = input.byte();
    let options = input.piece(usize::from(how & 15) * 2);
    let first = if how & 0x10 == 0 { 0 } else { u16::from(input.byte()) * 8 };
    let more = how & 0x20 != 0;
    let payload: Vec<u8> = input.piece(1400).to_vec();
    let ip = build::Packet::ip4([192, 168, 1, 10], [10, 20, 1, 4]).id(77).options(options);
    let ip = if first > 0 || more { ip.fragment(first, more) } else { ip };
    let packet = ip.raw(47, &payload);
    let whole = packet.build();
    let frame = lab::tagged(packet.eth(lab::CE, lab::EDGE1), &[200]).build();
    let options = Options { room: Room::SMALL, ..Options::default() };
    let mut replay = Replay::new(model(), options, lab::START).expect("the lab is right");
    for hello in lab::hello() {
        let port = replay.port(hello.port).expect("a port without a cable");
        replay.offer(port, hello.at, &hello.bytes).expect("no cables make a circle");
    }
    let port = replay.port("ce-1").expect("it is there");
    replay.offer(port, lab::after(20_000), &frame).expect("no cables make a circle");
    replay.finish().expect("no cables make a circle");
    let verdicts = replay.verdicts();
    assert!(verdicts.accounts.balanced, "not all are accounted for: {verdicts:#?}");
    let spoke = replay.port("spoke").expect("it is there");
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for sent in replay.take_sent() {
        if sent.port == spoke && sent.bytes.get(12..14) == Some(&[8, 0]) {
            pieces.push(sent.bytes[14..].to_vec());
        }
    }
    if pieces.is_empty() {
        assert!(verdicts.drops.values().sum::<u64>() > 0, "the packet is somewhere");
        return;
    }
    together(&whole, &pieces);
}

/// Puts pieces together by RFC 791 3.2, each byte once.
fn together(whole: &[u8], pieces: &[Vec<u8>]) {
    let half = |packet: &[u8], at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let header = |packet: &[u8]| usize::from(packet[0] & 15) * 4;
    let origin = usize::from(half(whole, 6) & 0x1fff) * 8;
    let size = usize::from(half(whole, 2)) - header(whole);
    let mut bytes: Vec<Option<u8>> = vec![None; size];
    for piece in pieces {
        assert!(usize::from(half(piece, 2)) <= MTU, "a piece fits the link");
        assert_eq!(naive(&piece[..header(piece)]), 0, "the sum of a piece's header");
        assert_eq!((half(piece, 4), piece[9]), (half(whole, 4), whole[9]), "whose piece it is");
        let field = half(piece, 6);
        let at = usize::from(field & 0x1fff) * 8 - origin;
        let payload = &piece[header(piece)..usize::from(half(piece, 2))];
        for (place, byte) in bytes[at..].iter_mut().zip(payload) {
            assert!(place.replace(*byte).is_none(), "two pieces overlap");
        }
        let is_last = at + payload.len() == size;
        assert!(is_last || payload.len().is_multiple_of(8), "a piece ends on eight bytes");
        let follows = !is_last || half(whole, 6) & 0x2000 != 0;
        assert_eq!(field & 0x2000 != 0, follows, "whether more fragments follow");
    }
    let bytes: Option<Vec<u8>> = bytes.into_iter().collect();
    assert_eq!(bytes.as_deref(), Some(&whole[header(whole)..]), "the pieces are the whole");
}
