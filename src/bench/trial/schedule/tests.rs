use proptest::prelude::*;

use super::*;

/// Due times by exact arithmetic with whole numbers: `floor(k * 10^9 / rate)` before the end.
fn naive(rate: u64, length_ns: u64) -> Vec<u64> {
    let due = |k: u64| u64::try_from(u128::from(k) * 1_000_000_000 / u128::from(rate)).unwrap();
    (0..).map(due).take_while(|due| *due < length_ns).collect()
}

proptest! {
    #[test]
    fn a_constant_rate_is_what_exact_arithmetic_says(
        rate in 1_u64..20_000_000, length in 0_u64..2_000_000,
    ) {
        let step = Step::lasting(rate as f64, Span(length));
        let schedule = Schedule::new(Shape::Constant, &[step]);
        let expected = naive(rate, length);
        prop_assert_eq!(schedule.remaining(), expected.len() as u64);
        prop_assert_eq!(schedule.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn due_times_by_number_are_those_in_a_row(
        rates in prop::collection::vec(1_000.0..1e7, 1..4), burst in 1_u32..9, seed: u64,
        picks in prop::collection::vec(0_u64..3_000, 1..20),
    ) {
        let steps: Vec<Step> =
            rates.iter().map(|rate| Step::lasting(*rate, Span::micros(100))).collect();
        for shape in [Shape::Constant, Shape::Bursts(burst), Shape::Poisson(seed)] {
            let schedule = Schedule::new(shape, &steps);
            let all: Vec<u64> = schedule.clone().collect();
            prop_assert!(all.is_sorted());
            let mut picks = picks.clone();
            picks.sort_unstable();
            let mut by_number = schedule.clone();
            for seq in picks {
                let index = usize::try_from(seq).unwrap();
                let expected = all.get(index).copied().unwrap_or(schedule.end_ns());
                prop_assert_eq!(by_number.due(seq), expected);
            }
        }
    }
}

#[test]
fn ten_minutes_at_twenty_million_a_second_do_not_drift() {
    let rate = 20_000_001_u64;
    let step = Step::lasting(rate as f64, Span::secs(600));
    let mut schedule = Schedule::new(Shape::Constant, &[step]);
    assert_eq!(schedule.remaining(), 600 * rate);
    let last = 600 * rate - 1;
    let exact = u128::from(last) * 1_000_000_000 / u128::from(rate);
    assert_eq!(u128::from(schedule.due(last)), exact);
    assert_eq!(schedule.due(last + 1), 600_000_000_000);
}

#[test]
fn a_count_of_frames_is_kept_whatever_the_rate() {
    for rate in [3.0, 7_777.7, 1_488_095.238] {
        let schedule = Schedule::new(Shape::Constant, &[Step::counting(1000, rate)]);
        assert_eq!(schedule.remaining(), 1000);
        let due: Vec<u64> = schedule.clone().collect();
        assert_eq!(due.len(), 1000);
        assert!((due[999] as f64 - 999e9 / rate).abs() < 1.0);
        assert!((schedule.end_ns() as f64 - 1000e9 / rate).abs() < 1.0);
    }
}

#[test]
fn bursts_come_whole_and_as_far_apart_as_the_rate_says() {
    let step = Step::lasting(1_000_000.0, Span::micros(64));
    let due: Vec<u64> = Schedule::new(Shape::Bursts(32), &[step]).collect();
    assert_eq!(due, [vec![0; 32], vec![32_000; 32]].concat());
}

#[test]
fn steps_follow_each_other_at_their_own_rates() {
    let steps = [Step::lasting(1e6, Span::micros(3)), Step::lasting(5e5, Span::micros(4))];
    let mut schedule = Schedule::new(Shape::Constant, &steps);
    assert_eq!(schedule.remaining(), 5);
    assert_eq!(schedule.next(), Some(0));
    assert_eq!(schedule.remaining(), 4);
    assert_eq!(schedule.collect::<Vec<_>>(), [1000, 2000, 3000, 5000]);
}

#[test]
fn a_poisson_process_has_its_rate_its_gaps_and_its_seed() {
    let step = Step::lasting(1e6, Span::millis(500));
    let due: Vec<u64> = Schedule::new(Shape::Poisson(1), &[step]).collect();
    // The count has mean 500,000 and standard deviation 707.
    assert!((due.len() as f64 - 500_000.0).abs() < 5.0 * 707.0, "{}", due.len());
    // P(gap > 1 us) = 1/e, P(gap > 3 us) = 1/e^3.
    let gaps: Vec<u64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (beyond, share) in [(1000, 0.3679), (3000, 0.0498)] {
        let seen = gaps.iter().filter(|gap| **gap > beyond).count() as f64 / gaps.len() as f64;
        assert!((seen - share).abs() < 0.005, "{seen} of gaps over {beyond} ns");
    }
    let again: Vec<u64> = Schedule::new(Shape::Poisson(1), &[step]).collect();
    let other: Vec<u64> = Schedule::new(Shape::Poisson(2), &[step]).collect();
    assert!(due == again && due != other);
}

#[test]
fn a_rate_that_no_schedule_can_have_is_refused() {
    for rate in [0.0, -1.0, f64::NAN, 2e9] {
        assert!(std::panic::catch_unwind(|| Step::lasting(rate, Span::secs(1))).is_err(), "{rate}");
    }
}
