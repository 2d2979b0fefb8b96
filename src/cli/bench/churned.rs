//! How many route changes a second, made where? In the generator's pauses on the medium ring; on a
//! core of their own in memory.

use miette::{IntoDiagnostic, Result, miette};

use super::Churned;
use super::ask::{about, span};
use super::log::{About, Log};
use crate::bench::bed::{self, Medium, Wish};
use crate::bench::cost;
use crate::bench::error::BenchError;
use crate::bench::medium::Cores;
use crate::bench::record::outcome::{Churn, Outcome};
use crate::bench::scenario::{self, Direction, Routes, Scenario, TO_AZURE, Way};
use crate::bench::search::Method;
use crate::bench::suite::{Runner, churn, throughput};
use crate::time::Span;

/// Routes of a table where none are asked for: about as many as the Internet has.
const MANY_ROUTES: u32 = 1_000_000;
/// Flows to them.
const MANY_FLOWS: u64 = 100_000;

/// Answers it.
///
/// # Errors
/// When it cannot be measured.
pub(super) fn ask(own: &Churned, log: &mut Log) -> Result<()> {
    let mut wish = own.asked.wanted.wish()?;
    let goes_there = wish.spec.way == Way::FastPath && wish.direction == Direction::ToAzure;
    if !matches!(wish.medium, Medium::Ring | Medium::Memory) || !goes_there {
        return Err(miette!(
            help = "bench churn --medium ring --way fastpath --direction to_azure",
            "routes are changed on the media ring and memory, whose tables are in this process, on \
             the way fastpath to Azure, which looks them up"
        ));
    }
    if own.asked.wanted.routes.is_none() {
        wish.spec.routes = Routes::internet(wish.spec.seed, MANY_ROUTES);
        wish.spec.flows = own.asked.wanted.flows.unwrap_or(MANY_FLOWS);
    }
    log.begin();
    if wish.medium == Medium::Memory {
        if own.load.is_some() {
            return Err(miette!(
                help = "leave --load out, or take --medium ring",
                "in memory frames go round as fast as they can, whatever the load"
            ));
        }
        let (about, found) = changed_beside(own, &wish, log).into_diagnostic()?;
        return log.keep(about, Vec::new(), Outcome::Churn(found));
    }
    let mut bed = bed::open_with_churn(&wish).into_diagnostic()?;
    let mut about = about(&*bed, &wish);
    about.notes.push(
        "Routes were changed by the tester's thread, in the time that generator and sink left it: \
         a third each next hops replaced, routes withdrawn and announced again."
            .to_owned(),
    );
    let mut runner = Runner::new(&mut *bed, log);
    let (load, throughput) = match own.load {
        Some(load) => (load, None),
        None => {
            let timeout = Span::secs(own.at_most);
            let how = throughput::How { preset: own.preset, method: Method::MlrSearch, timeout };
            let found = throughput::search(&mut runner, how).into_diagnostic()?;
            let rate = throughput::rate(&found)
                .ok_or_else(|| miette!("no load passes: there is no throughput to begin with"))?;
            (rate * churn::SHARE, Some(rate))
        }
    };
    let trials = (usize::from(own.pairs), span(own.asked.seconds));
    let found = churn::measure(&mut runner, load, throughput, trials).into_diagnostic()?;
    let trials = runner.into_trials();
    log.keep(about, trials, Outcome::Churn(found))
}

/// Route changes by a core of their own, beside the one that a worker, generator and sink share.
fn changed_beside(own: &Churned, wish: &Wish, log: &mut Log) -> Result<(About, Churn), BenchError> {
    let asked = |why: &dyn std::fmt::Display| BenchError::Asked(why.to_string());
    let scenario = Scenario::new(wish.spec.clone()).map_err(|why| asked(&why))?;
    let cores = Cores::each(2).map_err(|why| asked(&why))?;
    log.say("changing routes beside a worker", None);
    let beside = cost::changing::Asked {
        pairs: usize::from(own.pairs),
        time: span(own.asked.seconds),
        cores: [cores[0], cores[1]],
    };
    let options = cost::Options::default();
    let found = cost::changing::measure(&scenario, TO_AZURE, &wish.genome, &options, beside)
        .map_err(|why| asked(&why))?;
    let run = scenario::Run {
        device: "thruway",
        medium: "memory",
        genome: &wish.genome,
        workers: 1,
        direction: wish.direction,
        layout: &format!(
            "tester and worker share core {}, the writer has core {}",
            cores[0], cores[1]
        ),
    };
    let mut notes = scenario.notes();
    notes.extend(found.notes);
    let scenario = scenario.record(&run);
    Ok((About { scenario, seed: wish.spec.seed, calibration: None, notes }, found.churn))
}
