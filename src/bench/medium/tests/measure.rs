//! What can the tester and the devices do on this machine? By hand.
//!
//! ```text
//! cargo test --release --lib bench::medium::tests::measure -- --ignored --nocapture
//! ```

use super::support::*;
use crate::bench::medium::device::{Kernel, Nat};
use crate::bench::medium::{Intake, Site, calibrate};
use crate::time::Span;
use crate::wire::vlan::TagStack;

const TIME: Span = Span::secs(2);

fn say(what: &str, crossed: &calibrate::Crossed) {
    println!(
        "{what}: sent {:.3} M/s, received {:.3} M/s; {:?}",
        crossed.sent_rate() / 1e6,
        crossed.received_rate() / 1e6,
        crossed.drops
    );
}

#[test]
#[ignore = "a measurement"]
fn measure_the_medium() {
    let size = std::env::var("SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(60);
    let (plan, cores) = (plan(size), cores());
    cores.pin_tester().unwrap();
    let bytes = frame(0, size, TagStack::UNTAGGED, &Default::default());
    for intake in [Intake::Sender, Intake::Steered, Intake::Thread] {
        println!("{intake}");
        say(" sending", &calibrate::sending(&plan, &cores, intake, &bytes, TIME).unwrap());
        say(" wire", &calibrate::wire(&plan, &cores, intake, &bytes, TIME).unwrap());
        let site = Site::veth(&plan, &cores, intake).unwrap();
        say(" null", &calibrate::null(&site, &bytes, TIME).unwrap());
        for nat in [false, true] {
            let nat = nat.then(|| Nat {
                inside: "10.0.0.0/8".parse().unwrap(),
                pool: Some(([203, 0, 113, 64].into(), [203, 0, 113, 79].into())),
                out: 1,
                sessions: 1000,
            });
            let what = if nat.is_some() { " kernel nat" } else { " kernel" };
            let site = Site::veth(&plan, &cores, intake).unwrap();
            let _kernel = Kernel::start(&site, &router(nat)).unwrap();
            let mut tester = site.tester().unwrap();
            let mut seq = 0;
            let write = |room: &mut [u8]| {
                room[..size].copy_from_slice(&bytes);
                // 64 flows, without a UDP checksum.
                seq = (seq + 1) % 64;
                room[35] = seq;
                room[40..42].fill(0);
                size
            };
            say(what, &calibrate::at_full_load(&mut tester, 0, TIME, write).unwrap());
        }
    }
    say("receiving", &calibrate::receiving(&plan, &cores, &bytes, TIME).unwrap());
    let site = Site::tap(&plan, &cores).unwrap();
    say("tap null", &calibrate::null(&site, &bytes, TIME).unwrap());
}
