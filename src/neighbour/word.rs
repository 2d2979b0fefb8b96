//! What workers know of a neighbour: its MAC address and state in one word, so that both always
//! belong together.

use crate::ids::NeighbourId;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wire::eth::MacAddr;

/// Whether frames can be sent to a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum NeighbourState {
    /// It was asked and has not answered yet: hold frames.
    Incomplete = 0,
    /// The MAC address holds.
    Reachable = 1,
    /// It did not answer: routes through it are unusable.
    Failed = 2,
    /// Its port is down.
    Down = 3,
}

impl NeighbourState {
    /// The state's public name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Failed => "failed",
            Self::Down => "down",
        }
    }
}

/// A neighbour's MAC address and state: eight bytes in memory, the address, the state, and a zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word(u64);

/// The bytes of a word behind the address.
const STATE: u64 = u64::from_ne_bytes([0, 0, 0, 0, 0, 0, 0xff, 0xff]);

impl Word {
    /// A word of these; the address counts in [`NeighbourState::Reachable`] only.
    pub const fn new(mac: MacAddr, state: NeighbourState) -> Self {
        let [a, b, c, d, e, f] = mac.0;
        Self(u64::from_ne_bytes([a, b, c, d, e, f, state as u8, 0]))
    }

    /// The MAC address; zero when there is none.
    #[inline(always)]
    pub const fn mac(self) -> MacAddr {
        let [a, b, c, d, e, f, ..] = self.0.to_ne_bytes();
        MacAddr([a, b, c, d, e, f])
    }

    /// The MAC address as the first six of eight bytes in memory; two zeroes follow.
    #[inline(always)]
    pub const fn mac_in_front(self) -> u64 {
        self.0 & !STATE
    }

    /// The state.
    #[inline(always)]
    pub const fn state(self) -> NeighbourState {
        match (self.0.to_le() >> 48) & 3 {
            0 => NeighbourState::Incomplete,
            1 => NeighbourState::Reachable,
            2 => NeighbourState::Failed,
            _ => NeighbourState::Down,
        }
    }

    /// Whether frames can be sent to [`Word::mac`].
    #[inline(always)]
    pub const fn is_reachable(self) -> bool {
        const REACHABLE: u64 =
            u64::from_ne_bytes([0, 0, 0, 0, 0, 0, NeighbourState::Reachable as u8, 0]);
        self.0 & STATE == REACHABLE
    }
}

/// The words of all neighbours: control stores, workers load.
#[derive(Debug)]
pub struct Words(Box<[AtomicU64]>);

impl Words {
    /// Words for neighbours 0 to `len` - 1, all down.
    pub fn new(len: usize) -> Self {
        let down = Word::new(MacAddr::ZERO, NeighbourState::Down);
        Self((0..len).map(|_| AtomicU64::new(down.0)).collect())
    }

    /// A neighbour's word as it is now; that of an unknown neighbour says down.
    #[inline(always)]
    pub fn load(&self, id: NeighbourId) -> Word {
        match self.0.get(id.index()) {
            Some(word) => Word(word.load(Ordering::Relaxed)),
            None => Word::new(MacAddr::ZERO, NeighbourState::Down),
        }
    }

    /// Replaces a neighbour's word; nothing happens for an unknown one.
    pub fn store(&self, id: NeighbourId, word: Word) {
        if let Some(place) = self.0.get(id.index()) {
            place.store(word.0, Ordering::Relaxed);
        }
    }

    /// How many neighbours there is room for.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is room for none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_address_and_state_apart() {
        for state in [
            NeighbourState::Incomplete,
            NeighbourState::Reachable,
            NeighbourState::Failed,
            NeighbourState::Down,
        ] {
            for mac in [MacAddr::ZERO, MacAddr::BROADCAST, MacAddr([2, 0, 0, 0x10, 0x20, 0x30])] {
                let word = Word::new(mac, state);
                assert_eq!((word.mac(), word.state()), (mac, state));
                assert_eq!(word.is_reachable(), state == NeighbourState::Reachable);
            }
        }
    }

    #[test]
    fn neighbours_that_nobody_added_are_down() {
        let words = Words::new(2);
        let up = Word::new(MacAddr([2; 6]), NeighbourState::Reachable);
        words.store(NeighbourId(1), up);
        words.store(NeighbourId(7), up);
        assert_eq!(words.load(NeighbourId(1)), up);
        assert_eq!(words.load(NeighbourId(0)).state(), NeighbourState::Down);
        assert_eq!(words.load(NeighbourId(7)).state(), NeighbourState::Down);
    }
}
