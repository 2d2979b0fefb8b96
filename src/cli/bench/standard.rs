//! The standard set: what a newcomer wants to know of this machine, the quick form of it in two
//! minutes, the whole in less than thirty.

use miette::{IntoDiagnostic, Result};

use super::ask::{self, How, Suite};
use super::log::Log;
use super::versus::{self, Versus};
use crate::bench::bed::{DeviceKind, Medium, Wish};
use crate::bench::progress::Planned;
use crate::bench::scenario::{Direction, HandOver, Limits, Mix, Routes, Spec, Way};
use crate::bench::search::{Method, Preset};
use crate::bench::traffic::Genome;
use crate::time::Span;

/// How long a search may take: on a machine that is not quiet one tries again and again.
const SEARCH: Span = Span::secs(20);

/// One item of the set.
enum Item {
    /// Ticks a packet in memory.
    Cost(Spec, Direction),
    /// Throughput, and latency at its half.
    Search(Spec, Medium),
    /// In pairs with a peer.
    Against(Spec, Medium, DeviceKind),
}

/// Runs the set.
///
/// # Errors
/// When an item cannot be measured; those before it are kept.
pub(super) fn run(quick: bool, log: &mut Log) -> Result<()> {
    let items = if quick { quick_set() } else { whole_set() };
    items.into_iter().try_for_each(|item| one(item, quick, log))
}

/// What the set holds, for whoever shows progress.
pub(super) fn plan(quick: bool) -> Vec<Planned> {
    let items = if quick { quick_set() } else { whole_set() };
    let planned = |item: &Item| {
        let (name, expected) = match item {
            Item::Cost(spec, _) => (format!("cost, {}", spec.way), if quick { 6 } else { 25 }),
            Item::Search(spec, medium) => {
                (format!("{} on {medium}", spec.way), if quick { 12 } else { 45 })
            }
            Item::Against(spec, _, device) => {
                (format!("{} against {device}", spec.way), if quick { 30 } else { 60 })
            }
        };
        Planned { name, expected: Span::secs(expected) }
    };
    items.iter().map(planned).collect()
}

fn one(item: Item, quick: bool, log: &mut Log) -> Result<()> {
    // Eight pairs are the fewest that can be judged.
    let (preset, pairs, most_pairs, seconds) =
        if quick { (Preset::Smoke, 8, 8, 0.3) } else { (Preset::Quick, 10, 16, 0.5) };
    match item {
        Item::Cost(spec, direction) => {
            let mut wish = wish(spec, Medium::Memory)?;
            wish.direction = direction;
            ask::cost_of(&wish, log)
        }
        Item::Search(spec, medium) => {
            let wish = wish(spec, medium)?;
            let method = Method::MlrSearch;
            let how = How { preset, method, known: None, repeats: 1, seconds, timeout: SEARCH };
            ask::search(&wish, &how, Suite::Throughput, log)
        }
        Item::Against(spec, medium, device) => {
            let wish = wish(spec, medium)?;
            let (peer, name) = versus::peer(&wish, device.word());
            let names = [name, wish.device.word().to_owned()];
            versus::versus(
                &wish,
                &Versus {
                    peer,
                    names,
                    pairs,
                    most_pairs,
                    margin: 0.02,
                    seconds,
                    latency_at: None,
                    handicap: 0.0,
                },
                log,
            )
        }
    }
}

pub(super) fn wish(spec: Spec, medium: Medium) -> Result<Wish> {
    Ok(Wish {
        medium,
        device: DeviceKind::Thruway,
        spec,
        genome: Genome::one(64).into_diagnostic()?,
        direction: Direction::ToAzure,
        mix: Mix::Known,
        workers: 1,
        two_links: false,
        nominal_bps: 10_000_000_000,
        program: None,
        cable: None,
    })
}

fn of(way: Way, hand_over: HandOver) -> Spec {
    Spec { hand_over, ..Spec::new(way) }
}

/// As the service does it: with policers, meters and flow tables at work, which nothing reaches.
fn ample(way: Way) -> Spec {
    Spec { limits: Limits::Ample, ..Spec::new(way) }
}

fn quick_set() -> Vec<Item> {
    vec![
        Item::Cost(ample(Way::FastPath), Direction::ToAzure),
        Item::Cost(ample(Way::Nat), Direction::ToAzure),
        Item::Search(Spec::new(Way::FastPath), Medium::Ring),
        Item::Search(Spec::new(Way::FastPath), Medium::Veth),
        Item::Search(Spec::new(Way::Nat), Medium::Veth),
        Item::Against(of(Way::FastPath, HandOver::Untagged), Medium::Veth, DeviceKind::Kernel),
    ]
}

fn whole_set() -> Vec<Item> {
    let internet = |way, len| Spec { routes: Routes::sized(1, len), flows: 100_000, ..ample(way) };
    let sessions = |flows| Spec { flows, ..ample(Way::Nat) };
    let rules = Spec { rules: 50, ..ample(Way::FastPath) };
    let costs = vec![
        (ample(Way::FastPath), Direction::ToAzure),
        (internet(Way::FastPath, 1_000_000), Direction::ToAzure),
        (internet(Way::Gateway, 1_000_000), Direction::ToAzure),
        (rules, Direction::ToAzure),
        (ample(Way::FastPath), Direction::ToOnprem),
        (ample(Way::Provider), Direction::ToAzure),
        (ample(Way::Provider), Direction::ToOnprem),
        (sessions(64_512), Direction::ToAzure),
        (sessions(64_512), Direction::ToOnprem),
        (sessions(1_032_192), Direction::ToAzure),
        (sessions(1_032_192), Direction::ToOnprem),
    ];
    let mut items: Vec<Item> =
        costs.into_iter().map(|(spec, direction)| Item::Cost(spec, direction)).collect();
    for medium in [Medium::Ring, Medium::Veth, Medium::Tap] {
        for way in [Way::FastPath, Way::Gateway, Way::Nat, Way::Provider] {
            items.push(Item::Search(Spec::new(way), medium));
        }
    }
    for way in [Way::FastPath, Way::Nat] {
        items.push(Item::Against(of(way, HandOver::Untagged), Medium::Veth, DeviceKind::Kernel));
    }
    items.push(Item::Against(
        of(Way::FastPath, HandOver::Untagged),
        Medium::Veth,
        DeviceKind::Null,
    ));
    items
}
