use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const INSIDE: u32 = 0x0a00_0001;
const SERVICES: (u32, u32) = (0xc613_0100, 256);

fn hosts(seed: u64, offset: u64, len: u64) -> Hosts {
    Hosts::new(seed, INSIDE, SERVICES, (offset, len))
}

fn all(flows: &Flows) -> Vec<Tuple> {
    (0..flows.len()).map(|place| flows.tuple(place)).collect()
}

proptest! {
    #[test]
    fn a_permutation_has_every_number_once(seed: u64, len in 1_u64..5000) {
        let order = Permutation::new(seed, len);
        let seen: HashSet<u64> = (0..len).map(|index| order.at(index)).collect();
        prop_assert_eq!(seen.len() as u64, len);
        prop_assert!(seen.iter().all(|number| *number < len));
    }

    #[test]
    fn routed_flows_differ_and_have_ports_of_rfc_4814(seed: u64, len in 1_u64..3000, bits in 0_u32..10) {
        let flows = Flows::Routed(Routed::new(seed, (INSIDE, bits), vec![7, 8, 9].into(), len));
        let tuples = all(&flows);
        let sources: HashSet<_> = tuples.iter().map(|own| (own.src, own.sport)).collect();
        prop_assert_eq!(sources.len() as u64, len);
        for own in tuples {
            prop_assert!(own.sport >= 1024 && (1..=49151).contains(&own.dport));
            prop_assert!(own.src - INSIDE < 1 << bits && (7..=9).contains(&own.dst));
        }
    }

    #[test]
    fn inside_flows_differ_and_each_host_has_63_ports(seed: u64, offset in 0_u64..1000, len in 1_u64..3000) {
        let tuples = all(&Flows::Hosts(hosts(seed, offset, len)));
        let sources: HashSet<_> = tuples.iter().map(|own| (own.src, own.sport)).collect();
        prop_assert_eq!(sources.len() as u64, len);
        let hosts: HashSet<_> = tuples.iter().map(|own| own.src).collect();
        prop_assert!(hosts.len() as u64 <= len / 63 + 2);
        for own in tuples {
            prop_assert!(own.sport >= 1024 && (1..=49151).contains(&own.dport));
            prop_assert!((0xc613_0100..0xc613_0200).contains(&own.dst));
        }
    }
}

#[test]
fn a_million_numbers_are_permuted_without_a_duplicate() {
    for len in [64_512, 1_032_192] {
        let order = Permutation::new(3, len);
        let mut seen = vec![false; usize::try_from(len).unwrap()];
        for index in 0..len {
            let number = usize::try_from(order.at(index)).unwrap();
            assert!(!std::mem::replace(&mut seen[number], true), "{number} twice");
        }
    }
}

#[test]
fn a_permutation_looks_random() {
    // Of a random permutation, the mean distance of neighbours is a third of its length, and
    // about one number stays where it is.
    let len = 1 << 16;
    for seed in 0..4 {
        let order = Permutation::new(seed, len);
        let steps = (1..len).map(|i| order.at(i).abs_diff(order.at(i - 1)));
        let mean = steps.sum::<u64>() as f64 / (len - 1) as f64;
        assert!((mean / len as f64 - 1.0 / 3.0).abs() < 0.01, "{mean}");
        assert!((0..len).filter(|i| order.at(*i) == *i).count() < 8);
    }
}

#[test]
fn a_seed_gives_one_order_and_another_seed_another() {
    let order = |seed| all(&Flows::Hosts(hosts(seed, 0, 500)));
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    let set = |seed| order(seed).into_iter().collect::<HashSet<_>>();
    assert_eq!(set(1), set(2), "the same flows");
}

#[test]
fn as_many_flows_as_destinations_reach_each_once() {
    let list: Arc<[u32]> = (100..1100).collect();
    let flows = Flows::Routed(Routed::new(1, (INSIDE, 8), Arc::clone(&list), 1000));
    assert_eq!(all(&flows).iter().map(|own| own.dst).collect::<Vec<_>>(), list.to_vec());
    let many = Flows::Routed(Routed::new(1, (INSIDE, 8), list, 100_000));
    let reached: HashSet<u32> = all(&many).iter().map(|own| own.dst).collect();
    assert_eq!(reached.len(), 1000);
}

#[test]
fn a_host_s_ports_end_where_there_are_no_more() {
    let len = 2 * u64::from(SPORTS);
    let flows = Flows::Routed(Routed::new(1, (INSIDE, 1), vec![9].into(), len));
    let sources: HashSet<_> = all(&flows).iter().map(|own| (own.src, own.sport)).collect();
    assert_eq!(sources.len() as u64, len, "every port of both hosts");
}

#[test]
fn answers_are_the_flows_turned_round() {
    let there = Routed::new(1, (INSIDE, 4), vec![7, 8].into(), 100);
    let back = Flows::Answers(there.clone());
    let there = Flows::Routed(there);
    for place in 0..100 {
        assert_eq!(there.tuple(place).reversed(), back.tuple(place));
        assert_eq!(back.tuple(place).reversed().reversed(), back.tuple(place));
    }
}

#[test]
fn of_mixed_flows_every_fourth_is_new() {
    let (known, new) = (hosts(1, 0, 630), hosts(1, 630, 126));
    let known_set: HashSet<_> = all(&Flows::Hosts(known.clone())).into_iter().collect();
    let flows = Flows::Mixed { known, new, every: 4 };
    assert_eq!(flows.len(), 4 * 126);
    let tuples = all(&flows);
    let fresh: HashSet<_> = tuples.iter().skip(3).step_by(4).copied().collect();
    assert_eq!(fresh.len(), 126);
    assert!(fresh.is_disjoint(&known_set));
    let rest = tuples.iter().enumerate().filter(|(i, _)| i % 4 != 3).map(|(_, own)| own);
    assert!(rest.clone().all(|own| known_set.contains(own)));
    assert_eq!(rest.collect::<HashSet<_>>().len(), 3 * 126);
}

#[test]
fn session_scales_are_hosts_of_63() {
    assert!(SESSION_SCALES[..4].iter().all(|scale| scale % u64::from(PORTS_PER_HOST) == 0));
    assert_eq!(SESSION_SCALES.map(Hosts::hosts), [1024, 4096, 16384, 65536, 158_731]);
}
