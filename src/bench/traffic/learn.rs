//! What did the NAT make of each flow? The responder's half of RFC 9693: phase 1 sends every flow
//! once and notes the translated address and port of what arrives; phase 2 answers to those.

use super::probe::{self, Probe};
use crate::wire::{eth, ip4, proto, udp, vlan};

/// Translated source address and port of every flow, by the flow's place in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned(Vec<Outside>);

/// An address and a port; port 0 is "not seen yet", which no translator gives out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outside {
    address: u32,
    port: u16,
}

impl Learned {
    /// What flow `place` looks like from outside.
    ///
    /// # Panics
    /// When there is no such flow.
    #[inline(always)]
    pub fn outside(&self, place: u64) -> (u32, u16) {
        let place = usize::try_from(place).expect("places are those of flows");
        let Outside { address, port } = self.0[place];
        (address, port)
    }

    /// How many flows there are.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A [`Learned`] in the making.
#[derive(Clone, Debug)]
pub struct Learner {
    table: Vec<Outside>,
    missing: u64,
    trial: u16,
    /// The same flow with another translation than before.
    changed: u64,
    /// Whether the probe's trial does not matter.
    any: bool,
}

impl Learner {
    /// Waits for `len` flows, whose probes name this trial and have their places as numbers.
    pub fn new(trial: u16, len: usize) -> Self {
        Self {
            table: vec![Outside::default(); len],
            missing: len as u64,
            trial,
            changed: 0,
            any: false,
        }
    }

    /// Waits for `len` flows of whatever trial runs now.
    pub fn of_any_trial(len: usize) -> Self {
        Self { any: true, ..Self::new(0, len) }
    }

    /// Notes a frame that came through, from its Ethernet header on; whether it was one of ours.
    pub fn see(&mut self, frame: &[u8]) -> bool {
        let Some((address, port, payload)) = source(frame) else { return false };
        let Ok(probe) = Probe::read(payload) else { return false };
        let slot = usize::try_from(probe.seq).ok().and_then(|seq| self.table.get_mut(seq));
        let Some(slot) = slot.filter(|_| self.any || probe.trial == self.trial) else {
            return false;
        };
        let seen = Outside { address, port };
        if slot.port == 0 {
            self.missing -= 1;
        } else if *slot != seen {
            self.changed += 1;
        }
        *slot = seen;
        true
    }

    /// How many flows have not been seen.
    pub const fn missing(&self) -> u64 {
        self.missing
    }

    /// How many frames came with another translation than the flow's earlier ones.
    pub const fn changed(&self) -> u64 {
        self.changed
    }

    /// The places that have not been seen, in order.
    pub fn unseen(&self) -> Vec<u64> {
        let slots = self.table.iter().zip(0..);
        slots.filter(|(slot, _)| slot.port == 0).map(|(_, place)| place).collect()
    }

    /// The table, once nothing is missing.
    pub fn finish(self) -> Option<Learned> {
        (self.missing == 0).then_some(Learned(self.table))
    }
}

/// Source address, source port and payload of a UDP datagram over IPv4, behind any tags.
fn source(frame: &[u8]) -> Option<(u32, u16, &[u8])> {
    let tags = vlan::read_tags(frame)?;
    let ip = frame.get(tags.payload()..)?;
    let head: &[u8; ip4::HEADER + udp::HEADER] = ip.first_chunk()?;
    if tags.ether_type != eth::ether_type::IP4 || head[0] != 0x45 || head[9] != proto::UDP {
        return None;
    }
    let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let payload = ip.get(head.len()..len)?;
    let address = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
    (payload.len() >= probe::SIZE).then_some((
        address,
        u16::from_be_bytes([head[20], head[21]]),
        payload,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::build::Packet;
    use crate::wire::eth::MacAddr;
    use crate::wire::vlan::TagStack;

    const STACKS: [TagStack; 3] =
        [TagStack::UNTAGGED, TagStack::single(200), TagStack::double(1001, 200)];

    /// What a translator made of flow `seq`, as a frame built by other means.
    fn translated(trial: u16, seq: u64, port: u16, tags: TagStack) -> Vec<u8> {
        let mut payload = [0; 30];
        Probe { trial, seq, ..Probe::default() }.write(&mut payload);
        let packet = Packet::ip4([198, 18, 0, 9], [198, 19, 1, 1]).udp(port, 443, &payload);
        packet.eth(MacAddr::ZERO, MacAddr::ZERO).tags(tags).build()
    }

    #[test]
    fn each_flow_s_outside_is_noted_behind_any_tags() {
        let mut learner = Learner::new(4, 3);
        for (seq, tags) in (0..).zip(STACKS) {
            assert_eq!(learner.unseen(), (seq..3).collect::<Vec<_>>());
            let port = 5000 + u16::try_from(seq).unwrap();
            assert!(learner.see(&translated(4, seq, port, tags)));
        }
        assert_eq!((learner.missing(), learner.changed()), (0, 0));
        let learned = learner.finish().expect("nothing is missing");
        assert_eq!(learned.len(), 3);
        assert_eq!(learned.outside(2), (0xc612_0009, 5002));
    }

    #[test]
    fn what_is_missing_leaves_no_table_and_a_change_is_counted() {
        let mut learner = Learner::new(4, 2);
        assert!(learner.see(&translated(4, 1, 5000, STACKS[0])));
        assert!(learner.see(&translated(4, 1, 5000, STACKS[0])));
        assert_eq!(learner.changed(), 0, "the same again");
        assert!(learner.see(&translated(4, 1, 5001, STACKS[0])));
        assert_eq!((learner.missing(), learner.changed()), (1, 1));
        assert_eq!(learner.finish(), None);
    }

    #[test]
    fn other_frames_are_none_of_ours() {
        let mut learner = Learner::new(4, 2);
        let own = translated(4, 0, 5000, STACKS[1]);
        let mut tcp = own.clone();
        tcp[18 + 9] = 6;
        let mut broken = own.clone();
        *broken.last_mut().unwrap() ^= 1;
        let others =
            [translated(3, 0, 5000, STACKS[0]), translated(4, 2, 5000, STACKS[0]), tcp, broken];
        assert!(others.iter().all(|frame| !learner.see(frame)));
        assert!((0..own.len()).all(|cut| !learner.see(&own[..cut])), "cut off anywhere");
        assert_eq!(learner.missing(), 2);
    }
}
