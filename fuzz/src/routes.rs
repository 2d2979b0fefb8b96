//! A look-up gives the longest route that covers an address, whatever was changed before: compared
//! with a look at every route.

use std::collections::BTreeMap;

use thruway::fib::{FibWriter, Prefix4};
use thruway::ids::NextHopId;

use super::input::Input;

/// Most changes of one run.
const CHANGES: usize = 64;

fn scan(routes: &BTreeMap<(u32, u8), NextHopId>, addr: u32) -> NextHopId {
    let covers = |(first, len): (u32, u8)| len == 0 || (addr ^ first) >> (32 - u32::from(len)) == 0;
    let best =
        routes.iter().filter(|(prefix, _)| covers(**prefix)).max_by_key(|(prefix, _)| prefix.1);
    best.map_or(NextHopId(0), |(_, hop)| *hop)
}

/// Adds and removes routes and looks up what is at their edges.
///
/// # Panics
/// When a look-up differs, or memory runs out.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mut writer = FibWriter::new().expect("there is memory");
    let mut routes = BTreeMap::new();
    let mut addrs = vec![0, u32::MAX];
    for _ in 0..CHANGES {
        if input.is_empty() {
            break;
        }
        let what = input.byte();
        // Few places, so that routes nest and share groups.
        let place = match what >> 6 {
            0 => 0x0a00_0000 | u32::from(input.half()),
            1 => 0x0a00_ff00 ^ u32::from(input.byte()),
            2 => 0xffff_ff00 | u32::from(input.byte()),
            _ => input.word(),
        };
        let len = input.byte() % 33;
        let prefix = Prefix4::new(place, len).expect("32 at most");
        let (first, last) = (prefix.addr(), prefix.last_addr());
        addrs.extend([place, first, last, first.wrapping_sub(1), last.wrapping_add(1)]);
        let key = (first, len);
        if what & 3 == 0 {
            let gone = writer.remove(prefix).expect("there is memory");
            assert_eq!(gone, routes.remove(&key), "what {prefix} led to");
        } else {
            let hop = NextHopId(u32::from(what & 15));
            let before = writer.insert(prefix, hop).expect("there is memory");
            assert_eq!(before, routes.insert(key, hop), "what {prefix} led to");
        }
        let mark = writer.mark();
        writer.reclaim(mark);
    }
    let fib = writer.fib();
    assert_eq!(fib.len(), routes.len());
    let mut found = vec![NextHopId(0); addrs.len()];
    fib.lookup_batch(&addrs, &mut found);
    for (addr, found) in addrs.iter().zip(found) {
        let right = scan(&routes, *addr);
        assert_eq!(found, right, "a batch's look-up of {addr:#010x}");
        assert_eq!(fib.lookup(*addr), right, "a look-up of {addr:#010x}");
    }
}
