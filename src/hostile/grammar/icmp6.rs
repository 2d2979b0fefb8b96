//! ICMPv6: neighbour and router discovery, redirects, errors that quote, echoes, and any type.

use super::super::entropy::Entropy;
use super::{Ends, ip6, lied};
use crate::wire::icmp6::{kind, option};
use crate::wire::proto;

/// Types of messages.
const KINDS: [u8; 14] = [
    kind::NEIGHBOUR_SOLICITATION,
    kind::NEIGHBOUR_ADVERTISEMENT,
    kind::ROUTER_SOLICITATION,
    kind::ROUTER_ADVERTISEMENT,
    kind::REDIRECT,
    kind::ECHO_REQUEST,
    kind::ECHO_REPLY,
    kind::UNREACHABLE,
    kind::PACKET_TOO_BIG,
    kind::TIME_EXCEEDED,
    kind::PARAMETER_PROBLEM,
    // Multicast listeners.
    130,
    131,
    143,
];

/// A message over IPv6.
pub(super) fn packet(entropy: &mut Entropy<'_>, ends: &Ends, room: usize) -> Vec<u8> {
    let any = entropy.byte();
    let kind = if entropy.one_in(12) { any } else { entropy.one_of(KINDS) };
    let code = if entropy.one_in(8) { entropy.byte() } else { 0 };
    let mut body = vec![kind, code, 0, 0];
    body.extend(entropy.one_of([0, 1280, 0x6000_0000, u32::MAX]).to_be_bytes());
    match kind {
        kind::NEIGHBOUR_SOLICITATION | kind::NEIGHBOUR_ADVERTISEMENT => {
            body.extend(if entropy.one_in(4) { ends.src6 } else { ends.dst6 });
            options(entropy, ends, &mut body);
        }
        kind::ROUTER_ADVERTISEMENT => {
            body.extend(entropy.payload(8));
            options(entropy, ends, &mut body);
        }
        kind::ROUTER_SOLICITATION => options(entropy, ends, &mut body),
        kind::REDIRECT => {
            body.extend([ends.src6, ends.dst6].concat());
            options(entropy, ends, &mut body);
        }
        kind::UNREACHABLE..=kind::PARAMETER_PROBLEM => {
            let mut quoted = ip6::packet(entropy, &ends.turned(), room.saturating_sub(48));
            quoted.truncate(entropy.below(quoted.len() + 1));
            body.extend(quoted);
        }
        _ => {
            let size = entropy.size(room.saturating_sub(48));
            body.extend(entropy.payload(size));
        }
    }
    if entropy.one_in(16) {
        body.truncate(entropy.below(body.len()));
    }
    ip6::over(entropy, ends, proto::ICMP6, &body)
}

/// Options of neighbour discovery; a length of 0 among them, which no reader may follow.
fn options(entropy: &mut Entropy<'_>, ends: &Ends, body: &mut Vec<u8>) {
    for _ in 0..entropy.below(4) {
        let any = entropy.byte();
        let kind = entropy.one_of([
            option::SOURCE_LINK_LAYER,
            option::TARGET_LINK_LAYER,
            option::PREFIX,
            option::MTU,
            any,
        ]);
        let words = if kind == option::PREFIX { 4 } else { 1 };
        let [_, size] = lied(entropy, words).to_be_bytes();
        body.extend([kind, size]);
        body.extend(ends.from.0);
        body.resize(body.len() + 8 * (words - 1), 0);
    }
}
