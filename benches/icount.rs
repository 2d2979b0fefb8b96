//! Runs one scenario of the catalogue under callgrind, which counts the instructions of
//! [`icount_measured`] alone; `scripts/icount` starts it, adds up and compares.
//!
//! `icount list` prints names, and packets that are counted. `icount run NAME` handles that many
//! packets without counting and then as many again: what is counted is count(2N) - count(N), so
//! neither set-up nor first touches are in it. `--plant LOOPS` adds an idle loop to every batch, and
//! `--allocate` an allocation: `scripts/icount --selftest` must find them.
#![allow(missing_docs, unreachable_pub, reason = "modules of a program")]

mod catalogue;

use std::hint::black_box;
use std::process::ExitCode;

use catalogue::{Scenario, Work};

/// Packets that are counted: at half a million a second, housekeeping comes by four times.
const PACKETS: usize = 20_480;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let scenarios = catalogue::all();
    match args[..] {
        ["list"] => {
            for own in &scenarios {
                println!("{} {}", own.name, rounds(own) * own.packets);
            }
            ExitCode::SUCCESS
        }
        ["run", name, ref plants @ ..] => {
            let found = scenarios.iter().find(|own| own.name == name);
            match (found, planted(plants)) {
                (Some(own), Some(plant)) => count(own, plant),
                _ => usage(),
            }
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("icount list | icount run NAME [--plant LOOPS] [--allocate]");
    ExitCode::from(2)
}

fn rounds(scenario: &Scenario) -> usize {
    // A turn without packets is the same each time.
    if scenario.area() == "worker" { 100 } else { PACKETS / scenario.packets }
}

fn count(scenario: &Scenario, plant: Plant) -> ExitCode {
    let mut work = Planted { work: (scenario.make)(), plant };
    for _ in 0..rounds(scenario) {
        work.prepare();
        work.run();
        work.settle();
    }
    for _ in 0..rounds(scenario) {
        work.prepare();
        icount_measured(&mut work);
        work.settle();
    }
    ExitCode::SUCCESS
}

/// What callgrind counts.
#[inline(never)]
fn icount_measured(work: &mut dyn Work) {
    work.run();
    // So that the call is no jump, which would hide the return from callgrind.
    black_box(work);
}

/// What is wrong on purpose.
#[derive(Clone, Copy, Default)]
struct Plant {
    loops: usize,
    allocate: bool,
}

fn planted(mut args: &[&str]) -> Option<Plant> {
    let mut plant = Plant::default();
    loop {
        match args {
            [] => return Some(plant),
            ["--plant", loops, rest @ ..] => {
                plant.loops = loops.parse().ok()?;
                args = rest;
            }
            ["--allocate", rest @ ..] => {
                plant.allocate = true;
                args = rest;
            }
            _ => return None,
        }
    }
}

struct Planted {
    work: Box<dyn Work>,
    plant: Plant,
}

impl Work for Planted {
    fn prepare(&mut self) {
        self.work.prepare();
    }

    fn run(&mut self) {
        for i in 0..self.plant.loops {
            black_box(i);
        }
        if self.plant.allocate {
            black_box(Box::new(1));
        }
        self.work.run();
    }

    fn settle(&mut self) {
        self.work.settle();
    }
}
