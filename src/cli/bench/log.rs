//! What was found so far, and where does it go? Records to a file, a table and a report at the end,
//! and a line of progress meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::process::ExitCode;

use miette::{IntoDiagnostic, Result, WrapErr};

use super::Output;
use crate::bench::digest::digest;
use crate::bench::machine;
use crate::bench::progress::{Planned, Progress, Step};
use crate::bench::record::{
    self, Calibration, Environment, Hiccup, Outcome, Record, SCHEMA, Scenario, Trial, VerdictKind,
};
use crate::bench::report;
use crate::bench::suite::{Listener, Plan};
use crate::bench::table::{self, Look};
use crate::bench::trial::{RealClock, hiccup};
use crate::io::clock;
use crate::time::Span;

/// How long the machine is watched before a run.
const WATCH: Span = Span::millis(500);

/// Everything that one command found.
pub(super) struct Log {
    output: Output,
    file: Option<File>,
    head: Head,
    records: Vec<Record>,
    progress: Progress,
    /// Trials of the question under way.
    trials: u32,
}

/// What all records of a command share.
struct Head {
    run_id: String,
    command: Vec<String>,
    environment: Environment,
    hiccup: Hiccup,
}

/// What a record says beside its result.
#[derive(Clone)]
pub(super) struct About {
    /// What was measured.
    pub scenario: Scenario,
    /// Its seed.
    pub seed: u64,
    /// The medium's calibration.
    pub calibration: Option<Calibration>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

impl Log {
    /// Looks at the machine and opens the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn open(output: &Output, plan: Vec<Planned>) -> Result<Self> {
        let file = match &output.out {
            None => None,
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let context = || format!("--out {}", path.display());
                Some(file.into_diagnostic().wrap_err_with(context)?)
            }
        };
        let progress = Progress::to_stderr(plan, output.json, clock::now());
        let real = RealClock::calibrate();
        let head = Head {
            run_id: format!("{}-{}", clock::stamp(), std::process::id()),
            command: std::env::args().collect(),
            environment: machine::environment(&real),
            hiccup: hiccup::probe(&real, WATCH),
        };
        let records = Vec::new();
        Ok(Self { output: output.clone(), file, head, records, progress, trials: 0 })
    }

    /// The next question of the plan begins.
    pub(super) fn begin(&mut self) {
        self.trials = 0;
        self.progress.begin(clock::now());
    }

    /// Says how far it is.
    pub(super) fn say(&mut self, what: &str, left: Option<Span>) {
        let trial = (self.trials > 0).then_some(self.trials);
        self.progress.step(clock::now(), &Step { doing: what, trial, bounds: None, left });
    }

    /// Says what stays to be read.
    pub(super) fn remark(&mut self, sentence: &str) {
        self.progress.say(sentence);
    }

    /// Keeps a result, and writes it at once: a run that is broken off loses nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn keep(&mut self, about: About, trials: Vec<Trial>, result: Outcome) -> Result<()> {
        let record = Record {
            schema: SCHEMA.to_owned(),
            run_id: self.head.run_id.clone(),
            started: clock::stamp(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: self.head.command.clone(),
            seed: about.seed,
            environment: self.head.environment.clone(),
            hiccup: Some(self.head.hiccup.clone()),
            calibration: about.calibration,
            scenario: about.scenario,
            trials,
            result,
            notes: about.notes,
        };
        if let Some(file) = &mut self.file {
            record::write(file, &record).into_diagnostic().wrap_err("writing --out")?;
        }
        self.progress.end(clock::now(), &digest(&record).figure);
        if self.output.json {
            record::write(&mut io::stdout(), &record).into_diagnostic()?;
        }
        self.records.push(record);
        Ok(())
    }

    /// Prints the table and writes the report. The exit code is 1 when frames went missing that
    /// nobody knows of: then no figure counts.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub(super) fn close(mut self) -> Result<ExitCode> {
        self.progress.finish(clock::now());
        if !self.output.json {
            print!("{}", table::render(&self.records, Look::of_stdout()));
        }
        if let Some(path) = &self.output.html {
            std::fs::write(path, report::html(&self.records))
                .into_diagnostic()
                .wrap_err_with(|| format!("--html {}", path.display()))?;
            if !self.output.json {
                println!("report: {}", path.display());
            }
        }
        io::stdout().flush().into_diagnostic()?;
        let void = |trial: &Trial| trial.verdict.kind == VerdictKind::Unaccounted;
        let void = self.records.iter().flat_map(|record| &record.trials).any(void);
        Ok(if void { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Listener for Log {
    fn begins(&mut self, plan: &Plan) {
        self.trials += 1;
        self.say(&plan.purpose, None);
    }

    fn ended(&mut self, _trial: &Trial) {}

    fn knows(&mut self, what: &str, left: Option<Span>) {
        self.say(what, left);
    }
}
