use super::*;
use crate::bench::example;
use crate::bench::record::outcome::{GoalAnswer, Throughput};
use crate::bench::record::{LineRates, Verdict};

/// A search that found these bounds, in frames a second, on a medium of 10 M and a link of 20 M.
fn searched(lower: Option<f64>, upper: Option<f64>, kind: VerdictKind) -> Record {
    let goal = GoalAnswer {
        name: "NDR".to_owned(),
        loss_ratio: 0.0,
        exceed_ratio: 0.5,
        width: 0.005,
        lower: lower.map(Quantity::rate),
        upper: upper.map(Quantity::rate),
        conditional: None,
        stopped: "done".to_owned(),
    };
    let answer = Throughput {
        preset: "csit".to_owned(),
        goals: vec![goal],
        steps: Vec::new(),
        lines: LineRates {
            nominal: Some(Quantity::rate(20e6)),
            circuit: Some(Quantity::rate(5e6)),
            medium: Some(Quantity::rate(10e6)),
        },
        ndr_to_pdr: None,
        at_max_load: None,
        verdict: Verdict::new(kind, "a reason"),
    };
    Record { result: Outcome::Throughput(answer), ..example::records().remove(0) }
}

/// The first example that answers a question.
fn of(question: Question) -> Digest {
    let all = example::records();
    let found = all.iter().map(digest).find(|digest| digest.question == question);
    found.expect("there is an example of every kind")
}

#[test]
fn a_rate_that_the_forwarder_did_not_limit_is_a_lower_bound() {
    for (kind, figure) in [
        (VerdictKind::Ok, "4.000 Mpps"),
        (VerdictKind::GeneratorBound, "≥ 4.000 Mpps"),
        (VerdictKind::SinkBound, "≥ 4.000 Mpps"),
        (VerdictKind::MediumBound, "≥ 4.000 Mpps"),
        (VerdictKind::AtMaxLoad, "≥ 4.000 Mpps"),
        (VerdictKind::Contaminated, "4.000 Mpps"),
        (VerdictKind::Unaccounted, "invalid"),
    ] {
        assert_eq!(digest(&searched(Some(4e6), Some(4.02e6), kind)).figure, figure, "{kind}");
    }
}

#[test]
fn the_nominal_rate_is_only_held_against_what_the_forwarder_limited() {
    let shares = |kind| digest(&searched(Some(4e6), None, kind)).shares;
    let all = Shares { nominal: Some(0.2), circuit: Some(0.8), medium: Some(0.4) };
    assert_eq!(shares(VerdictKind::Ok), all);
    assert_eq!(shares(VerdictKind::GeneratorBound), Shares { nominal: None, ..all });
    assert_eq!(shares(VerdictKind::Contaminated), Shares { nominal: None, ..all });
    assert_eq!(shares(VerdictKind::Unaccounted), Shares::default());
}

#[test]
fn bounds_that_were_not_found_are_said_to_be_missing() {
    let said = |lower, upper| {
        let digest = digest(&searched(lower, upper, VerdictKind::Ok));
        (digest.figure, digest.range)
    };
    let words = |figure: &str, range: &str| (figure.to_owned(), range.to_owned());
    assert_eq!(said(Some(4e6), Some(4.02e6)), words("4.000 Mpps", "4.000 to 4.020 Mpps"));
    assert_eq!(said(Some(4e6), None), words("4.000 Mpps", "no upper bound"));
    assert_eq!(said(None, Some(9001.0)), words("< 9.001 kpps", "no lower bound"));
    assert_eq!(said(None, None), words("none", ""));
    assert_eq!(said(Some(990e3), Some(1.1e6)).1, "990.0 kpps to 1.100 Mpps");
}

#[test]
fn a_record_is_as_bad_as_its_worst_part() {
    let latency = of(Question::Latency);
    let judged = latency.judged.expect("its points are judged");
    assert_eq!((judged.kind, judged.flawed), (VerdictKind::GeneratorBound, (1, 4)));
    assert_eq!(judged.whys.len(), 1);
    // What makes a figure worthless outweighs what makes it a lower bound.
    let mut record = example::records().into_iter().find(|record| {
        matches!(record.result, Outcome::Scale(_)) && digest(record).judged.is_some()
    });
    let record = record.as_mut().expect("there is one");
    let Outcome::Scale(scale) = &mut record.result else { unreachable!("it was looked for") };
    scale.points[0].verdict = Verdict::new(VerdictKind::GeneratorBound, "first");
    scale.points[1].verdict = Verdict::new(VerdictKind::Contaminated, "second");
    scale.points[2].verdict = Verdict::new(VerdictKind::Contaminated, "second");
    let judged = digest(record).judged.expect("its points are judged");
    assert_eq!((judged.kind, judged.flawed.0), (VerdictKind::Contaminated, 3));
    assert_eq!(judged.whys, ["first", "second"]);
}

#[test]
fn every_question_has_a_figure() {
    let said = |question| {
        let Digest { figure, of, .. } = self::of(question);
        format!("{figure} {of}")
    };
    assert_eq!(said(Question::Compare), "×1.352 thruway over kernel");
    assert_eq!(said(Question::Recovery), "2.10 ms to the last loss");
    assert_eq!(said(Question::Sessions), "412.0 ksessions/s opened");
    assert_eq!(said(Question::Limits), "100.00 kpps admitted");
    assert_eq!(said(Question::Scale), "58 ticks at 1 M routes");
    assert_eq!(said(Question::Calibration), "1.620 Mpps sent");
    assert_eq!(self::of(Question::Sessions).beside, "4 128 768 held");
    for question in Question::ALL {
        let figure = self::of(question).figure;
        assert!(figure.starts_with(|c: char| c.is_ascii_digit() || "≥×".contains(c)), "{figure}");
    }
}

#[test]
fn the_largest_load_without_loss_lies_below_the_first_that_lost() {
    let mut record = example::records().into_iter().find(|r| matches!(r.result, Outcome::Loss(_)));
    let record = record.as_mut().expect("there is one");
    let Outcome::Loss(curve) = &mut record.result else { unreachable!("it was looked for") };
    // A larger load that happened to lose nothing proves nothing.
    curve.points[0].loss_ratio = 0.0;
    let largest = curve.points[0].rate;
    let least = curve.points.last().expect("there are points").rate;
    let digest = digest(record);
    assert_eq!(digest.figure, least.to_string());
    assert_ne!(digest.figure, largest.to_string());
}

#[test]
fn answers_without_points_have_no_figure() {
    for mut record in example::records() {
        match &mut record.result {
            Outcome::Throughput(answer) => answer.goals.clear(),
            Outcome::Latency(answer) => answer.points.clear(),
            Outcome::Loss(answer) => answer.points.clear(),
            Outcome::Failover(answer) => answer.runs.clear(),
            Outcome::Scale(answer) => answer.points.clear(),
            Outcome::Sessions(answer) => answer.establishment = None,
            _ => continue,
        }
        let figure = digest(&record).figure;
        assert!(["none", "invalid"].contains(&&*figure), "{}: {figure}", record.scenario.name);
    }
}
