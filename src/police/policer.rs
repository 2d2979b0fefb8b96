//! The token bucket: one word, shared by all workers.
//!
//! The word is the bucket's *consumed position*: on an axis where time moves `num` parts a
//! nanosecond and one unit is `den` parts, the point up to which everything is used up. What lies
//! between it and `now × num` is there to use, at most the burst. Nothing is ever rounded.
//!
//! **Wrap.** The axis wraps at 2^64 parts. Three quarters of it count as the past and one quarter
//! as a clock that runs behind another worker's. A bucket that nobody touches for longer than
//! [`Policer::horizon`] understates its tokens (it never overstates them), so housekeeping calls
//! [`Policer::touch`] once a second: the shortest horizon of any rate and burst is 4.6 s, that of
//! rates in whole Mbit/s over three hours.
//!
//! **Late packets.** A worker that was not scheduled for a while, and a packet that waited for its
//! owner, come with an old time. They are judged at the latest time that the bucket has seen: at
//! their own, a full bucket that others moved on would have nothing for them.

use crossbeam::utils::CachePadded;

use super::Rate;
use crate::planted::{Bug, planted};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::time::{Now, Span};

/// The word of a bucket that was never used: full, whatever the time is.
const FRESH: u64 = u64::MAX;
/// Distances from here on mean that `now` is behind the position.
const BEHIND: u64 = 3 << 62;
/// Largest burst in parts, so that a burst never reaches into [`BEHIND`].
const MOST_PARTS: u64 = 1 << 62;
/// How far [`Policer::touch`] stays behind the full bucket.
const SLACK: u64 = 1 << 61;

/// [`FRESH`] is no position: whoever lands on it, once in 2^64 parts, pays one part more.
#[inline(always)]
const fn not_fresh(position: u64) -> u64 {
    if position == FRESH { 0 } else { position }
}

/// A token bucket of a fixed rate and burst, shared by reference between workers.
#[derive(Debug)]
pub struct Policer {
    shared: CachePadded<Shared>,
    bucket: Bucket,
}

/// What workers share of a policer, in one cache line.
#[derive(Debug)]
struct Shared {
    position: AtomicU64,
    /// The latest time of a packet that was judged, in nanoseconds.
    latest: AtomicU64,
}

/// What never changes about a policer.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    /// The burst in parts.
    burst: u64,
}

impl Bucket {
    /// The position after a packet of `cost` units at `now`, or nothing when the tokens do not
    /// suffice.
    #[inline(always)]
    fn take(&self, position: u64, now: Now, cost: u64) -> Option<u64> {
        let parts = match cost.checked_mul(self.rate.den()) {
            None if planted(Bug::PolicerWrap) => Some(cost.wrapping_mul(self.rate.den())),
            parts => parts,
        };
        let parts = parts.filter(|&parts| parts <= self.burst)?;
        let (base, room) = self.level(position, now);
        if parts > room {
            return None;
        }
        Some(not_fresh(base.wrapping_add(parts)))
    }

    /// The position with what overflowed the burst taken off, and the parts from there to `now`.
    #[inline(always)]
    fn level(&self, position: u64, now: Now) -> (u64, u64) {
        let head = now.0.wrapping_mul(self.rate.num());
        let distance = head.wrapping_sub(position);
        if position == FRESH || (self.burst < distance && distance < BEHIND) {
            (head.wrapping_sub(self.burst), self.burst)
        } else if distance >= BEHIND {
            (position, 0)
        } else {
            (position, distance)
        }
    }
}

impl Policer {
    /// A full bucket that gains `rate` and holds at most `burst_units`.
    ///
    /// A packet that costs more than the burst never passes, so a bandwidth's burst is at least
    /// one frame. Bursts beyond 2^62 parts (four thousand million packets, half a terabyte) are
    /// cut to that.
    pub fn new(rate: Rate, burst_units: u64) -> Self {
        let most = MOST_PARTS / rate.den();
        let burst = burst_units.min(most) * rate.den();
        let shared = Shared { position: AtomicU64::new(FRESH), latest: AtomicU64::new(0) };
        Self { shared: CachePadded::new(shared), bucket: Bucket { rate, burst } }
    }

    /// The rate it keeps.
    pub fn rate(&self) -> Rate {
        self.bucket.rate
    }

    /// The burst in units.
    pub fn burst(&self) -> u64 {
        self.bucket.burst / self.bucket.rate.den()
    }

    /// Takes `cost` units at `now` if they are there.
    #[inline]
    pub fn admit(&self, now: Now, cost: u64) -> bool {
        let mut reservation = self.reserve();
        loop {
            if !reservation.admit(now, cost) {
                return false;
            }
            match reservation.commit() {
                Ok(()) => return true,
                Err(again) => reservation = again,
            }
        }
    }

    /// Whether `cost` units are there at `now`; takes nothing.
    #[inline]
    pub fn holds(&self, now: Now, cost: u64) -> bool {
        let position = self.shared.position.load(Ordering::Relaxed);
        self.bucket.take(position, now.max(self.latest()), cost).is_some()
    }

    /// Starts a batch: packets are admitted in order on the reservation, at the price of plain
    /// arithmetic, and [`Reservation::commit`] makes it count.
    #[inline]
    pub fn reserve(&self) -> Reservation<'_> {
        let seen = self.shared.position.load(Ordering::Relaxed);
        Reservation { policer: self, seen, position: seen, latest: self.latest() }
    }

    fn latest(&self) -> Now {
        Now(self.shared.latest.load(Ordering::Relaxed))
    }

    /// Whole units there are to use at `now`.
    pub fn available(&self, now: Now) -> u64 {
        let position = self.shared.position.load(Ordering::Relaxed);
        let (_, parts) = self.bucket.level(position, now.max(self.latest()));
        parts / self.bucket.rate.den()
    }

    /// Keeps an idle bucket from wrapping and changes no verdict, not even for a clock that is
    /// two seconds behind `now`. Housekeeping calls this once a second.
    pub fn touch(&self, now: Now) {
        let position = self.shared.position.load(Ordering::Relaxed);
        let head = now.0.wrapping_mul(self.bucket.rate.num());
        let distance = head.wrapping_sub(position);
        let kept = self.bucket.burst + SLACK;
        if position == FRESH || distance <= kept + SLACK || distance >= BEHIND {
            return;
        }
        let next = not_fresh(head.wrapping_sub(kept));
        // Losing this race means that somebody used the bucket: nothing to keep.
        let order = Ordering::Relaxed;
        let _ = self.shared.position.compare_exchange(position, next, order, order);
    }

    /// How long the bucket may stay untouched before it understates its tokens: what a touch may
    /// leave between the position and now is spent already.
    pub fn horizon(&self) -> Span {
        Span((BEHIND - 1 - 2 * SLACK - self.bucket.burst) / self.bucket.rate.num())
    }
}

/// One worker's batch on a policer; nothing is taken until [`Reservation::commit`].
#[derive(Debug)]
#[must_use = "a reservation that is not committed takes nothing"]
pub struct Reservation<'a> {
    policer: &'a Policer,
    seen: u64,
    position: u64,
    latest: Now,
}

impl<'a> Reservation<'a> {
    /// Takes `cost` units at `now` if they are there; a refused packet takes nothing.
    #[inline(always)]
    pub fn admit(&mut self, now: Now, cost: u64) -> bool {
        self.latest = self.latest.max(now);
        match self.policer.bucket.take(self.position, self.latest, cost) {
            Some(position) => {
                self.position = position;
                true
            }
            None => false,
        }
    }

    /// Makes the batch's verdicts final.
    ///
    /// # Errors
    /// When another worker used the bucket since [`Policer::reserve`]: the verdicts are void, and
    /// the caller admits all packets again on the reservation that it gets.
    #[inline]
    pub fn commit(self) -> Result<(), Reservation<'a>> {
        let (policer, latest) = (self.policer, self.latest);
        let order = Ordering::Relaxed;
        if policer.latest() < latest {
            policer.shared.latest.fetch_max(latest.0, order);
        }
        if self.position == self.seen {
            return Ok(());
        }
        match policer.shared.position.compare_exchange(self.seen, self.position, order, order) {
            Ok(_) => Ok(()),
            Err(seen) => Err(Reservation { policer, seen, position: seen, latest }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The textbook bucket, in 128 bits and without any wrap: tokens in parts, last time.
    struct Model {
        num: u128,
        den: u128,
        burst: u128,
        tokens: u128,
        last: u64,
    }

    impl Model {
        fn new(rate: Rate, burst: u64, start: u64) -> Self {
            let (num, den) = (u128::from(rate.num()), u128::from(rate.den()));
            let burst = u128::from(burst) * den;
            Self { num, den, burst, tokens: burst, last: start }
        }

        fn admit(&mut self, now: Now, cost: u64) -> bool {
            self.tokens += u128::from(now.0 - self.last) * self.num;
            self.tokens = self.tokens.min(self.burst);
            self.last = now.0;
            let cost = u128::from(cost) * self.den;
            let fits = cost <= self.tokens;
            if fits {
                self.tokens -= cost;
            }
            fits
        }
    }

    fn rates() -> impl Strategy<Value = Rate> {
        prop_oneof![
            (1..=Rate::MOST_KBPS).prop_map(|k| Rate::kbps(k).unwrap()),
            prop::sample::select(vec![50_000, 1_000_000, 10_000_000, 399_999_999, 400_000_000])
                .prop_map(|k| Rate::kbps(k).unwrap()),
            (1..=Rate::MOST_PER_SECOND).prop_map(|n| Rate::per_second(n).unwrap()),
        ]
    }

    /// Steps of a few packets' time, of milliseconds, and of seconds.
    fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let step = prop_oneof![
            6 => 0u64..2_000,
            3 => 0u64..2_000_000,
            1 => 0u64..3_000_000_000,
        ];
        prop::collection::vec((step, prop_oneof![9 => 60u64..1_600, 1 => 0u64..200_000]), 1..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn verdicts_are_those_of_the_textbook_bucket(
            rate in rates(), burst in 0u64..100_000, start in any::<u32>(), far in 0u64..1 << 40,
            steps in steps(),
        ) {
            // Anywhere on the axis, so that positions wrap.
            let start = u64::from(start) * (1 << 20) + far;
            let policer = Policer::new(rate, burst);
            let mut model = Model::new(rate, burst, start);
            let mut now = Now(start);
            for (step, cost) in steps {
                now = now + Span(step);
                policer.touch(now);
                prop_assert_eq!(policer.admit(now, cost), model.admit(now, cost));
                prop_assert_eq!(
                    u128::from(policer.available(now)), model.tokens / model.den
                );
            }
        }

        #[test]
        fn batches_of_any_size_give_the_verdicts_of_one_by_one(
            rate in rates(), burst in 60u64..100_000, size in 1usize..=64, steps in steps(),
        ) {
            let (single, batched) = (Policer::new(rate, burst), Policer::new(rate, burst));
            let mut now = Now(1 << 50);
            let packets: Vec<_> = steps.iter().map(|&(step, cost)| {
                now = now + Span(step);
                (now, cost)
            }).collect();
            for batch in packets.chunks(size) {
                let one_by_one: Vec<_> =
                    batch.iter().map(|&(now, cost)| single.admit(now, cost)).collect();
                let mut reservation = batched.reserve();
                let together: Vec<_> =
                    batch.iter().map(|&(now, cost)| reservation.admit(now, cost)).collect();
                prop_assert!(reservation.commit().is_ok());
                prop_assert_eq!(one_by_one, together);
            }
        }

        #[test]
        fn no_window_sees_more_than_rate_times_time_plus_burst(
            rate in rates(), burst in 0u64..100_000, skew in 0u64..1_000_000, steps in steps(),
        ) {
            // Two workers in turn, the second one's clock `skew` behind: windows count from the
            // earliest clock, so they are `skew` longer than they look.
            let policer = Policer::new(rate, burst);
            let mut now = 1 << 40;
            let mut passed: Vec<(u64, u128)> = Vec::new();
            for (i, (step, cost)) in steps.into_iter().enumerate() {
                now += step;
                let seen = Now(if i % 2 == 0 { now } else { now - skew });
                if policer.admit(seen, cost) {
                    passed.push((now, u128::from(cost) * u128::from(rate.den())));
                }
            }
            for from in 0..passed.len().min(40) {
                let mut sum = 0;
                for &(at, parts) in &passed[from..] {
                    sum += parts;
                    let time = u128::from(at - passed[from].0 + skew);
                    let most = time * u128::from(rate.num())
                        + u128::from(burst) * u128::from(rate.den());
                    prop_assert!(sum <= most);
                }
            }
        }
    }

    #[test]
    fn a_greedy_sender_gets_the_rate_exactly_to_within_a_packet() {
        for kbps in [50_000, 1_000_000, 123_457, 10_000_000] {
            let rate = Rate::kbps(kbps).unwrap();
            let policer = Policer::new(rate, 1_500);
            let (mut sent, mut now) = (0, Now(0));
            while now < Now(200_000_000) {
                sent += if policer.admit(now, 1_000) { 1_000 } else { 0 };
                now = now + Span(97);
            }
            let fair = rate.units_in(Span(200_000_000)) + 1_500;
            assert!(sent <= fair && sent + 1_000 + rate.units_in(Span(97)) >= fair, "{kbps}");
        }
    }

    #[test]
    fn idle_time_does_not_wrap_while_somebody_touches_it() {
        for rate in [Rate::kbps(399_999_999).unwrap(), Rate::per_second(999_999_999).unwrap()] {
            let policer = Policer::new(rate, 5_000);
            let mut now = Now(77);
            assert!(policer.admit(now, 5_000));
            for _ in 0..200 {
                now = now + Span::secs(1);
                policer.touch(now);
                assert_eq!(policer.available(now), 5_000);
                assert_eq!(policer.available(now - Span::millis(900)), 5_000);
            }
        }
    }

    #[test]
    fn a_neglected_bucket_never_overstates_its_tokens() {
        let rate = Rate::per_second(999_999_999).unwrap();
        let policer = Policer::new(rate, 10);
        assert!(policer.admit(Now(0), 10));
        for seconds in 1..100 {
            assert!(policer.available(Now(0) + Span::secs(seconds)) <= 10);
        }
        assert!(policer.horizon() >= Span::secs(9));
    }

    /// Found by the target `policer_model`: the horizon left out the burst, and what a touch leaves.
    #[test]
    fn a_bucket_of_any_burst_keeps_its_tokens_until_its_horizon() {
        for burst in [10, u64::MAX] {
            let policer = Policer::new(Rate::per_second(999_999_999).unwrap(), burst);
            let mut now = Now(1 << 60);
            assert!(policer.admit(now, 1));
            for _ in 0..20 {
                now = now + policer.horizon();
                policer.touch(now);
                assert_eq!(policer.available(now), policer.burst());
            }
            assert!(policer.horizon() >= Span::millis(4_600));
        }
    }

    #[test]
    fn a_clock_that_runs_behind_finds_the_tokens_already_used() {
        let policer = Policer::new(Rate::kbps(8_000_000).unwrap(), 1_000);
        let now = Now(1 << 60);
        assert!(policer.admit(now, 1_000));
        assert!(!policer.admit(now - Span(5_000), 1));
        assert_eq!(policer.available(now - Span(5_000)), 0);
        assert!(policer.admit(now + Span(1), 1));
    }

    #[test]
    fn a_worker_that_was_not_scheduled_for_longer_than_the_burst_finds_the_full_bucket() {
        // One byte a nanosecond; the burst is 10 ms of it.
        let policer = Policer::new(Rate::kbps(8_000_000).unwrap(), 10_000_000);
        let now = Now(1 << 60);
        assert!(policer.admit(now, 1_500));
        let late = now - Span::millis(50);
        assert!(policer.admit(late, 1_500));
        assert_eq!(policer.available(late), 10_000_000 - 3_000);
        assert!(policer.admit(late, 10_000_000 - 3_000) && !policer.admit(late, 1));
    }

    #[test]
    fn a_packet_above_the_burst_never_passes_and_never_overflows() {
        let policer = Policer::new(Rate::kbps(1).unwrap(), 1_500);
        assert!(!policer.admit(Now(u64::MAX), 1_501));
        assert!(!policer.admit(Now(u64::MAX), u64::MAX));
        assert!(policer.admit(Now(u64::MAX), 1_500));
        assert_eq!(Policer::new(Rate::kbps(1).unwrap(), u64::MAX).burst(), (1 << 62) / 8_000_000);
    }

    #[test]
    fn a_reservation_that_lost_the_race_says_so_and_starts_again() {
        let policer = Policer::new(Rate::kbps(1_000).unwrap(), 100);
        let mut mine = policer.reserve();
        assert!(mine.admit(Now(0), 100));
        assert!(policer.admit(Now(0), 60), "another worker");
        let mut again = mine.commit().unwrap_err();
        assert!(!again.admit(Now(0), 100));
        assert!(again.admit(Now(0), 40));
        assert!(again.commit().is_ok());
        assert_eq!(policer.available(Now(0)), 0);
    }

    #[test]
    fn two_threads_together_never_exceed_the_bucket() {
        let rate = Rate::kbps(1_000_000).unwrap();
        let policer = Policer::new(rate, 10_000);
        let run = |size: u64| {
            let mut sent = 0;
            for turn in 0..20_000u64 {
                let now = Now(turn * 1_000);
                let mut reservation = policer.reserve();
                sent += loop {
                    let took: u64 =
                        (0..size).map(|_| 100 * u64::from(reservation.admit(now, 100))).sum();
                    match reservation.commit() {
                        Ok(()) => break took,
                        Err(again) => reservation = again,
                    }
                };
            }
            sent
        };
        let sent: u64 = std::thread::scope(|scope| {
            let workers = [scope.spawn(|| run(7)), scope.spawn(|| run(1))];
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        let most = rate.units_in(Span(19_999 * 1_000)) + 10_000;
        assert!(sent <= most, "{sent} > {most}");
    }
}
