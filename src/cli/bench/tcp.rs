//! TCP through a forwarder, against a peer: whole runs in pairs, each with everything fresh.

use std::cell::RefCell;

use miette::{IntoDiagnostic, Result};

use super::Output;
use super::log::{About, Log};
use crate::bench::progress::Planned;
use crate::bench::record::Unit;
use crate::bench::record::outcome::Outcome;
use crate::bench::stats::compare::{Better, Rules, Side};
use crate::bench::suite::compare;
use crate::bench::tcp::{self, Forwarder, How, Medium};
use crate::time::Span;

/// What is asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Talked {
    /// Between hosts and forwarder: tap or veth
    #[arg(long, value_enum, default_value = "tap")]
    medium: Medium,
    /// What is measured
    #[arg(long, value_enum, default_value = "thruway")]
    device: Forwarder,
    /// The other: kernel (nft masquerade, on veth always) or null (passes frames on and does nothing)
    #[arg(long, value_enum, default_value = "kernel")]
    peer: Forwarder,
    /// The service sends
    #[arg(long)]
    reverse: bool,
    /// Seconds of each run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..3600))]
    seconds: u32,
    /// Pairs before the first judgement
    #[arg(long, default_value_t = 8)]
    pairs: usize,
    /// Pairs after which it is left at inconclusive
    #[arg(long, default_value_t = 16)]
    most_pairs: usize,
    /// Differences up to this share do not matter
    #[arg(long, default_value_t = 0.05)]
    margin: f64,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Talked {
    /// One question, and how long it may take: each run makes everything first.
    pub(super) fn plan(&self) -> Vec<Planned> {
        let runs = 2 * u64::try_from(self.pairs).unwrap_or(u64::MAX);
        let name = format!("TCP through {} on {}", self.device.word(), self.medium.word());
        let expected = Span::secs(runs.saturating_mul(u64::from(self.seconds) + 3));
        vec![Planned { name, expected }]
    }

    fn how(&self, side: Side) -> How {
        let forwarder = if side == Side::A { self.peer } else { self.device };
        How { forwarder, medium: self.medium, seconds: self.seconds, reverse: self.reverse }
    }
}

/// Compares with a peer.
///
/// # Errors
/// When a run fails.
pub(super) fn ask(own: &Talked, log: &mut Log) -> Result<()> {
    log.begin();
    let name = |side| {
        let how = own.how(side);
        format!("{} on {}", how.forwarder.word(), how.forwarder.medium(how.medium).word())
    };
    let figure = compare::Compared {
        name: "bit/s of TCP".to_owned(),
        better: Better::Higher,
        unit: Some(Unit::BitsPerSecond),
    };
    let how = compare::How {
        names: [name(Side::A), name(Side::B)],
        figures: vec![figure],
        pairs: own.pairs,
        rules: Rules {
            margin: own.margin,
            most_pairs: own.pairs.max(own.most_pairs),
            ..Rules::default()
        },
    };
    let log_cell = RefCell::new(log);
    let mut again = [0_u64; 2];
    let (found, trials) = compare::pairs(
        &how,
        |side| {
            let run = own.how(side);
            let found = tcp::run(&run)?;
            again[usize::from(side == Side::B)] += found.retransmits;
            let rate = found.bits_per_second;
            let said = format!("{}: {:.2} Gbit/s", name(side), rate / 1e9);
            log_cell.borrow_mut().say(&said, None);
            Ok(compare::Sample { figures: vec![rate], trials: Vec::new() })
        },
        |what| log_cell.borrow_mut().say(what, None),
    )
    .into_diagnostic()?;
    let log = log_cell.into_inner();
    let notes = vec![
        "iperf3 with one connection and cubic; sender and receiver share the tester's core."
            .to_owned(),
        format!("Segments sent again: {} and {}.", again[0], again[1]),
    ];
    for compared in found {
        let about = About {
            scenario: tcp::record(&own.how(Side::B)),
            seed: 0,
            calibration: None,
            notes: notes.clone(),
        };
        log.keep(about, trials.clone(), Outcome::Compare(compared))?;
    }
    Ok(())
}
