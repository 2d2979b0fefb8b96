//! What became of the first fragment of this datagram? Later fragments carry no ports, so they
//! follow it (RFC 4787 REQ-14).
//!
//! The table has a fixed size and forgets the oldest entry of a set for a new one, so a flood of
//! fragments costs other fragmented datagrams at most, never whole packets (REQ-14a). Later
//! fragments that come before the first are not kept.

use crate::frame::Row;
use crate::ids::ShardId;
use crate::time::{Now, Span};
use crate::wire::ip4;

/// What all fragments of one datagram share (RFC 791 3.2), and no others do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentKey {
    /// Any number that tells routing domains apart: each has addresses of its own.
    pub domain: u32,
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
    /// Identification.
    pub id: u16,
    /// IP protocol number.
    pub proto: u8,
}

impl FragmentKey {
    /// The key of an IPv4 packet in `domain`; `frame` is the whole buffer. `None` when the row
    /// points outside.
    pub fn of(domain: u32, frame: &[u8], row: &Row) -> Option<Self> {
        let l3 = usize::from(row.l3);
        let header: &[u8; ip4::HEADER] = frame.get(l3..)?.first_chunk()?;
        let id = u16::from_be_bytes([header[4], header[5]]);
        Some(Self { domain, src: row.src, dst: row.dst, id, proto: row.proto })
    }

    fn hash(self) -> u64 {
        let a = u64::from(self.src) << 32 | u64::from(self.dst);
        let b = u64::from(self.domain) << 24 | u64::from(self.id) << 8 | u64::from(self.proto);
        let mixed = (a ^ b.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29 ^ b).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    /// The shard that remembers where fragments with this key go.
    pub fn shard(self) -> ShardId {
        ShardId((self.hash() >> 58) as u8)
    }
}

const WAYS: usize = 4;

#[derive(Clone, Copy, Debug, Default)]
struct Entry<V> {
    key: FragmentKey,
    /// Zero when the entry was never used.
    deadline: Now,
    value: V,
}

/// A value for each datagram whose first fragment was seen lately.
#[derive(Clone, Debug)]
pub struct FragmentTable<V> {
    sets: Box<[[Entry<V>; WAYS]]>,
    idle: Span,
}

impl<V: Copy + Default> FragmentTable<V> {
    /// A table for at least `capacity` datagrams, each remembered for `idle` after its latest
    /// fragment.
    pub fn new(capacity: usize, idle: Span) -> Self {
        let sets = capacity.div_ceil(WAYS).max(1).next_power_of_two();
        Self { sets: vec![[Entry::default(); WAYS]; sets].into_boxed_slice(), idle }
    }

    fn set(&mut self, key: FragmentKey) -> &mut [Entry<V>; WAYS] {
        let mask = self.sets.len() - 1;
        &mut self.sets[(key.hash() >> 8) as usize & mask]
    }

    /// Remembers `value` for the later fragments of a datagram, in place of what was there.
    pub fn record(&mut self, key: FragmentKey, value: V, now: Now) {
        let deadline = now + self.idle;
        let set = self.set(key);
        // The entry that ends first is one that has ended, if there is any.
        let at = (0..WAYS).find(|&i| set[i].key == key);
        let at = at.or_else(|| (0..WAYS).min_by_key(|&i| set[i].deadline)).unwrap_or(0);
        set[at] = Entry { key, deadline, value };
    }

    /// What was recorded for a datagram, and remembers it for longer.
    pub fn find(&mut self, key: FragmentKey, now: Now) -> Option<V> {
        let deadline = now + self.idle;
        let entry = self.set(key).iter_mut().find(|e| e.key == key && e.deadline > now)?;
        entry.deadline = deadline;
        Some(entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u16) -> FragmentKey {
        FragmentKey { domain: 3, src: 1, dst: 2, id, proto: 17 }
    }

    #[test]
    fn a_datagram_is_remembered_until_it_is_idle() {
        let mut table = FragmentTable::new(16, Span::secs(30));
        table.record(key(7), 'a', Now(0));
        assert_eq!(table.find(key(7), Now(0) + Span::secs(29)), Some('a'));
        assert_eq!(table.find(key(7), Now(0) + Span::secs(58)), Some('a'), "a fragment refreshes");
        assert_eq!(table.find(key(7), Now(0) + Span::secs(88)), None);
        assert_eq!(table.find(key(8), Now(0)), None);
    }

    #[test]
    fn equal_datagrams_of_two_domains_are_two() {
        let mut table = FragmentTable::new(4, Span::secs(30));
        let other = FragmentKey { domain: 4, ..key(7) };
        table.record(key(7), 'a', Now(0));
        assert_eq!(table.find(other, Now(1)), None);
        table.record(other, 'b', Now(1));
        assert_eq!((table.find(key(7), Now(2)), table.find(other, Now(2))), (Some('a'), Some('b')));
    }

    #[test]
    fn u14a_a_flood_takes_no_more_than_the_table() {
        let mut table = FragmentTable::new(16, Span::secs(30));
        for id in 0..5000 {
            table.record(key(id), id, Now(u64::from(id)));
        }
        let known = (0..5000).filter(|&id| table.find(key(id), Now(5000)).is_some()).count();
        assert!((4..=16).contains(&known), "{known} known");
        assert_eq!(table.find(key(4999), Now(5000)), Some(4999), "the newest is there");
    }

    #[test]
    fn a_new_first_fragment_takes_the_place_of_an_old_one_with_its_identification() {
        let mut table = FragmentTable::new(4, Span::secs(30));
        table.record(key(1), 'a', Now(0));
        table.record(key(1), 'b', Now(1));
        assert_eq!(table.find(key(1), Now(2)), Some('b'));
    }
}
