//! What do generator and sink do when there is no forwarder, or one that is known exactly? A wire
//! from each lane's begin to its end, in memory and in one thread.
//!
//! Without a rate, frames appear at the far end at once and a full wire takes no more: generator
//! and sink are the limit. With one, the wire is a forwarder with a queue: it serves each lane's
//! frames one after the other at that rate, and drops what finds the queue full. When a frame
//! leaves follows from its arrival and the clock alone, not from how often anyone looks, so that
//! the capacity is exact in real time and on a manual clock.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::{BURST, Device, Tester};
use crate::bench::record::trial::DeviceFrames;
use crate::bench::trial::Clock;
use crate::time::Span;

/// What kind of wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WireSpec {
    /// Lanes.
    pub lanes: usize,
    /// Frames that a lane holds; with a rate, frames that wait in it.
    pub depth: usize,
    /// Frames a second of each lane.
    pub rate: Option<f64>,
    /// How long a frame is under way besides.
    pub delay: Span,
    /// Bytes of the largest frame.
    pub frame_size: usize,
}

impl Default for WireSpec {
    /// One lane of 512 frames of 2,048 bytes, at once.
    fn default() -> Self {
        Self { lanes: 1, depth: 512, rate: None, delay: Span::ZERO, frame_size: 2048 }
    }
}

/// A wire's accounts.
#[derive(Clone, Copy, Debug, Default)]
struct Accounts {
    received: u64,
    sent: u64,
    full: u64,
}

/// The tester's end of a wire.
#[derive(Debug)]
pub struct Wire<C> {
    clock: C,
    lanes: Vec<Lane>,
    accounts: Rc<Cell<Accounts>>,
    /// Frames that were served and found nobody to take them.
    missed: u64,
}

/// The wire as a forwarder.
#[derive(Debug)]
pub struct WireDevice {
    accounts: Rc<Cell<Accounts>>,
}

/// A wire and its accounts.
pub fn wire<C: Clock>(spec: &WireSpec, clock: C) -> (Wire<C>, WireDevice) {
    let accounts = Rc::<Cell<Accounts>>::default();
    let lanes = (0..spec.lanes).map(|_| Lane::new(spec)).collect();
    let device = WireDevice { accounts: Rc::clone(&accounts) };
    (Wire { clock, lanes, accounts, missed: 0 }, device)
}

impl<C: Clock> Tester for Wire<C> {
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        mut write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        let now = self.clock.now();
        let mut accounts = self.accounts.get();
        let lane = &mut self.lanes[lane];
        let mut taken = 0;
        while taken < want {
            match lane.put(now, &mut write) {
                Put::Refused => break,
                Put::Taken => {}
                Put::Dropped => accounts.full += 1,
                Put::Missed => self.missed += 1,
            }
            taken += 1;
        }
        accounts.received += taken as u64;
        self.accounts.set(accounts);
        Ok(taken)
    }

    fn receive(&mut self, lane: usize, look: impl FnMut(&[u8])) -> io::Result<usize> {
        let taken = self.lanes[lane].take(self.clock.now(), look);
        let mut accounts = self.accounts.get();
        accounts.sent += taken as u64;
        self.accounts.set(accounts);
        Ok(taken)
    }

    fn step(&mut self) {}

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        let missed = std::mem::take(&mut self.missed);
        Ok(vec![("wire_far_end_full".to_owned(), missed)])
    }
}

impl Device for WireDevice {
    fn name(&self) -> &str {
        "null"
    }

    fn accounts(&mut self) -> io::Result<Option<DeviceFrames>> {
        let Accounts { received, sent, full } = self.accounts.get();
        let dropped = BTreeMap::from([("queue_full".to_owned(), full)]);
        Ok(Some(DeviceFrames { received, sent, dropped, ..DeviceFrames::default() }))
    }

    fn threads(&self) -> Vec<(String, u32)> {
        Vec::new()
    }

    fn reset(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

/// What became of a frame.
enum Put {
    Taken,
    Refused,
    Dropped,
    Missed,
}

/// Fractional bits of a service time in nanoseconds.
const FRACTION: u32 = 16;

/// One lane: a ring of slots.
#[derive(Debug)]
struct Lane {
    bytes: Vec<u8>,
    frame_size: usize,
    /// Each slot's frame size, and when it is at the far end.
    frames: Vec<(usize, u64)>,
    head: usize,
    len: usize,
    /// Frames from the head on that have been served.
    served: usize,
    depth: usize,
    delay_ns: u64,
    /// Nanoseconds that a frame is served, with fractional bits; 0 for at once.
    service: u64,
    /// When the last frame's service ends, with fractional bits.
    free_at: u64,
    /// Where frames are written that go nowhere.
    scrap: Vec<u8>,
}

impl Lane {
    fn new(spec: &WireSpec) -> Self {
        // Served frames wait for the sink apart from those in the queue, as in two rings.
        let slots = spec.depth + if spec.rate.is_some() { 4 * BURST } else { 0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let service = spec.rate.map_or(0, |rate| (1e9 / rate * f64::from(1 << FRACTION)) as u64);
        Self {
            bytes: vec![0; slots * spec.frame_size],
            frame_size: spec.frame_size,
            frames: vec![(0, 0); slots],
            head: 0,
            len: 0,
            served: 0,
            depth: spec.depth,
            delay_ns: spec.delay.0,
            service,
            free_at: 0,
            scrap: vec![0; spec.frame_size],
        }
    }

    #[inline]
    fn put(&mut self, now: u64, write: &mut impl FnMut(&mut [u8]) -> usize) -> Put {
        if self.service == 0 {
            if self.len == self.depth {
                return Put::Refused;
            }
            self.store(now + self.delay_ns, write);
            return Put::Taken;
        }
        self.serve(now);
        if self.len - self.served >= self.depth {
            write(&mut self.scrap);
            return Put::Dropped;
        }
        self.free_at = self.free_at.max(now << FRACTION) + self.service;
        if self.len == self.frames.len() {
            write(&mut self.scrap);
            return Put::Missed;
        }
        self.store((self.free_at >> FRACTION) + self.delay_ns, write);
        Put::Taken
    }

    /// Counts how many frames are out of the queue by now.
    fn serve(&mut self, now: u64) {
        while self.served < self.len {
            let at = (self.head + self.served) % self.frames.len();
            if self.frames[at].1 > now + self.delay_ns {
                break;
            }
            self.served += 1;
        }
    }

    #[inline]
    fn store(&mut self, out_at: u64, write: &mut impl FnMut(&mut [u8]) -> usize) {
        let at = (self.head + self.len) % self.frames.len();
        let slot = &mut self.bytes[at * self.frame_size..(at + 1) * self.frame_size];
        self.frames[at] = (write(slot), out_at);
        self.len += 1;
    }

    #[inline]
    fn take(&mut self, now: u64, mut look: impl FnMut(&[u8])) -> usize {
        let mut taken = 0;
        while taken < BURST && self.len > 0 {
            let (size, out_at) = self.frames[self.head];
            if out_at > now {
                break;
            }
            let begin = self.head * self.frame_size;
            look(&self.bytes[begin..begin + size]);
            self.head = (self.head + 1) % self.frames.len();
            self.len -= 1;
            self.served = self.served.saturating_sub(1);
            taken += 1;
        }
        taken
    }
}
