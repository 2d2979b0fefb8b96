//! What if routes change while frames flow? A tester that changes them in its own thread, between
//! bursts, as BGP does on a busy day; or another thread, without a pause.
//!
//! A third of the changes give a route that traffic needs another next hop out of the same port; a
//! third withdraw a route that no traffic needs, and the rest announce again what was withdrawn
//! longest ago. So no frame may be lost, whichever change it meets.
//!
//! A [`Tester::step`] makes a few changes and no more than `BUDGET` of them; none while the
//! generator is behind, so that what is left of the tester's core is all that changes get. What a
//! change replaced is used again after every worker has passed a turn, as their counters tell.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{BURST, Tester};
use crate::fib::synth::{Numbers, addresses_uniform};
use crate::fib::{FibError, FibWriter, Mark, Prefix4};
use crate::ids::NextHopId;
use crate::io::clock;
use crate::sync::Counter;
use crate::time::Span;

/// Most changes of a step, and the time after which it makes no more.
const MOST: usize = 8;
const BUDGET: Span = Span(4_000);
/// How long a full table may stay full.
const PATIENCE: Span = Span::secs(1);
/// Turns of each worker until what was replaced is used again: a whole one lies between.
const TURNS: u64 = 2;
/// Changes between two looks at those turns.
const LOOK: u64 = 64;
/// Routes that are withdrawn at any time, at most; less than half of those that no traffic needs.
const AWAY: usize = 4096;
/// Fewer routes that no traffic needs are not enough, and some are added.
const FEW: usize = 256;
/// Addresses of each kind that are looked up in both tables: from everywhere, and in the routes.
const LOOKED_UP: usize = 8192;

/// A route and where it leads.
type Route = (Prefix4, NextHopId);

/// The routes of a table, and changes to them.
#[derive(Debug)]
pub struct Churn {
    writer: FibWriter,
    /// Next hops out of one port.
    hops: Vec<NextHopId>,
    /// Routes that traffic needs.
    needed: Vec<Prefix4>,
    /// Routes that no traffic needs, and those of them that are withdrawn, the oldest first.
    spare: Vec<Route>,
    away: VecDeque<Route>,
    /// Of each worker.
    turns: Vec<Arc<Counter>>,
    /// What waits for the workers, and what their counters have to show.
    waits: Option<(Mark, Vec<u64>)>,
    numbers: Numbers,
    is_on: bool,
    is_behind: bool,
    made: u64,
    /// Which kind of change comes next.
    turn: u64,
    /// Changes made at the first burst since the start, and at the last one.
    from: Option<u64>,
    to: u64,
}

/// What was changed between a trial's first burst and its last one, and the table afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Changes.
    pub changes: u64,
    /// Addresses that were looked up in the table and in one that was built anew from its routes.
    pub compared: u64,
    /// Those of them that led elsewhere.
    pub differing: u64,
}

impl Churn {
    /// Changes to the routes of `writer` that lead to one of `hops`, for traffic to `destinations`
    /// through workers that count their turns.
    ///
    /// # Errors
    /// When there are not two next hops to choose from, or the table is full.
    pub fn new(
        writer: FibWriter,
        hops: Vec<NextHopId>,
        destinations: impl Iterator<Item = u32>,
        turns: Vec<Arc<Counter>>,
        seed: u64,
    ) -> io::Result<Self> {
        if hops.len() < 2 {
            let why = "a route's next hop is replaced by another one: take two --routes or more";
            return Err(io::Error::other(why));
        }
        let leads: HashSet<NextHopId> = hops.iter().copied().collect();
        let best = |address| writer.routes().longest_match(address);
        let needed: HashSet<Prefix4> =
            destinations.filter_map(best).map(|(prefix, _)| prefix).collect();
        let all = writer.routes().iter().map(|(prefix, hop)| (prefix, *hop));
        let (needed, spare): (Vec<Route>, Vec<Route>) = all
            .filter(|(_, hop)| leads.contains(hop))
            .partition(|(prefix, _)| needed.contains(prefix));
        let needed = needed.into_iter().map(|(prefix, _)| prefix).collect();
        let mut churn = Self {
            writer,
            hops,
            needed,
            spare,
            away: VecDeque::new(),
            turns,
            waits: None,
            numbers: Numbers::new(seed),
            is_on: false,
            is_behind: false,
            made: 0,
            turn: 0,
            from: None,
            to: 0,
        };
        churn.add_spare().map_err(io::Error::other)?;
        Ok(churn)
    }

    /// Adds routes beside or inside those that traffic needs, where few others are there.
    fn add_spare(&mut self) -> Result<(), FibError> {
        // Most places beside a route are free.
        for _ in 0..4 * FEW {
            if self.spare.len() >= FEW || self.needed.is_empty() {
                break;
            }
            let base = self.needed[pick(&mut self.numbers, self.needed.len())];
            // Inside it, or near it where it has hardly an inside.
            let bits = if base.len() > 24 { 16 } else { base.len().max(16) };
            let prefix = Prefix4::host(base.addr() ^ (self.numbers.next_u32() >> bits));
            if self.writer.routes().exact(prefix).is_none() {
                let hop = self.hops[pick(&mut self.numbers, self.hops.len())];
                self.writer.insert(prefix, hop)?;
                self.spare.push((prefix, hop));
            }
        }
        Ok(())
    }

    /// Begins: from the next burst on each step makes changes.
    ///
    /// # Errors
    /// When the table is full.
    pub fn start(&mut self) -> Result<(), FibError> {
        let away = AWAY.min(self.spare.len() / 2);
        while self.away.len() < away {
            self.withdraw()?;
        }
        (self.is_on, self.from, self.to) = (true, None, self.made);
        Ok(())
    }

    /// Ends, looks whether the table is what its routes say, and announces what is withdrawn.
    ///
    /// # Errors
    /// When the table is full.
    pub fn finish(&mut self) -> Result<Changed, FibError> {
        self.is_on = false;
        let changes = self.to - self.from.unwrap_or(self.to);
        let (compared, differing) = self.compare()?;
        while !self.away.is_empty() {
            self.announce()?;
        }
        Ok(Changed { changes, compared, differing })
    }

    /// Looks addresses up in the table and in one that is built anew.
    fn compare(&mut self) -> Result<(u64, u64), FibError> {
        let routes = self.writer.routes().iter().map(|(prefix, hop)| (prefix, *hop));
        let anew = FibWriter::build(routes)?.fib();
        let own = self.writer.fib();
        let mut addresses = addresses_uniform(self.numbers.next_u64(), LOOKED_UP);
        for _ in 0..LOOKED_UP {
            let at = pick(&mut self.numbers, self.needed.len() + self.spare.len());
            let prefix = self.needed.get(at).copied();
            let prefix = prefix.unwrap_or_else(|| self.spare[at - self.needed.len()].0);
            let inside = self.numbers.next_u32() & (prefix.last_addr() - prefix.addr());
            addresses.push(prefix.addr() | inside);
        }
        addresses.extend(self.away.iter().map(|(prefix, _)| prefix.addr()));
        let differing = addresses.iter().filter(|at| own.lookup(**at) != anew.lookup(**at));
        Ok((addresses.len() as u64, differing.count() as u64))
    }

    /// A burst of `want` frames was asked for.
    fn sends(&mut self, want: usize) {
        if self.is_on {
            self.is_behind = want >= BURST;
            self.from.get_or_insert(self.made);
            self.to = self.made;
        }
    }

    /// Makes some changes.
    fn step(&mut self) {
        if !self.is_on || std::mem::take(&mut self.is_behind) {
            return;
        }
        let begin = clock::now();
        for _ in 0..MOST {
            // A table without room has some again when the workers have moved on.
            if self.change().is_err() || clock::now().since(begin) >= BUDGET {
                break;
            }
        }
    }

    /// Makes changes, one after the other, until told to stop; returns how many.
    ///
    /// # Errors
    /// When the table is full and stays so.
    pub(in crate::bench) fn until(&mut self, stop: &AtomicBool) -> Result<u64, FibError> {
        let before = self.made;
        let mut refused = None;
        while !stop.load(Ordering::Relaxed) {
            match self.change() {
                Ok(()) => refused = None,
                // A table without room has some again when the workers have moved on.
                Err(error) => {
                    let since = *refused.get_or_insert_with(clock::now);
                    if clock::now().since(since) > PATIENCE {
                        return Err(error);
                    }
                }
            }
        }
        Ok(self.made - before)
    }

    /// Makes the next change.
    fn change(&mut self) -> Result<(), FibError> {
        if self.turn.is_multiple_of(LOOK) {
            self.reclaim();
        }
        let done = match self.turn % 3 {
            0 => self.replace().map(|()| true),
            1 => self.withdraw(),
            _ => self.announce(),
        };
        if done.is_err() {
            self.reclaim();
        }
        self.made += u64::from(done?);
        self.turn += 1;
        Ok(())
    }

    /// Gives a route another next hop; one that no traffic needs where all are of that kind.
    fn replace(&mut self) -> Result<(), FibError> {
        let at = pick(&mut self.numbers, self.hops.len());
        let mut hop = self.hops[at];
        let prefix = match self.needed.len() {
            0 => self.spare[pick(&mut self.numbers, self.spare.len())].0,
            len => self.needed[pick(&mut self.numbers, len)],
        };
        if self.writer.insert(prefix, hop)? == Some(hop) {
            hop = self.hops[(at + 1) % self.hops.len()];
            self.writer.insert(prefix, hop)?;
        }
        Ok(())
    }

    /// Withdraws a route that no traffic needs; whether there was one.
    fn withdraw(&mut self) -> Result<bool, FibError> {
        if self.spare.is_empty() {
            return Ok(false);
        }
        let at = pick(&mut self.numbers, self.spare.len());
        self.writer.remove(self.spare[at].0)?;
        self.away.push_back(self.spare.swap_remove(at));
        Ok(true)
    }

    /// Announces again what was withdrawn longest ago; whether there was anything.
    fn announce(&mut self) -> Result<bool, FibError> {
        let Some((prefix, hop)) = self.away.front().copied() else { return Ok(false) };
        self.writer.insert(prefix, hop)?;
        self.spare.push((prefix, hop));
        self.away.pop_front();
        Ok(true)
    }

    /// Frees what was replaced before the last mark, if all workers have moved on since; then sets
    /// the next one.
    fn reclaim(&mut self) {
        if let Some((mark, goals)) = &self.waits {
            if !self.turns.iter().zip(goals).all(|(turns, goal)| turns.value() >= *goal) {
                return;
            }
            self.writer.reclaim(*mark);
        }
        let goals = self.turns.iter().map(|turns| turns.value() + TURNS).collect();
        self.waits = Some((self.writer.mark(), goals));
    }
}

/// A place below `len`, which is not 0.
fn pick(numbers: &mut Numbers, len: usize) -> usize {
    numbers.below(u32::try_from(len).expect("two million routes at most")) as usize
}

/// A tester that changes routes.
#[derive(Debug)]
pub struct Churning<T> {
    inner: T,
    churn: Churn,
}

impl<T> Churning<T> {
    /// A tester that begins to change routes when it is told.
    pub fn new(inner: T, churn: Churn) -> Self {
        Self { inner, churn }
    }
}

impl<T: Tester> Tester for Churning<T> {
    #[inline]
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        self.churn.sends(want);
        self.inner.send(lane, want, write)
    }

    #[inline]
    fn receive(&mut self, lane: usize, look: impl FnMut(&[u8])) -> io::Result<usize> {
        self.inner.receive(lane, look)
    }

    #[inline]
    fn step(&mut self) {
        self.inner.step();
        self.churn.step();
    }

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        self.inner.drops()
    }

    fn churn(&mut self) -> Option<&mut Churn> {
        Some(&mut self.churn)
    }
}

#[cfg(test)]
mod tests;
