//! What the fuzzers check must hold here as well: for each target over its committed corpus, and over
//! random bytes and changed corpus entries from fixed seeds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use thruway::frame::DropReason;
use thruway::replay::{Options, Replay};

#[allow(dead_code, unreachable_pub, reason = "a crate of its own for the fuzzers")]
#[path = "../fuzz/src/lib.rs"]
mod targets;

use targets::{cases, lab};

/// Numbers that look random and are the same each time (xorshift64*, Vigna 2016).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).expect("below a usize")
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = self.below(200);
        (0..len).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    /// An entry with a few bytes changed, or its end cut off.
    fn change(&mut self, entry: &[u8]) -> Vec<u8> {
        let mut bytes = entry.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(4) {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.insert(at, self.next().to_be_bytes()[0]),
                _ => bytes[at] = self.next().to_be_bytes()[0],
            }
        }
        bytes
    }
}

/// Where a target's committed corpus is.
fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// The target's committed corpus, by name of file.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    let mut entries: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap())
        })
        .collect();
    entries.sort();
    entries
}

/// Runs a target over its corpus, and over so many cases more.
fn run(target: &str, cases: usize) {
    let check = targets::TARGETS.iter().find(|(name, _)| *name == target).unwrap().1;
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{target} has a corpus");
    for (name, bytes) in &corpus {
        let done = std::panic::catch_unwind(|| check(bytes));
        assert!(done.is_ok(), "{name} does not hold");
    }
    // scripts/coverage asks what the corpus reaches alone.
    let asked = std::env::var("THRUWAY_FUZZ_CASES").ok().and_then(|text| text.parse().ok());
    let mut numbers = Numbers(0x7468_7275_7761_7921);
    for _ in 0..asked.unwrap_or(cases) {
        check(&numbers.bytes());
        let entry = numbers.below(corpus.len());
        check(&numbers.change(&corpus[entry].1));
    }
}

macro_rules! tests {
    ($($target:ident: $cases:expr,)*) => {
        $(#[test]
        fn $target() {
            run(stringify!($target), $cases);
        })*

        #[test]
        fn every_target_is_tested() {
            assert_eq!(targets::TARGETS.map(|(name, _)| name), [$(stringify!($target)),*]);
        }
    };
}

tests! {
    checksum_incremental: 20_000,
    config: 2_000,
    emit_roundtrip: 20_000,
    flow_model: 10_000,
    frag: 5_000,
    icmp_embedded: 5_000,
    lpm_model: 2_000,
    nat_identity: 2_000,
    nsg_model: 2_000,
    parse_diff: 20_000,
    parse_l2l4: 20_000,
    pcap_reader: 20_000,
    pipeline_conserve: 200,
    policer_model: 10_000,
    vlan_qinq: 20_000,
}

/// Each difference that is accepted has a seed that shows it.
#[test]
fn every_accepted_difference_has_its_seed() {
    use targets::parse_diff::{Difference, differences};
    for difference in Difference::ALL {
        let file = folder("parse_diff").join(difference.seed());
        let bytes = fs::read(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let found = differences(&bytes);
        assert!(found.contains(&difference), "{}: {found:?}", file.display());
    }
}

/// Random runs are worth something only if they get into every corner.
#[test]
fn random_runs_of_nat_meet_every_reason_to_drop() {
    let mut numbers = Numbers(7);
    let mut outcomes: std::collections::BTreeMap<&str, u32> = std::collections::BTreeMap::new();
    for _ in 0..300 {
        let data: Vec<u8> = (0..400).map(|_| numbers.next().to_be_bytes()[0]).collect();
        for name in targets::nat_identity::outcomes(&data) {
            *outcomes.entry(name).or_default() += 1;
        }
    }
    for reason in [
        DropReason::NatNoSession,
        DropReason::NatFiltered,
        DropReason::NatHostLimit,
        DropReason::NatTableFull,
        DropReason::NatPoolExhausted,
    ] {
        assert!(outcomes.contains_key(reason.name()), "{reason}: {outcomes:?}");
    }
    assert!(outcomes["passed"] > 1000, "{outcomes:?}");
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = folder(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

/// Longest seed in bytes.
const LONGEST: usize = 2000;

/// Writes the seeds that are made of the golden tests' cases.
#[test]
#[ignore = "writes the corpus"]
fn write_seeds() {
    let replay = Replay::new(&lab::model(lab::CONFIG), Options::default(), lab::START).unwrap();
    let ports = replay.ports();
    let mut seen = BTreeSet::new();
    for case in cases::all() {
        let mut all = Vec::new();
        for (i, (port, bytes)) in case.frames.iter().enumerate() {
            let at = ports.iter().position(|own| own == port);
            if let (Some(at), true) = (at, all.len() + bytes.len() < LONGEST) {
                all.extend([u8::try_from(at).unwrap(), 10]);
                all.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
                all.extend(bytes);
            }
            // One frame of each kind, as far as its first bytes and its size tell.
            let kind = (
                bytes.get(12..14).map(<[u8]>::to_vec),
                bytes.len() / 16,
                bytes.get(20..32).map(<[u8]>::to_vec),
            );
            if bytes.len() < 400 && seen.insert(kind) {
                write("parse_l2l4", &format!("{}-{i}", case.name), bytes);
                write("parse_diff", &format!("{}-{i}", case.name), &[&[10], &bytes[..]].concat());
            }
        }
        write("pipeline_conserve", case.name, &all);
    }
}
