//! Was a thread kept from running? What the scheduler and the hypervisor took, by the kernel's
//! own accounts.
//!
//! Run and wait come from `/proc/<thread>/schedstat` in nanoseconds, switches from its `status`,
//! steal from `/proc/stat` in ticks of 10 ms: one tick is taken off, because a difference of two
//! readings may be one too large. What cannot be read is left out; a thread that ended is too.

use std::fs;

use super::tally::spread::float;
use crate::bench::record::Quantity;
use crate::bench::record::trial::ThreadSense;

/// Readings from the begin of a trial.
#[derive(Debug)]
pub struct Sensors {
    threads: Vec<(String, u32, Usage)>,
    machine: Option<Machine>,
}

/// What the sensors found.
#[derive(Clone, Debug)]
pub struct Sensed {
    /// Each thread that was there throughout.
    pub threads: Vec<ThreadSense>,
    /// Share of all cores' time that the hypervisor took.
    pub steal: f64,
}

impl Sensors {
    /// Takes the first readings of these threads: a name and the thread's id in the kernel.
    pub fn start(threads: impl IntoIterator<Item = (String, u32)>) -> Self {
        let read = |(name, id)| Usage::read(id).map(|usage| (name, id, usage));
        Self { threads: threads.into_iter().filter_map(read).collect(), machine: Machine::read() }
    }

    /// None at all: for trials that are not in real time.
    pub const fn none() -> Self {
        Self { threads: Vec::new(), machine: None }
    }

    /// Takes the last readings, `elapsed_ns` later.
    pub fn stop(&self, elapsed_ns: u64) -> Sensed {
        let threads = self.threads.iter().filter_map(|(name, id, before)| {
            Some(Usage::read(*id)?.since(before, name, elapsed_ns))
        });
        let machine = self.machine.and_then(|before| Some(Machine::read()?.steal_since(&before)));
        Sensed { threads: threads.collect(), steal: machine.unwrap_or(0.0) }
    }
}

/// The calling thread's id in the kernel.
pub fn this_thread() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// A thread's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    run_ns: u64,
    wait_ns: u64,
    /// Times that it was put off its core against its will.
    involuntary: u64,
}

impl Usage {
    fn read(thread: u32) -> Option<Self> {
        // A thread's id is an entry of /proc too, whichever process it belongs to.
        let read = |file| fs::read_to_string(format!("/proc/{thread}/task/{thread}/{file}")).ok();
        Self::parse(&read("schedstat")?, &read("status")?)
    }

    fn parse(schedstat: &str, status: &str) -> Option<Self> {
        let mut times = schedstat.split_whitespace().map(str::parse);
        let switches =
            status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
        Some(Self {
            run_ns: times.next()?.ok()?,
            wait_ns: times.next()?.ok()?,
            involuntary: switches?.trim().parse().ok()?,
        })
    }

    fn since(&self, before: &Self, name: &str, elapsed_ns: u64) -> ThreadSense {
        let elapsed = float(elapsed_ns.max(1));
        let share = |now: u64, before: u64| float(now.saturating_sub(before)) / elapsed;
        ThreadSense {
            name: name.to_owned(),
            run: Quantity::ratio(share(self.run_ns, before.run_ns)),
            wait: Quantity::ratio(share(self.wait_ns, before.wait_ns)),
            involuntary_per_second: share(self.involuntary, before.involuntary) * 1e9,
        }
    }
}

/// All cores' account, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Machine {
    total: u64,
    steal: u64,
}

impl Machine {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line has user, nice, system, idle, iowait, irq, softirq and steal; guest times
    /// behind them are in user and nice already (proc(5)).
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks =
            line.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        let steal = *ticks.get(7)?;
        Some(Self { total: ticks[..8].iter().sum(), steal })
    }

    fn steal_since(&self, before: &Self) -> f64 {
        let total = self.total.saturating_sub(before.total).max(1);
        float(self.steal.saturating_sub(before.steal).saturating_sub(1)) / float(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::trial::clock::{Clock, RealClock};

    #[test]
    fn the_kernels_files_are_read_field_by_field() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t42\n";
        let usage = Usage::parse("1200 34 5\n", status).unwrap();
        assert_eq!(usage, Usage { run_ns: 1200, wait_ns: 34, involuntary: 42 });
        assert_eq!(Usage::parse("1200\n", status), None);
        let stat = "cpu  10 20 30 40 50 60 70 80 9 9\ncpu0 1 2 3 4 5 6 7 8 9 9\n";
        assert_eq!(Machine::parse(stat), Some(Machine { total: 360, steal: 80 }));
        assert_eq!(Machine::parse("cpu  1 2 3\n"), None);
    }

    #[test]
    fn shares_are_of_the_time_that_passed() {
        let before = Usage { run_ns: 100, wait_ns: 10, involuntary: 1 };
        let after = Usage { run_ns: 500_000_100, wait_ns: 20_000_010, involuntary: 51 };
        let sense = after.since(&before, "tester", 1_000_000_000);
        assert_eq!((sense.run.value, sense.wait.value), (0.5, 0.02));
        assert!((sense.involuntary_per_second - 50.0).abs() < 1e-9);
        let (before, after) = (Machine { total: 0, steal: 0 }, Machine { total: 200, steal: 3 });
        assert!((after.steal_since(&before) - 0.01).abs() < 1e-9);
    }

    #[test]
    fn a_thread_that_spins_has_run_or_waited_all_the_time() {
        let clock = RealClock::calibrate();
        let (begin, mut now) = (clock.now(), clock.now());
        let sensors = Sensors::start([("me".to_owned(), this_thread()), ("none".to_owned(), 0)]);
        while now - begin < 50_000_000 {
            now = clock.now();
        }
        let sensed = sensors.stop(now - begin);
        assert_eq!(sensed.threads.len(), 1);
        // What the hypervisor takes is neither, and readings are a tick apart at worst.
        let share = sensed.threads[0].run.value + sensed.threads[0].wait.value;
        assert!((0.3..1.2).contains(&share), "{sensed:?}");
    }
}
