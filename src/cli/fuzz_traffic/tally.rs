//! What became of the frames? Counted by kind as they are made, and in sum as they are sent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Args;
use super::record::Record;
use crate::hostile::Kind;
use crate::io::Counts;
use crate::time::Span;

/// The sums of a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kinds: BTreeMap<Kind, (u64, u64)>,
    sent: u64,
    sent_bytes: u64,
    too_long: u64,
    full: u64,
    down: u64,
    took: Span,
}

impl Tally {
    /// A frame was made.
    pub(super) fn count(&mut self, kind: Kind, size: usize) {
        let (frames, bytes) = self.kinds.entry(kind).or_default();
        *frames += 1;
        *bytes += size as u64;
    }

    /// Frames were offered to the interface.
    pub(super) fn offered(&mut self, counts: Counts) {
        self.sent += u64::from(counts.frames);
        self.sent_bytes += counts.bytes;
        self.too_long += u64::from(counts.too_long);
        self.full += u64::from(counts.full);
        self.down += u64::from(counts.down);
    }

    /// How long it took.
    pub(super) fn ended(&mut self, took: Span) {
        self.took = took;
    }

    /// How long it took, once it ended.
    pub(super) fn took(&self) -> Span {
        self.took
    }

    /// Frames so far.
    pub(super) fn made(&self) -> u64 {
        self.kinds.values().map(|(frames, _)| frames).sum()
    }

    /// All of it, for people and programs.
    pub(super) fn summary(&self, args: &Args, seed: u64, record: &Record, again: &str) -> Value {
        let kinds: Vec<Value> = self
            .kinds
            .iter()
            .map(|(kind, (frames, bytes))| {
                json!({ "kind": kind.name(), "frames": frames, "bytes": bytes })
            })
            .collect();
        let (file, recorded) = record.found();
        let mut summary = json!({
            "seed": seed,
            "made": kinds,
        });
        if !args.dry_run {
            summary["sent"] = json!({
                "interface": args.interface,
                "frames": self.sent,
                "bytes": self.sent_bytes,
                "seconds": (self.took.as_secs_f64() * 1000.0).round() / 1000.0,
            });
            summary["refused"] =
                json!({ "too_long": self.too_long, "full": self.full, "down": self.down });
        }
        summary["capture"] = json!({ "file": file.display().to_string(), "frames": recorded });
        summary["again"] = again.into();
        summary
    }
}
