//! What can the benchmark's lab do on this machine, and what do the forwarders in it? At full load,
//! which flatters nobody: `thruway bench` searches.
//!
//! ```text
//! THRUWAY_BIN=target/release/thruway cargo test --release --test netns -- \
//!     --ignored --nocapture measure_forwarders
//! ```
//!
//! `SIZE` is the frame's size without check sequence, `ONLY` a part of the names to measure. Where
//! other programs use the cores, `chrt -r 10` before the command gives all threads precedence.

use thruway::bench::medium::device::{Beyond, Kernel, Nat, Null, Router, Testpmd};
use thruway::bench::medium::{Cores, Device, Intake, MediumError, Site, calibrate};
use thruway::time::Span;
use thruway::wire::build::Packet;

use crate::bench::{CE, EDGE, HOST, VM, VMS, plan, start, start_provider};

const TIME: Span = Span::secs(1);
const ROUNDS: usize = 3;
const FLOWS: u16 = 1000;

/// The frames of `FLOWS` flows, written in turn.
struct Flows {
    frames: Vec<Vec<u8>>,
    next: usize,
}

impl Flows {
    fn new(size: usize) -> Self {
        let payload = vec![0; size - 42];
        let flow =
            |flow: u16| Packet::ip4(HOST, VMS).udp(1024 + flow, 9, &payload).eth(CE, EDGE).build();
        Self { frames: (0..FLOWS).map(flow).collect(), next: 0 }
    }

    fn write(&mut self, room: &mut [u8]) -> usize {
        let frame = &self.frames[self.next];
        self.next = (self.next + 1) % self.frames.len();
        room[..frame.len()].copy_from_slice(frame);
        frame.len()
    }
}

fn say(name: &str, layout: &str, crossed: &calibrate::Crossed) {
    println!(
        "{name:<14} sent {:.3} M/s, received {:.3} M/s {:?} ({layout})",
        crossed.sent_rate() / 1e6,
        crossed.received_rate() / 1e6,
        crossed.drops,
    );
}

/// Full load through a device, several times.
fn through(name: &str, site: &Site, device: &mut dyn Device, size: usize) {
    let mut tester = site.tester().unwrap();
    let mut flows = Flows::new(size);
    for _ in 0..ROUNDS {
        let before = device.accounts().unwrap().unwrap();
        let crossed =
            calibrate::at_full_load(&mut tester, 0, TIME, |room| flows.write(room)).unwrap();
        let after = device.accounts().unwrap().unwrap();
        say(name, &site.layout(), &crossed);
        let drops = after.dropped.iter().map(|(reason, now)| {
            (reason.as_str(), now - before.dropped.get(reason).copied().unwrap_or(0))
        });
        println!("{:<14} {:?}, idle turns {:?}", "", drops.collect::<Vec<_>>(), after.idle_turns);
    }
}

fn router(nat: bool) -> Router {
    let side =
        |next_hop, prefix: &str| Beyond { next_hop, prefixes: vec![prefix.parse().unwrap()] };
    let nat = nat.then(|| Nat {
        inside: "10.0.0.0/16".parse().unwrap(),
        pool: Some(([203, 0, 113, 64].into(), [203, 0, 113, 79].into())),
        out: 1,
        sessions: u32::from(FLOWS),
    });
    Router::between([side(CE, "10.0.0.0/16"), side(VM, "10.10.0.0/16")], nat)
}

#[test]
#[ignore = "a measurement"]
fn measure_forwarders() {
    let word = |name: &str| std::env::var(name).ok();
    let size = word("SIZE").and_then(|size| size.parse().ok()).unwrap_or(60);
    let only = word("ONLY").unwrap_or_default();
    let cores = Cores::share(1).unwrap();
    cores.pin_tester().unwrap();
    let plan = plan(size + 8);
    let frame = calibrate::frame(size, CE, EDGE);
    for intake in [Intake::Sender, Intake::Thread, Intake::Steered] {
        let named = |name: &str, measure: &mut dyn FnMut(&str) -> Result<(), MediumError>| {
            let full = format!("{name}/{intake:?}");
            if full.to_lowercase().contains(&only) {
                measure(name).unwrap();
            }
        };
        let veth = || Site::veth(&plan, &cores, intake);
        named("sending", &mut |name| {
            let crossed = calibrate::sending(&plan, &cores, intake, &frame, TIME)?;
            say(name, &intake.to_string(), &crossed);
            Ok(())
        });
        named("wire", &mut |name| {
            let crossed = calibrate::wire(&plan, &cores, intake, &frame, TIME)?;
            say(name, &intake.to_string(), &crossed);
            Ok(())
        });
        named("null", &mut |name| {
            let site = veth()?;
            through(name, &site, &mut Null::start(&site)?, size);
            Ok(())
        });
        for nat in [false, true] {
            named(if nat { "kernel-nat" } else { "kernel" }, &mut |name| {
                let site = veth()?;
                through(name, &site, &mut Kernel::start(&site, &router(nat))?, size);
                Ok(())
            });
        }
        for xdp in [false, true] {
            named(if xdp { "testpmd-xdp" } else { "testpmd" }, &mut |name| {
                let site = veth()?;
                match Testpmd::start(&site, xdp) {
                    Ok(mut device) => through(name, &site, &mut device, size),
                    Err(error) => println!("{name}: {error}"),
                }
                Ok(())
            });
        }
        for poll in [true, false] {
            named(if poll { "fastpath" } else { "fastpath-sleep" }, &mut |name| {
                let site = veth()?;
                through(name, &site, &mut start(&site, poll), size);
                Ok(())
            });
        }
        named("provider-nat", &mut |name| {
            let mut silent = plan.clone();
            // A provider's edge has no addresses there, and asks nobody.
            silent.wires.iter_mut().for_each(|wire| wire.stations.clear());
            let site = Site::veth(&silent, &cores, intake)?;
            through(name, &site, &mut start_provider(&site), size);
            Ok(())
        });
    }
    if "receiving".contains(&only) {
        say("receiving", "", &calibrate::receiving(&plan, &cores, &frame, TIME).unwrap());
    }
    if "tap-null".contains(&only) {
        let site = Site::tap(&plan, &cores).unwrap();
        through("tap-null", &site, &mut Null::start(&site).unwrap(), size);
    }
    if "tap-fastpath".contains(&only) {
        let site = Site::tap(&plan, &cores).unwrap();
        through("tap-fastpath", &site, &mut start(&site, true), size);
    }
}
