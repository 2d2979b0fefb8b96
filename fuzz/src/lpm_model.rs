//! A look-up gives the longest route that covers an address, whatever was changed before: compared
//! with a look at every route. When all routes are gone, so is their memory.

use std::cell::RefCell;
use std::collections::BTreeMap;

use thruway::fib::{FibWriter, Form, Prefix4};
use thruway::ids::NextHopId;

use thruway::hostile::Entropy;

/// Most changes of one run.
const CHANGES: usize = 64;
/// Most bytes that a table takes which holds so few routes at a time: of the wide form, its first
/// level.
const MEMORY: [usize; 2] = [4 << 20, 80 << 20];

thread_local! {
    /// A table of each form, empty between runs: making one costs more than a run does.
    static TABLES: RefCell<[Option<FibWriter>; 2]> = const { RefCell::new([None, None]) };
}

fn empty(form: usize) -> FibWriter {
    let form = [Form::Compact, Form::Wide][form];
    FibWriter::build_as(form, []).expect("there is memory")
}

type Routes = BTreeMap<(u32, u8), NextHopId>;

fn scan(routes: &Routes, addr: u32) -> NextHopId {
    let covers = |(first, len): (u32, u8)| len == 0 || (addr ^ first) >> (32 - u32::from(len)) == 0;
    let best =
        routes.iter().filter(|(prefix, _)| covers(**prefix)).max_by_key(|(prefix, _)| prefix.1);
    best.map_or(NextHopId(0), |(_, hop)| *hop)
}

/// Adds and removes routes and looks up what is at their edges, in a table of either form.
///
/// # Panics
/// When a look-up differs, or memory does not come back.
pub fn check(data: &[u8]) {
    let mut input = Entropy::new(data);
    let form = usize::from(input.byte() & 1);
    // Taken out, so that a run which panics leaves nothing to the next.
    let table = TABLES.with_borrow_mut(|tables| tables[form].take());
    let mut writer = table.unwrap_or_else(|| empty(form));
    let mut routes = Routes::new();
    let mut addrs = vec![0, u32::MAX];
    for _ in 0..CHANGES {
        if input.is_empty() {
            break;
        }
        change(&mut input, form, &mut writer, &mut routes, &mut addrs);
    }
    compare(&writer, &routes, &addrs);
    for (addr, len) in std::mem::take(&mut routes).into_keys() {
        let prefix = Prefix4::new(addr, len).expect("it was one before");
        writer.remove(prefix).expect("there is memory");
    }
    let mark = writer.mark();
    writer.reclaim(mark);
    compare(&writer, &routes, &addrs);
    assert!(writer.fib().memory_size() <= MEMORY[form], "memory does not come back");
    TABLES.with_borrow_mut(|tables| tables[form] = Some(writer));
}

fn change(
    input: &mut Entropy<'_>,
    form: usize,
    writer: &mut FibWriter,
    routes: &mut Routes,
    addrs: &mut Vec<u32>,
) {
    let what = input.byte();
    // Few places, so that routes nest and share groups.
    let place = match what >> 6 {
        0 => 0x0a00_0000 | u32::from(input.half()),
        1 => 0x0a00_ff00 ^ u32::from(input.byte()),
        2 => 0xffff_ff00 | u32::from(input.byte()),
        _ => input.word(),
    };
    let len = match (input.byte() % 33, form) {
        // Short prefixes are painted over all the first level of the wide form.
        (len @ 1..=11, 1) => len + 11,
        (len, _) => len,
    };
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

fn compare(writer: &FibWriter, routes: &Routes, addrs: &[u32]) {
    let fib = writer.fib();
    assert_eq!(fib.len(), routes.len());
    let mut found = vec![NextHopId(0); addrs.len()];
    fib.lookup_batch(addrs, &mut found);
    for (addr, found) in addrs.iter().zip(found) {
        let right = scan(routes, *addr);
        assert_eq!(found, right, "a batch's look-up of {addr:#010x}");
        assert_eq!(fib.lookup(*addr), right, "a look-up of {addr:#010x}");
    }
}
