//! What does the user see? A picture, progress, one line a proof, a table; or one JSON object.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Instant;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use super::plan;
use super::proof::{Claim, Proof};
use super::site::{Side, Site};
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

    fn line(&self, text: &str) {
        if !self.json {
            println!("{text}");
        }
    }

    /// Says what is to come.
    pub(super) fn open(&self) {
        self.line(&format!(
            "thruway {}: an ExpressRoute circuit of 50 Mbps in network namespaces\n{}",
            env!("CARGO_PKG_VERSION"),
            plan::PICTURE
        ));
    }

    /// Says what has been built.
    pub(super) fn built(&self, what: &str) {
        self.line(&format!("{:6.1} s  {what}", self.seconds()));
    }

    /// Says which claim comes next, and waits for Enter when asked to.
    pub(super) fn next(&self, claim: &Claim) {
        if self.step {
            print!("\nnext: {}\n  (Enter) ", claim.says);
            let _ = std::io::stdout().flush();
            let mut line = String::new();
            // At the end of the input it goes on by itself.
            let _ = std::io::stdin().lock().read_line(&mut line);
        } else if !self.json && std::io::stdout().is_terminal() {
            print!("   ...    {:<22}{}", claim.name, claim.says);
            let _ = std::io::stdout().flush();
        }
    }

    /// Says what came of a claim.
    pub(super) fn proved(&self, proof: &Proof) {
        if !self.json && !self.step && std::io::stdout().is_terminal() {
            print!("\r\x1b[K");
        }
        let verdict = if proof.ok { "ok    " } else { "FAILED" };
        self.line(&format!("  {verdict}  {:<22}{}", proof.name, proof.figure));
        if let Some(detail) = &proof.detail {
            self.line(&format!("          {detail}"));
        }
    }

    /// The table and the sum, or the JSON object.
    pub(super) fn close(&self, proofs: &[Proof]) {
        let held = proofs.iter().filter(|proof| proof.ok).count();
        if self.json {
            let all = json!({
                "thruway": env!("CARGO_PKG_VERSION"),
                "kernel": kernel(),
                "ok": held == proofs.len(),
                "seconds": self.seconds(),
                "proofs": proofs,
            });
            println!("{all}");
            return;
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
        println!("\n{table}\n{held} of {} proofs hold, {:.1} s", proofs.len(), self.seconds());
    }

    /// How to look around in the lab.
    pub(super) fn hints(&self, site: &Site) {
        let program = std::env::current_exe().unwrap_or_else(|_| "thruway".into());
        let program = program.display();
        println!("\nThe lab stays until Ctrl-C.\n\nEnter a host:");
        let spaces = ["h1", "h2", "ce", "web", "data", "app", "service", "provider", "microsoft"];
        for name in spaces {
            if let Ok(netns) = site.space(name) {
                println!("  {name:<10} nsenter --net={} bash", netns.path().display());
            }
        }
        println!("\nAsk the two processes ({}):", site.config().display());
        for side in Side::BOTH {
            let (pid, socket) = (site.pid(side).unwrap_or_default(), site.socket(side));
            let socket = socket.display();
            println!("  {:<10} pid {pid}", side.name());
            for topic in ["status", "ports", "circuits", "nat", "gateways"] {
                let meant = match (side, topic) {
                    (Side::Provider, "gateways") | (Side::Microsoft, "nat") => continue,
                    _ => topic,
                };
                println!("    {program} show {meant} --socket {socket}");
            }
        }
        println!("\nTry, in h1: ping 10.10.1.4, ping 10.20.1.4, traceroute 10.20.1.4\n");
    }
}

/// The kernel's release.
fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}
