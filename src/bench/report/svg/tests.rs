use proptest::prelude::*;

use super::layout::apart;
use super::*;

/// Whether a number is 1, 2 or 5 times a power of ten.
fn round(value: f64) -> bool {
    let text = format!("{value:e}");
    let digits = text.split('e').next().unwrap_or_default();
    ["1", "2", "5"].contains(&digits)
}

fn values(scale: &Scale, wanted: usize) -> Vec<f64> {
    scale.ticks(wanted).into_iter().map(|tick| tick.value).collect()
}

proptest! {
    #[test]
    fn steps_between_ticks_are_round_and_about_as_many_as_wanted(
        low in -1e9..1e9_f64,
        size in -6..12_i32,
        part in 1.0..10.0_f64,
        wanted in 2..12_usize,
    ) {
        let span = part * 10_f64.powi(size);
        // Ticks are exact to a float's precision, which a tiny span far from zero exhausts.
        prop_assume!(span > low.abs() * 1e-6);
        let ticks = values(&Scale::Linear { low, high: low + span }, wanted);
        prop_assert!(ticks.len() <= wanted + 1 && ticks.len() * 3 + 3 >= wanted, "{ticks:?}");
        for two in ticks.windows(2) {
            let step = two[1] - two[0];
            let near = format!("{step:.3e}").parse().unwrap_or(f64::NAN);
            prop_assert!(round(near), "{step} of {ticks:?}");
        }
        for tick in ticks {
            prop_assert!(tick >= low - span * 1e-6 && tick <= low + span * (1.0 + 1e-6));
        }
    }

    #[test]
    fn places_on_an_axis_keep_the_order_of_values(a in 1e-6..1e6_f64, b in 1e-6..1e6_f64) {
        let (a, b) = (a.min(b), a.max(b));
        for scale in [
            Scale::Linear { low: 0.0, high: 1e6 },
            Scale::Log { low: 1e-6, high: 1e6 },
        ] {
            prop_assert!(scale.place(a) <= scale.place(b));
            prop_assert!((0.0..=1.0).contains(&scale.place(a)));
        }
        let (a, b) = (a / 1e6, b / 1e6);
        for scale in [Scale::Nines { last: 0.999_999 }, Scale::Loss { least: 1e-5 }] {
            prop_assert!(scale.place(a) <= scale.place(b));
            prop_assert!((0.0..=1.0).contains(&scale.place(a)), "{scale:?} {a} {}", scale.place(a));
        }
    }

    #[test]
    fn labels_stand_a_line_apart_in_their_order(
        mut wanted in prop::collection::vec(0.0..300.0_f64, 0..12),
    ) {
        wanted.sort_by(f64::total_cmp);
        let places = apart(&wanted, 0.0, 300.0);
        for two in places.windows(2) {
            prop_assert!(two[1] - two[0] >= 15.0 - 1e-9, "{places:?}");
        }
        prop_assert!(places.iter().all(|place| (-15.0..=300.0 + 1e-9).contains(place)), "{places:?}");
    }
}

#[test]
fn labels_that_have_room_stay_where_they_belong() {
    assert_eq!(apart(&[10.0, 50.0, 90.0], 0.0, 100.0), [10.0, 50.0, 90.0]);
    assert_eq!(apart(&[50.0, 50.0], 0.0, 100.0), [50.0, 65.0]);
    assert_eq!(apart(&[95.0, 100.0], 0.0, 100.0), [85.0, 100.0]);
}

#[test]
fn each_nine_takes_the_same_room() {
    let scale = Scale::Nines { last: 0.999_99 };
    let places = [0.0, 0.9, 0.99, 0.999, 0.999_9, 0.999_99].map(|share| scale.place(share));
    for (nines, place) in places.iter().enumerate() {
        assert!((place - nines as f64 / 5.0).abs() < 1e-9, "{places:?}");
    }
    // No sample is better than the last: the largest stands at the end.
    assert!((scale.place(1.0) - 1.0).abs() < 1e-9);
    assert_eq!(values(&scale, 8), [0.0, 0.5, 0.9, 0.99, 0.999, 0.999_9, 0.999_99]);
}

#[test]
fn a_ratio_of_zero_has_a_place_of_its_own() {
    let scale = Scale::Loss { least: 1e-4 };
    assert!(scale.place(0.0) > 0.0 && scale.place(0.0) < scale.place(1e-9));
    assert!(scale.place(1e-9) < scale.place(1e-4));
    assert!((scale.place(1.0) - 1.0).abs() < 1e-9);
    let decade = scale.place(1e-2) - scale.place(1e-3);
    assert!((scale.place(1e-1) - scale.place(1e-2) - decade).abs() < 1e-9);
}

#[test]
fn ticks_of_an_order_are_whole() {
    assert_eq!(values(&Scale::Order(4), 12), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values(&Scale::Order(34), 5), [10.0, 20.0, 30.0]);
    assert_eq!(values(&Scale::Order(1), 5), [1.0, 2.0]);
}

#[test]
fn percent_has_as_many_digits_as_it_needs() {
    let said = [0.0, 0.005, 0.5, 0.9, 0.999, 0.999_999, 1.0].map(percent);
    assert_eq!(said, ["0 %", "0.5 %", "50 %", "90 %", "99.9 %", "99.9999 %", "100 %"]);
}

/// The labels of an axis at the left of a plot.
fn labels(of: Of, scale: Scale) -> (String, Vec<String>) {
    let axis = Axis::new("load", of, scale);
    let labels = axis.ticks(5).into_iter().map(|(_, label)| label);
    (axis.heading(), labels.filter(|label| !label.is_empty()).collect())
}

#[test]
fn an_even_axis_has_one_unit_and_one_form_of_its_numbers() {
    let (heading, ticks) = labels(Of::Count("pps"), Scale::Linear { low: 0.0, high: 1.7e6 });
    assert_eq!(heading, "load, Mpps");
    assert_eq!(ticks, ["0.0", "0.5", "1.0", "1.5"]);
    let (heading, ticks) = labels(Of::Time, Scale::Linear { low: 0.0, high: 9.3e6 });
    assert_eq!(
        (&*heading, ticks),
        ("load, ms", ["0", "2", "4", "6", "8"].map(str::to_owned).to_vec())
    );
    let (heading, ticks) = labels(Of::Count(""), Scale::Linear { low: 4_000.0, high: 4_800.0 });
    assert_eq!((&*heading, &*ticks[0], &*ticks[1]), ("load", "4000", "4200"));
    let (_, ticks) = labels(Of::Times, Scale::Linear { low: 0.97, high: 1.03 });
    assert_eq!(ticks, ["×0.98", "×1.00", "×1.02"]);
}

#[test]
fn a_logarithmic_axis_has_the_unit_at_each_number() {
    let (heading, ticks) = labels(Of::Count("pps"), Scale::Log { low: 9e3, high: 2e7 });
    assert_eq!(
        (&*heading, ticks),
        ("load, pps", ["10 k", "100 k", "1 M", "10 M"].map(str::to_owned).to_vec())
    );
    let (_, ticks) = labels(Of::Time, Scale::Log { low: 800.0, high: 3e9 });
    assert_eq!(ticks[..2], ["10 µs", "1 ms"]);
}

#[test]
fn what_lies_beyond_an_axis_is_told_with_an_arrow() {
    let x = Axis::new("x", Of::Count(""), Scale::Linear { low: 0.0, high: 10.0 });
    let mut plot = Plot::new("A plot.", x.clone(), x, 100.0);
    plot.across(5.0, "inside", "medium");
    plot.across(50.0, "above", "nominal");
    plot.upright(50.0, "right", "nominal");
    let svg = draw(&[plot], 400.0, true).into_string();
    assert!(
        svg.contains(">inside<") && svg.contains(">↑ above<") && svg.contains(">right →<"),
        "{svg}"
    );
    assert_eq!(svg.matches("rule nominal").count(), 0, "{svg}");
    assert_eq!(svg.matches("rule medium").count(), 1, "{svg}");
}
