//! ICMP errors around any quoted packet: NAT translates what a session names and nothing else,
//! reads nothing past the quote, refuses errors about errors, and keeps all sums right.

use std::sync::{Arc, OnceLock};

use thruway::frame::{DropReason, Flags};
use thruway::ids::ShardId;
use thruway::mem::Arena;
use thruway::nat::{
    Bindings, Endpoint, Nat44Shard, NatConfig, Proto, Side, Translated, shard_of_inside,
};
use thruway::time::{Now, Span};
use thruway::wire::build;
use thruway::wire::icmp4;
use thruway::wire::tcp::flag::SYN;

use super::checksum_incremental::naive;
use super::nat_identity::{apply, packet};
use super::packet::Packet;
use thruway::hostile::Entropy;

const START: Now = Now(5_000_000_000_000);
const SERVER: Endpoint = Endpoint::new(0xc633_6401, 443);
const SHARD: ShardId = ShardId(0);

/// A NAT shard with a session of each protocol, and their inside and outside ends.
struct Known {
    shard: Nat44Shard,
    ends: Vec<(Proto, Endpoint, Endpoint)>,
}

fn rules() -> &'static Arc<Bindings> {
    static RULES: OnceLock<Arc<Bindings>> = OnceLock::new();
    RULES.get_or_init(|| {
        let net = |text: &str| text.parse().expect("a prefix");
        let pool = vec![net("203.0.113.64/32")];
        let config = NatConfig {
            inside: vec![net("10.0.0.0/8")],
            pool,
            sessions: 8,
            ..NatConfig::default()
        };
        config.compile().expect("the configuration is right")
    })
}

fn known() -> Known {
    let mut shard = Nat44Shard::new(&mut Arena::default(), SHARD, Arc::clone(rules()), 3);
    let host = (0x0a00_0001..).find(|&address| shard_of_inside(address) == SHARD);
    let mut ends = Vec::new();
    for proto in [Proto::Udp, Proto::Tcp, Proto::Icmp] {
        let inside = Endpoint::new(host.expect("there are many"), 5000);
        let remote = Endpoint::new(SERVER.ip, if proto == Proto::Icmp { 0 } else { SERVER.port });
        let mut first = Packet::of(&packet(proto, inside, remote, SYN, Side::In2Out), START);
        let done = shard.in2out(&mut first.buf[..], &mut first.row);
        assert_eq!(done, Ok(Translated::Done));
        ends.push((proto, inside, first.src()));
    }
    Known { shard, ends }
}

/// Sends an error with a quote of any bytes, mostly of a known session, either way.
///
/// # Panics
/// When something does not hold.
pub fn check(data: &[u8]) {
    let mut input = Entropy::new(data);
    let mut known = known();
    let (how, kind, code) = (input.byte(), input.byte(), input.byte());
    let kind = [3, 3, 3, 11, 12, 4, 5, kind][usize::from(kind % 8)];
    let side = if how & 1 == 0 { Side::Out2In } else { Side::In2Out };
    let (proto, inside, outside) = known.ends[usize::from(how >> 1) % 3];
    let remote = Endpoint::new(SERVER.ip, if proto == Proto::Icmp { 0 } else { SERVER.port });
    let quoted = match side {
        Side::Out2In => packet(proto, outside, remote, SYN, Side::In2Out),
        Side::In2Out => packet(proto, remote, inside, SYN, Side::Out2In),
    };
    let mut quote = quoted.build();
    // Some bytes of it are changed, and it is cut off; the sum of its header is mended mostly.
    for _ in 0..input.byte() % 4 {
        let at = usize::from(input.byte()) % quote.len();
        quote[at] = input.byte();
    }
    quote.truncate(usize::from(input.byte()).max(usize::from(how & 0x80) / 2));
    if how & 0x60 != 0 {
        mend_header(&mut quote);
    }
    quote.extend_from_slice(input.rest());
    let ends = match side {
        Side::Out2In => (SERVER.ip, outside.ip),
        Side::In2Out => (inside.ip, SERVER.ip),
    };
    let error = build::Packet::ip4(ends.0, ends.1).icmp_error(
        kind,
        code,
        1400,
        &quote[..quote.len().min(576)],
    );
    let original = Packet::of(&error, START + Span::millis(5));
    let mut error = original.clone();
    let (mut other, mut amid) = (known.shard.clone(), original.amid(0xa5));
    let outcome = apply(&mut known.shard, side, &mut error);
    assert_eq!(outcome, apply(&mut other, side, &mut amid), "bytes behind the frame are read");
    assert_eq!(error.ip(), amid.ip(), "bytes behind the frame are used");
    if !original.row.flags.has(Flags::ICMP_ERROR) {
        return;
    }
    match outcome {
        Ok(_) => translated(side, &original, &error, &known),
        Err(_) => assert!(error.buf == original.buf, "a packet that is dropped stays as it is"),
    }
    // A quote that nothing was done to, whatever follows it, is of its session.
    if original.quote().starts_with(&quoted.build()) {
        assert_eq!(outcome, Ok(Translated::Done), "the session is known");
        let (address, port) = if side == Side::Out2In { (12, 0) } else { (16, 2) };
        let port = 20 + if proto == Proto::Icmp { 4 } else { port };
        let end = if side == Side::Out2In { inside } else { outside };
        let quote = error.quote();
        assert_eq!(quote[address..address + 4], end.ip.to_be_bytes(), "whose address");
        assert_eq!(quote[port..port + 2], end.port.to_be_bytes(), "whose port");
    }
    if is_about_an_error(original.quote()) {
        assert!(outcome.is_err(), "an error about an error (RFC 1122 3.2.2)");
    }
    assert_ne!(outcome, Err(DropReason::L4TooShort), "the error itself is whole");
}

fn mend_header(quote: &mut [u8]) {
    let size = quote.first().map_or(0, |first| usize::from(first & 15) * 4);
    if size >= 20
        && let Some(header) = quote.get_mut(..size)
    {
        header[10..12].fill(0);
        let sum = naive(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Whether a quote is of an ICMP error, as far as it goes.
fn is_about_an_error(quote: &[u8]) -> bool {
    let size = quote.first().map_or(0, |first| usize::from(first & 15) * 4);
    let first_fragment = quote.get(6..8).is_some_and(|field| field[0] & 0x1f == 0 && field[1] == 0);
    quote.get(9) == Some(&1)
        && first_fragment
        && quote.len() >= size + 8
        && icmp4::is_error(quote[size])
}

/// What passed names a session's other end now, and is the same otherwise.
fn translated(side: Side, original: &Packet, error: &Packet, known: &Known) {
    error.check();
    let (before, after) = (original.quote(), error.quote());
    assert_eq!(before.len(), after.len(), "a quote stays as long as it was");
    let size = usize::from(before[0] & 15) * 4;
    assert_eq!(naive(&after[..size]), 0, "the sum of the quoted header");
    let (address, port) = if side == Side::Out2In { (12, 0) } else { (16, 2) };
    let word = |bytes: &[u8], at: usize| {
        u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    let own = if side == Side::Out2In { error.row.dst } else { error.row.src };
    assert_eq!(word(after, address), own, "the quote names who the error is for, or from");
    assert!(
        known.ends.iter().any(|(_, inside, outside)| {
            [inside.ip, outside.ip] == [word(after, address), word(before, address)]
                || [outside.ip, inside.ip] == [word(after, address), word(before, address)]
        }),
        "the quote's address is that of a session"
    );
    let may_change = |at: usize| {
        let sum = match before[9] {
            6 => size + 16,
            17 => size + 6,
            _ => size + 2,
        };
        let port = if before[9] == 1 { size + 4 } else { size + port };
        (address..address + 4).contains(&at)
            || (10..12).contains(&at)
            || (port..port + 2).contains(&at)
            || (sum..sum + 2).contains(&at)
    };
    for (at, (a, b)) in before.iter().zip(after).enumerate() {
        assert!(a == b || may_change(at), "byte {at} of the quote changed");
    }
}
