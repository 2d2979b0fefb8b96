//! What runs now, and how long will it take? One line on a terminal that changes, some lines in a
//! pipe, nothing when a program reads the output.
//!
//! Nothing is written by itself: a line appears when the caller says what it does, which is between
//! trials, never beside one. What cannot be written is lost; a measurement does not end for it.

use std::io::{self, Stderr, Write};

use textwrap::core::display_width;

use super::digest::between;
use super::record::Quantity;
use super::terminal::{self, plain};
use crate::time::{Now, Span};

/// Time between two lines of a pipe, so that a log stays short.
const PIPE_INTERVAL: Span = Span::secs(10);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// One line that changes, of at most so many characters.
    Line(usize),
    /// A line now and then.
    Log,
    /// Not at all.
    Silent,
}

/// A scenario that will run, and how long it is expected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// How long it should take.
    pub expected: Span,
}

/// What happens now within a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step<'a> {
    /// In a word or two: `search`, `latency 50 %`, `warm-up`.
    pub doing: &'a str,
    /// The number of the trial, from 1.
    pub trial: Option<u32>,
    /// The bounds that are known.
    pub bounds: Option<(Quantity, Quantity)>,
    /// How long the rest of the scenario takes, where the caller knows better than the plan.
    pub left: Option<Span>,
}

/// The progress of a command.
#[derive(Debug)]
pub struct Progress<W: Write = Stderr> {
    out: W,
    manner: Manner,
    plan: Vec<Planned>,
    /// Scenarios that have ended.
    done: usize,
    began: Now,
    /// When the scenario that runs began.
    scenario_began: Now,
    /// When the last line was written.
    written: Option<Now>,
    /// Whether a line stands on the terminal that the next one replaces.
    pending: bool,
}

impl Progress<Stderr> {
    /// On standard error: a line on a terminal, a log in a pipe, nothing with `silent`, which a
    /// command sets when it prints JSON.
    pub fn to_stderr(plan: Vec<Planned>, silent: bool, now: Now) -> Self {
        let manner = match terminal::width(&io::stderr()) {
            _ if silent => Manner::Silent,
            // The last column stays free: some terminals break the line behind it.
            Some(width) => Manner::Line(width.saturating_sub(1)),
            None => Manner::Log,
        };
        Self::new(io::stderr(), manner, plan, now)
    }
}

impl<W: Write> Progress<W> {
    /// Of a plan that begins now.
    pub fn new(out: W, manner: Manner, plan: Vec<Planned>, now: Now) -> Self {
        Self {
            out,
            manner,
            plan,
            done: 0,
            began: now,
            scenario_began: now,
            written: None,
            pending: false,
        }
    }

    /// The next scenario of the plan begins.
    pub fn begin(&mut self, now: Now) {
        self.scenario_began = now;
        self.written = None;
        self.step(now, &Step { doing: "begins", ..Step::default() });
    }

    /// Something happens within the scenario.
    pub fn step(&mut self, now: Now, step: &Step) {
        let due = match (self.manner, self.written) {
            (Manner::Silent, _) => false,
            (Manner::Log, Some(written)) => now.since(written) >= PIPE_INTERVAL,
            (Manner::Line(_), _) | (Manner::Log, None) => true,
        };
        if due {
            let text = self.line(now, step);
            self.written = Some(now);
            self.show(&text);
        }
    }

    /// The scenario ended with this result, which stays to be read.
    pub fn end(&mut self, now: Now, result: &str) {
        let name = self.name().to_owned();
        let took = clock(now.since(self.scenario_began));
        self.done += 1;
        self.keep(&format!("{name}: {result} ({took})"));
    }

    /// A sentence that stays to be read, such as a warning.
    pub fn say(&mut self, text: &str) {
        self.keep(text);
    }

    /// Everything ended.
    pub fn finish(&mut self, now: Now) {
        let scenarios = if self.done == 1 { "scenario" } else { "scenarios" };
        let took = clock(now.since(self.began));
        self.keep(&format!("{} {scenarios} in {took}", self.done));
    }

    fn name(&self) -> &str {
        self.plan.get(self.done).map_or("more", |planned| &planned.name)
    }

    fn line(&self, now: Now, step: &Step) -> String {
        let place = (self.done + 1).min(self.plan.len().max(1));
        let mut parts = vec![format!("[{place}/{}] {}", self.plan.len().max(1), self.name())];
        parts.push(step.doing.to_owned());
        parts.extend(step.trial.map(|trial| format!("trial {trial}")));
        parts.extend(step.bounds.map(|(low, high)| between(low, high)));
        parts.retain(|part| !part.is_empty());
        let elapsed = clock(now.since(self.began));
        let left = clock(self.left(now, step.left));
        // Times come first to the eye when they stand at the begin: names have many lengths.
        format!("{elapsed}, {left} left {}", parts.join(", "))
    }

    /// What the plan expects of the rest, corrected by how the part that is done went.
    fn left(&self, now: Now, known: Option<Span>) -> Span {
        let planned = |part: &[Planned]| part.iter().map(|p| p.expected.0 as f64).sum::<f64>();
        let done = planned(&self.plan[..self.done.min(self.plan.len())]);
        let spent = self.scenario_began.since(self.began).0 as f64;
        // Nothing is known of the pace before a scenario has ended.
        let pace = if done > 0.0 { (spent / done).clamp(0.2, 5.0) } else { 1.0 };
        let current = self.plan.get(self.done).map_or(0.0, |p| p.expected.0 as f64 * pace);
        let current = match known {
            Some(left) => left.0 as f64,
            None => current - now.since(self.scenario_began).0 as f64,
        };
        let later = planned(self.plan.get(self.done + 1..).unwrap_or_default()) * pace;
        nanoseconds(current.max(0.0) + later)
    }

    /// A line that may be replaced.
    fn show(&mut self, text: &str) {
        let text = plain(text);
        let written = match self.manner {
            Manner::Silent => return,
            Manner::Log => writeln!(self.out, "{text}"),
            Manner::Line(width) => {
                self.pending = true;
                write!(self.out, "\r\x1b[K{}", cut(&text, width))
            }
        };
        // Without a reader there is nobody to tell.
        let _ = written.and_then(|()| self.out.flush());
    }

    /// A line that stays.
    fn keep(&mut self, text: &str) {
        if self.manner == Manner::Silent {
            return;
        }
        let clear = if self.pending { "\r\x1b[K" } else { "" };
        self.pending = false;
        let written = writeln!(self.out, "{clear}{}", plain(text));
        let _ = written.and_then(|()| self.out.flush());
    }
}

impl<W: Write> Drop for Progress<W> {
    /// A line that was to be replaced does not stay, whatever ended the command.
    fn drop(&mut self) {
        if self.pending {
            let _ = write!(self.out, "\r\x1b[K").and_then(|()| self.out.flush());
        }
    }
}

/// As much of a text as so many columns hold.
fn cut(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (index, c) in text.char_indices() {
        used += display_width(c.encode_utf8(&mut [0; 4]));
        if used > width {
            return &text[..index];
        }
    }
    text
}

/// `1:05`, or `1:02:03` from an hour on.
fn clock(span: Span) -> String {
    let seconds = span.0 / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and a float's cast saturates"
)]
fn nanoseconds(span: f64) -> Span {
    Span(span.round() as u64)
}

#[cfg(test)]
mod tests;
