//! What does a packet look like on the way out? Less time to live, its rewrite's header in front,
//! and off it goes; links' bandwidth, meters and gateways count it, many packets at once.

use super::lists::Picked;
use super::place::{Routed, around};
use super::{Purse, Ready, through};
use crate::frame::{BATCH, Batch, Bits, Frame, Length, Outgoing};
use crate::ids::{Direction, GatewayId, PolicerId, RewriteId};
use crate::neighbour::Word;
use crate::stage::police::sizes_cost;
use crate::stage::{Context, Outbox, meter};
use crate::tables::counters::{GatewayCounters, INSTANCES};
use crate::tables::exit::Counted;
use crate::tables::gateway::{Gateway, GatewayLimits};
use crate::tables::next_hop::spread;
use crate::tables::rewrite::HEADER_ROOM;
use crate::tables::{Counters, Rewrite, Tables};
use crate::wire::checksum;

/// Where packets came in, and how they go.
pub(super) struct Way<'a> {
    pub(super) place: &'a Routed<'a>,
    pub(super) purse: &'a Purse,
    /// The gateway that they go through; past it without.
    pub(super) via: Option<GatewayId>,
}

impl Way<'_> {
    /// Sends the packets that are `ready`. Where a limit has no room for them they stay.
    #[inline(always)]
    pub(super) fn leave<const L2: usize>(
        &self,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        ready: Ready,
    ) {
        let Context { tables, counters, .. } = *cx;
        let Outbox { ports, express, .. } = &mut *cx.out;
        let picked = &express.lists.picked;
        if ready.set == 0 {
            return;
        }
        let ready = self.pay(tables, picked, ready);
        if ready.set == 0 {
            return;
        }
        self.send::<L2>((tables, counters), batch, ports, (picked, ready));
        let figures = (ready.len(), ready.bytes);
        meter(counters, self.place.meter, Direction::ToAzure, figures);
        if let Some(id) = self.via {
            let hashes = Bits(ready.set).map(|k| picked.hash(k));
            count_through(counters.gateway(id), tables.gateway(id), figures, hashes);
        }
    }

    /// Sends those that share their rewrite together.
    #[inline(always)]
    fn send<const L2: usize>(
        &self,
        (tables, counters): (&Tables, &Counters),
        batch: &mut Batch,
        ports: &mut [Vec<Outgoing>],
        (picked, ready): (&Picked, Ready),
    ) {
        let mut left = ready.set;
        while left != 0 {
            let id = picked.rewrites[left.trailing_zeros() as usize];
            let run = if ready.alike { left } else { sharing(picked, left, id) };
            left &= !run;
            let rewrite = tables.rewrite(id);
            let port = &mut ports[rewrite.exit.port().index()];
            self.send_run::<L2>(batch, port, rewrite, (picked, run));
            let bytes = if run == ready.set { ready.bytes } else { picked.sizes(run).bytes };
            self.count(counters, rewrite.exit.counted(), (u64::from(run.count_ones()), bytes));
        }
    }

    /// Sends the packets of `run`, which share their rewrite: its header stays in registers.
    #[inline(never)]
    fn send_run<const L2: usize>(
        &self,
        batch: &mut Batch,
        port: &mut Vec<Outgoing>,
        rewrite: &Rewrite,
        (picked, run): (&Picked, u64),
    ) {
        let hops = if self.via.is_some() { through::HOPS } else { 1 };
        let (header, size) = (rewrite.header, rewrite.exit.header_size());
        let at = self.purse.arrival;
        let mut gone = 0;
        for k in Bits(run) {
            let order = picked.at[k];
            let place = usize::from(order) % BATCH;
            gone |= 1 << place;
            let (mut frame, bytes) = batch.lift(place);
            let l3 = usize::from(bytes.off).wrapping_add(L2);
            dress(&mut frame, l3, (&header, size), picked.words[k], hops);
            #[expect(clippy::cast_possible_truncation, reason = "a place in a frame")]
            let off = (l3 as u16).wrapping_sub(u16::from(size));
            let len = Length::of_two(u16::from(size), picked.ip_len[k]);
            port.push(Outgoing::whole(frame, (off, len), order, at));
        }
        batch.let_go(gone);
    }

    /// Counts packets by what they leave by. What does not leave by a link has only gone past a
    /// gateway where it came from on-premises and through none.
    #[inline(always)]
    fn count(&self, counters: &Counters, counted: Counted, (packets, bytes): (u64, u64)) {
        if let Some(id) = counted.meter() {
            let meter = counters.meter(id);
            meter.out_packets.add(packets);
            meter.out_bytes.add(bytes);
        }
        let past = self.place.from_onprem && self.via.is_none();
        if let Some(id) = counted.gateway().filter(|_| past) {
            let gateway = counters.gateway(id);
            gateway.fastpath_packets.add(packets);
            gateway.fastpath_bytes.add(bytes);
        }
    }

    /// Pays for the packets that are ready, those of one policer at once, and returns those that
    /// are left. Where another worker was faster with the second limit the first was paid for
    /// nothing: too little passes then, never too much.
    #[inline(always)]
    fn pay(&self, tables: &Tables, picked: &Picked, ready: Ready) -> Ready {
        let gateway = self.via.and_then(|id| tables.gateway(id).limits.as_ref());
        let limits = Limits { tables, gateway, purse: self.purse };
        match (self.place.police, ready.exits.asked().police) {
            (None, true) => limits.pay_by_link(picked, ready),
            (policer, over_links) => {
                let ready = if over_links { limits.past_links(picked, ready) } else { ready };
                if limits.pay(policer, picked, ready) { ready } else { Ready::default() }
            }
        }
    }
}

/// Those of `set` that have this rewrite: all packets of a flow, so that none overtakes another.
#[inline(never)]
fn sharing(picked: &Picked, set: u64, id: RewriteId) -> u64 {
    Bits(set).fold(0, |same, k| same | u64::from(picked.rewrites[k] == id) << k)
}

/// What packets are paid to.
struct Limits<'a> {
    tables: &'a Tables,
    gateway: Option<&'a GatewayLimits>,
    purse: &'a Purse,
}

impl Limits<'_> {
    /// Pays a link's policer and the gateway's for packets that are `ready`.
    #[inline(always)]
    fn pay(&self, policer: Option<PolicerId>, picked: &Picked, ready: Ready) -> bool {
        let (figures, arrival) = ((ready.len(), ready.bytes), self.purse.arrival);
        let paid = policer.is_none_or(|id| {
            let policer = self.tables.policer(id);
            let sizes = Bits(ready.set).map(|k| u32::from(picked.ip_len[k]));
            policer.bucket.admit(arrival, sizes_cost(policer, figures, sizes))
        });
        paid && self.gateway.is_none_or(|limits| {
            limits.packets.admit(arrival, figures.0) && limits.bits.admit(arrival, figures.1)
        })
    }

    /// Those that leave by no link: what came in by one and leaves by another is for the stages.
    #[cold]
    fn past_links(&self, picked: &Picked, ready: Ready) -> Ready {
        let over = |k: &usize| self.policer(picked, *k).is_some();
        let over = Bits(ready.set).filter(over).fold(0, |set, k| set | 1_u64 << k);
        ready.within(!over, picked)
    }

    /// The policer of the link that a packet leaves by.
    #[inline(always)]
    fn policer(&self, picked: &Picked, k: usize) -> Option<PolicerId> {
        picked.rewrite(self.tables, k).police
    }

    /// Pays for packets that leave by several links, and returns those that are paid for.
    #[inline(never)]
    fn pay_by_link(&self, picked: &Picked, ready: Ready) -> Ready {
        let policer = |k: usize| self.policer(picked, k);
        let (mut paid, mut left) = (0, ready.set);
        while left != 0 {
            let first = policer(left.trailing_zeros() as usize);
            let members =
                Bits(left).fold(0, |members, k| members | u64::from(policer(k) == first) << k);
            left &= !members;
            let affords = first.is_none_or(|id| self.purse.affords(self.tables.policer(id)));
            if affords && self.pay(first, picked, ready.within(members, picked)) {
                paid |= members;
            }
        }
        ready.within(paid, picked)
    }
}

/// Bytes that a packet on its way out changes: its header, and the first of its IPv4 header.
const AROUND: usize = HEADER_ROOM + 12;
/// Two MAC addresses of a header begin at most here.
const LAST_MACS: usize = HEADER_ROOM - 12;

/// Writes a header of `size` bytes before the packet at `l3`, and takes from its time to live. The
/// copy has one size for all, and so no loop: what it writes in front of the header is headroom.
#[inline(always)]
fn dress(
    frame: &mut Frame,
    l3: usize,
    (new, size): (&[u8; HEADER_ROOM], u8),
    word: Word,
    hops: u8,
) {
    let (header, ip) = around::<AROUND>(frame, l3).split_at_mut(HEADER_ROOM);
    header.copy_from_slice(new);
    let start = HEADER_ROOM.wrapping_sub(usize::from(size)).min(LAST_MACS);
    let macs: &mut [u8; 8] = header[start..].first_chunk_mut().expect("two addresses");
    *macs = (u64::from_ne_bytes(*macs) | word.mac_in_front()).to_ne_bytes();
    ip[8] = ip[8].wrapping_sub(hops);
    let sum: &mut [u8; 2] = ip[10..].first_chunk_mut().expect("the checksum");
    *sum = checksum::less_time(*sum, hops);
}

/// Counts what went through a gateway.
#[inline(always)]
fn count_through(
    counters: &GatewayCounters,
    gateway: &Gateway,
    (packets, bytes): (u64, u64),
    hashes: impl Iterator<Item = u32>,
) {
    counters.packets.add(packets);
    counters.bytes.add(bytes);
    for hash in hashes {
        let instance = spread(hash, usize::from(gateway.instances));
        counters.instances[instance % INSTANCES].add(1);
    }
}
