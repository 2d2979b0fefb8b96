//! Who sends to whom, behind which tags? Mostly pairs that talk, now and then somebody who must not.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::entropy::Entropy;
use super::super::hosts::{Hosts, Lane};
use super::super::mend::OLD_SERVICE_VLAN;
use crate::wire::eth::{MacAddr, ether_type};
use crate::wire::vlan::{MOST_TAGS, Tag, VID};

/// The two ends of one frame.
#[derive(Clone, Debug)]
pub(in crate::hostile) struct Ends {
    pub(in crate::hostile) tags: Vec<Tag>,
    pub(in crate::hostile) from: MacAddr,
    pub(in crate::hostile) to: MacAddr,
    pub(in crate::hostile) src: u32,
    pub(in crate::hostile) dst: u32,
    pub(in crate::hostile) src6: [u8; 16],
    pub(in crate::hostile) dst6: [u8; 16],
}

/// Addresses for documentation, where nobody is known.
const SRC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const SRC6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const DST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1);
const FROM: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// Addresses that no packet on a wire should have where they stand (RFC 6890).
const MARTIANS: [[u8; 4]; 12] = [
    [0, 0, 0, 0],
    [0, 1, 2, 3],
    [127, 0, 0, 1],
    [127, 255, 255, 254],
    [224, 0, 0, 1],
    [239, 255, 255, 255],
    [240, 0, 0, 1],
    [255, 255, 255, 255],
    [169, 254, 1, 1],
    [100, 64, 0, 1],
    [192, 0, 0, 8],
    [198, 18, 0, 1],
];

const MARTIANS6: [Ipv6Addr; 5] = [
    Ipv6Addr::UNSPECIFIED,
    Ipv6Addr::LOCALHOST,
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x0a00, 1),
];

impl Ends {
    /// Ends as hosts are, changed in one place now and then.
    pub(in crate::hostile) fn choose(entropy: &mut Entropy<'_>, hosts: &Hosts) -> Self {
        let mut ends = Self::plain(entropy, hosts);
        match entropy.below(12) {
            8 => ends.twist_macs(entropy),
            9 => ends.twist_tags(entropy),
            10 | 11 => ends.twist_addresses(entropy),
            _ => {}
        }
        ends
    }

    /// Ends as hosts are.
    pub(in crate::hostile) fn plain(entropy: &mut Entropy<'_>, hosts: &Hosts) -> Self {
        let nobody = Lane::default();
        let lane = entropy.pick(hosts.lanes()).unwrap_or(&nobody);
        let (from, to) = pair(entropy, &lane.macs, (FROM, MacAddr::BROADCAST));
        let (src, dst) = pair(entropy, &lane.ip4, (SRC, DST));
        let (src6, dst6) = pair(entropy, &lane.ip6, (SRC6, DST6));
        Self {
            tags: lane.tags.clone(),
            from,
            to,
            src: src.to_bits(),
            dst: dst.to_bits(),
            src6: src6.octets(),
            dst6: dst6.octets(),
        }
    }

    /// Everything before the ether type.
    pub(in crate::hostile) fn header(&self) -> Vec<u8> {
        let mut header = [self.to.0, self.from.0].concat();
        for tag in &self.tags {
            header.extend(tag.tpid.to_be_bytes());
            header.extend(tag.tci.to_be_bytes());
        }
        header
    }

    /// The same with both ends of the packet exchanged.
    pub(super) fn turned(&self) -> Self {
        Self { src: self.dst, dst: self.src, src6: self.dst6, dst6: self.src6, ..self.clone() }
    }

    fn twist_macs(&mut self, entropy: &mut Entropy<'_>) {
        let [a, b, c, d] = entropy.word().to_be_bytes();
        match entropy.below(8) {
            0 => self.to = MacAddr::BROADCAST,
            1 => self.to = MacAddr([1, 0, 0x5e, b & 0x7f, c, d]),
            2 => self.to = MacAddr([1, 0x80, 0xc2, 0, 0, d]),
            3 => self.to = MacAddr([0x02, 0, a, b, c, d]),
            4 => self.from = MacAddr([0x02, 0, a, b, c, d]),
            5 => self.from = MacAddr([0x01, 0, a, b, c, d]),
            6 => self.from = MacAddr::ZERO,
            _ => self.from = self.to,
        }
    }

    fn twist_tags(&mut self, entropy: &mut Entropy<'_>) {
        let vid = entropy.one_of([0, 1, 4094, VID]);
        let tpid = entropy.one_of([ether_type::VLAN, ether_type::SERVICE_VLAN, OLD_SERVICE_VLAN]);
        let bits = entropy.half();
        let new = Tag { tpid, tci: bits & !VID | vid };
        let at = entropy.below(self.tags.len());
        match (entropy.below(7), self.tags.get_mut(at)) {
            (0, Some(_)) => drop(self.tags.remove(at)),
            (1, Some(tag)) => tag.tpid = tpid,
            (2, Some(tag)) => tag.tci = tag.tci & VID | bits & !VID,
            (3, Some(tag)) => tag.tci = new.tci,
            (4, Some(tag)) => tag.tci = bits,
            (5, _) => self.tags.insert(0, new),
            _ => self.tags.push(new),
        }
        self.tags.truncate(MOST_TAGS);
    }

    fn twist_addresses(&mut self, entropy: &mut Entropy<'_>) {
        let martian = u32::from_be_bytes(entropy.one_of(MARTIANS));
        let martian6 = entropy.one_of(MARTIANS6).octets();
        let near = u32::from(entropy.byte());
        match entropy.below(8) {
            0 => (self.src, self.src6) = (martian, martian6),
            1 => (self.dst, self.dst6) = (martian, martian6),
            2 => (self.src, self.src6) = (self.dst, self.dst6),
            3 => *self = self.turned(),
            4 => self.src = self.src & !0xff | near,
            5 => self.dst = self.dst & !0xff | near,
            6 => self.dst |= 0xff,
            _ => self.dst = entropy.word(),
        }
    }
}

/// A pair that talks, or one time in eight two who may never have met.
fn pair<A: Copy, B: Copy>(entropy: &mut Entropy<'_>, list: &[(A, B)], none: (A, B)) -> (A, B) {
    let Some(&(a, b)) = entropy.pick(list) else { return none };
    if !entropy.one_in(8) {
        return (a, b);
    }
    (a, entropy.pick(list).map_or(b, |other| other.1))
}
