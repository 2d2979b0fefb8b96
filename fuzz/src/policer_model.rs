//! A policer admits what a textbook bucket of 128 bits admits, whatever the rate, the burst, the
//! cost, the steps of time and the size of batches.

use thruway::police::{Policer, Rate};
use thruway::time::Now;

use thruway::hostile::Entropy;

/// Most packets of one run.
const STEPS: usize = 200;

/// Tokens in parts, and the last time: nothing wraps.
struct Bucket {
    num: u128,
    den: u128,
    burst: u128,
    tokens: u128,
    last: u64,
}

impl Bucket {
    fn admit(&mut self, now: u64, cost: u64) -> bool {
        // A packet that comes late is judged at the latest time.
        let now = now.max(self.last);
        self.tokens += u128::from(now - self.last) * self.num;
        self.tokens = self.tokens.min(self.burst);
        self.last = now;
        let cost = u128::from(cost) * self.den;
        let fits = cost <= self.tokens;
        self.tokens -= if fits { cost } else { 0 };
        fits
    }
}

/// A number whose size is as likely small as large.
fn number(input: &mut Entropy<'_>) -> u64 {
    let bits = input.byte() % 65;
    let word = u64::from(input.word()) << 32 | u64::from(input.word());
    if bits == 0 { 0 } else { word >> (64 - bits) }
}

/// Lets packets ask a policer and the bucket.
///
/// # Panics
/// When they differ.
pub fn check(data: &[u8]) {
    let mut input = Entropy::new(data);
    let (kind, value) = (input.byte(), number(&mut input));
    let rate = if kind & 1 == 0 {
        Rate::kbps(value % Rate::MOST_KBPS + 1)
    } else {
        Rate::per_second(value % Rate::MOST_PER_SECOND + 1)
    };
    let rate = rate.expect("it is in range");
    let policer = Policer::new(rate, number(&mut input));
    let mut now = number(&mut input);
    let (num, den) = (u128::from(rate.num()), u128::from(rate.den()));
    let burst = u128::from(policer.burst()) * den;
    let mut bucket = Bucket { num, den, burst, tokens: burst, last: 0 };
    let horizon = policer.horizon().0.min(1 << 40);
    let mut left = STEPS;
    while left > 0 && !input.is_empty() {
        let step = number(&mut input) % horizon;
        now = now.saturating_add(step);
        policer.touch(Now(now));
        let len = usize::from(input.byte() % 5) + 1;
        let mut batch = policer.reserve();
        for _ in 0..len.min(left) {
            let late = u64::from(input.byte() % 4) * 100;
            let cost = number(&mut input);
            let at = now.saturating_sub(late);
            let admitted = batch.admit(Now(at), cost);
            assert_eq!(admitted, bucket.admit(at, cost), "{cost} units at {at}");
        }
        left -= len.min(left);
        assert!(batch.commit().is_ok(), "nobody else uses it");
        let tokens = u128::from(policer.available(Now(now)));
        assert_eq!(tokens, bucket.level(now) / den, "what there is to use");
    }
}

impl Bucket {
    fn level(&self, now: u64) -> u128 {
        let since = u128::from(now.saturating_sub(self.last));
        (self.tokens + since * self.num).min(self.burst)
    }
}
