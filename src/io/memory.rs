//! How do frames move inside one process? A cable joins two memory ports, or one port and the
//! [`End`]s that a test, a replay or a generator holds.
//!
//! Frames move by ownership and are never copied, so both sides must use pools of one family.
//! Each queue has a ring of its own in each direction, with one sender and one receiver, and keeps
//! order; a batch costs one store that the other side sees. A full ring refuses.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rtrb::{Consumer, Producer, RingBuffer};

use super::poll::Bell;
use super::port::{Counts, LinkState};
use crate::frame::{Batch, Length, Outgoing, Pool};
use crate::ids::PortId;
use crate::time::Now;

/// One side's two rings of one queue pair.
#[derive(Debug)]
struct Half {
    incoming: Consumer<Outgoing>,
    outgoing: Producer<Outgoing>,
}

/// One side of a cable.
#[derive(Debug)]
struct Side {
    /// Rung when frames come in here, by queue.
    bells: Vec<Bell>,
    plugged: AtomicBool,
    /// Until the side is opened.
    halves: Mutex<Vec<Half>>,
}

#[derive(Debug)]
struct Cable {
    sides: [Side; 2],
}

impl Cable {
    fn is_whole(&self) -> bool {
        self.sides.iter().all(|side| side.plugged.load(Ordering::Relaxed))
    }
}

/// One side of a cable, to open a port on, once.
#[derive(Clone, Debug)]
pub struct Plug {
    cable: Arc<Cable>,
    side: usize,
}

/// A cable of `queues` queue pairs that hold `depth` frames in each direction.
///
/// # Errors
/// When the process has no descriptors left.
pub fn cable(queues: usize, depth: usize) -> io::Result<(Plug, Plug)> {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for _ in 0..queues {
        let (there, from_there) = RingBuffer::new(depth.max(1));
        let (back, from_back) = RingBuffer::new(depth.max(1));
        near.push(Half { incoming: from_back, outgoing: there });
        far.push(Half { incoming: from_there, outgoing: back });
    }
    let side = |halves: Vec<Half>| {
        let bells = halves.iter().map(|_| Bell::new()).collect::<io::Result<Vec<_>>>()?;
        Ok::<_, io::Error>(Side {
            bells,
            plugged: AtomicBool::new(true),
            halves: Mutex::new(halves),
        })
    };
    let cable = Arc::new(Cable { sides: [side(near)?, side(far)?] });
    Ok((Plug { cable: Arc::clone(&cable), side: 0 }, Plug { cable, side: 1 }))
}

impl Plug {
    fn own(&self) -> &Side {
        &self.cable.sides[self.side]
    }

    /// How many queues there are.
    pub fn queues(&self) -> usize {
        self.own().bells.len()
    }

    /// The queues of this side, for workers; none when the side is open already.
    pub fn into_queues(self) -> Vec<MemoryQueue> {
        let mut halves = self.own().halves.lock().unwrap_or_else(PoisonError::into_inner);
        let halves = std::mem::take(&mut *halves);
        let queue = |(index, half)| {
            let cable = Arc::clone(&self.cable);
            MemoryQueue { cable, side: self.side, index, half }
        };
        halves.into_iter().enumerate().map(queue).collect()
    }

    /// The queues of this side, for whoever plays the far end of a port.
    pub fn into_ends(self) -> Vec<End> {
        self.into_queues().into_iter().map(End).collect()
    }

    /// Pulls this side's plug, or puts it back.
    pub fn set_carrier(&self, on: bool) {
        self.own().plugged.store(on, Ordering::Relaxed);
    }

    /// Up, or without carrier when either plug is pulled.
    pub fn link_state(&self) -> LinkState {
        if self.cable.is_whole() { LinkState::Up } else { LinkState::NoCarrier }
    }
}

/// One worker's share of a memory port.
#[derive(Debug)]
pub struct MemoryQueue {
    cable: Arc<Cable>,
    side: usize,
    index: usize,
    half: Half,
}

impl MemoryQueue {
    /// The bell of whoever receives what is sent here.
    fn far_bell(&self) -> &Bell {
        &self.cable.sides[1 - self.side].bells[self.index]
    }

    /// See [`super::Queue::receive`].
    #[inline]
    pub fn receive(&mut self, port: PortId, now: Now, batch: &mut Batch) -> Counts {
        // Most ports have nothing in most turns.
        if self.half.incoming.is_empty() {
            return Counts::default();
        }
        self.take(port, now, batch)
    }

    #[inline(never)]
    fn take(&mut self, port: PortId, now: Now, batch: &mut Batch) -> Counts {
        let mut counts = Counts::default();
        let waiting = self.half.incoming.slots().min(batch.room());
        if waiting == 0 {
            return counts;
        }
        let chunk = self.half.incoming.read_chunk(waiting).expect("as many frames wait");
        let frames = chunk.into_iter().map(|own| {
            let arrival = own.arrival(now);
            (own.frame, (own.off, own.len), arrival)
        });
        counts.bytes = batch.extend(port, frames);
        counts.frames = u32::try_from(waiting).expect("a batch is short");
        counts
    }

    /// See [`super::Queue::transmit`].
    pub fn transmit(&mut self, out: &mut Vec<Outgoing>, pool: &mut Pool) -> Counts {
        let mut counts = Counts::default();
        if out.is_empty() {
            return counts;
        }
        if self.is_down() {
            counts.down = give_back(out, pool);
            return counts;
        }
        let sent = self.half.outgoing.slots().min(out.len());
        let chunk = self.half.outgoing.write_chunk_uninit(sent).expect("there is room for them");
        chunk.fill_from_iter(out.drain(..sent).inspect(|out| {
            counts.bytes = counts.bytes.wrapping_add(u64::from(out.len.marked()));
        }));
        counts.bytes &= Length::MARK - 1;
        counts.frames = u32::try_from(sent).expect("a batch is short");
        counts.full = give_back(out, pool);
        if sent > 0 {
            self.far_bell().ring();
        }
        counts
    }

    /// The bell that rings when frames come in.
    pub(super) fn bell(&self) -> &Bell {
        &self.cable.sides[self.side].bells[self.index]
    }

    /// See [`super::Queue::fd`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.bell().as_fd()
    }

    /// Whether a frame waits.
    pub fn is_ready(&self) -> bool {
        !self.half.incoming.is_empty()
    }

    /// Whether a plug is pulled.
    pub fn is_down(&self) -> bool {
        !self.cable.is_whole()
    }
}

/// Gives the frames back to the pool; returns how many.
fn give_back(out: &mut Vec<Outgoing>, pool: &mut Pool) -> u32 {
    let mut count = 0;
    for frame in out.drain(..) {
        pool.put(frame.frame);
        count += 1;
    }
    count
}

/// The far end of one queue of a memory port.
#[derive(Debug)]
pub struct End(MemoryQueue);

impl End {
    /// Sends a frame to the port; `arrival` is the time that its row shall have, the time of the
    /// receiving turn with `None`.
    ///
    /// # Errors
    /// Gives the frame back when the ring is full or a plug is pulled.
    pub fn push(&mut self, out: Outgoing, arrival: Option<Now>) -> Result<(), Outgoing> {
        if self.0.is_down() {
            return Err(out);
        }
        let out = out.arriving(arrival);
        self.0.half.outgoing.push(out).map_err(|rtrb::PushError::Full(out)| out)?;
        self.0.far_bell().ring();
        Ok(())
    }

    /// Takes the oldest frame that the port sent.
    pub fn pop(&mut self) -> Option<Outgoing> {
        self.0.half.incoming.pop().ok()
    }

    /// Sends frames to the port, in order, until its ring is full; what does not fit stays in
    /// `out`. Returns how many were sent.
    pub fn push_all(&mut self, out: &mut Vec<Outgoing>) -> usize {
        if self.0.is_down() {
            return 0;
        }
        let sent = self.0.half.outgoing.slots().min(out.len());
        let chunk = self.0.half.outgoing.write_chunk_uninit(sent).expect("there is room for them");
        chunk.fill_from_iter(out.drain(..sent));
        if sent > 0 {
            self.0.far_bell().ring();
        }
        sent
    }

    /// Shows up to `most` of the frames that the port sent to `take`, the oldest first; returns how
    /// many.
    pub fn pop_all(&mut self, most: usize, take: impl FnMut(Outgoing)) -> usize {
        let waiting = self.0.half.incoming.slots().min(most);
        let chunk = self.0.half.incoming.read_chunk(waiting).expect("as many frames wait");
        chunk.into_iter().for_each(take);
        waiting
    }

    /// How many frames the port sent and nobody took.
    pub fn len(&self) -> usize {
        self.0.half.incoming.slots()
    }

    /// Whether the port sent nothing that is still here.
    pub fn is_empty(&self) -> bool {
        self.0.half.incoming.is_empty()
    }

    /// How many frames were pushed and not received yet.
    pub fn backlog(&self) -> usize {
        let ring = &self.0.half.outgoing;
        ring.buffer().capacity() - ring.slots()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{DropReason, HEADROOM};
    use crate::io::poll::{Idle, Sleeper};
    use crate::io::port::Queue;
    use crate::time::Span;

    fn frame(pool: &mut Pool, bytes: &[u8]) -> Outgoing {
        let mut frame = pool.take().unwrap();
        frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
        let off = u16::try_from(HEADROOM).unwrap();
        Outgoing::plain(frame, off, bytes.len(), Now(0))
    }

    #[test]
    fn frames_cross_a_cable_in_order_without_a_copy() {
        let mut pool = Pool::new(64).unwrap();
        let (a, b) = cable(1, 64).unwrap();
        let (mut a, mut b) = (a.into_queues().remove(0), b.into_queues().remove(0));
        let mut out: Vec<Outgoing> = (0..10).map(|i| frame(&mut pool, &[i; 60])).collect();
        let places: Vec<*const u8> = out.iter().map(|o| o.bytes().as_ptr()).collect();
        let sent = a.transmit(&mut out, &mut pool);
        assert_eq!(sent, Counts { frames: 10, bytes: 600, ..Counts::default() });
        let mut batch = Batch::new();
        assert_eq!(b.receive(PortId(7), Now(5), &mut batch), sent);
        batch.settle();
        for (i, place) in places.into_iter().enumerate() {
            assert_eq!(batch.bytes(i).as_ptr(), place);
            assert_eq!((batch.row(i).port, batch.row(i).arrival), (PortId(7), Now(5)));
            batch.drop(i, DropReason::NoRoute);
        }
        batch.finish(&mut pool, |_, _| {});
        assert_eq!(pool.len(), 64);
    }

    #[test]
    fn a_full_ring_and_a_pulled_plug_refuse_by_count() {
        let mut pool = Pool::new(8).unwrap();
        let (a, b) = cable(1, 2).unwrap();
        let mut queue = a.clone().into_queues().remove(0);
        let mut out: Vec<Outgoing> = (0..3).map(|i| frame(&mut pool, &[i; 60])).collect();
        let counts = queue.transmit(&mut out, &mut pool);
        assert_eq!((counts.frames, counts.full), (2, 1));
        b.set_carrier(false);
        assert_eq!(a.link_state(), LinkState::NoCarrier);
        let mut out = vec![frame(&mut pool, &[9; 60])];
        assert_eq!(queue.transmit(&mut out, &mut pool).down, 1);
        let mut end = b.clone().into_ends().remove(0);
        let refused = end.push(frame(&mut pool, &[9; 60]), None).unwrap_err();
        pool.put(refused.frame);
        b.set_carrier(true);
        assert_eq!(a.link_state(), LinkState::Up);
        assert_eq!(end.len(), 2);
        std::iter::from_fn(|| end.pop()).for_each(|out| pool.put(out.frame));
        assert_eq!(pool.len(), 8);
    }

    #[test]
    fn a_frame_that_is_pushed_wakes_the_worker_and_keeps_its_time() {
        let mut pool = Pool::new(8).unwrap();
        let (a, b) = cable(1, 8).unwrap();
        let mut queue = Queue::Memory(a.into_queues().remove(0));
        let mut end = b.into_ends().remove(0);
        let mut sleeper = Sleeper::new(Idle::SleepAfter(0)).unwrap();
        assert!(sleeper.rest(0, [&queue].into_iter(), Span::millis(1)).unwrap());
        end.push(frame(&mut pool, &[1; 60]), Some(Now(42))).unwrap();
        assert!(!sleeper.rest(0, [&queue].into_iter(), Span::secs(60)).unwrap());
        let mut batch = Batch::new();
        assert_eq!(queue.receive(PortId(0), Now(1), &mut pool, &mut batch).frames, 1);
        batch.settle();
        assert_eq!(batch.row(0).arrival, Now(42));
        let second = frame(&mut pool, &[2; 60]);
        std::thread::scope(|scope| {
            // Whether the push comes before the sleep or during it, it does not last.
            scope.spawn(|| end.push(second, Some(Now(43))).unwrap());
            sleeper.rest(0, [&queue].into_iter(), Span::secs(60)).unwrap();
        });
        let mut batch = Batch::new();
        assert_eq!(queue.receive(PortId(0), Now(1), &mut pool, &mut batch).frames, 1);
        batch.settle();
        assert_eq!(batch.row(0).arrival, Now(43));
    }
}
