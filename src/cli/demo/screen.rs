//! What does the user see? A picture, progress, one line a proof, a table; or one JSON object.

use std::fmt::Write;
use std::io::{BufRead, IsTerminal};
use std::time::Instant;

use comfy_table::{ContentArrangement, Table, presets};
use miette::Result;
use serde_json::json;

use super::plan;
use super::proof::{Claim, Proof};
use super::site::{Side, Site};
use crate::cli::output;
use crate::lab::wait;

/// Where the demo says what it does.
#[derive(Debug)]
pub(super) struct Screen {
    json: bool,
    step: bool,
    started: Instant,
}

impl Screen {
    /// For people, or quiet until the end when `json`; `step` waits before each claim.
    pub(super) fn new(json: bool, step: bool) -> Self {
        Self { json, step, started: wait::now() }
    }

    /// Seconds since the start.
    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Says it to people.
    pub(super) fn line(&self, text: &str) -> Result<()> {
        if self.json { Ok(()) } else { output::line(text) }
    }

    /// Says what is to come.
    pub(super) fn open(&self) -> Result<()> {
        self.line(&format!(
            "thruway {}: an ExpressRoute circuit of 50 Mbps in network namespaces\n{}",
            env!("CARGO_PKG_VERSION"),
            plan::PICTURE
        ))
    }

    /// Says what has been built.
    pub(super) fn built(&self, what: &str) -> Result<()> {
        self.line(&format!("{:6.1} s  {what}", self.seconds()))
    }

    /// Says which claim comes next, and waits for Enter when asked to.
    pub(super) fn next(&self, claim: &Claim) -> Result<()> {
        if self.step {
            output::print(format_args!("\nnext: {}\n  (Enter) ", claim.says))?;
            let mut line = String::new();
            // At the end of the input it goes on by itself.
            let _ = std::io::stdin().lock().read_line(&mut line);
        } else if !self.json && std::io::stdout().is_terminal() {
            output::print(format_args!("   ...    {:<22}{}", claim.name, claim.says))?;
        }
        Ok(())
    }

    /// Says what came of a claim.
    pub(super) fn proved(&self, proof: &Proof) -> Result<()> {
        if !self.json && !self.step && std::io::stdout().is_terminal() {
            output::print("\r\x1b[K")?;
        }
        let verdict = if proof.ok { "ok    " } else { "FAILED" };
        self.line(&format!("  {verdict}  {:<22}{}", proof.name, proof.figure))?;
        match &proof.detail {
            Some(detail) => self.line(&format!("          {detail}")),
            None => Ok(()),
        }
    }

    /// The table and the sum, or the JSON object.
    pub(super) fn close(&self, proofs: &[Proof]) -> Result<()> {
        let held = proofs.iter().filter(|proof| proof.ok).count();
        if self.json {
            let all = json!({
                "thruway": env!("CARGO_PKG_VERSION"),
                "kernel": kernel(),
                "ok": held == proofs.len(),
                "seconds": self.seconds(),
                "proofs": proofs,
            });
            return output::line(all);
        }
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["", "claim", "measured", "s"]);
        for proof in proofs {
            let verdict = if proof.ok { "ok" } else { "FAILED" };
            let seconds = format!("{:.1}", proof.seconds);
            table.add_row([verdict, proof.claim, &proof.figure, &seconds]);
        }
        let (all, seconds) = (proofs.len(), self.seconds());
        output::line(format_args!("\n{table}\n{held} of {all} proofs hold, {seconds:.1} s"))
    }

    /// How to look around in the lab.
    pub(super) fn hints(&self, site: &Site) -> Result<()> {
        output::print(hints(site))
    }
}

fn hints(site: &Site) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "thruway".into());
    let program = program.display();
    let mut text = "\nThe lab stays until Ctrl-C.\n\nEnter a host:\n".to_owned();
    let mut say = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("memory takes every text");
    };
    let spaces = ["h1", "h2", "ce", "web", "data", "app", "service", "provider", "microsoft"];
    for name in spaces {
        if let Ok(netns) = site.space(name) {
            say(format_args!("  {name:<10} nsenter --net={} bash", netns.path().display()));
        }
    }
    say(format_args!("\nAsk the two processes ({}):", site.config().display()));
    for side in Side::BOTH {
        let (pid, socket) = (site.pid(side).unwrap_or_default(), site.socket(side));
        let socket = socket.display();
        say(format_args!("  {:<10} pid {pid}", side.name()));
        for topic in ["status", "ports", "circuits", "nat", "gateways"] {
            match (side, topic) {
                (Side::Provider, "gateways") | (Side::Microsoft, "nat") => {}
                _ => say(format_args!("    {program} show {topic} --socket {socket}")),
            }
        }
    }
    say(format_args!("\nTry, in h1: ping 10.10.1.4, ping 10.20.1.4, traceroute 10.20.1.4\n"));
    text
}

/// The kernel's release.
fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}
