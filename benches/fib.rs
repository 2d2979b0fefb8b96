//! Look-ups, updates, build time and size of the forwarding table's forms, at an Internet's size.
//!
//! `cargo bench --bench fib` runs criterion.
//! `cargo bench --bench fib -- --table [REPEATS [ROUTES]]` prints one table of medians and spreads
//! instead; the forms take turns, so that noise meets all of them.
// A benchmark is where a clock belongs.
#![allow(clippy::disallowed_methods, missing_docs)]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use ip_network_table_deps_treebitmap::IpLookupTable;
use thruway::fib::{Fib, FibWriter, Form as FibForm, Prefix4, synth};
use thruway::ids::NextHopId;

const ROUTES: usize = 1_000_000;
const ADDRESSES: usize = 1 << 20;
/// Addresses of one sample: short enough that some samples meet no neighbour on the machine.
const SLICE: usize = 1 << 15;
const UPDATES: usize = 20_000;
const SEED: u64 = 1;

/// What all forms can do, under one name.
trait Form {
    fn single(&self, addrs: &[u32]) -> u32;
    fn batch(&self, addrs: &[u32]) -> u32;
    fn change(&mut self, prefix: Prefix4, hop: Option<NextHopId>);
    /// Bytes, where the form can tell.
    fn size(&self) -> Option<usize>;
}

struct Ours(FibWriter, Arc<Fib>);
struct TreeBitmap(IpLookupTable<Ipv4Addr, NextHopId>);

impl Form for Ours {
    fn single(&self, addrs: &[u32]) -> u32 {
        addrs.iter().fold(0, |sum, addr| sum ^ self.1.lookup(*addr).0)
    }
    fn batch(&self, addrs: &[u32]) -> u32 {
        let mut found = [NextHopId(0); 64];
        addrs.chunks(64).fold(0, |sum, addrs| {
            self.1.lookup_batch(addrs, &mut found);
            found.iter().fold(sum, |sum, hop| sum ^ hop.0)
        })
    }
    fn change(&mut self, prefix: Prefix4, hop: Option<NextHopId>) {
        match hop {
            Some(hop) => self.0.insert(prefix, hop),
            None => self.0.remove(prefix),
        }
        .expect("the table has room");
        self.0.reclaim(self.0.mark());
    }
    fn size(&self) -> Option<usize> {
        Some(self.1.memory_size())
    }
}

impl Form for TreeBitmap {
    fn single(&self, addrs: &[u32]) -> u32 {
        addrs.iter().fold(0, |sum, addr| {
            sum ^ self.0.longest_match(Ipv4Addr::from_bits(*addr)).map_or(0, |(_, _, hop)| hop.0)
        })
    }
    fn batch(&self, addrs: &[u32]) -> u32 {
        self.single(addrs)
    }
    fn change(&mut self, prefix: Prefix4, hop: Option<NextHopId>) {
        let (addr, len) = (Ipv4Addr::from_bits(prefix.addr()), u32::from(prefix.len()));
        match hop {
            Some(hop) => self.0.insert(addr, len, hop),
            None => self.0.remove(addr, len),
        };
    }
    fn size(&self) -> Option<usize> {
        let (nodes, results) = self.0.mem_usage();
        Some(nodes + results)
    }
}

type Routes = Vec<(Prefix4, NextHopId)>;
type Build = fn(&Routes) -> Box<dyn Form>;

const FORMS: [(&str, Build); 3] = [
    ("compact", |routes| ours(FibForm::Compact, routes)),
    ("wide", |routes| ours(FibForm::Wide, routes)),
    ("treebitmap", |routes| {
        let mut table = TreeBitmap(IpLookupTable::new());
        for (prefix, hop) in routes {
            table.change(*prefix, Some(*hop));
        }
        Box::new(table)
    }),
];

fn ours(form: FibForm, routes: &Routes) -> Box<dyn Form> {
    let writer = FibWriter::build_as(form, routes.iter().copied()).expect("the table has room");
    let fib = writer.fib();
    Box::new(Ours(writer, fib))
}

fn addresses(routes: &Routes) -> [(&'static str, Vec<u32>); 3] {
    [
        ("inside", synth::addresses_inside(SEED, routes, ADDRESSES)),
        ("uniform", synth::addresses_uniform(SEED, ADDRESSES)),
        // As many destinations as a busy VRF talks to at once, again and again.
        ("10k-hot", {
            let few = synth::addresses_inside(SEED + 1, routes, 10_000);
            let picks = synth::addresses_uniform(SEED + 2, ADDRESSES);
            picks.iter().map(|pick| few[*pick as usize % few.len()]).collect()
        }),
    ]
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().position(|arg| arg == "--table") {
        Some(at) => {
            let number = |i: usize, or| args.get(at + i).and_then(|n| n.parse().ok()).unwrap_or(or);
            table(number(1, 9), number(2, ROUTES));
        }
        None => criterion_run(),
    }
}

fn criterion_run() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let routes = synth::internet(SEED, ROUTES, 64);
    let mut group = criterion.benchmark_group("fib/lookup/ipv4");
    group.throughput(Throughput::Elements(ADDRESSES as u64));
    for (form, build) in FORMS {
        let table = build(&routes);
        for (kind, addrs) in &addresses(&routes) {
            group.bench_function(format!("{form}/{kind}/1M"), |b| b.iter(|| table.batch(addrs)));
        }
    }
    group.finish();
}

/// Repeats of one measurement, shown as the median and the 10th and 90th percentiles.
#[derive(Default)]
struct Samples(Vec<f64>);

impl Samples {
    fn add(&mut self, spent: Duration, items: usize, scale: f64) {
        self.0.push(spent.as_secs_f64() * scale / items as f64);
    }
}

impl std::fmt::Display for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |tenths: usize| sorted.get(sorted.len().saturating_sub(1) * tenths / 10);
        let (Some(low), Some(median), Some(high)) = (at(1), at(5), at(9)) else { return Ok(()) };
        write!(f, "{median:9.2}  ({low:.2} to {high:.2})")
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = black_box(work());
    (result, start.elapsed())
}

fn table(repeats: usize, len: usize) {
    let routes = synth::internet(SEED, len, 64);
    let mut by_len = [0usize; 33];
    for (prefix, _) in &routes {
        by_len[usize::from(prefix.len())] += 1;
    }
    println!("{len} routes; of each length: {by_len:?}");
    let mut tables = Vec::new();
    for (form, build) in FORMS {
        let mut samples = Samples::default();
        let mut built = None;
        for _ in 0..repeats.clamp(1, 3) {
            drop(built.take());
            let (table, spent) = timed(|| build(&routes));
            samples.add(spent, 1, 1e3);
            built = Some(table);
        }
        let Some(built) = built else { return };
        let mib = built.size().map_or(f64::NAN, |bytes| bytes as f64 / f64::from(1 << 20));
        println!("{form:11} build ms {samples}   {mib:.1} MiB");
        tables.push((form, built));
    }
    for (kind, addrs) in &addresses(&routes) {
        let mut samples: [[Samples; 2]; 3] = Default::default();
        let mut sums = [0; 3];
        for _ in 0..repeats {
            for slice in addrs.chunks(SLICE) {
                for (i, (_, table)) in tables.iter().enumerate() {
                    let (sum, spent) = timed(|| table.single(black_box(slice)));
                    samples[i][0].add(spent, slice.len(), 1e9);
                    let (_, spent) = timed(|| table.batch(black_box(slice)));
                    samples[i][1].add(spent, slice.len(), 1e9);
                    sums[i] ^= sum;
                }
            }
        }
        assert!(sums.iter().all(|sum| *sum == sums[0]), "all forms find the same next hops");
        for (i, (form, _)) in tables.iter().enumerate() {
            println!("{form:11} {kind:8} ns single {}   batch {}", samples[i][0], samples[i][1]);
        }
    }
    updates(repeats, &routes, &mut tables);
}

/// Withdraws and announces again, route by route in random order, as a flapping neighbour does.
fn updates(repeats: usize, routes: &Routes, tables: &mut [(&str, Box<dyn Form>)]) {
    for (form, table) in &mut *tables {
        let mut samples = Samples::default();
        let mut worst = Duration::ZERO;
        for repeat in 0..repeats {
            let picked = routes.iter().cycle().skip(repeat * UPDATES).take(UPDATES);
            let (_, spent) = timed(|| {
                for (prefix, hop) in picked {
                    for hop in [None, Some(*hop)] {
                        let (_, spent) = timed(|| table.change(*prefix, hop));
                        worst = worst.max(spent);
                    }
                }
            });
            samples.add(spent, 2 * UPDATES, 1e6);
        }
        println!("{form:11} update us {samples}   longest {:.0} us", worst.as_secs_f64() * 1e6);
    }
    for prefix in ["10.0.0.0/8", "0.0.0.0/1", "0.0.0.0/0"] {
        let prefix: Prefix4 = prefix.parse().expect("a prefix");
        for (form, table) in &mut *tables {
            let (_, spent) = timed(|| table.change(prefix, Some(NextHopId(65))));
            println!("{form:11} insert {prefix:10} us {:.1}", spent.as_secs_f64() * 1e6);
            table.change(prefix, None);
        }
    }
}
