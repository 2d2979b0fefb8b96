use super::*;
use crate::fib::synth;

/// A writer with a small Internet, all of it to four next hops, and an address in each route.
fn table(len: usize) -> (FibWriter, Vec<NextHopId>, Vec<u32>) {
    let routes = synth::internet(5, len, 4);
    let addresses = synth::addresses_inside(6, &routes, len);
    (FibWriter::build(routes).unwrap(), (1..=4).map(NextHopId).collect(), addresses)
}

/// Changes for traffic to every second address, with one worker that takes a turn at each call.
fn churn(len: usize) -> (Churn, Arc<Counter>, Vec<u32>) {
    let (writer, hops, mut addresses) = table(len);
    addresses.truncate(len / 2);
    let turns = Arc::new(Counter::default());
    let worker = vec![Arc::clone(&turns)];
    let churn = Churn::new(writer, hops, addresses.iter().copied(), worker, 7).unwrap();
    (churn, turns, addresses)
}

#[test]
fn what_traffic_needs_leads_somewhere_through_every_change() {
    let (mut churn, turns, addresses) = churn(2000);
    let fib = churn.writer.fib();
    let before: Vec<_> = churn.writer.routes().iter().map(|(prefix, _)| prefix).collect();
    churn.start().unwrap();
    churn.sends(1);
    for _ in 0..300 {
        churn.step();
        turns.add(1);
        assert!(addresses.iter().step_by(37).all(|at| fib.lookup(*at) != NextHopId(0)));
    }
    assert!(addresses.iter().all(|at| fib.lookup(*at) != NextHopId(0)));
    churn.sends(1);
    let made = churn.made;
    assert!((300..=2400).contains(&made), "{made}: one to eight changes a step");
    let Changed { changes, compared, differing } = churn.finish().unwrap();
    assert_eq!((changes, differing), (made, 0));
    assert!(compared > 2 * 8192);
    // The same routes as before, at other next hops.
    let after: Vec<_> = churn.writer.routes().iter().map(|(prefix, _)| prefix).collect();
    assert!(before == after);
}

#[test]
fn each_kind_is_a_third_of_the_changes() {
    let (mut churn, _, _) = churn(2000);
    churn.start().unwrap();
    let len = churn.writer.routes().len();
    let mut seen = [0_usize; 3];
    for _ in 0..300 {
        let before = churn.writer.routes().len();
        churn.change().unwrap();
        let after = churn.writer.routes().len();
        seen[if after == before {
            0
        } else if after < before {
            1
        } else {
            2
        }] += 1;
    }
    assert_eq!(seen, [100, 100, 100]);
    assert_eq!(churn.writer.routes().len(), len);
}

#[test]
fn nothing_changes_before_the_start_while_the_generator_is_behind_or_after_the_end() {
    let (mut churn, _, _) = churn(500);
    churn.sends(1);
    churn.step();
    assert_eq!(churn.made, 0);
    churn.start().unwrap();
    churn.sends(BURST);
    churn.step();
    assert_eq!(churn.made, 0);
    churn.sends(BURST - 1);
    churn.step();
    assert!(churn.made > 0);
    churn.finish().unwrap();
    let made = churn.made;
    churn.step();
    assert_eq!(churn.made, made);
}

#[test]
fn what_was_replaced_waits_until_every_worker_has_moved_on() {
    let (mut churn, turns, _) = churn(500);
    churn.reclaim();
    let (mark, _) = churn.waits.clone().unwrap();
    churn.change().unwrap();
    for _ in 0..TURNS - 1 {
        turns.add(1);
    }
    churn.reclaim();
    assert_eq!(churn.waits.clone().unwrap().0, mark, "a worker may still be in the turn of then");
    turns.add(1);
    churn.reclaim();
    assert!(churn.waits.clone().unwrap().0 > mark);
}

#[test]
fn a_table_that_traffic_needs_all_of_gets_routes_that_it_does_not_need() {
    let routes: Vec<_> =
        (1..=3).map(|host| (Prefix4::host(0xc613_0000 + host), NextHopId(host))).collect();
    let writer = FibWriter::build(routes.clone()).unwrap();
    let hops = vec![NextHopId(1), NextHopId(2), NextHopId(3)];
    let to = routes.iter().map(|(prefix, _)| prefix.addr());
    let churn = Churn::new(writer, hops, to, Vec::new(), 1).unwrap();
    assert_eq!((churn.needed.len(), churn.spare.len()), (3, FEW));
    assert!(churn.spare.iter().all(|route| !routes.iter().any(|own| own.0 == route.0)));
}

#[test]
fn one_next_hop_cannot_be_replaced_by_another() {
    let writer = FibWriter::build([(Prefix4::host(1), NextHopId(1))]).unwrap();
    let refused = Churn::new(writer, vec![NextHopId(1)], std::iter::once(1), Vec::new(), 1);
    assert!(refused.unwrap_err().to_string().contains("two --routes"));
}
