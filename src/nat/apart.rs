//! What becomes of packets that no session of their own describes: fragments, ICMP errors, and
//! protocols without ports?

use super::fragments::FragmentKey;
use super::icmp_error::Quote;
use super::rewrite;
use super::session::{Endpoint, FlowKey, Side};
use super::shard::{Follow, Nat44Shard, Translated};
use super::state::Presence;
use crate::frame::{DropReason, Flags, Row};
use crate::time::Now;

/// The addresses of one NAT are one domain, and no other NAT uses a shard's table.
const DOMAIN: u32 = 0;

impl Nat44Shard {
    #[cold]
    #[inline(never)]
    pub(super) fn translate_odd(
        &mut self,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        if row.flags.has(Flags::LATER_FRAGMENT) {
            return self.later_fragment(side, frame, row);
        }
        if row.flags.has(Flags::ICMP_ERROR) {
            return self.icmp_error(side, frame, row);
        }
        let Some(key) = FlowKey::of(side, row) else { return self.one_to_one(side, frame, row) };
        let fragment = FragmentKey::of(DOMAIN, frame, row).ok_or(DropReason::Ip4TooShort)?;
        let translated = self.whole(side, key, frame, row)?;
        let ip = if side == Side::In2Out { row.src } else { row.dst };
        let follow = Follow { ip, hairpin: translated == Translated::Hairpin };
        self.fragments.record(fragment, follow, row.arrival);
        Ok(translated)
    }

    /// The address that stands for a whole address on the other side.
    fn static_other(&self, side: Side, row: &Row) -> Option<u32> {
        match side {
            Side::In2Out => self.rules.static_outside(row.src),
            Side::Out2In => self.rules.static_inside(row.dst),
        }
    }

    fn turn(&self, side: Side, row: &Row) -> Translated {
        if side == Side::In2Out && self.rules.is_outside(row.dst) {
            Translated::Hairpin
        } else {
            Translated::Done
        }
    }

    /// A packet that needs no ports, because its whole address is bound to another.
    pub(super) fn one_to_one(
        &mut self,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        let to = self.static_other(side, row).ok_or(DropReason::NatUnsupportedProtocol)?;
        rewrite::whole_address(frame, row, side, to)?;
        Ok(self.turn(side, row))
    }

    fn later_fragment(
        &mut self,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        if self.static_other(side, row).is_some() {
            return self.one_to_one(side, frame, row);
        }
        let key = FragmentKey::of(DOMAIN, frame, row).ok_or(DropReason::Ip4TooShort)?;
        let follow = self.fragments.find(key, row.arrival);
        let follow = follow.ok_or(DropReason::NatFragmentUnknown)?;
        rewrite::whole_address(frame, row, side, follow.ip)?;
        Ok(if follow.hairpin { Translated::Hairpin } else { Translated::Done })
    }

    fn icmp_error(
        &mut self,
        side: Side,
        frame: &mut [u8],
        row: &mut Row,
    ) -> Result<Translated, DropReason> {
        let quote = Quote::of(frame, row).ok_or(DropReason::NatBadIcmp)?;
        if !quote.is_intact(frame) {
            return Err(DropReason::NatBadIcmp);
        }
        let to = self.quoted_other(side, &quote, row.arrival).ok_or(DropReason::NatNoSession)?;
        // From inside, a router on the way has no mapping of its own: it speaks with the address
        // of the host that the error is about (RFC 5508 REQ-5c).
        let outer = match side {
            Side::In2Out if row.src != quote.dst => {
                self.rules.static_outside(row.src).unwrap_or(to.ip)
            }
            _ => to.ip,
        };
        quote.rewrite(frame, side, to);
        rewrite::address(frame, row, side, outer)?;
        Ok(self.turn(side, row))
    }

    /// What the other side knows a quoted packet's local end as.
    fn quoted_other(&mut self, side: Side, quote: &Quote, now: Now) -> Option<Endpoint> {
        let ip = if side == Side::In2Out { quote.dst } else { quote.src };
        let whole = match side {
            Side::In2Out => self.rules.static_outside(ip),
            Side::Out2In => self.rules.static_inside(ip),
        };
        let Some((proto, sport, dport)) = quote.ports else {
            return whole.map(|ip| Endpoint::new(ip, 0));
        };
        let local = Endpoint::new(ip, if side == Side::In2Out { dport } else { sport });
        if let Some(ip) = whole {
            return Some(Endpoint::new(ip, local.port));
        }
        match self.state.find_mapping(side, proto, local, now)? {
            (id, Presence::Alive(_)) => {
                let mapping = self.state.mapping(id);
                Some(if side == Side::In2Out { mapping.outside } else { mapping.inside })
            }
            _ => None,
        }
    }
}
