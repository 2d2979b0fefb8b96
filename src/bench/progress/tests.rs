use super::*;

fn plan() -> Vec<Planned> {
    let planned =
        |name: &str, seconds| Planned { name: name.to_owned(), expected: Span::secs(seconds) };
    vec![planned("first", 20), planned("second", 40), planned("third", 60)]
}

fn at(seconds: u64) -> Now {
    Now(0) + Span::secs(seconds)
}

fn written(progress: Progress<&mut Vec<u8>>) -> String {
    let out = progress.out.clone();
    String::from_utf8(out).expect("lines are text")
}

#[test]
fn a_line_says_what_runs_and_how_long_it_takes() {
    let mut out = Vec::new();
    let mut progress = Progress::new(&mut out, Manner::Line(200), plan(), at(0));
    progress.begin(at(0));
    let bounds = Some((Quantity::rate(990e3), Quantity::rate(1.012e6)));
    progress.step(at(5), &Step { doing: "search", trial: Some(7), bounds, left: None });
    let text = written(progress);
    // 20 - 5 of the first, 40 and 60 of the others.
    let line = "0:05, 1:55 left [1/3] first, search, trial 7, 990.0 kpps to 1.012 Mpps";
    assert!(text.ends_with(&format!("\r\u{1b}[K{line}")), "{text:?}");
    assert!(!text.contains('\n'), "one line is replaced: {text:?}");
}

#[test]
fn the_time_left_learns_from_what_is_done() {
    let mut out = Vec::new();
    let mut progress = Progress::new(&mut out, Manner::Line(200), plan(), at(0));
    progress.begin(at(0));
    // 20 s were planned: everything takes twice as long as expected.
    progress.end(at(40), "1.004 Mpps NDR, ok");
    progress.begin(at(40));
    progress.step(at(50), &Step { doing: "search", ..Step::default() });
    // 2 * 40 - 10 of the second, 2 * 60 of the third.
    progress.step(at(60), &Step { left: Some(Span::secs(7)), ..Step::default() });
    let text = written(progress);
    assert!(text.contains("first: 1.004 Mpps NDR, ok (0:40)\n"), "{text:?}");
    assert!(text.contains("0:50, 3:10 left [2/3] second, search"), "{text:?}");
    // 7 by the caller, 2 * 60 of the third.
    assert!(text.ends_with("1:00, 2:07 left [2/3] second"), "{text:?}");
}

#[test]
fn a_scenario_that_takes_too_long_has_no_time_left_and_no_less() {
    let mut out = Vec::new();
    let mut progress = Progress::new(&mut out, Manner::Line(200), plan(), at(0));
    progress.begin(at(0));
    progress.step(at(100), &Step::default());
    assert!(written(progress).ends_with("1:40, 1:40 left [1/3] first"));
}

#[test]
fn a_pipe_gets_whole_lines_and_few_of_them() {
    let mut out = Vec::new();
    let mut progress = Progress::new(&mut out, Manner::Log, plan(), at(0));
    progress.begin(at(0));
    for second in 1..=25 {
        progress.step(at(second), &Step { doing: "search", ..Step::default() });
    }
    progress.end(at(26), "done");
    progress.begin(at(26));
    progress.finish(at(27));
    let text = written(progress);
    assert!(!text.contains(['\r', '\u{1b}']), "{text:?}");
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        "0:00, 2:00 left [1/3] first, begins",
        "0:10, 1:50 left [1/3] first, search",
        "0:20, 1:40 left [1/3] first, search",
        "first: done (0:26)",
        "0:26, 2:10 left [2/3] second, begins",
        "1 scenario in 0:27",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn nothing_is_said_to_a_program() {
    let mut out = Vec::new();
    let mut progress = Progress::new(&mut out, Manner::Silent, plan(), at(0));
    progress.begin(at(0));
    progress.step(at(1), &Step::default());
    progress.say("a warning");
    progress.end(at(2), "done");
    progress.finish(at(3));
    drop(progress);
    assert_eq!(out, b"");
}

#[test]
fn a_line_fits_its_terminal_and_does_not_stay() {
    let long = vec![Planned { name: "長い名前\u{1b}[2J".repeat(20), expected: Span::secs(1) }];
    let mut out = Vec::new();
    let mut progress = Progress::new(&mut out, Manner::Line(40), long, at(0));
    progress.begin(at(0));
    drop(progress);
    let text = String::from_utf8(out).expect("lines are text");
    let line = text.split("\r\u{1b}[K").nth(1).expect("a line was written");
    assert!(display_width(line) <= 40 && display_width(line) >= 38, "{line}");
    assert!(!line.contains('\u{1b}'));
    assert!(text.ends_with("\r\u{1b}[K"), "{text:?}");
}

#[test]
fn a_reader_that_went_away_ends_nothing() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let mut progress = Progress::new(Gone, Manner::Log, plan(), at(0));
    progress.begin(at(0));
    progress.end(at(1), "done");
    progress.finish(at(2));
}

#[test]
fn more_scenarios_than_planned_are_no_error() {
    let mut out = Vec::new();
    let mut progress = Progress::new(&mut out, Manner::Log, Vec::new(), at(0));
    progress.begin(at(0));
    progress.end(at(1), "done");
    progress.begin(at(1));
    progress.finish(at(3700));
    assert!(written(progress).ends_with("1 scenario in 1:01:40\n"));
}

#[test]
fn a_scenario_that_ended_leaves_its_result_in_place_of_the_line() {
    let mut out = Vec::new();
    let mut progress = Progress::new(&mut out, Manner::Line(80), plan(), at(0));
    progress.begin(at(0));
    progress.end(at(3), "ok");
    let text = written(progress);
    assert!(text.ends_with("\r\u{1b}[Kfirst: ok (0:03)\n"), "{text:?}");
}
