//! The compiled form against the trie, and both against a scan of all routes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;

use super::synth::{Numbers, internet};
use super::*;

fn p4(text: &str) -> Prefix4 {
    text.parse().unwrap()
}

/// Longest match by looking at every route: the judge of the others.
fn scan(routes: &[(Prefix4, NextHopId)], addr: u32) -> NextHopId {
    routes
        .iter()
        .filter(|(prefix, _)| u64::from(addr) & mask(prefix.len()) == u64::from(prefix.addr()))
        .max_by_key(|(prefix, _)| prefix.len())
        .map_or(NextHopId(0), |(_, hop)| *hop)
}

fn mask(len: u8) -> u64 {
    0xffff_ffff << (32 - len) & 0xffff_ffff
}

/// First and last address of every prefix, and those just outside.
fn edges(prefixes: impl IntoIterator<Item = Prefix4>) -> Vec<u32> {
    prefixes
        .into_iter()
        .flat_map(|prefix| {
            let (first, last) = (prefix.addr(), prefix.last_addr());
            [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
        })
        .chain([0, u32::MAX])
        .collect()
}

fn assert_same(writer: &FibWriter, addrs: &[u32]) {
    let routes: Vec<(Prefix4, NextHopId)> =
        writer.routes().iter().map(|(prefix, hop)| (prefix, *hop)).collect();
    let fib = writer.fib();
    assert_eq!(fib.len(), routes.len());
    let mut batch = vec![NextHopId(u32::MAX); addrs.len()];
    fib.lookup_batch(addrs, &mut batch);
    for (addr, from_batch) in addrs.iter().zip(batch) {
        let wanted = scan(&routes, *addr);
        let trie = writer.routes().longest_match(*addr).map_or(NextHopId(0), |(_, hop)| *hop);
        assert_eq!(trie, wanted, "trie at {addr:#x}");
        assert_eq!(fib.lookup(*addr), wanted, "single look-up of {addr:#x}");
        assert_eq!(from_batch, wanted, "batched look-up of {addr:#x}");
    }
}

/// Prefixes of all lengths around few places, so that they nest deeply and share nodes.
fn prefix() -> impl Strategy<Value = Prefix4> {
    let place = prop_oneof![
        4 => Just(0x0a00_0000u32),
        2 => Just(0x0a00_ff00),
        1 => Just(0xffff_ff00),
        1 => Just(0),
        1 => any::<u32>(),
    ];
    let low = prop_oneof![any::<u8>().prop_map(u32::from), any::<u16>().prop_map(u32::from)];
    let len = prop_oneof![
        4 => 0u8..=32,
        1 => Just(32u8),
        1 => Just(0u8),
        2 => 15u8..=17,
        2 => 23u8..=25,
    ];
    (place, low, len).prop_map(|(place, low, len)| Prefix4::new(place ^ low, len).unwrap())
}

fn hop() -> impl Strategy<Value = NextHopId> {
    prop_oneof![6 => 1u32..4, 1 => Just(0), 1 => Just(0x7fff_fffe)].prop_map(NextHopId)
}

#[derive(Clone, Debug)]
enum Op {
    Insert(Prefix4, NextHopId),
    /// Of the routes there are, the one at this place.
    Remove(prop::sample::Index),
    RemoveAny(Prefix4),
    Reclaim,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (prefix(), hop()).prop_map(|(prefix, hop)| Op::Insert(prefix, hop)),
        4 => any::<prop::sample::Index>().prop_map(Op::Remove),
        1 => prefix().prop_map(Op::RemoveAny),
        1 => Just(Op::Reclaim),
    ]
}

/// Changes a table by `ops`, and holds it against trie, scan, and a table built anew.
fn check_changes(form: Form, start: &[(Prefix4, NextHopId)], ops: &[Op]) {
    let mut writer = FibWriter::build_as(form, start.iter().copied()).unwrap();
    let mut seen: Vec<Prefix4> = start.iter().map(|(prefix, _)| *prefix).collect();
    for op in ops {
        match op {
            Op::Insert(prefix, hop) => {
                let before = writer.routes().exact(*prefix).copied();
                assert_eq!(writer.insert(*prefix, *hop).unwrap(), before);
                seen.push(*prefix);
            }
            Op::Remove(index) if !writer.routes().is_empty() => {
                let at = index.index(writer.routes().len());
                let (prefix, hop) = writer.routes().iter().nth(at).unwrap();
                let hop = *hop;
                assert_eq!(writer.remove(prefix).unwrap(), Some(hop));
            }
            Op::RemoveAny(prefix) => {
                let before = writer.routes().exact(*prefix).copied();
                assert_eq!(writer.remove(*prefix).unwrap(), before);
            }
            Op::Remove(_) => {}
            Op::Reclaim => writer.reclaim(writer.mark()),
        }
    }
    assert_same(&writer, &edges(seen.iter().copied()));
    let routes = writer.routes().iter().map(|(prefix, hop)| (prefix, *hop));
    let anew = FibWriter::build_as(form, routes).unwrap();
    assert_eq!(writer.in_use(), anew.in_use());
    for prefix in &seen {
        writer.remove(*prefix).unwrap();
    }
    assert_eq!(writer.in_use(), (1, 1), "the shared empty chunk and value stay");
    assert!(writer.fib().is_empty());
    assert_same(&writer, &edges(seen));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_built_table_equals_trie_and_scan(
        routes in prop::collection::vec((prefix(), hop()), 0..120),
        more in prop::collection::vec(any::<u32>(), 16),
    ) {
        let writer = FibWriter::build(routes.iter().copied()).unwrap();
        let mut addrs = edges(routes.iter().map(|(prefix, _)| *prefix));
        addrs.extend(more);
        assert_same(&writer, &addrs);
    }

    #[test]
    fn a_changed_table_equals_trie_and_scan_and_a_table_built_anew(
        start in prop::collection::vec((prefix(), hop()), 0..40),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        check_changes(Form::Compact, &start, &ops);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // No route of 1 to 5 bits, each of which is tens of megabytes to write.
    #[test]
    fn a_changed_wide_table_equals_trie_and_scan(
        start in prop::collection::vec((prefix(), hop()), 0..40),
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let narrow = |prefix: &Prefix4| !(1..6).contains(&prefix.len());
        let start: Vec<_> = start.into_iter().filter(|(prefix, _)| narrow(prefix)).collect();
        let ops: Vec<_> = ops
            .into_iter()
            .filter(|op| !matches!(op, Op::Insert(prefix, _) if !narrow(prefix)))
            .collect();
        check_changes(Form::Wide, &start, &ops);
    }
}

#[test]
fn a_table_that_grows_large_becomes_wide_under_its_readers() {
    let mut writer = FibWriter::new().unwrap();
    let fib = writer.fib();
    writer.insert(p4("10.0.0.0/8"), NextHopId(1)).unwrap();
    for i in 0..100_010u32 {
        writer.insert(Prefix4::host(0x0a00_0000 | i << 1), NextHopId(2)).unwrap();
    }
    assert!(fib.wide().is_some());
    let addrs = [0x0a00_0000, 0x0a00_0001, 0x0a00_0000 | 100_009 << 1, 0x0afe_dcba, 0x0b00_0000];
    assert_eq!(addrs.map(|addr| fib.lookup(addr).0), [2, 1, 2, 1, 0]);
    let mut found = [NextHopId(9); 5];
    fib.lookup_batch(&addrs, &mut found);
    assert_eq!(found.map(|hop| hop.0), [2, 1, 2, 1, 0]);
    writer.remove(p4("10.0.0.0/8")).unwrap();
    assert_eq!(addrs.map(|addr| fib.lookup(addr).0), [2, 0, 2, 0, 0]);
}

#[test]
fn a_thousand_routes_of_a_few_blocks_are_wide_and_cheap() {
    let hosts = |len: u32, step: u32| (0..len).map(move |i| (0x0a00_0000 + i * step, NextHopId(i)));
    let built = |len, step| {
        let routes = hosts(len, step).map(|(addr, hop)| (Prefix4::host(addr), hop));
        FibWriter::build(routes).unwrap().fib()
    };
    assert!(built(999, 1).wide().is_none());
    let near = built(1000, 1);
    assert!(near.wide().is_some() && near.memory_size() < 3 << 20);
    assert!(hosts(1000, 1).all(|(addr, hop)| near.lookup(addr) == hop));
    // All over the unicast space.
    assert!(built(1000, 0x0030_0001).wide().is_none());
}

#[test]
fn every_change_of_a_long_sequence_is_right_at_its_edges_at_once() {
    let routes = internet(11, 3_000, 5);
    let mut numbers = Numbers::new(5);
    let mut writer = FibWriter::new().unwrap();
    for round in 0..6_000 {
        let (prefix, hop) = routes[numbers.below(3_000) as usize];
        if round < 2_500 || numbers.below(2) == 0 {
            writer.insert(prefix, hop).unwrap();
        } else {
            writer.remove(prefix).unwrap();
        }
        if numbers.below(50) == 0 {
            writer.reclaim(writer.mark());
        }
        for addr in edges([prefix]) {
            let wanted = writer.routes().longest_match(addr).map_or(NextHopId(0), |(_, h)| *h);
            assert_eq!(writer.fib().lookup(addr), wanted, "{prefix} in round {round}");
        }
    }
    assert_same(&writer, &edges(routes[..200].iter().map(|(prefix, _)| *prefix)));
}

#[test]
fn a_route_to_no_route_hides_the_shorter_ones() {
    let mut writer = FibWriter::new().unwrap();
    let fib = writer.fib();
    for (prefix, hop) in
        [("0.0.0.0/0", 9), ("10.0.0.0/8", 0), ("10.1.0.0/16", 3), ("10.1.1.0/30", 0)]
    {
        writer.insert(p4(prefix), NextHopId(hop)).unwrap();
    }
    assert_eq!(fib.lookup(0x0b00_0000), NextHopId(9));
    assert_eq!(fib.lookup(0x0a00_0000), NextHopId(0));
    assert_eq!(fib.lookup(0x0a01_0000), NextHopId(3));
    assert_eq!(fib.lookup(0x0a01_0101), NextHopId(0));
    assert_eq!(fib.lookup(0x0a01_0104), NextHopId(3));
}

#[test]
fn the_default_route_lies_under_every_level() {
    let mut writer = FibWriter::build([(p4("10.1.1.1/32"), NextHopId(1))]).unwrap();
    let fib = writer.fib();
    let addrs = [0x0a01_0100, 0x0a01_0200, 0x0a02_0000, 0x0a01_0101];
    assert_eq!(addrs.map(|addr| fib.lookup(addr).0), [0, 0, 0, 1]);
    writer.insert(Prefix4::ALL, NextHopId(8)).unwrap();
    assert_eq!(addrs.map(|addr| fib.lookup(addr).0), [8, 8, 8, 1]);
    writer.remove(Prefix4::ALL).unwrap();
    assert_eq!(addrs.map(|addr| fib.lookup(addr).0), [0, 0, 0, 1]);
}

#[test]
fn a_next_hop_that_does_not_fit_is_refused() {
    let mut writer = FibWriter::new().unwrap();
    let too_high = NextHopId(0x7fff_ffff);
    assert!(matches!(writer.insert(Prefix4::ALL, too_high), Err(FibError::NextHop(_))));
    assert!(matches!(Fib::build([(Prefix4::ALL, too_high)]), Err(FibError::NextHop(_))));
    assert_eq!(writer.fib().lookup(1), NextHopId(0));
}

#[test]
fn batches_of_any_length_equal_single_look_ups() {
    let routes = internet(3, 2_000, 50);
    let fib = Fib::build(routes.iter().copied()).unwrap();
    let addrs = synth::addresses_inside(4, &routes, 200);
    for len in [0, 1, 2, 63, 64, 65, 128, 200] {
        let mut found = vec![NextHopId(u32::MAX); len + 3];
        fib.lookup_batch(&addrs[..len], &mut found);
        for (addr, found) in addrs.iter().zip(&found[..len]) {
            assert_eq!(fib.lookup(*addr), *found);
        }
        assert!(found[len..].iter().all(|hop| hop.0 == u32::MAX), "nothing beyond the addresses");
    }
}

#[test]
fn a_full_table_refuses_routes_and_still_withdraws_them() {
    // Little beyond what is kept back for withdrawals.
    let mut writer = FibWriter::small(2 * 1024 + 64, 1 << 20);
    let mut held = 0u32;
    let refused = loop {
        match writer.insert(Prefix4::host(held << 16), NextHopId(1 + held)) {
            Ok(_) => held += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, FibError::Full));
    assert!((16..=64).contains(&held), "{held}");
    assert_eq!(writer.fib().len(), held as usize);
    assert_eq!(writer.fib().lookup(held << 16), NextHopId(0));
    for i in 0..held {
        assert_eq!(writer.fib().lookup(i << 16), NextHopId(1 + i));
        writer.remove(Prefix4::host(i << 16)).unwrap();
    }
    assert_eq!(writer.in_use(), (1, 1));
}

#[test]
fn steady_change_takes_no_more_memory_once_blocks_are_reclaimed() {
    let routes = internet(21, 4_000, 9);
    let mut writer = FibWriter::build(routes.iter().copied()).unwrap();
    let mut churn = |rounds: u32| {
        let mut numbers = Numbers::new(1);
        for _ in 0..rounds {
            let (prefix, hop) = routes[numbers.below(4_000) as usize];
            writer.remove(prefix).unwrap();
            writer.insert(prefix, hop).unwrap();
            writer.reclaim(writer.mark());
        }
        writer.fib().memory_size()
    };
    let before = churn(4_000);
    assert_eq!(churn(4_000), before);
}

#[test]
fn a_table_of_few_routes_takes_few_pages() {
    let routes =
        ["0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "10.10.1.4/32"].map(p4);
    let fib = Fib::build(routes.map(|prefix| (prefix, NextHopId(1)))).unwrap();
    assert!(fib.memory_size() <= 6 * 4096, "{}", fib.memory_size());
}

#[test]
fn readers_see_each_address_before_or_after_a_change_and_nothing_else() {
    // Each address below always has one of two next hops, whatever the writer is at.
    let base = p4("10.0.0.0/8");
    let mut writer = FibWriter::build([(base, NextHopId(1))]).unwrap();
    let fib = writer.fib();
    let inner: Vec<Prefix4> = (0..64u32)
        .flat_map(|i| {
            let addr = 0x0a00_0000 | i << 10;
            [Prefix4::new(addr, 24).unwrap(), Prefix4::host(addr | 7)]
        })
        .collect();
    let stop = AtomicBool::new(false);
    let turns = [const { AtomicU64::new(0) }; 2];
    std::thread::scope(|scope| {
        let readers = turns.each_ref().map(|turn| {
            let (fib, stop) = (&fib, &stop);
            scope.spawn(move || {
                let addrs: Vec<u32> = (0..64).map(|i| 0x0a00_0000 | i << 10 | 7).collect();
                let mut found = [NextHopId(0); 64];
                while !stop.load(Ordering::Acquire) {
                    fib.lookup_batch(&addrs, &mut found);
                    assert!(found.iter().all(|hop| (1..=3).contains(&hop.0)), "{found:?}");
                    assert_eq!(fib.lookup(0x0a80_0000), NextHopId(1));
                    turn.fetch_add(1, Ordering::AcqRel);
                }
            })
        });
        let mut numbers = Numbers::new(9);
        for _ in 0..6_000 {
            let prefix = inner[numbers.below(128) as usize];
            if numbers.below(2) == 0 {
                writer.insert(prefix, NextHopId(2 + numbers.below(2))).unwrap();
            } else {
                writer.remove(prefix).unwrap();
            }
            // Elsewhere, to a next hop that no reader may ever see: a block reused too early.
            let elsewhere = Prefix4::new(prefix.addr() | 0x0100_0000, prefix.len()).unwrap();
            writer.insert(elsewhere, NextHopId(50)).unwrap();
            writer.remove(elsewhere).unwrap();
            if numbers.below(200) == 0 {
                let mark = writer.mark();
                for (turn, reader) in turns.iter().zip(&readers) {
                    let from = turn.load(Ordering::Acquire);
                    // The turn under way, and a whole one.
                    while turn.load(Ordering::Acquire) < from + 2 && !reader.is_finished() {
                        std::thread::yield_now();
                    }
                }
                writer.reclaim(mark);
            }
        }
        stop.store(true, Ordering::Release);
    });
    assert_same(&writer, &edges(inner));
}
