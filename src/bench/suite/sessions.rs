//! How fast are sessions opened, and how many can there be? RFC 9693: every session is opened by
//! one frame, and afterwards looked for from outside, since a table that overwrites silently shows
//! only there.

use super::{Opened, Runner, count};
use crate::bench::error::BenchError;
use crate::bench::record::outcome::Sessions;
use crate::bench::record::{Quantity, Unit, Verdict, VerdictKind};

/// What to try.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Sessions of each try at a rate.
    pub sessions: u64,
    /// Rates closer to each other than this share are the same.
    pub width: f64,
    /// First table size; doubled while it holds.
    pub first_size: u64,
    /// Largest table size to try.
    pub most: u64,
}

/// Measures establishment rate, then capacity.
///
/// # Errors
/// When the bed has no sessions, or a trial cannot be run.
pub fn measure(runner: &mut Runner<'_>, search: Search) -> Result<Sessions, BenchError> {
    let max = runner.bed().max_rate();
    let (rate, verdict) = establishment(runner, search, max)?;
    let capacity = match rate {
        Some(rate) => capacity(runner, search, rate * CAREFUL)?,
        None => Vec::new(),
    };
    Ok(Sessions {
        establishment: rate.map(|value| Quantity { value, unit: Unit::SessionsPerSecond }),
        tear_down: None,
        capacity,
        all_new: rate.map(Quantity::rate),
        all_open: None,
        verdict,
    })
}

/// Share of the establishment rate at which tables are filled.
const CAREFUL: f64 = 0.5;
/// The least rate to try, sessions a second.
const LEAST: f64 = 1000.0;

/// Bisects the largest rate at which every session opens.
fn establishment(
    runner: &mut Runner<'_>,
    search: Search,
    max: f64,
) -> Result<(Option<f64>, Verdict), BenchError> {
    let opened = open(runner, search.sessions, max)?;
    let all = |opened: &Opened| opened.arrived == search.sessions;
    if all(&opened) {
        let why = "every session opened at the generator's largest rate";
        return Ok((Some(max), Verdict::new(VerdictKind::AtMaxLoad, why)));
    }
    let (mut passes, mut fails) = (None, max);
    let mut verdict = opened.trial.verdict;
    let mut rate = max / 2.0;
    while rate >= LEAST && (fails - passes.unwrap_or(0.0)) / fails > search.width {
        let opened = open(runner, search.sessions, rate)?;
        runner.say(&format!("{rate:.0} sessions/s: {} opened", opened.arrived), None);
        if all(&opened) {
            passes = Some(rate);
            verdict = opened.trial.verdict;
        } else {
            fails = rate;
        }
        rate = (passes.unwrap_or(0.0) + fails) / 2.0;
    }
    Ok((passes, verdict))
}

/// Doubles the table while every session opens and is found again.
fn capacity(
    runner: &mut Runner<'_>,
    search: Search,
    rate: f64,
) -> Result<Vec<(u64, u64)>, BenchError> {
    let mut sizes = Vec::new();
    let mut size = search.first_size;
    while size <= search.most {
        let opened = open(runner, size, rate)?;
        let found = runner.bed().find_sessions(rate)?;
        runner.say(&format!("{size} sessions: {} opened, {found} found", opened.arrived), None);
        sizes.push((size, found.min(opened.arrived)));
        if found < size || opened.arrived < size {
            break;
        }
        size *= 2;
    }
    Ok(sizes)
}

/// Opens sessions in an empty table.
fn open(runner: &mut Runner<'_>, sessions: u64, rate: f64) -> Result<Opened, BenchError> {
    if !runner.bed().reset()? {
        let device = runner.bed().scenario().device.clone();
        let why = "its sessions cannot be cleared between trials, so trials would differ";
        return Err(BenchError::Device { device, why: why.to_owned() });
    }
    let seconds = count(sessions) / rate;
    runner.say(&format!("opens {sessions} sessions in {seconds:.1} s"), None);
    let opened = runner.bed().open_sessions(sessions, rate)?;
    runner.keep(opened.trial.clone());
    Ok(opened)
}
